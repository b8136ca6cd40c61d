"""A made-up source of frames, each of one grey level, and translations of them."""

from pathlib import Path

import numpy as np

from ude.data.translated import TranslatedFrames
from ude.files import write_image

SIZE = (32, 48)
NATIVE = (64, 96)
LEVELS = {"night": 20, "rain": 160, "fog": 230}


class WalledStreet:
    """Frames of one grey level each, level = 10 x frame + offset + 60, one metre and a bit apart."""

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

    def lidar_depth(self, index: int) -> np.ndarray:
        depth = np.zeros(NATIVE, np.float32)
        depth[40, 10 : 12 + index] = 5.0 + index
        return depth


def translations(root: Path, source: WalledStreet, *conditions: str) -> TranslatedFrames:
    for condition in conditions:
        for index in range(len(source)):
            pixels = np.full((*SIZE, 3), LEVELS[condition], np.uint8)
            write_image(root / condition / f"{source.frame_id(index)}.jpg", pixels)
    return TranslatedFrames(root, conditions)
