"""What is evaluated: a network, which sees images alone, or a predictor that has to know which frames they are."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to inverse depths [1/m], or relative ones, (B, 1, H, W)."""


class Frame(NamedTuple):
    """Name and recording condition of a frame."""

    frame_id: str
    condition: str


class Maps(NamedTuple):
    """Inverse depth of a frame, (1, h, w), and that of its mirrored image, not mirrored back."""

    inverse_depth: Tensor
    mirrored: Tensor | None


class FramePredictor(ABC):
    """A predictor that has to know which frames it is asked for.

    Attributes:
        mirrors: it also has the inverse depth of mirrored images.
        uses_files: it reads or writes files, so that its time says nothing about a network.
    """

    mirrors: bool = True
    uses_files: bool = False

    @abstractmethod
    def of_frames(self, images: Tensor, frames: Sequence[Frame], *, flip: bool) -> list[Maps]:
        """The maps of every frame on the device of the images; their size is its own affair.

        Args:
            images: the frames' images in [0, 1], (B, 3, H, W).
            frames: which frames they are.
            flip: also give the maps of the mirrored images.

        Raises:
            DataError: there are none.
        """

    def require(self, frame_ids: Sequence[str]) -> None:  # noqa: B027 (most predictors can predict any frame)
        """Refuses frames that it has no prediction of, before an evaluation starts.

        Raises:
            DataError: naming the first of them.
        """


Predictor = Network | FramePredictor


class Predicted(NamedTuple):
    """Frames of a batch whose maps have one size.

    Attributes:
        part: which frames of the batch.
        maps: inverse depth, (n, 1, h, w), and with flip that of the mirrored images, not mirrored back.
    """

    part: slice
    maps: list[Tensor]


def predicted(predictor: Predictor, images: Tensor, frames: Sequence[Frame], *, flip: bool = False) -> list[Predicted]:
    """Inverse depth of a batch by any predictor, float32; more than one part only where maps differ in size.

    Args:
        predictor: a network, or a predictor of frames.
        images: the frames' images in [0, 1], (B, 3, H, W).
        frames: which frames they are.
        flip: also predict the mirrored images.

    Raises:
        ValueError: a network returns another shape.
    """
    if isinstance(predictor, FramePredictor):
        return _parts(predictor.of_frames(images, frames, flip=flip))
    expected, maps = (images.shape[0], 1, *images.shape[-2:]), []
    for seen in (images, images.flip(-1)) if flip else (images,):
        inverse_depth = predictor(seen)
        if tuple(inverse_depth.shape) != expected:
            raise ValueError(f"predict must return inverse depths {expected}, got {tuple(inverse_depth.shape)}")
        maps.append((inverse_depth.cpu() if inverse_depth.is_mps else inverse_depth).float())  # MPS has no float64
    return [Predicted(slice(0, len(images)), maps)]


def frame_maps(predictor: Predictor, images: Tensor, frames: Sequence[Frame], *, flip: bool) -> list[Maps]:
    """The same frame by frame."""
    found = []
    for _, maps in predicted(predictor, images, frames, flip=flip):
        found += [Maps(*pair) for pair in zip(*maps, strict=True)] if flip else [Maps(each, None) for each in maps[0]]
    return found


def _parts(found: Sequence[Maps]) -> list[Predicted]:
    """Neighbouring frames with maps of one size, stacked."""
    parts, start = [], 0
    for _, members in groupby(found, key=lambda maps: maps.inverse_depth.shape):
        stacked = [torch.stack(maps).float() for maps in zip(*members, strict=True) if maps[0] is not None]
        parts.append(Predicted(slice(start, start + len(stacked[0])), stacked))
        start += len(stacked[0])
    return parts
