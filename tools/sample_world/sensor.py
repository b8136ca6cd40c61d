"""The camera's sensor: exposure, glare, vignetting, noise and tone curve."""

from functools import cache

import cv2
import numpy as np

from .weather import REFERENCE_WIDTH, falling_rain, lens_drops

NIGHT_GAIN = 5.0
DAY_MEAN = {False: 0.40, True: 0.33}  # mean radiance that the exposure aims at, in dry weather and in rain


def photograph(radiance: np.ndarray, condition: str, rng: np.random.Generator, *, exposure: float = 1.0) -> np.ndarray:
    """The camera's picture (H, W, 3) uint8 RGB.

    Args:
        radiance: what arrives at the lens, (H, W, 3) float32.
        condition: one of the four conditions.
        rng: source of rain and noise, seeded per frame.
        exposure: factor on the exposure that the camera would choose.
    """
    night, rain = condition.startswith("night"), condition.endswith("rain")
    image = falling_rain(radiance, rng, night=night) if rain else radiance
    image = _night_exposure(image, exposure) if night else _day_exposure(image, DAY_MEAN[rain], exposure)
    if rain:
        image = lens_drops(image, rng)
    image = image * _vignetting(*image.shape[:2])
    image = _noisy(image, rng, shot=0.05 if night else 0.012, read=0.0045 if night else 0.004)
    image = np.maximum(image, 0)
    image = image / (1 + 0.35 * image) if night else 1 - np.exp(-1.35 * image)
    return (np.clip(image, 0, 1) ** np.float32(1 / 2.2) * 255 + np.float32(0.5)).astype(np.uint8)


def _day_exposure(image: np.ndarray, mean: float, factor: float) -> np.ndarray:
    """Automatic exposure times a factor, and a soft glare around what is overexposed."""
    gain = np.clip(mean / max(float(image.mean(dtype=np.float64)), 1e-3), 0.6, 2.2)
    image = image * np.float32(gain * factor)
    return image + 0.05 * _glare(np.clip(image - 1, 0, 10), 2.0)


def _night_exposure(image: np.ndarray, factor: float) -> np.ndarray:
    """A fixed gain times a factor, and three rings of glare around lamps."""
    image = image * np.float32(NIGHT_GAIN * factor)
    bright = np.clip(image - 1, 0, 30)
    near = cv2.GaussianBlur(bright, (0, 0), 2 * image.shape[1] / REFERENCE_WIDTH)
    return image + 0.10 * near + 0.05 * _glare(bright, 1.75) + 0.022 * _glare(bright, 6.5)


def _glare(bright: np.ndarray, sigma: float) -> np.ndarray:
    """A wide blur at a quarter of the size; sigma in quarter pixels at the reference width."""
    height, width = bright.shape[:2]
    small = cv2.resize(bright, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma * width / REFERENCE_WIDTH)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


@cache
def _vignetting(height: int, width: int) -> np.ndarray:
    """Brightness of the lens (H, W, 1): darker towards the corners."""
    y = ((np.arange(height) + 0.5) / width - 0.5 * height / width)[:, None]
    x = ((np.arange(width) + 0.5) / width - 0.5)[None]
    return (1 - 0.64 * (x**2 + y**2)).astype(np.float32)[..., None]


def _noisy(image: np.ndarray, rng: np.random.Generator, *, shot: float, read: float) -> np.ndarray:
    """An image with shot and read noise, half of it blotchy as after demosaicing."""
    height, width = image.shape[:2]
    fine = rng.standard_normal(image.shape, dtype=np.float32)
    coarse = rng.standard_normal((height // 2, width // 2, 3), dtype=np.float32)
    noise = fine + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    deviation = np.float32(0.7 * shot) * np.sqrt(np.maximum(image, 0)) + np.float32(0.7 * read)
    return image + deviation * noise
