"""Raw RobotCar images to colour: demosaicing and undistortion, as exact as the SDK's own, at a fraction of its time."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ude.files import DataError, read_image


def read_mosaic(path: Path) -> np.ndarray:
    """Raw pixels of a Bayer sensor, uint8 (H, W).

    Raises:
        DataError: when the file is missing, damaged, or has colours already.
    """
    pixels = read_image(path)
    with Image.open(path) as image:
        if image.mode != "L":
            raise DataError(
                f"image {path} has mode {image.mode}, so it is no Bayer mosaic: another tool may have overwritten it "
                "by its result; download the raw images again"
            )
    return pixels[..., 0]


def demosaic(mosaic: np.ndarray) -> Tensor:
    """Colours of a GBRG mosaic, uint8 (H, W) with even sides, by bilinear interpolation, float32 (3, H, W) in 0..255.

    A colour that a pixel lacks is the mean of its two or four nearest neighbours that have it; the values are exact,
    multiples of 1/4. Beyond the border the outermost pixels are repeated.
    """
    raw = torch.from_numpy(np.ascontiguousarray(mosaic)).to(torch.int16)
    red, green, blue = torch.zeros(3, *raw.shape, dtype=torch.int16).unbind()
    green[0::2, 0::2], blue[0::2, 1::2] = raw[0::2, 0::2], raw[0::2, 1::2]
    red[1::2, 0::2], green[1::2, 1::2] = raw[1::2, 0::2], raw[1::2, 1::2]
    padded = _padded(green)
    cross = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return torch.stack([_spread(red), cross + 4 * green, _spread(blue)]).float() / 4


class Undistortion:
    """Straightens images by a look-up table, interpolating bilinearly; what lies outside of the raw image is black.

    Args:
        lookup: for each pixel of the result, row by row, its place (u, v) in the raw image [px], float64 (2, H * W).
        size: (height, width) of both images [px].

    Raises:
        DataError: when the table is for another number of pixels.
    """

    def __init__(self, lookup: np.ndarray, size: tuple[int, int]) -> None:
        height, width = size
        if lookup.shape[1] != height * width:
            raise DataError(
                f"images are {height} x {width} (height x width), but the look-up table for their undistortion is for "
                f"{lookup.shape[1]} pixels; use the camera models that belong to these images"
            )
        u, v = lookup.reshape(2, height, width)
        inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
        self.size = tuple(size)
        self._outside = torch.from_numpy(~inside)
        grid = np.stack([2 * u / (width - 1) - 1, 2 * v / (height - 1) - 1], -1)
        self._grid = torch.from_numpy(grid.astype(np.float32))[None]

    def __call__(self, image: Tensor) -> Tensor:
        """Straightened image, uint8 (3, H, W), of one in 0..255, float32 (3, H, W), rounded to the nearest value."""
        # float32 coordinates are 1e-4 px off at most, thus 0.03 grey levels at a black-and-white edge
        straight = F.grid_sample(image[None], self._grid, mode="bilinear", padding_mode="border", align_corners=True)[0]
        return straight.add_(0.5).masked_fill_(self._outside, 0).to(torch.uint8)


def _padded(plane: Tensor) -> Tensor:
    """A plane (H, W) with its border repeated, (H + 2, W + 2)."""
    return F.pad(plane[None], (1, 1, 1, 1), mode="replicate")[0]


def _spread(plane: Tensor) -> Tensor:
    """Four times the bilinear interpolation of a colour that every other pixel of every other row has, (H, W)."""
    rows = _padded(plane)
    rows = rows[:-2] + 2 * rows[1:-1] + rows[2:]  # (H, W + 2)
    return rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
