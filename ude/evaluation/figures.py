"""Depth and error maps as colour images, and images as data URIs."""

import base64
import io
from functools import cache

import numpy as np
import torch
from PIL import Image

from .sampling import depth_at_lidar

NEAR, FAR = 1.0, 80.0
"""Depths at the ends of the colour scale [m]."""
ERROR_LIMIT = 0.5
"""Relative error at the end of the colour scale."""

# lightness, chroma and hue (degrees) in OKLCH along each scale; https://bottosson.github.io/posts/oklab/
_DEPTH_STOPS = (
    (0.97, 0.08, 105),
    (0.83, 0.15, 75),
    (0.65, 0.19, 35),
    (0.46, 0.17, 0),
    (0.30, 0.13, -55),
    (0.16, 0.06, -75),
)
_ERROR_STOPS = ((0.62, 0.10, 225), (0.76, 0.12, 175), (0.90, 0.15, 105), (0.74, 0.18, 55), (0.60, 0.22, 25))


@cache
def color_scale(name: str) -> np.ndarray:
    """Colours (256, 3) uint8 of the "depth" scale, near to far, or the "error" scale, none to large.

    They are laid out in OKLab, so that equal steps look equal; the lightness of the depth scale falls all the way.
    """
    lightness, chroma, hue = np.array({"depth": _DEPTH_STOPS, "error": _ERROR_STOPS}[name]).T
    stops, position = np.linspace(0, 1, len(hue)), np.linspace(0, 1, 256)
    lightness, chroma, hue = (np.interp(position, stops, values) for values in (lightness, chroma, np.radians(hue)))
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    cone = lab @ np.array(
        [[1, 1, 1], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.2914855480]]
    )
    linear = cone**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().astype(np.uint8)


def depth_image(depth: np.ndarray, *, near: float = NEAR, far: float = FAR) -> np.ndarray:
    """Depth [m] (H, W) on a logarithmic colour scale, bright is near, as RGB uint8 (H, W, 3); grey where there is none.

    Args:
        depth: depth [m], 0 or NaN = none, (H, W).
        near: depth of the first colour [m].
        far: depth of the last colour [m].
    """
    known = np.isfinite(depth) & (depth > 0)
    position = np.log(np.where(known, depth, near) / near) / np.log(far / near)
    image = color_scale("depth")[(position.clip(0, 1) * 255).round().astype(int)]
    image[~known] = 128
    return image


def error_image(
    prediction: np.ndarray, lidar_depth: np.ndarray, *, background: np.ndarray | None = None, limit: float = ERROR_LIMIT
) -> np.ndarray:
    """Relative error |prediction - LiDAR| / LiDAR in colour over a darkened image, as RGB uint8 (h, w, 3).

    Sparse returns are drawn as small squares, the largest errors on top; a dense map fills its pixels.

    Args:
        prediction: predicted depth [m], (h, w).
        lidar_depth: native LiDAR depth [m], 0 = no return, (H, W).
        background: the input image, uint8 (h, w, 3).
        limit: relative error of the last colour.
    """
    size = prediction.shape
    image = np.zeros((*size, 3), np.uint8) if background is None else _darkened(background, size)
    flat = np.flatnonzero(lidar_depth)
    error = np.abs(_at(prediction, flat, lidar_depth.shape) / lidar_depth.flat[flat] - 1)
    order = np.argsort(error)
    color = color_scale("error")[((error[order] / limit).clip(0, 1) * 255).round().astype(int)]
    rows, columns = np.divmod(flat[order], lidar_depth.shape[1])
    rows, columns = rows * size[0] // lidar_depth.shape[0], columns * size[1] // lidar_depth.shape[1]
    radius = 0 if flat.size > lidar_depth.size / 2 else max(1, round(size[1] / 400))
    around = np.arange(-radius, radius + 1)
    down, right = (offsets.ravel() for offsets in np.meshgrid(around, around))
    rows = (rows[:, None] + down).clip(0, size[0] - 1)  # (N, squares), so that the last return wins everywhere
    columns = (columns[:, None] + right).clip(0, size[1] - 1)
    image[rows.ravel(), columns.ravel()] = color.repeat(down.size, axis=0)
    return image


def data_uri(image: np.ndarray, *, max_width: int = 640, quality: int = 88) -> str:
    """An RGB uint8 image (H, W, 3) as the data URI of a JPEG, made smaller if it is wider than max_width [px]."""
    picture = Image.fromarray(image)
    if picture.width > max_width:
        height = max(1, round(picture.height * max_width / picture.width))
        picture = picture.resize((max_width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _darkened(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The image in dark grey at (height, width), so that colours on it stand out."""
    grey = Image.fromarray(image).convert("L").resize((size[1], size[0]))
    return np.repeat((np.asarray(grey)[..., None] * 0.35).astype(np.uint8), 3, axis=2)


def _at(prediction: np.ndarray, flat: np.ndarray, native_size: tuple[int, ...]) -> np.ndarray:
    """Predicted depth (N,) at flat native pixel indices, read as EVAL.PROTOCOL md4all does, whatever the metrics do."""
    depth = torch.as_tensor(prediction, dtype=torch.float64)[None, None]
    return depth_at_lidar(depth, torch.as_tensor(flat)[None], torch.tensor([native_size]))[0].numpy()
