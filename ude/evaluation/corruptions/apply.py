"""All corruptions by name, and their application with a seed."""

from collections.abc import Callable

import numpy as np

from .blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from .digital import contrast, elastic_transform, jpeg_compression, pixelate
from .noise import gaussian_noise, impulse_noise, shot_noise
from .weather import brightness, fog, frost, snow

VERSION = 2
"""Grows with every change of a corruption's pixels, so that results before and after it are never mixed."""

SEVERITIES = (1, 2, 3, 4, 5)

CORRUPTIONS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    function.__name__: function
    for function in (
        *(gaussian_noise, shot_noise, impulse_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, frost, fog, brightness),
        *(contrast, elastic_transform, pixelate, jpeg_compression),
    )
}
"""A function of an image, a severity and a source of random numbers, by its name in the paper."""


def corrupt(image: np.ndarray, name: str, severity: int, *, seed: int) -> np.ndarray:
    """The corrupted image, uint8 (H, W, 3); equal arguments give equal pixels.

    Args:
        image: RGB pixels, uint8 (H, W, 3), at least 2 x 2; stays as it is.
        name: one of CORRUPTIONS.
        severity: 1 (mild) to 5.
        seed: seed of all that is drawn.

    Raises:
        ValueError: the image, the name or the severity is none.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 2:
        raise ValueError(f"image must be uint8 (H, W, 3) of at least 2 x 2, got {image.dtype} {image.shape}")
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1 to 5, got {severity!r}")
    return CORRUPTIONS[name](image, severity, np.random.default_rng(seed))
