"""What every translator looks like, whether it simulates or generates."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ude.data.seeds import derived_seed as seed_of

from .conditions import Condition

__all__ = ["Translator", "seed_of"]


class Translator(Protocol):
    """Images of one condition from day frames, with the geometry of the day frames.

    A result depends on its own image, depth, seed, prompt and reference only, never on its neighbours in the batch.
    """

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
        """Translated images (B, 3, H, W) in [0, 1], on the device of the frames.

        Args:
            images: day frames (B, 3, H, W) in [0, 1].
            condition: condition to translate to.
            seeds: seed of every random draw, one per image, in [0, 2^63).
            depth: relative inverse depth (B, 1, h, w), near is large, up to scale.
            prompts: full text prompts, one per image; None for the condition's phrases, chosen by the seeds.
            references: images of the wanted condition (B, 3, h, w) in [0, 1], one per image.
        """
        ...
