"""Weights-free translator: simulated night, rain, snow and fog from a day frame and its estimated depth.

A baseline to compare diffusion with, and the default of the demo. It moves no pixel of the scene: the geometry stays.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Generator, Tensor

from ..conditions import Condition
from .night import night
from .rainy_night import rainy_night
from .scene import Street, street
from .weather import fog, rain, snow

WEATHERS: dict[str, Callable[[Tensor, Street, Generator], Tensor]] = {
    "night": night,
    "rain": rain,
    "night_rain": rainy_night,
    "snow": snow,
    "fog": fog,
}


class SimulatedTranslator:
    """A `Translator` that needs no weights: light and weather are computed from the image and its inverse depth.

    Each image is worked on alone with draws from its own seed, so that a result does not depend on its batch.
    """

    @torch.inference_mode()
    def __call__(
        self,
        images: Tensor,
        *,
        condition: Condition,
        seeds: Sequence[int],
        depth: Tensor | None = None,
        prompts: Sequence[str] | None = None,
        references: Tensor | None = None,
    ) -> Tensor:
        """Translated images (B, 3, H, W) in [0, 1].

        Args:
            images: day frames (B, 3, H, W) in [0, 1].
            condition: one of `CONDITIONS`.
            seeds: seed of every draw, one per image.
            depth: inverse depth (B, 1, h, w), near is large, in 1/m or up to scale: only its ratios are used.
            prompts: not used.
            references: not used.
        """
        KORNIA_CHECK_SHAPE(images, ["B", "3", "H", "W"])
        if depth is None or len(depth) != len(images) or len(seeds) != len(images):
            raise ValueError("the simulated translator needs one inverse depth and one seed for each image")
        KORNIA_CHECK_SHAPE(depth, ["B", "1", "H", "W"])
        if condition.name not in WEATHERS:
            raise ValueError(f"the simulated translator knows {', '.join(WEATHERS)}, not {condition.name!r}")
        depth = F.interpolate(depth.float(), images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
        weather = WEATHERS[condition.name]
        translated = [
            weather(image, street(image, inverse_depth), Generator().manual_seed(seed))
            for image, inverse_depth, seed in zip(images.float(), depth, seeds, strict=True)
        ]
        return torch.stack(translated).clamp(0, 1).to(images.dtype)
