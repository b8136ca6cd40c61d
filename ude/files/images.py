"""RGB images as arrays of bytes, decoded to the last pixel or refused."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .atomic import atomic_path
from .errors import DataError, MissingFileError

_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)
"""What Pillow's readers raise on damaged files."""
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"


def read_image(path: str | Path) -> np.ndarray:
    """An image as uint8 RGB (H, W, 3), fully decoded and turned the way its EXIF orientation says.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is truncated, damaged, not an image, or has more than 8 bits per channel.
    """
    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "JPEG" and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
                raise EOFError("its end is missing")  # the decoder would fill in grey
            image.load()
            if image.mode.startswith(("I", "F")):
                raise DataError(f"image {path} has more than 8 bits per channel; convert it to an 8-bit RGB image")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError as error:
        raise MissingFileError(f"there is no image {path}; check the path or the download") from error
    except DAMAGE as error:
        raise DataError(
            f"image {path} cannot be decoded ({_reason(error)}); copy, download or make it again"
        ) from error


def write_image(path: str | Path, image: np.ndarray, quality: int = 95) -> None:
    """Writes an image atomically, as JPEG without chroma subsampling or as PNG.

    Args:
        path: file name; its suffix (.jpg, .jpeg, .png) chooses the format.
        image: uint8 RGB (H, W, 3).
        quality: of a JPEG, 1 to 95.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"the name of an image must end in one of {', '.join(_FORMATS)}, got {path.name}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        Image.fromarray(image).save(file, format=_FORMATS[path.suffix.lower()], quality=quality, subsampling=0)


def _reason(error: Exception) -> str:
    return "it is no image" if isinstance(error, UnidentifiedImageError) else str(error)
