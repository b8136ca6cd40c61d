"""What the case ``loader`` reads: a rendered drive in the format of nuScenes, longer than any cache of a processor."""

import os
from pathlib import Path

import numpy as np

from sample_world.nuscenes_world import WorldOptions, write_nuscenes
from ude.data.images import read_rgb
from ude.data.nuscenes import NuScenesFrames

OFFSETS = (-1, 1)


class LongDrive:
    """A short rendered drive, several times after another, every time in files of their own.

    Args:
        folder: where the drive is written.
        native_size: (height, width) of its pictures [px].
        times: how often it is repeated.
    """

    offsets = OFFSETS

    def __init__(self, folder: Path, native_size: tuple[int, int], times: int) -> None:
        options = WorldOptions(
            train_scenes=2, val_streets=0, test_streets=0, train_key_frames=4, size=native_size, workers=1
        )
        write_nuscenes(folder / "world", options, progress=False)
        self.root = folder / "copies"
        self.short = NuScenesFrames(folder / "world", split="train", offsets=OFFSETS, index_root=folder / "index")
        self.times = times
        for index in range(len(self)):
            for offset in (0, *OFFSETS):
                copy = self.image_path(index, offset)
                copy.parent.mkdir(parents=True, exist_ok=True)
                os.link(self.short.image_path(index % len(self.short), offset), copy)

    def __len__(self) -> int:
        return self.times * len(self.short)

    def frame_id(self, index: int) -> str:
        """Name of a frame, unique."""
        return f"{self.short.frame_id(index % len(self.short))}-{index // len(self.short)}"

    def condition(self, index: int) -> str:
        """Recording condition."""
        return self.short.condition(index % len(self.short))

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) [px]."""
        return self.short.native_size(index % len(self.short))

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File of a frame or its neighbour."""
        return self.root / f"{index:05d}_{offset}.jpg"

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels, uint8 (H, W, 3)."""
        return read_rgb(self.image_path(index, offset))

    def intrinsics(self, index: int) -> np.ndarray:
        """K at the native size [px], float64 (3, 3)."""
        return self.short.intrinsics(index % len(self.short))

    def distance(self, index: int, offset: int) -> float:
        """Distance to a neighbour [m]."""
        return self.short.distance(index % len(self.short), offset)
