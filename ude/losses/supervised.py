"""Supervision by sparse LiDAR depth: the scale-invariant logarithmic error, or the absolute error.

A prediction is read at the pixels of the native image that have a return, and not the other way round: moving returns
to the pixels of a smaller image would shift them by up to half of its pixels, and several would fall on one.
"""

from typing import Literal

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import at_least_float32

from .distillation import masked_mean


def supervised_loss(
    inverse_depth: Tensor,
    lidar_value: Tensor,
    valid: Tensor,
    *,
    kind: Literal["silog", "l1"],
    variance_weight: float = 0.5,
    count: Tensor | None = None,
) -> Tensor:
    """Mean over the images with returns of the error at their returns; 0 with a gradient of exactly 0 without any.

    ``silog`` is Eigen et al.'s error with g = log D - log D_lidar, mean(g^2) - variance_weight mean(g)^2, without the
    root and the factor of 10 of later work. ``l1`` is the mean of |D - D_lidar| [m].

    Source: Eigen et al., https://arxiv.org/abs/1406.2283, equation 4; weight 0.5 there, 0.85 in BTS
    (https://arxiv.org/abs/1907.10326). 1 leaves the scale of an image free.

    Args:
        inverse_depth: prediction at the returns [1/m], (B, N).
        lidar_value: depth of the returns [m], (B, N).
        valid: returns that count, bool (B, N).
        kind: the error.
        variance_weight: share of the squared mean that silog takes off, 0..1.
        count: what the sum over the images is divided by, a scalar; the number of images with returns when None. The
            processes of a distributed run pass the mean of their numbers.

    Raises:
        ValueError: for another kind.
    """
    KORNIA_CHECK_SHAPE(inverse_depth, ["B", "N"])
    inverse_depth = at_least_float32(inverse_depth)
    lidar = torch.where(valid, lidar_value, 1).to(inverse_depth.dtype)  # what does not count may be anything
    if kind == "silog":
        difference = -torch.log(inverse_depth * lidar)
        errors = _means(difference.square(), valid) - variance_weight * _means(difference, valid).square()
    elif kind == "l1":
        errors = _means((1 / inverse_depth - lidar).abs(), valid)
    else:
        raise ValueError(f"kind must be silog or l1, got {kind!r}")
    return masked_mean(errors, valid.any(1), count)


def inverse_depth_at(inverse_depth: Tensor, lidar_index: Tensor, native_size: Tensor) -> Tensor:
    """Inverse depth (B, N) at pixels of the native image, as if the map were enlarged to it bilinearly.

    Both images cover the same area, and pixel centres lie half a pixel inside, as in the resizing that made the small
    image: native column c reads column (c + 0.5) w / W - 0.5.

    Args:
        inverse_depth: prediction [1/m], (B, 1, h, w).
        lidar_index: flat row-major pixel index into the native image, (B, N), -1 for padding (which reads pixel 0).
        native_size: height and width of each frame's native image [px], (B, 2).
    """
    KORNIA_CHECK_SHAPE(inverse_depth, ["B", "1", "h", "w"])
    KORNIA_CHECK_SHAPE(lidar_index, ["B", "N"])
    inverse_depth = at_least_float32(inverse_depth)
    index, size = lidar_index.clamp(min=0), native_size.flip(1)[:, None]  # width, height: (B, 1, 2)
    row = torch.div(index, size[..., 0], rounding_mode="floor")
    place = torch.stack([index - row * size[..., 0], row], -1).to(inverse_depth.dtype)  # (B, N, 2)
    grid = (2 * (place + 0.5) / size - 1)[:, None]
    with torch.autocast(inverse_depth.device.type, enabled=False):
        values = F.grid_sample(inverse_depth, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values[:, 0, 0]


def usable_returns(lidar_index: Tensor, lidar_value: Tensor, *, min_depth: float, max_depth: float) -> Tensor:
    """Returns, bool (B, N), that are no padding and lie between two depths [m]; a depth that is NaN does not."""
    return (lidar_index >= 0) & (lidar_value > min_depth) & (lidar_value < max_depth)


def _means(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the values of each image that count, (B,); 0 without any."""
    return torch.where(valid, values, 0).sum(1) / valid.sum(1).clamp(min=1)
