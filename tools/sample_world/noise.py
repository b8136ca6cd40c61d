"""Deterministic randomness for surfaces: an integer hash, tileable fractal images and a tileable volume."""

from functools import cache

import cv2
import numpy as np

VOLUME_SIZE = 64


def hash01(values: np.ndarray, salt: int) -> np.ndarray:
    """Float32 in [0, 1) that looks random but depends only on the rounded values and the salt.

    Args:
        values: whole numbers (any dtype, rounded here), any shape.
        salt: tells independent draws for the same values apart.
    """
    mixed = np.rint(values).astype(np.int64).astype(np.uint32) * np.uint32(2654435761)
    mixed = mixed + np.uint32((salt * 668265263 + 374761393) & 0xFFFFFFFF)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(2246822519)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(3266489917)
    mixed ^= mixed >> np.uint32(16)
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def fractal(rng: np.random.Generator, size: int, *, octaves: int = 7, gain: float = 0.55, base: int = 2) -> np.ndarray:
    """Tileable fractal noise (size, size) in [0, 1]: a sum of wrapped, bicubically enlarged white noise.

    Args:
        rng: source of the white noise.
        size: edge of the square tile [texels], a power of two.
        octaves: number of layers, each twice as fine as the one before.
        gain: amplitude of a layer relative to the one before.
        base: cells along an edge in the coarsest layer.
    """
    total, amplitude, power = np.zeros((size, size), np.float32), 1.0, 0.0
    for octave in range(octaves):
        cells = base * 2**octave
        if cells > size:
            break
        zoom = size // cells
        grid = np.pad(rng.standard_normal((cells, cells), dtype=np.float32), 2, mode="wrap")
        enlarged = cv2.resize(grid, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        total += amplitude * enlarged[2 * zoom : 2 * zoom + size, 2 * zoom : 2 * zoom + size]
        power += amplitude**2
        amplitude *= gain
    return np.clip(0.5 + 0.25 / np.sqrt(power) * total, 0, 1).astype(np.float32)


@cache
def _volume() -> np.ndarray:
    """Flat, tileable, band-limited 3-D noise of mean 0 and deviation 1."""
    rng = np.random.default_rng(7)
    shape = (VOLUME_SIZE,) * 3
    squared = np.fft.fftfreq(VOLUME_SIZE) ** 2
    squared = squared[:, None, None] + squared[None, :, None] + squared[None, None]
    total = np.zeros(shape)
    for sigma, amplitude in ((3.0, 1.0), (1.3, 0.8)):
        band = np.fft.fftn(rng.standard_normal(shape)) * np.exp(-2 * (np.pi * sigma) ** 2 * squared)
        layer = np.fft.ifftn(band).real
        total += amplitude * layer / layer.std()
    return (total / total.std()).astype(np.float32).ravel()


def volume_noise(x: np.ndarray, y: np.ndarray, z: np.ndarray, *, cell: float, offset: float = 0.0) -> np.ndarray:
    """Noise of mean 0 and deviation 1 at points in space, constant within a cell.

    Args:
        x: first coordinate [m], any shape.
        y: second coordinate [m], the same shape.
        z: third coordinate [m], the same shape.
        cell: edge of a cell [m]; the pattern repeats after 64 cells.
        offset: shift of the pattern [cells], to tell objects apart.
    """
    scale, shift = (
        np.float32(1 / cell),
        100 * VOLUME_SIZE,
    )  # the shift keeps the numbers positive: a cast rounds to zero
    i = (x * scale + np.float32(offset + shift)).astype(np.int32) & 63
    j = (y * scale + np.float32(3 * offset + shift)).astype(np.int32) & 63
    k = (z * scale + np.float32(shift)).astype(np.int32) & 63
    return np.take(_volume(), (i << 12) | (j << 6) | k)
