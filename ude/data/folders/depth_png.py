"""Depth maps in 16-bit PNG files, as KITTI made them usual."""

from pathlib import Path

import numpy as np

from .grey import grey_pixels


def read_png16(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Pixels of a 16-bit grey PNG file, uint16 (H, W).

    Args:
        path: the file.
        size: (height, width) that it must have [px]; None takes any.

    Raises:
        DataError: when it is missing, damaged, of another size or another depth of colour.
    """
    return grey_pixels(path, size, bits=16, what="depth map").astype(np.uint16)


def sparse_png_depth(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Flat pixel indices, int64 (N,), and depths [m], float32 (N,), of a map that stores 256 times the depth."""
    pixels = read_png16(path, size).ravel()
    index = np.flatnonzero(pixels)
    return index, (pixels[index] / 256).astype(np.float32)
