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


def lidar_image(lidar_depth: np.ndarray, background: np.ndarray, *, near: float = NEAR, far: float = FAR) -> np.ndarray:
    """LiDAR depth in the colours of depth_image() over a darkened image, as RGB uint8 (h, w, 3).

    Args:
        lidar_depth: native LiDAR depth [m], 0 = no return, (H, W).
        background: the input image, uint8 (h, w, 3).
        near: depth of the first colour [m].
        far: depth of the last colour [m].
    """
    flat = _drawn(lidar_depth, background.shape[1])
    flat = flat[np.argsort(-lidar_depth.flat[flat], kind="stable")]  # near returns hide far ones
    colors = depth_image(lidar_depth.flat[flat][:, None], near=near, far=far)[:, 0]
    # neither the bright colours nor the dark ones are lost on this grey
    grey = np.full_like(background, 92) + _darkened(background) // 2
    return _with_returns(grey, flat, colors, lidar_depth)


def error_image(
    prediction: np.ndarray, lidar_depth: np.ndarray, *, background: np.ndarray | None = None, limit: float = ERROR_LIMIT
) -> np.ndarray:
    """Relative error |prediction - LiDAR| / LiDAR in colour over a darkened image, as RGB uint8 (h, w, 3).

    Sparse returns are drawn as small squares, the largest errors on top; a dense map fills its pixels.

    Args:
        prediction: predicted depth [m], of any size.
        lidar_depth: native LiDAR depth [m], 0 = no return, (H, W).
        background: the input image, uint8 (h, w, 3); without it the picture is black and of the prediction's size.
        limit: relative error of the last colour.
    """
    image = np.zeros((*prediction.shape, 3), np.uint8) if background is None else _darkened(background)
    flat = _drawn(lidar_depth, image.shape[1])
    error = np.abs(_at(prediction, flat, lidar_depth.shape) / lidar_depth.flat[flat] - 1)
    order = np.argsort(error)
    colors = color_scale("error")[((error[order] / limit).clip(0, 1) * 255).round().astype(int)]
    return _with_returns(image, flat[order], colors, lidar_depth)


def picture(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An RGB uint8 image at (height, width) [px]."""
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.LANCZOS))


def data_uri(image: np.ndarray, *, quality: int = 75) -> str:
    """An RGB uint8 image (H, W, 3) as the data URI of a WebP, a third of the size of a JPEG that looks as good."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="WEBP", quality=quality, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _darkened(image: np.ndarray) -> np.ndarray:
    """The image in dark grey, so that colours on it stand out."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    return np.repeat((grey[..., None] * 0.35).astype(np.uint8), 3, axis=2)


def _is_dense(lidar_depth: np.ndarray) -> bool:
    """Whether most pixels have a depth."""
    return 2 * np.count_nonzero(lidar_depth) > lidar_depth.size


def _drawn(lidar_depth: np.ndarray, width: int) -> np.ndarray:
    """Flat native indices of the returns of a picture that is `width` wide; of a dense map no more than can be seen."""
    stride = max(1, lidar_depth.shape[1] // width) if _is_dense(lidar_depth) else 1
    rows, columns = np.nonzero(lidar_depth[::stride, ::stride])
    return (rows * lidar_depth.shape[1] + columns) * stride


def _with_returns(image: np.ndarray, flat: np.ndarray, colors: np.ndarray, lidar_depth: np.ndarray) -> np.ndarray:
    """The image (h, w, 3) with returns as squares, the last one on top.

    Args:
        image: what they are drawn on; it is changed.
        flat: native pixel of each return, (N,).
        colors: of each return, uint8 (N, 3).
        lidar_depth: native LiDAR depth (H, W); a dense one fills pixels instead of squares.
    """
    size, native = image.shape[:2], lidar_depth.shape
    rows, columns = np.divmod(flat, native[1])
    rows, columns = rows * size[0] // native[0], columns * size[1] // native[1]
    radius = 0 if _is_dense(lidar_depth) else max(1, round(size[1] / 400))
    around = np.arange(-radius, radius + 1)
    down, right = (offsets.ravel() for offsets in np.meshgrid(around, around))
    rows = (rows[:, None] + down).clip(0, size[0] - 1)  # (N, squares), so that the last return wins everywhere
    columns = (columns[:, None] + right).clip(0, size[1] - 1)
    image[rows.ravel(), columns.ravel()] = colors.repeat(down.size, axis=0)
    return image


def _at(prediction: np.ndarray, flat: np.ndarray, native_size: tuple[int, ...]) -> np.ndarray:
    """Predicted depth (N,) at flat native pixel indices, read as EVAL.PROTOCOL md4all does, whatever the metrics do."""
    depth = torch.as_tensor(prediction, dtype=torch.float64)[None, None]
    return depth_at_lidar(depth, torch.as_tensor(flat)[None], torch.tensor([native_size]))[0].numpy()
