"""Grey images with one number per pixel, such as 16-bit depth maps and masks of classes."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ude.files import DataError, MissingFileError
from ude.files.images import DAMAGE

_TYPES = {8: (np.uint8, np.bool_), 16: (np.uint16, np.int32)}
"""By bits, the types of arrays that Pillow gives for grey and palette images."""


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Pixels of an 8-bit grey or palette image, uint8 (H, W).

    Args:
        path: the file.
        size: (height, width) that it must have [px].

    Raises:
        DataError: when it is missing, damaged, of another size or in colour.
    """
    return grey_pixels(path, size, bits=8, what="mask").astype(np.uint8)


def grey_pixels(path: Path, size: tuple[int, int] | None, *, bits: int, what: str) -> np.ndarray:
    """Pixels of a grey image as Pillow decodes them, (H, W).

    Args:
        path: the file.
        size: (height, width) that it must have [px], which is checked before it is decoded; None takes any.
        bits: 8 or 16.
        what: what the file is, for errors.

    Raises:
        DataError: when it is missing, damaged, of another size or another depth of colour.
    """
    try:
        with Image.open(path) as image:
            if size is not None and image.size != size[::-1]:
                found, expected = f"{image.height} x {image.width}", f"{size[0]} x {size[1]}"
                raise DataError(
                    f"{path} is {found}, but its image is {expected} (height x width); use a {what} of the same size"
                )
            pixels = np.array(image)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such {what}; download the {what}s of this data set") from error
    except DAMAGE as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path} cannot be decoded ({reason}); copy or download it again") from error
    if pixels.ndim != 2 or pixels.dtype not in _TYPES[bits]:
        raise DataError(
            f"{path} is {pixels.dtype} of shape {pixels.shape}, no {bits}-bit grey image; use the original file"
        )
    return pixels
