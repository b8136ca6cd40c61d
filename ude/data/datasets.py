"""Data sets that turn a source of frames into samples, and the collation of samples into batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from ude.files import DataError
from ude.geometry import resize_intrinsics

from .images import prepare_reading, resize_image
from .lidar import sparse_depth
from .sample import FrameSource, Sample
from .seeds import uniform_draw
from .translated import TranslatedFrames

_PADDING = {"lidar_index": -1, "lidar_value": 0.0}
MAX_ENLARGEMENT = 4.0
MAX_STRETCH = 1.5
"""A translated image that must be enlarged or stretched by more than this is not the translation of its frame."""


class TrainingFrames(Dataset):
    """Training samples: the real frame, its neighbours, and the frame or a translation of it as the input.

    The input of a frame is drawn anew in every epoch, by one draw over the real frame and the conditions that depends
    on seed, epoch and frame alone. A translation in quarantine gives way to the frame's next condition, or to the real
    frame where it has none.

    Args:
        source: the frames.
        size: (height, width) of the samples [px].
        offsets: which neighbours to load, in this order.
        translated: translations to draw from; None gives real frames only.
        translated_prob: probability of a translated input, split evenly over the conditions; ``auto`` is n / (n + 1)
            for n conditions, so that the real frame is as likely as each of them.
        with_poses: also give ``T_source_target``.
        with_sources: load the neighbours and what belongs to them; off for stages that need the frame alone.
        cache: keep resized frames in memory; every loader process has its own.
        seed: seed of the draws.

    Raises:
        MissingFileError: when a translated frame is missing.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        size: tuple[int, int],
        offsets: Sequence[int],
        translated: TranslatedFrames | None = None,
        translated_prob: str | float = "auto",
        with_poses: bool = False,
        with_sources: bool = True,
        cache: bool = False,
        seed: int = 0,
    ) -> None:
        self.source = source
        self.size = tuple(size)
        self.offsets = tuple(offsets)
        self.translated = translated
        self.translated_prob = _probability(translated, translated_prob)
        self.with_poses = with_poses and bool(self.offsets)
        self.with_sources = with_sources and bool(self.offsets)
        self.seed = seed
        self._cache: dict[tuple[int, int | str], Tensor] | None = {} if cache else None
        prepare_reading()
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # persistent loader processes see it change
        if translated is not None and self.translated_prob > 0:
            translated.require(source.frame_id(index) for index in range(len(source)))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose inputs are drawn."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        target, drawn = self._frame(index, 0), self.drawn_condition(index)
        K = torch.from_numpy(self.source.intrinsics(index))
        sample = Sample(
            frame_id=self.source.frame_id(index),
            condition=self.source.condition(index),
            input_condition=drawn or self.source.condition(index),
            target=target,
            input=self._frame(index, drawn) if drawn else target,
            K=resize_intrinsics(K, self.source.native_size(index), self.size).float(),
        )
        if self.with_sources:
            sample["sources"] = torch.stack([self._frame(index, offset) for offset in self.offsets])
            sample["distance"] = torch.tensor([self.source.distance(index, offset) for offset in self.offsets])
        if self.with_poses:
            poses = np.stack([self.source.T_source_target(index, offset) for offset in self.offsets])
            sample["T_source_target"] = torch.from_numpy(poses).float()
        return sample

    def drawn_condition(self, index: int) -> str | None:
        """Translation condition that a frame's input has in this epoch, None for the real frame."""
        if self.translated is None:
            return None
        frame_id, conditions = self.source.frame_id(index), self.translated.conditions
        draw = uniform_draw("translation", self.seed, int(self._epoch), frame_id)
        if draw >= self.translated_prob:
            return None
        place, usable = int(draw / self.translated_prob * len(conditions)), self.translated.usable(frame_id)
        return next((name for name in (*conditions[place:], *conditions[:place]) if name in usable), None)

    def _frame(self, index: int, which: int | str) -> Tensor:
        """The neighbour at an offset, or the translation to a condition, uint8 (3, H, W) at the samples' size."""
        if self._cache is not None and (index, which) in self._cache:
            return self._cache[index, which]
        if isinstance(which, str):
            frame = self._translated_frame(self.source.frame_id(index), which)
        else:
            frame = resize_image(self.source.image(index, which, min_size=self.size), self.size)
        if self._cache is not None:
            self._cache[index, which] = frame
        return frame

    def _translated_frame(self, frame_id: str, condition: str) -> Tensor:
        pixels = self.translated.image(frame_id, condition)
        scale_y, scale_x = self.size[0] / pixels.shape[0], self.size[1] / pixels.shape[1]
        stretch = max(scale_y / scale_x, scale_x / scale_y)
        if max(scale_y, scale_x) > MAX_ENLARGEMENT or stretch > MAX_STRETCH:
            path, (height, width) = self.translated.path(frame_id, condition), pixels.shape[:2]
            raise DataError(
                f"{path} is {height} x {width} (height x width), which does not fit a frame of {self.size[0]} x "
                f"{self.size[1]}; remove it and translate again"
            )
        return resize_image(pixels, self.size)


class EvaluationFrames(Dataset):
    """Evaluation samples: the real frame as the input, and its LiDAR depth at the native size.

    Args:
        source: the frames.
        size: (height, width) of the input [px].
    """

    def __init__(self, source: FrameSource, *, size: tuple[int, int]) -> None:
        self.source = source
        self.size = tuple(size)
        prepare_reading()

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        depth = self.source.lidar_depth(index)
        lidar_index, lidar_value = sparse_depth(depth)
        return Sample(
            frame_id=self.source.frame_id(index),
            condition=self.source.condition(index),
            input=resize_image(self.source.image(index, min_size=self.size), self.size),
            lidar_index=torch.from_numpy(lidar_index),
            lidar_value=torch.from_numpy(lidar_value),
            native_size=torch.tensor(depth.shape),
        )


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """Batch of samples: tensors stacked, strings in lists, sparse LiDAR padded with index -1 and value 0."""
    return {key: _stacked(key, [sample[key] for sample in samples]) for key in samples[0]}


def _stacked(key: str, values: list[Any]) -> Any:
    if key in _PADDING:
        return pad_sequence(values, batch_first=True, padding_value=_PADDING[key])
    return torch.stack(values) if isinstance(values[0], Tensor) else values


def _probability(translated: TranslatedFrames | None, value: str | float) -> float:
    """Probability of a translated input."""
    if translated is None:
        return 0.0
    if value == "auto":
        return len(translated.conditions) / (len(translated.conditions) + 1)
    if isinstance(value, str) or not 0 <= value <= 1:
        raise ValueError(f"translated_prob must be 'auto' or a number in [0, 1], got {value!r}")
    return float(value)
