"""Weather: snow, frost on the lens, fog, and glaring light."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from .pixels import convolve, enlarge, length_scale, line_kernel, to_float, to_uint8, value_noise

_SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
_FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
_FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_ICE = np.array([0.88, 0.95, 1.0], np.float32)
_FOG_CELL = 256
"""Side of the largest clouds of fog [px at 224]."""


def snow(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Flakes with streaks, and the image whitened: blobs of noise above a threshold, blurred along the fall."""
    mean, deviation, flake, threshold, radius, sigma, kept = _SNOW[severity - 1]
    values, scale = to_float(image), length_scale(image)
    cell = max(1.0, flake * scale)
    grid = [max(2, math.ceil(side / cell)) for side in image.shape[:2]]
    flakes = enlarge(rng.normal(mean, deviation, grid), image.shape[:2])
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1).astype(np.float32)
    kernel = line_kernel((2 * radius + 1) * scale, sigma * scale, math.radians(rng.uniform(-135, -45)))
    flakes = convolve(flakes[..., None], kernel)
    white = np.maximum(values, 1.5 * (values @ _GREY)[..., None] + 0.5)
    return to_uint8(kept * values + (1 - kept) * white + flakes + flakes[::-1, ::-1])


def frost(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Ice on the lens: the image dimmed, and a drawn texture of ice added (photographs in ImageNet-C)."""
    kept, ice = _FROST[severity - 1]
    texture = _ice_texture(image.shape[:2], rng, length_scale(image))
    return to_uint8(kept * to_float(image) + ice * texture)


def fog(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Clouds of light, added and then dimmed so that the brightest value stays what it was; black stays black."""
    strength, decay = _FOG[severity - 1]
    values = to_float(image)
    brightest = float(values.max())
    clouds = value_noise(image.shape[:2], rng, cell=_FOG_CELL * length_scale(image), decay=decay)
    return to_uint8((values + strength * clouds[..., None]) * brightest / (brightest + strength))


def brightness(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The value of HSV raised, hue and saturation kept: a factor of all three channels. Nothing is drawn."""
    values = to_float(image)
    value = values.max(-1, keepdims=True)
    raised = np.minimum(value + _BRIGHTNESS[severity - 1], 1)
    return to_uint8(np.where(value > 0, values * raised / np.maximum(value, 1 / 255), raised))


def _ice_texture(size: tuple[int, int], rng: np.random.Generator, scale: float) -> np.ndarray:
    """Ice on glass (height, width, 3): needles in patches of three directions, grain, thicker at the edges."""
    patches = np.exp(12 * np.stack([value_noise(size, rng, cell=70 * scale, decay=2.0) for _ in range(3)]))
    turn = rng.uniform(0, math.pi)
    needles = np.stack([_needles(size, rng, turn + number * math.pi / 3, scale) for number in range(3)])
    needles = (needles * patches).sum(0) / patches.sum(0)
    grain = value_noise(size, rng, cell=8 * scale, decay=1.2)
    height, width = size
    down, right = np.abs(np.linspace(-1, 1, height))[:, None], np.abs(np.linspace(-1, 1, width))[None]
    thickness = 0.6 * value_noise(size, rng, cell=110 * scale, decay=1.7) + 0.4 * np.maximum(down, right) ** 2
    ice = 0.05 + 0.8 * thickness * (0.3 + needles + 0.5 * grain)
    return np.clip(ice[..., None] * _ICE, 0, 1).astype(np.float32)


def _needles(size: tuple[int, int], rng: np.random.Generator, angle_rad: float, scale: float) -> np.ndarray:
    """Map (height, width) from 0 to 1 of thin bright ridges along one direction."""
    side = math.ceil(math.hypot(*size))
    long, thin = max(2, round(side / (45 * scale))), max(2, round(side / (5 * scale)))
    fine = enlarge(rng.random((thin, long)), (side, side))
    fine += 0.5 * enlarge(rng.random((2 * thin, 3 * long)), (side, side))
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    height, width = size
    theta = torch.tensor([[[cos * width, -sin * height, 0], [sin * width, cos * height, 0]]]) / side
    grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False)
    turned = F.grid_sample(torch.from_numpy(fine)[None, None], grid, padding_mode="reflection", align_corners=False)
    return (1 - np.abs(turned[0, 0].numpy() * 4 / 3 - 1)) ** 4  # ridges where the noise is near its mean
