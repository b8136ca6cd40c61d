"""The data set of training: a source of frames in batches of samples; with that of evaluation and the collation."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ude.geometry import resize_intrinsics

from .batches import LIDAR, collate, padded
from .caches.frames import FrameCache
from .evaluation_frames import EvaluationFrames
from .pixels import CachedPixels, ResidentPixels, SourcePixels
from .sample import FrameSource, Sample
from .seeds import uniform_draw
from .translated import TranslatedFrames
from .unreadable import UnreadableFrames

if TYPE_CHECKING:
    from .caches.lidar import LidarCache

__all__ = ["EvaluationFrames", "TrainingFrames", "collate"]


class TrainingFrames(Dataset):
    """Training samples: the real frame, its neighbours, and the frame or a translation of it as the input.

    The input of a frame is drawn anew in every epoch, by one draw over the real frame and the conditions that depends
    on seed, epoch and frame alone. A translation in quarantine gives way to the frame's next condition, or to the real
    frame where it has none. A loader gets whole batches, which are filled in place.

    Args:
        source: the frames.
        size: (height, width) of the samples [px].
        offsets: which neighbours to load, in this order.
        translated: translations to draw from; None gives real frames only.
        translated_prob: probability of a translated input, split evenly over the conditions; ``auto`` is n / (n + 1)
            for n conditions, so that the real frame is as likely as each of them.
        with_poses: also give ``T_source_target``.
        with_sources: load the neighbours and what belongs to them; off for stages that need the frame alone.
        with_distance: also give ``distance``, which needs a source that knows its motion.
        with_lidar: also give the sparse LiDAR depth of the frame; none of a frame without.
        lidar_cache: read it from there instead of projecting the points.
        cache: keep resized frames in memory; every loader process has its own.
        frame_cache: read frames from it instead of the image files.
        on_device: keep the frames of ``frame_cache`` on the training device; :meth:`gather` then completes a batch.
        on_error: ``raise`` when a frame cannot be read, or ``skip`` to take the next one that can.
        max_skipped: share of frames, 0..1, above which skipping ends.
        seed: seed of the draws.

    Attributes:
        unreadable: the frames that were skipped.

    Raises:
        DataError: when a translated frame or a frame of the cache is missing.
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
        with_distance: bool = True,
        with_lidar: bool = False,
        lidar_cache: "LidarCache | None" = None,
        cache: bool = False,
        frame_cache: FrameCache | None = None,
        on_device: bool = False,
        on_error: str = "raise",
        max_skipped: float = 0.01,
        seed: int = 0,
    ) -> None:
        self.source = source
        self.size = tuple(size)
        self.offsets = tuple(offsets)
        self.translated = translated
        self.translated_prob = _probability(translated, translated_prob)
        self.with_poses = with_poses and bool(self.offsets)
        self.with_sources = with_sources and bool(self.offsets)
        self.with_distance = with_distance and self.with_sources
        self.with_lidar = with_lidar
        self.lidar_cache = lidar_cache
        self.seed = seed
        self._resizings: dict[tuple[int, int], np.ndarray] = {}
        self.unreadable = UnreadableFrames(source.frame_id, len(source), on_error=on_error, max_skipped=max_skipped)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # persistent loader processes see it change
        if translated is not None and self.translated_prob > 0:
            translated.require(source.frame_id(index) for index in range(len(source)))
        self.pixels = SourcePixels(source, self.size, translated=translated, in_memory=cache and frame_cache is None)
        if frame_cache is not None:
            kind = ResidentPixels if on_device else CachedPixels
            self.pixels = kind(self.pixels, frame_cache, self.offsets if self.with_sources else ())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose inputs are drawn."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        return Sample(**{key: values[0] for key, values in self.__getitems__([index]).items()})

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Batch of frames; a loader asks for it instead of single samples."""
        batch = self._empty(len(indices))
        for place, index in enumerate(indices):
            self.unreadable.read_next(index, partial(self._fill, batch, place))
        tensors = {key: torch.from_numpy(value) for key, value in batch.items() if isinstance(value, np.ndarray)}
        tensors |= {key: padded(key, batch[key]) for key in LIDAR if key in batch}
        if self.translated is None:
            tensors["input"] = tensors["target"]
        return batch | tensors

    def gather(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch with the frames that are kept on its device; any other batch as it is."""
        return self.pixels.gather(batch)

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

    def _empty(self, count: int) -> dict[str, Any]:
        """Batch of which nothing is filled in, in arrays; without translations its input is its target."""
        shape, dtype, sources = self.pixels.shape, self.pixels.dtype, len(self.offsets)
        batch = {name: [""] * count for name in ("frame_id", "condition", "input_condition")}
        batch |= {"target": np.empty((count, *shape), dtype), "K": np.empty((count, 3, 3), np.float32)}
        if self.translated is not None:
            batch["input"] = np.empty((count, *shape), dtype)
        if self.with_sources:
            batch["sources"] = np.empty((count, sources, *shape), dtype)
        if self.with_distance:
            batch["distance"] = np.empty((count, sources), np.float32)
        if self.with_poses:
            batch["T_source_target"] = np.empty((count, sources, 4, 4), np.float32)
        if self.with_lidar:
            batch |= {name: [None] * count for name in LIDAR}
            batch["native_size"] = np.empty((count, 2), np.int64)
        return batch

    def _fill(self, batch: dict[str, Any], place: int, index: int) -> None:
        """Put a frame in its place in a batch."""
        source, drawn, condition = self.source, self.drawn_condition(index), self.source.condition(index)
        self.pixels.fill(batch["target"], place, index, 0)
        if drawn is not None:
            self.pixels.fill(batch["input"], place, index, drawn)
        elif self.translated is not None:
            batch["input"][place] = batch["target"][place]
        for number, offset in enumerate(self.offsets):
            if self.with_sources:
                self.pixels.fill(batch["sources"], (place, number), index, offset)
            if self.with_distance:
                batch["distance"][place, number] = source.distance(index, offset)
            if self.with_poses:
                batch["T_source_target"][place, number] = source.T_source_target(index, offset)
        if self.with_lidar:
            for name, values in zip(LIDAR, self._lidar(index), strict=True):
                batch[name][place] = torch.from_numpy(values)
            batch["native_size"][place] = source.native_size(index)
        batch["K"][place] = self._resizing(source.native_size(index)) @ source.intrinsics(index)
        batch["frame_id"][place], batch["condition"][place] = source.frame_id(index), condition
        batch["input_condition"][place] = drawn or condition

    def _lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels with a return and their depths [m], as the source gives them; none of a frame without LiDAR."""
        if self.source.lidar_path(index) is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if self.lidar_cache is not None:
            return self.lidar_cache.read(self.source.frame_id(index))
        return self.source.sparse_lidar(index)

    def _resizing(self, native_size: tuple[int, int]) -> np.ndarray:
        """What turns intrinsics at a native size into those of the samples, float64 (3, 3)."""
        if native_size not in self._resizings:
            identity = torch.eye(3, dtype=torch.float64)
            self._resizings[native_size] = resize_intrinsics(identity, native_size, self.size).numpy()
        return self._resizings[native_size]


def _probability(translated: TranslatedFrames | None, value: str | float) -> float:
    """Probability of a translated input."""
    if translated is None:
        return 0.0
    if value == "auto":
        return len(translated.conditions) / (len(translated.conditions) + 1)
    if isinstance(value, str) or not 0 <= value <= 1:
        raise ValueError(f"translated_prob must be 'auto' or a number in [0, 1], got {value!r}")
    return float(value)
