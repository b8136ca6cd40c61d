"""The seven depth metrics of one frame, on dense maps or on the LiDAR pixels alone.

LiDAR depths strictly between two bounds count, predictions are clamped to the bounds after their alignment, thresholds
are strict, and a frame has one value. Source: Eigen et al., https://arxiv.org/abs/1406.2283.
"""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

from .alignment import least_squares_depth, median_scaled
from .protocols import Protocol, cropped_lidar
from .sampling import lidar_neighbours

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")
FARTHEST = 1e6
"""Depth that inverse depths are taken for at most [m]."""


def depth_metrics(
    prediction: Tensor, lidar_depth: Tensor, *, min_depth: float, max_depth: float, median_scaling: bool = False
) -> dict[str, Tensor]:
    """The seven metrics of one frame from dense maps, as scalars by name (see METRICS).

    Args:
        prediction: predicted depth [m], (H, W).
        lidar_depth: depth of the LiDAR returns [m], (H, W), 0 = no return.
        min_depth: returns at this depth or nearer do not count [m].
        max_depth: returns at this depth or farther do not count [m].
        median_scaling: scale the prediction to the median of the counted returns first.

    Raises:
        ValueError: no return lies between the bounds, or the prediction is not finite and positive there.
    """
    KORNIA_CHECK_SHAPE(prediction, ["H", "W"])
    if prediction.shape != lidar_depth.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and lidar_depth {tuple(lidar_depth.shape)} must match")
    valid = (lidar_depth > min_depth) & (lidar_depth < max_depth)
    if not valid.any():
        raise ValueError(f"no LiDAR return between {min_depth:g} m and {max_depth:g} m")
    if not (prediction[valid].isfinite() & (prediction[valid] > 0)).all():
        raise ValueError("predicted depth must be finite and positive at every LiDAR return")
    prediction, lidar = prediction[valid], lidar_depth[valid]
    if median_scaling:
        prediction = median_scaled(prediction, lidar, torch.ones_like(lidar, dtype=torch.bool))
    values = lidar_metrics(prediction, lidar, min_depth=min_depth, max_depth=max_depth)
    return dict(zip(METRICS, values, strict=True))


def lidar_metrics(prediction: Tensor, lidar_value: Tensor, *, min_depth: float, max_depth: float) -> Tensor:
    """The metrics (7, ...) in the order of METRICS from depths at the LiDAR pixels; NaN where no return is valid.

    Args:
        prediction: predicted depth at the LiDAR pixels [m], positive, (..., N); it is clamped to the bounds.
        lidar_value: LiDAR depth there [m], broadcast against it; padding has the value 0.
        min_depth: returns at this depth or nearer do not count [m]; at least 0.
        max_depth: returns at this depth or farther do not count [m].
    """
    valid = (lidar_value > min_depth) & (lidar_value < max_depth)
    # the other pixels compare 1 m with 1 m, so that nothing divides by zero
    lidar = lidar_value.where(valid, 1)
    prediction = prediction.clamp(min_depth, max_depth).where(valid, 1)
    relative = prediction / lidar
    worse = torch.maximum(relative, lidar / prediction)
    difference = prediction - lidar
    relative_difference = difference / lidar
    count = valid.count_nonzero(-1).to(prediction.dtype)
    within = [((worse < 1.25**power) & valid).count_nonzero(-1) / count for power in (1, 2, 3)]
    means = [
        relative_difference.abs().sum(-1) / count,
        (relative_difference * difference).sum(-1) / count,
        (difference.square().sum(-1) / count).sqrt(),
        (relative.log().square().sum(-1) / count).sqrt(),
    ]
    return torch.stack(means + within)


def frame_table(
    inverse_depth: Tensor,
    mirrored: Tensor | None,
    *,
    lidar_index: Tensor,
    lidar_value: Tensor,
    native_size: Tensor,
    protocol: Protocol,
    alignment: str,
    min_depth: float,
    max_depth: float,
) -> Tensor:
    """Number of valid returns, then the metrics of every mode in the order of mode_suffixes(), float64 (B, 1 + 7 M).

    Everything is computed at the LiDAR pixels alone, all modes in one pass, and nothing waits for the device.

    Args:
        inverse_depth: predicted inverse depth [1/m], (B, 1, h, w).
        mirrored: that of the mirrored images, not mirrored back; None leaves the flip-averaged modes out.
        lidar_index: flat pixel index into the native image, (B, N), -1 for padding.
        lidar_value: LiDAR depth there [m], (B, N), 0 for padding.
        native_size: height and width of each frame's native image [px], (B, 2).
        protocol: how predictions are read.
        alignment: one of ALIGNMENTS.
        min_depth: returns at this depth or nearer do not count [m]; at least 0.
        max_depth: returns at this depth or farther do not count [m].
    """
    KORNIA_CHECK_SHAPE(inverse_depth, ["B", "1", "h", "w"])
    size, bounds = tuple(inverse_depth.shape[-2:]), {"min_depth": min_depth, "max_depth": max_depth}
    neighbours = lidar_neighbours(lidar_index, native_size, size, align_corners=protocol.align_corners)
    read = [neighbours.values(inverse_depth)]
    if mirrored is not None:
        read.append(neighbours.flip_average(inverse_depth, mirrored))
    corners = torch.stack(read)  # (P, B, 2, 2, N)
    inverse = None if protocol.samples_depth and alignment == "median" else neighbours.mean(corners)  # (P, B, N)
    depth = neighbours.mean(_depth(corners)) if protocol.samples_depth else _depth(inverse)
    lidar_value = cropped_lidar(lidar_value, lidar_index, native_size, protocol.crop).double()
    valid = (lidar_value > min_depth) & (lidar_value < max_depth)
    if alignment == "median":
        aligned = median_scaled(depth, lidar_value, valid, lower=protocol.lower_median)
    else:
        aligned = least_squares_depth(inverse, lidar_value, valid, **bounds)
    metrics = lidar_metrics(torch.cat([depth, aligned]), lidar_value, **bounds)  # (7, 2 P, B)
    return torch.cat([valid.sum(-1, keepdim=True), metrics.permute(2, 1, 0).flatten(1)], 1)


def _depth(inverse_depth: Tensor) -> Tensor:
    """Depth [m]; an inverse depth of 0 or less, which only a relative one has, is very far."""
    return inverse_depth.clamp(min=1 / FARTHEST).reciprocal_()  # in place: the arrays are larger than the caches
