"""Maps of one small number per pixel, such as classes of materials, from grey PNG files."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ude.files import DataError, MissingFileError
from ude.files.images import DAMAGE


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Pixels of an 8-bit grey or palette image, uint8 (H, W).

    Args:
        path: the file.
        size: (height, width) that it must have [px].

    Raises:
        DataError: when it is missing, damaged, of another size or in colour.
    """
    try:
        with Image.open(path) as image:
            if image.size != size[::-1]:
                found, expected = f"{image.height} x {image.width}", f"{size[0]} x {size[1]}"
                raise DataError(
                    f"{path} is {found}, but its image is {expected} (height x width); use the original file"
                )
            pixels = np.array(image)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such mask; download the masks of this data set") from error
    except DAMAGE as error:
        reason = "it is no image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{path} cannot be decoded ({reason}); copy or download it again") from error
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.bool_):
        raise DataError(f"{path} is {pixels.dtype} of shape {pixels.shape}, no 8-bit grey image; use the original file")
    return pixels.astype(np.uint8)
