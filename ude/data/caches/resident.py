"""Cached frames in the memory of the device that trains on them, so that a batch is one gather."""

import logging
import time

import numpy as np
import torch
from torch import Tensor

from ude.files import DataError

from .frames import FrameCache

CHUNK = 64
MEMORY_SHARE = 0.8
"""Most of the free memory of a device that frames may take; the rest is for networks and activations."""

logger = logging.getLogger(__name__)


class ResidentFrames:
    """Rows of a cache as one tensor on the device of the first batch, filled when that batch comes.

    Args:
        cache: the frames.
        rows: rows to keep, in the order in which they are asked for by their places.
    """

    def __init__(self, cache: FrameCache, rows: np.ndarray) -> None:
        self.cache = cache
        self.rows = rows
        self._frames: Tensor | None = None

    def __call__(self, places: Tensor) -> Tensor:
        """Frames at places (...) in the list of rows, uint8 (..., 3, H, W), on the places' device.

        Raises:
            DataError: the device has too little memory.
        """
        if self._frames is None or self._frames.device != places.device:
            self._frames = self._loaded(places.device)
        return self._frames.index_select(0, places.flatten()).unflatten(0, places.shape)

    def __getstate__(self) -> dict[str, object]:
        return vars(self) | {"_frames": None}

    def _loaded(self, device: torch.device) -> Tensor:
        """All rows (N, 3, H, W) on a device, read in chunks through pinned memory."""
        shape = (3, *self.cache.format.size)
        self._require_memory(device, len(self.rows) * int(np.prod(shape)))
        start = time.perf_counter()
        frames = torch.empty((len(self.rows), *shape), dtype=torch.uint8, device=device)
        chunk = torch.empty((min(CHUNK, len(self.rows)), *shape), dtype=torch.uint8, pin_memory=device.type == "cuda")
        for first in range(0, len(self.rows), CHUNK):
            rows = self.rows[first : first + CHUNK].tolist()
            for place, row in enumerate(rows):
                self.cache.read_into(row, chunk[place].numpy())
            frames[first : first + len(rows)].copy_(chunk[: len(rows)])
        taken, seconds = frames.numel() / 1e9, time.perf_counter() - start
        logger.info(
            "%d frames (%.2f GB) of %s on %s in %.1f s", len(self.rows), taken, self.cache.folder, device, seconds
        )
        return frames

    def _require_memory(self, device: torch.device, needed: int) -> None:
        if device.type != "cuda":
            return
        free, _ = torch.cuda.mem_get_info(device)
        if needed > MEMORY_SHARE * free:
            raise DataError(
                f"the {len(self.rows)} frames of {self.cache.folder} take {needed / 1e9:.1f} GB, more than "
                f"{MEMORY_SHARE:.0%} of the {free / 1e9:.1f} GB free on {device}; set DATA.CACHE_ON_DEVICE False"
            )
