"""A source of made-up frames, and images good and cut, for the tests of the check of data."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ude.files import DataError

SIZE = (48, 64)
K = np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])


@dataclass
class Frame:
    """What a made-up source says of a frame; the microseconds of a frame are in its file's name."""

    name: str
    image: Path
    condition: str = "day-clear"
    scene: str = "drive"
    K: object = field(default_factory=K.copy)
    size: tuple[int, int] = SIZE
    neighbours: tuple[Path, ...] = ()
    distance: float = 0.5
    T: np.ndarray = field(default_factory=lambda: np.eye(4))
    lidar: Path | None = None
    returns: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None


class MadeUpFrames:
    """A source of frames in a list."""

    def __init__(self, frames: list[Frame], offsets: tuple[int, ...] = (), *, poses: bool = True) -> None:
        self.frames, self.offsets, self.poses = frames, offsets, poses
        self.left_out = Counter()

    def __len__(self) -> int:
        return len(self.frames)

    def frame_id(self, index: int) -> str:
        return self.frames[index].name

    def condition(self, index: int) -> str:
        return self.frames[index].condition

    def scene(self, index: int) -> str:
        return self.frames[index].scene

    def native_size(self, index: int) -> tuple[int, int]:
        return self.frames[index].size

    def image_path(self, index: int, offset: int = 0) -> Path:
        frame = self.frames[index]
        return frame.neighbours[self.offsets.index(offset)] if offset else frame.image

    def intrinsics(self, index: int) -> np.ndarray:
        return self.frames[index].K

    def distance(self, index: int, offset: int) -> float:
        if not self.poses:
            raise DataError("this source has no poses; set LOSS.VELOCITY 0 and MODEL.POSE learned")
        return self.frames[index].distance

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802
        return self.frames[index].T

    def lidar_path(self, index: int) -> Path | None:
        return self.frames[index].lidar

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.frames[index].returns()


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth picture with some noise, another one for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    noisy = np.asarray(coarse, np.int16) + rng.integers(-6, 7, (*size, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, suffix: str = ".jpg", **options: object) -> bytes:
    """Bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, {".jpg": "JPEG", ".png": "PNG"}[suffix], **options)
    return buffer.getvalue()


def cuts(data: bytes) -> dict[str, bytes]:
    """The 15 ways of F01 in which a file may have been cut: shares kept, bytes lost, a tail of zeros."""
    shares = (0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    made = {f"kept_{share:g}": data[: int(len(data) * share)] for share in shares}
    made |= {f"lost_{count}": data[:-count] for count in (1, 2, 3, 8, 64)}
    return made | {"zeros": data[: len(data) // 2] + bytes(len(data) - len(data) // 2)}
