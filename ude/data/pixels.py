"""Where the pixels of a sample come from: image files, a cache of frames, or that cache on the training device."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ude.files import DataError

from .caches.frames import FrameCache
from .caches.resident import ResidentFrames
from .images import prepare_reading, resize_image
from .sample import FrameSource
from .translated import TranslatedFrames

Which = int | str
"""The neighbour at an offset, 0 being the frame itself, or its translation to a condition."""

Place = int | tuple[int, int]
"""Where in a batch."""

IMAGES = ("target", "sources", "input")
MAX_ENLARGEMENT = 4.0
MAX_STRETCH = 1.5
"""A translated image that must be enlarged or stretched by more than this is not the translation of its frame."""


class SourcePixels:
    """Pixels decoded from image files and resized, one decode and one resize per frame.

    Args:
        source: the frames.
        size: (height, width) of the samples [px].
        translated: translations of the frames.
        in_memory: keep what was read; every loader process has its own.
    """

    dtype = np.uint8

    def __init__(
        self,
        source: FrameSource,
        size: tuple[int, int],
        *,
        translated: TranslatedFrames | None = None,
        in_memory: bool = False,
    ) -> None:
        self.source = source
        self.size = tuple(size)
        self.shape = (3, *self.size)
        self.translated = translated
        self._kept: dict[tuple[int, Which], Tensor] | None = {} if in_memory else None
        prepare_reading()

    def fill(self, out: np.ndarray, place: Place, index: int, which: Which) -> None:
        """Write the pixels of a frame (3, H, W) to a place in uint8 ``out`` (..., 3, H, W)."""
        out[place] = self.read(index, which).numpy()

    def read(self, index: int, which: Which) -> Tensor:
        """Pixels of a frame, uint8 (3, H, W).

        Raises:
            DataError: the image is missing, damaged or does not fit its frame.
        """
        if self._kept is not None and (index, which) in self._kept:
            return self._kept[index, which]
        if isinstance(which, str):
            frame = self._translation(self.source.frame_id(index), which)
        else:
            frame = resize_image(self.source.image(index, which, min_size=self.size), self.size)
        if self._kept is not None:
            self._kept[index, which] = frame
        return frame

    def paths(self, offsets: Sequence[int]) -> Iterator[tuple[int, Which, Path]]:
        """Files of all frames, their neighbours at the offsets and their usable translations."""
        for index in range(len(self.source)):
            for offset in (0, *offsets):
                yield index, offset, self.source.image_path(index, offset)
            if self.translated is not None:
                frame_id = self.source.frame_id(index)
                for condition in self.translated.usable(frame_id):
                    yield index, condition, self.translated.path(frame_id, condition)

    def gather(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch as it is."""
        return batch

    def _translation(self, frame_id: str, condition: str) -> Tensor:
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


class CachedPixels:
    """Pixels read from a cache of frames: those of the image files, or close to them where it keeps JPEGs.

    Args:
        pixels: what the cache stands for.
        cache: the frames.
        offsets: neighbours that will be asked for.

    Raises:
        DataError: the cache lacks a frame, or a file has changed.
    """

    dtype = np.uint8

    def __init__(self, pixels: SourcePixels, cache: FrameCache, offsets: Sequence[int]) -> None:
        cache.require(size=pixels.size, crop=cache.format.crop)
        conditions = () if pixels.translated is None else pixels.translated.conditions
        self.cache = cache
        self.shape: tuple[int, ...] = pixels.shape
        self._place = {which: place for place, which in enumerate(dict.fromkeys((0, *offsets, *conditions)))}
        wanted = list(pixels.paths(offsets))
        self._rows = np.full((len(pixels.source), len(self._place)), -1, np.int64)
        rows = cache.rows([path for _, _, path in wanted])
        for (index, which, _), row in zip(wanted, rows.tolist(), strict=True):
            self._rows[index, self._place[which]] = row

    def fill(self, out: np.ndarray, place: Place, index: int, which: Which) -> None:
        """Write the pixels of a frame (3, H, W) to a place in uint8 ``out`` (..., 3, H, W).

        Raises:
            DataError: the frame's file could not be read when the cache was made.
        """
        self.cache.read_into(int(self._rows[index, self._place[which]]), out[place])

    def gather(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch as it is."""
        return batch


class ResidentPixels(CachedPixels):
    """Numbers of frames in a cache that lies in the memory of the training device, whence :meth:`gather` takes them.

    Samples then hold numbers instead of pixels, and a batch is a few hundred bytes.

    Args:
        pixels: what the cache stands for.
        cache: the frames.
        offsets: neighbours that will be asked for.

    Raises:
        DataError: the cache lacks a frame, or a file has changed.
    """

    dtype = np.int64

    def __init__(self, pixels: SourcePixels, cache: FrameCache, offsets: Sequence[int]) -> None:
        super().__init__(pixels, cache, offsets)
        self.shape = ()
        rows = np.setdiff1d(self._rows, [-1, *cache.problems])
        self._compact = {row: place for place, row in enumerate(rows.tolist())}
        self._resident = ResidentFrames(cache, rows)

    def fill(self, out: np.ndarray, place: Place, index: int, which: Which) -> None:
        """Write the number of a frame to a place in int64 ``out`` (...).

        Raises:
            DataError: the frame's file could not be read when the cache was made.
        """
        row = int(self._rows[index, self._place[which]])
        if row in self.cache.problems:
            raise DataError(self.cache.problems[row])
        out[place] = self._compact[row]

    def gather(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with pixels, uint8, in place of the numbers of frames; on the batch's device."""
        return batch | {key: self._resident(batch[key]) for key in IMAGES if key in batch}
