"""A made-up source of frames, each of one grey level, and translations of them."""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from ude.data.images import read_rgb
from ude.data.translated import TranslatedFrames
from ude.files import DataError, write_image

SIZE = (32, 48)
NATIVE = (64, 96)
LEVELS = {"night": 20, "rain": 160, "fog": 230}


class WalledStreet:
    """Frames of one grey level each, level = 10 x frame + offset + 60, one metre and a bit apart."""

    offsets = (-1, 1)
    left_out: ClassVar = Counter()

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self.images_read = 0

    def __len__(self) -> int:
        return self.count

    def frame_id(self, index: int) -> str:
        return f"frame-{index:05d}"

    def condition(self, index: int) -> str:
        return "day-clear"

    def scene(self, index: int) -> str:
        return "scene-1"

    def native_size(self, index: int) -> tuple[int, int]:
        return NATIVE

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        self.images_read += 1
        return np.full((*NATIVE, 3), (10 * index + offset + 60) % 256, np.uint8)

    def intrinsics(self, index: int) -> np.ndarray:
        return np.array([[80.0 + index, 0, 47.5], [0, 80.0 + index, 31.5], [0, 0, 1]])

    def distance(self, index: int, offset: int) -> float:
        return abs(offset) * (1 + index / 10)

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802
        T = np.eye(4)
        T[2, 3] = -offset * (1 + index / 10)
        return T

    def lidar_path(self, index: int) -> Path | None:
        return None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        depth = self.lidar_depth(index).ravel()
        return np.flatnonzero(depth), depth[depth > 0]

    def lidar_depth(self, index: int) -> np.ndarray:
        depth = np.zeros(NATIVE, np.float32)
        depth[40, 10 : 12 + index] = 5.0 + index
        return depth


class PhotographedStreet(WalledStreet):
    """The same street as image files with some texture, of which neighbouring frames share one: file 2 i + offset.

    Args:
        root: folder that the files are written to.
        count: number of frames.
        suffix: of the files.
    """

    def __init__(self, root: Path, count: int = 4, *, suffix: str = ".jpg") -> None:
        super().__init__(count)
        self.root = root
        self.suffix = suffix
        (root / "camera").mkdir(parents=True, exist_ok=True)
        for number in range(-1, 2 * count):
            if not self.file(number).exists():
                Image.fromarray(self.pixels(number)).save(self.file(number), quality=95)

    def file(self, number: int) -> Path:
        return self.root / "camera" / f"{number:04d}{self.suffix}"

    @staticmethod
    def pixels(number: int) -> np.ndarray:
        v, u = np.mgrid[: NATIVE[0], : NATIVE[1]]
        waves = np.stack([np.sin((number + 2) * u / 20), np.cos(v / 7 + number), np.sin((u + v) / 9)], -1)
        return (waves * 80 + 128).astype(np.uint8)

    def image_path(self, index: int, offset: int = 0) -> Path:
        return self.file(2 * index + offset)

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        self.images_read += 1
        return read_rgb(self.image_path(index, offset))


class MotionlessStreet(WalledStreet):
    """The street of a source that knows nothing of its motion."""

    def distance(self, index: int, offset: int) -> float:
        raise DataError("this source has no poses; set LOSS.VELOCITY 0 and MODEL.POSE learned")

    T_source_target = distance


def translations(root: Path, source: WalledStreet, *conditions: str) -> TranslatedFrames:
    for condition in conditions:
        for index in range(len(source)):
            pixels = np.full((*SIZE, 3), LEVELS[condition], np.uint8)
            write_image(root / condition / f"{source.frame_id(index)}.jpg", pixels)
    return TranslatedFrames(root, conditions)
