"""Conditions to translate day frames to, and the words that ask a diffusion model for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

COMMON_NEGATIVE = "cartoon, painting, drawing, text, watermark, deformed, lowres, low quality, worst quality"


@dataclass(frozen=True)
class Condition:
    """A condition to translate to.

    Attributes:
        name: name in configs, of the output folder and of the folder with reference images.
        phrases: what a prompt may begin with; the first is the paper's, the others vary prompts without captions.
        negative: what a diffusion model is to keep away from.
    """

    name: str
    phrases: tuple[str, ...]
    negative: str = COMMON_NEGATIVE

    def prompt(self, seed: int, caption: str | None = None) -> str:
        """Prompt of one frame: the first phrase before its caption, or without a caption one phrase by the seed.

        The phrase comes first, so that the text encoder's limit of 77 tokens never cuts the condition off.
        """
        return self.phrases[seed % len(self.phrases)] if caption is None else f"{self.phrases[0]}, {caption}"


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "night": Condition(
            name="night",
            phrases=(
                "At night",
                "At night, a street lit by street lamps and head lights",
                "A dark street at night, seen from a car",
                "A city road late at night with lit windows, dash cam photo",
                "A badly lit suburban road at night, noisy camera image",
            ),
            negative=f"daylight, sun, blue sky, {COMMON_NEGATIVE}",
        ),
        "rain": Condition(
            name="rain",
            phrases=(
                "In a rainy day",
                "In a rainy day, wet road with reflections, grey sky",
                "A street in heavy rain, seen through a wet windscreen",
                "Drizzle over a city road with puddles, dash cam photo",
            ),
            negative=f"sunshine, blue sky, dry road, night, {COMMON_NEGATIVE}",
        ),
        "snow": Condition(
            name="snow",
            phrases=(
                "In a snowy day",
                "In a snowy day, snow on the road and on parked cars",
                "A street in heavy snowfall, dash cam photo",
                "A road with slush and tyre tracks under a grey sky",
            ),
            negative=f"sunshine, blue sky, green grass, night, {COMMON_NEGATIVE}",
        ),
        "fog": Condition(
            name="fog",
            phrases=(
                "In a foggy day",
                "In a foggy day, the end of the street disappears in fog",
                "A road in dense morning fog, dash cam photo",
                "Hazy air over a city street, low visibility",
            ),
            negative=f"sunshine, blue sky, clear air, night, {COMMON_NEGATIVE}",
        ),
    }
)
