"""Noise of the sensor: Gaussian, of photons, and of dead pixels."""

import numpy as np

from .pixels import to_float, to_uint8

_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
_PHOTONS = (60, 25, 12, 5, 3)
_IMPULSES = (0.03, 0.06, 0.09, 0.17, 0.27)


def gaussian_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Normal noise of one standard deviation on every value, as in low light."""
    values = to_float(image)
    return to_uint8(values + _DEVIATION[severity - 1] * rng.standard_normal(values.shape, np.float32))


def shot_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Poisson noise: every value counts photons, of which white has the number of the severity."""
    photons = _PHOTONS[severity - 1]
    return to_uint8(rng.poisson(to_float(image) * photons) / photons)


def impulse_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A share of the values becomes 0 or 255, each half of them: salt and pepper in every channel by itself."""
    draw = rng.random(image.shape, np.float32)
    share = _IMPULSES[severity - 1]
    result = image.copy()
    result[draw < share / 2] = 0
    result[draw > 1 - share / 2] = 255
    return result
