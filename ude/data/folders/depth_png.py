"""Depth maps in 16-bit PNG files, as KITTI made them usual."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ude.files import DataError, MissingFileError
from ude.files.images import DAMAGE


def read_png16(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Pixels of a 16-bit grey PNG file, uint16 (H, W).

    Args:
        path: the file.
        size: (height, width) that it must have [px]; None takes any.

    Raises:
        DataError: when it is missing, damaged, of another size or another depth of colour.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such depth map; download the depth of this data set") from error
    except DAMAGE as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path} cannot be decoded ({reason}); copy or download it again") from error
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.int32):
        raise DataError(
            f"{path} is {pixels.dtype} of shape {pixels.shape}, no 16-bit grey image; use the original file"
        )
    if size is not None and pixels.shape != size:
        found, expected = (f"{height} x {width}" for height, width in (pixels.shape, size))
        raise DataError(f"{path} is {found}, but its image is {expected} (height x width); use maps of the same size")
    return pixels.astype(np.uint16)


def sparse_png_depth(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Flat pixel indices, int64 (N,), and depths [m], float32 (N,), of a map that stores 256 times the depth."""
    pixels = read_png16(path, size).ravel()
    index = np.flatnonzero(pixels)
    return index, (pixels[index] / 256).astype(np.float32)
