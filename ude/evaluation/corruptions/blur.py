"""Blur: out of focus, through frosted glass, of a moving camera, of one that rushes forward."""

import math

import numpy as np
import torch
from skimage.filters import gaussian
from torch.nn import functional as F

from .pixels import convolve, disc_kernel, length_scale, line_kernel, to_float, to_uint8

_DISC_RADIUS = (3, 4, 6, 8, 10)
_GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
_MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
_ZOOM = ((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))  # number of zooms from 1 on, their step


def defocus_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Every point becomes a disc. Nothing is drawn."""
    return to_uint8(convolve(to_float(image), disc_kernel(_DISC_RADIUS[severity - 1] * length_scale(image))))


def glass_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Every pixel changes places with a random neighbour, some times over, between two slight Gaussian blurs.

    Three things are not those of ImageNet-C. Its pixels change one after the other in the order of rows; here those
    change at once whose neighbourhoods do not touch: a lattice of them, then the next lattice. Its code means to swap
    two pixels but copies the neighbour over the pixel, for both sides are views of one array; here they swap, and none
    is lost. Its neighbours are delta to the left to delta - 1 to the right, likewise in height; here they are as far
    away along each axis, as often, but on both sides alike. At another scale than 1, what is kept is the mean square of
    the distance, times the scale squared.
    """
    sigma, delta, iterations = _GLASS[severity - 1]
    scale = length_scale(image)
    values = gaussian(to_float(image), sigma=sigma * scale, channel_axis=-1)
    reach = _half_width(_mean_square(delta) * scale**2)
    height, width = image.shape[:2]
    places = np.arange(height * width).reshape(height, width)
    for _ in range(iterations):
        _swap_neighbours(places, reach, rng)
    values = values.reshape(-1, 3)[places.ravel()].reshape(image.shape)
    return to_uint8(gaussian(values, sigma=sigma * scale, channel_axis=-1))


def motion_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Every point is drawn out into a fading line, in one direction up to 45 degrees from the horizontal."""
    radius, sigma = _MOTION[severity - 1]
    scale = length_scale(image)
    angle_rad = math.radians(rng.uniform(-45, 45))
    return to_uint8(convolve(to_float(image), line_kernel((2 * radius + 1) * scale, sigma * scale, angle_rad)))


def zoom_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Mean of the image, once more, and enlargements about its centre. Nothing is drawn."""
    zooms = _zooms(severity)
    values = torch.from_numpy(to_float(image)).permute(2, 0, 1)[None]
    total = values.clone()
    for zoom in zooms.tolist():
        theta = torch.tensor([[[1 / zoom, 0, 0], [0, 1 / zoom, 0]]])
        grid = F.affine_grid(theta, list(values.shape), align_corners=True)
        total += F.grid_sample(values, grid, padding_mode="border", align_corners=True)
    return to_uint8((total / (len(zooms) + 1))[0].permute(1, 2, 0).numpy())


def _zooms(severity: int) -> np.ndarray:
    """By how much the image is enlarged."""
    count, step = _ZOOM[severity - 1]
    return 1 + np.arange(count) * step


def _mean_square(delta: int) -> float:
    """Of a whole number drawn evenly from -delta to delta - 1."""
    return (2 * delta**2 + 1) / 6


def _half_width(variance: float) -> float:
    """The a for which a uniform draw from (-a, a), rounded, has this variance; n + 1/2 draws -n to n evenly."""
    whole = math.floor(
        (math.sqrt(1 + 12 * variance) - 1) / 2
    )  # these numbers are drawn evenly, the next one less often
    count, square = 2 * whole + 1, (whole + 1) ** 2
    return count * (square - whole * (whole + 1) / 3) / (2 * (square - variance))


def _swap_neighbours(places: np.ndarray, reach: float, rng: np.random.Generator) -> None:
    """Let every element of a map (H, W) change places with a neighbour, drawn from a square and rounded; in place."""
    height, width = places.shape
    row, column = np.ogrid[:height, :width]
    draws = np.rint(rng.uniform(-reach, reach, (2, height, width))).astype(np.int64)
    other = np.clip(row + draws[0], 0, height - 1) * width + np.clip(column + draws[1], 0, width - 1)
    own = row * width + column
    flat = places.reshape(-1)
    spacing = 2 * math.floor(reach + 0.5) + 1
    for top in range(min(spacing, height)):
        for left in range(min(spacing, width)):
            here, there = own[top::spacing, left::spacing], other[top::spacing, left::spacing]
            flat[here], flat[there] = flat[there], flat[here]
