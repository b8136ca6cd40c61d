"""What the corruptions share: lengths, colours as numbers, convolution and smooth random maps."""

import numpy as np
import torch
from torch.nn import functional as F

REFERENCE_SIZE = 224
"""Side of the images that the published parameters are meant for [px]."""


def length_scale(image: np.ndarray) -> float:
    """By how much a published length is multiplied for an image (H, W, ...): its shorter side over 224."""
    return min(image.shape[:2]) / REFERENCE_SIZE


def to_float(image: np.ndarray) -> np.ndarray:
    """Pixels in [0, 1], float32, of uint8 pixels of the same shape."""
    return image.astype(np.float32) / 255


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Pixels, uint8, of numbers that are cut to [0, 1]."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Image (H, W, C) convolved with a kernel (h, w) of odd sides; the image is mirrored at its edges.

    By the Fourier transform, since kernels have up to some thousand elements.
    """
    height, width = image.shape[:2]
    down, right = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(image, ((down, down), (right, right), (0, 0)), mode="symmetric")
    size = [-(-side // 32) * 32 for side in padded.shape[:2]]  # sides of small factors are fast
    spectrum = torch.fft.rfft2(torch.from_numpy(padded).permute(2, 0, 1), size)
    spectrum *= torch.fft.rfft2(torch.from_numpy(kernel.astype(image.dtype)), size)
    whole = torch.fft.irfft2(spectrum, size)
    return whole[:, 2 * down : 2 * down + height, 2 * right : 2 * right + width].permute(1, 2, 0).numpy()


def line_kernel(length: float, sigma: float, angle_rad: float) -> np.ndarray:
    """Kernel (h, w) of a motion that fades: half a Gaussian along a line from the centre.

    Args:
        length: length of the line [px].
        sigma: standard deviation of the weights along it [px].
        angle_rad: direction of the line from the horizontal [rad].
    """
    steps = np.arange(0, length, 0.5) if length > 0.5 else np.zeros(1)  # two samples per pixel leave no gaps
    weights = np.exp(-0.5 * (steps / max(sigma, 1e-3)) ** 2)
    reach = int(np.ceil(length)) + 1
    row, column = reach - steps * np.sin(angle_rad), reach + steps * np.cos(angle_rad)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = row - top, column - left
    for y, x, share in ((0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right), (1, 0, down * (1 - right))):
        np.add.at(kernel, (top + y, left + x), weights * share)
    np.add.at(kernel, (top + 1, left + 1), weights * down * right)
    return kernel / kernel.sum()


def disc_kernel(radius: float) -> np.ndarray:
    """Kernel (h, w) of a lens out of focus: a disc [px] with a border one pixel soft."""
    reach = int(np.ceil(radius)) + 1
    offset = np.arange(-reach, reach + 1)
    kernel = np.clip(radius + 0.5 - np.hypot(offset[:, None], offset[None]), 0, 1)
    return kernel / kernel.sum()


def enlarge(grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Map (h, w), float32, enlarged bilinearly to a size (height, width); the corners stay corners."""
    tensor = torch.from_numpy(grid.astype(np.float32))[None, None]
    return F.interpolate(tensor, size, mode="bilinear", align_corners=True)[0, 0].numpy()


def value_noise(
    size: tuple[int, int], rng: np.random.Generator, *, cell: float, decay: float, smallest: float = 1.0
) -> np.ndarray:
    """Random map (height, width) from 0 to 1: octaves of interpolated random grids, each with half the cells' side.

    Args:
        size: (height, width) [px].
        rng: source of the draws.
        cell: side of the largest cells [px].
        decay: by how much an octave is weaker than the one before.
        smallest: side of the smallest cells [px].
    """
    total, strength = np.zeros(size, np.float32), 1.0
    while True:
        rows, columns = (max(2, round(side / cell) + 1) for side in size)
        total += strength * enlarge(rng.random((rows, columns), np.float32), size)
        cell, strength = cell / 2, strength / decay
        if cell < smallest:
            break
    low, high = total.min(), total.max()
    return (total - low) / max(high - low, 1e-6)
