"""What happens to an image in processing: contrast, warping, fewer pixels, compression."""

import io

import numpy as np
import torch
from PIL import Image
from skimage.filters import gaussian
from torch.nn import functional as F

from .pixels import length_scale, to_float, to_uint8

_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
_SHIFT = (1.0, 1.3, 1.7, 2.0, 2.4)
_SHIFT_SIGMA = 2.24
_RESOLUTION = (0.6, 0.5, 0.4, 0.3, 0.25)
_QUALITY = (25, 18, 15, 10, 7)


def contrast(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Every channel drawn towards its mean. Nothing is drawn at random."""
    values = to_float(image)
    means = values.mean((0, 1), dtype=np.float64).astype(np.float32)
    return to_uint8((values - means) * np.float32(_CONTRAST[severity - 1]) + means)


def elastic_transform(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The image on a rubber sheet with random dents; edges are mirrored.

    The dents are uniform noise blurred by 1 % of the shorter side. Their standard deviations, 1.0 to 2.4 px per axis at
    224 px, are those of the noise of 0.5 % of the side times 12.5, 16.25, 21.25, 25 and 30 in RoboDepth's corruptions.
    """
    scale = length_scale(image)
    shifts = np.stack([_dents(image.shape[:2], rng, _SHIFT_SIGMA * scale) for _ in range(2)], -1)
    shifts *= _SHIFT[severity - 1] * scale
    height, width = image.shape[:2]
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    place = np.stack([column, row], -1) + shifts
    grid = torch.from_numpy((2 * place / np.array([width - 1, height - 1]) - 1).astype(np.float32))
    values = torch.from_numpy(to_float(image)).permute(2, 0, 1)
    moved = F.grid_sample(values[None], grid[None], padding_mode="reflection", align_corners=True)
    return to_uint8(moved[0].permute(1, 2, 0).numpy())


def pixelate(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Fewer pixels, by the means of boxes, enlarged again without interpolation. Nothing is drawn."""
    height, width = image.shape[:2]
    share = _RESOLUTION[severity - 1]
    small = (max(1, int(width * share)), max(1, int(height * share)))
    coarse = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(coarse.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Once through JPEG of a low quality. Nothing is drawn."""
    with io.BytesIO() as buffer:
        Image.fromarray(image).save(buffer, "JPEG", quality=_QUALITY[severity - 1])
        return np.asarray(Image.open(buffer).convert("RGB"))


def _dents(size: tuple[int, int], rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Smooth random map (height, width) of standard deviation 1, float32."""
    smooth = gaussian(rng.uniform(-1, 1, size), sigma=sigma, mode="reflect")
    return (smooth / max(smooth.std(), 1e-6)).astype(np.float32)
