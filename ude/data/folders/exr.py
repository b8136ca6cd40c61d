"""Depth maps of half or single precision in OpenEXR files, read by OpenCV's decoder."""

import os
import re
import struct
from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

_SIGNATURE = b"v/1\x01"
_HEADER = 1 << 16  # bytes in which the header of a picture of one part ends
_WINDOW = re.compile(rb"dataWindow\x00box2i\x00\x10\x00\x00\x00(.{16})", re.DOTALL)
_SWITCH = "OPENCV_IO_ENABLE_OPENEXR"


def read_exr_depth(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The first colour (R) or the only channel of an OpenEXR file, float32 (H, W).

    OpenCV's decoder of the format is off unless an environment variable, which is set here, was set before its first
    use. The header is compared with the size before anything is decoded.

    Args:
        path: the file.
        size: (height, width) that it must have [px].

    Raises:
        DataError: when it is missing, damaged, of another size, or this OpenCV has no decoder for it.
    """
    import cv2

    try:
        with path.open("rb") as file:
            found = _size(file.read(_HEADER))
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such depth map; download the depth of this data set") from error
    if found is None:
        raise DataError(f"{path} is no OpenEXR file; copy or download it again")
    if found != size:
        (height, width), expected = found, f"{size[0]} x {size[1]}"
        raise DataError(f"{path} is {height} x {width}, but its image is {expected} (height x width); use the original")
    os.environ.setdefault(_SWITCH, "1")
    level = cv2.setLogLevel(0)  # it would print a line of its own about a damaged file
    try:
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(
            f"{path}: this OpenCV does not decode OpenEXR; set the environment variable {_SWITCH}=1"
        ) from error
    finally:
        cv2.setLogLevel(level)
    if pixels is None or pixels.dtype != np.float32 or pixels.shape[:2] != size:
        raise DataError(f"{path} cannot be decoded; copy or download it again, or install an OpenCV that reads OpenEXR")
    return np.ascontiguousarray(pixels[..., 2] if pixels.ndim == 3 else pixels)  # OpenCV's colours are B, G, R


def _size(data: bytes) -> tuple[int, int] | None:
    """(height, width) that the beginning of an OpenEXR file names [px]; None if it is none."""
    window = _WINDOW.search(data)
    if not data.startswith(_SIGNATURE) or window is None:
        return None
    left, top, right, bottom = struct.unpack("<4i", window[1])
    return bottom - top + 1, right - left + 1
