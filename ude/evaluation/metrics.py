"""The depth metrics of one frame, on dense maps or on the LiDAR pixels alone.

LiDAR depths strictly between two bounds count, predictions are clamped to the bounds after their alignment, thresholds
are strict, and a frame has one value. Source: Eigen et al., https://arxiv.org/abs/1406.2283; the mean absolute error
and the narrow thresholds: Depth4ToM, https://arxiv.org/abs/2307.15052.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

from .alignment import least_squares_depth, median_scaled
from .protocols import METRICS, Protocol, cropped_lidar
from .sampling import lidar_neighbours

FARTHEST = 1e6
"""Depth that inverse depths are taken for at most [m]."""
THRESHOLDS = {"delta_1": 1.25, "delta_2": 1.25**2, "delta_3": 1.25**3, "delta_1.15": 1.15, "delta_1.05": 1.05}
"""Ratio of depths, of which the larger is divided by the smaller, below which a return counts for a metric."""


@dataclass(frozen=True, kw_only=True)
class LidarDepths:
    """Depths of a batch at the LiDAR pixels, and the rules by which they are compared.

    Attributes:
        predicted: the plain prediction and, if there is one, the flip-averaged one, then each aligned unless the
            alignment is "none" [m], float64 (P, B, N).
        aligned: whether the second half of them is the first one aligned.
        parts: measured depth [m] of the pixels of each of the protocol's parts, float64 (C, B, N), 0 for all others.
        protocol: what is reported.
        min_depth: returns at this depth or nearer do not count [m].
        max_depth: returns at this depth or farther do not count [m].
    """

    predicted: Tensor
    aligned: bool
    parts: Tensor
    protocol: Protocol
    min_depth: float
    max_depth: float

    @property
    def valid(self) -> Tensor:
        """Which returns count in each part, (C, B, N)."""
        return (self.parts > self.min_depth) & (self.parts < self.max_depth)


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


def lidar_metrics(
    prediction: Tensor,
    lidar_value: Tensor,
    *,
    min_depth: float,
    max_depth: float,
    metrics: Sequence[str] = METRICS,
) -> Tensor:
    """The metrics (K, ...) in the order of their names from depths at the LiDAR pixels; NaN where no return is valid.

    Args:
        prediction: predicted depth at the LiDAR pixels [m], positive, (..., N); it is clamped to the bounds.
        lidar_value: LiDAR depth there [m], broadcast against it; padding has the value 0.
        min_depth: returns at this depth or nearer do not count [m]; at least 0.
        max_depth: returns at this depth or farther do not count [m].
        metrics: K names: those of METRICS and THRESHOLDS, and "mae".
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
    errors = {
        "abs_rel": lambda: relative_difference.abs().sum(-1) / count,
        "sq_rel": lambda: (relative_difference * difference).sum(-1) / count,
        "rmse": lambda: (difference.square().sum(-1) / count).sqrt(),
        "rmse_log": lambda: (relative.log().square().sum(-1) / count).sqrt(),
        "mae": lambda: difference.abs().sum(-1) / count,
    }
    return torch.stack(
        [
            ((worse < THRESHOLDS[name]) & valid).count_nonzero(-1) / count if name in THRESHOLDS else errors[name]()
            for name in metrics
        ]
    )


def lidar_depths(
    inverse_depth: Tensor,
    mirrored: Tensor | None,
    *,
    lidar_index: Tensor,
    lidar_value: Tensor,
    native_size: Tensor,
    lidar_class: Tensor | None = None,
    protocol: Protocol,
    alignment: str,
    min_depth: float,
    max_depth: float,
) -> LidarDepths:
    """Predictions read and aligned at the LiDAR pixels alone, all modes in one pass; nothing waits for the device.

    Args:
        inverse_depth: predicted inverse depth [1/m], (B, 1, h, w).
        mirrored: that of the mirrored images, not mirrored back; None leaves the flip-averaged modes out.
        lidar_index: flat pixel index into the native image, (B, N), -1 for padding.
        lidar_value: LiDAR depth there [m], (B, N), 0 for padding.
        native_size: height and width of each frame's native image [px], (B, 2).
        lidar_class: class of each of these pixels, (B, N), for a protocol with classes.
        protocol: how predictions are read.
        alignment: one of ALIGNMENTS.
        min_depth: returns at this depth or nearer do not count [m]; at least 0.
        max_depth: returns at this depth or farther do not count [m].

    Raises:
        ValueError: the protocol has classes, but there is no lidar_class.
    """
    KORNIA_CHECK_SHAPE(inverse_depth, ["B", "1", "h", "w"])
    if protocol.classes and lidar_class is None:
        raise ValueError("a protocol with classes needs the class of each pixel; use a source that has them")
    size, bounds = tuple(inverse_depth.shape[-2:]), {"min_depth": min_depth, "max_depth": max_depth}
    neighbours = lidar_neighbours(lidar_index, native_size, size, align_corners=protocol.align_corners)
    read = [neighbours.values(inverse_depth)]
    if mirrored is not None:
        read.append(neighbours.flip_average(read[0], mirrored))
    corners = torch.stack(read)  # (P, B, 2, 2, N)
    inverse = None if protocol.samples_depth and alignment != "least_squares" else neighbours.mean(corners)  # (P, B, N)
    predicted = [neighbours.mean(_depth(corners)) if protocol.samples_depth else _depth(inverse)]
    lidar_value = cropped_lidar(lidar_value, lidar_index, native_size, protocol.crop).double()
    valid = (lidar_value > min_depth) & (lidar_value < max_depth)
    if alignment == "median":
        predicted.append(median_scaled(predicted[0], lidar_value, valid, lower=protocol.lower_median))
    elif alignment == "least_squares":
        predicted.append(least_squares_depth(inverse, lidar_value, valid, **bounds))
    parts = [lidar_value, *(lidar_value * _within(lidar_class, numbers) for numbers in protocol.classes.values())]
    return LidarDepths(
        predicted=torch.cat(predicted),
        aligned=len(predicted) > 1,
        parts=torch.stack(parts),
        protocol=protocol,
        **bounds,
    )


def frame_table(depths: LidarDepths) -> Tensor:
    """Number of valid returns and the metrics of every mode, part by part, float64 (B, C (1 + M K)).

    The parts are those of the protocol, the modes those of mode_suffixes(), and of each mode all K metrics.
    """
    bounds = {"min_depth": depths.min_depth, "max_depth": depths.max_depth, "metrics": depths.protocol.metrics}
    columns = []
    for lidar, valid in zip(depths.parts, depths.valid, strict=True):
        metrics = lidar_metrics(depths.predicted, lidar, **bounds)  # (K, M, B)
        columns += [valid.sum(-1, keepdim=True), metrics.permute(2, 1, 0).flatten(1)]
    return torch.cat(columns, 1)


def _within(lidar_class: Tensor, numbers: Sequence[int]) -> Tensor:
    """Which pixels are of one of some classes, (B, N)."""
    inside = torch.zeros_like(lidar_class, dtype=torch.bool)
    for number in numbers:
        inside = inside | (lidar_class == number)
    return inside


def _depth(inverse_depth: Tensor) -> Tensor:
    """Depth [m]; an inverse depth of 0 or less, which only a relative one has, is very far."""
    return inverse_depth.clamp(min=1 / FARTHEST).reciprocal_()  # in place: the arrays are larger than the caches
