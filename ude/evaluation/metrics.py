"""The seven depth metrics of one frame, on dense maps or on the LiDAR pixels alone.

The protocol is that of md4all (https://arxiv.org/abs/2308.09711): LiDAR depths strictly between two bounds, optional
median scaling, prediction clamped to the bounds after scaling, strict thresholds, one value per frame.
"""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor
from torch.nn import functional as F

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")


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
    return lidar_metrics(
        prediction[valid], lidar_depth[valid], min_depth=min_depth, max_depth=max_depth, median_scaling=median_scaling
    )


def lidar_metrics(
    prediction: Tensor, lidar_value: Tensor, *, min_depth: float, max_depth: float, median_scaling: bool = False
) -> dict[str, Tensor]:
    """The metrics (...,) of depth_metrics from depths at the LiDAR pixels (..., N); NaN where no return is valid.

    Args:
        prediction: predicted depth at the LiDAR pixels [m], finite and positive, (..., N).
        lidar_value: LiDAR depth there [m], (..., N); padding has the value 0.
        min_depth: returns at this depth or nearer do not count [m]; at least 0.
        max_depth: returns at this depth or farther do not count [m].
        median_scaling: scale the prediction to the median of the counted returns first.
    """
    valid = (lidar_value > min_depth) & (lidar_value < max_depth)
    if median_scaling:
        prediction = prediction * masked_median(lidar_value, valid) / masked_median(prediction, valid)
    # after the scaling; other pixels compare 1 m with 1 m so that nothing divides by zero
    prediction = prediction.clamp(min_depth, max_depth).where(valid, prediction.new_ones(()))
    lidar = lidar_value.where(valid, lidar_value.new_ones(()))
    count = valid.sum(-1)
    difference = prediction - lidar
    ratio = torch.maximum(prediction / lidar, lidar / prediction)
    result = {
        "abs_rel": (difference.abs() / lidar).sum(-1) / count,
        "sq_rel": (difference.square() / lidar).sum(-1) / count,
        "rmse": (difference.square().sum(-1) / count).sqrt(),
        "rmse_log": ((prediction / lidar).log().square().sum(-1) / count).sqrt(),
    }
    for power in (1, 2, 3):
        result[f"delta_{power}"] = ((ratio < 1.25**power) & valid).to(ratio.dtype).sum(-1) / count
    return result


def masked_median(values: Tensor, valid: Tensor) -> Tensor:
    """Lower median (..., 1) of the valid ones among values (..., N), as torch.median has it; NaN if there is none."""
    masked = values.masked_fill(~valid, torch.nan)
    return F.pad(masked, (0, 1), value=torch.nan).nanmedian(-1, keepdim=True).values  # padded because N may be 0


def depth_at_lidar(depth: Tensor, lidar_index: Tensor, native_size: Tensor) -> Tensor:
    """Predicted depth (B, N) at the LiDAR pixels, as if the map were enlarged to the native size and read there.

    The enlargement is bilinear with align_corners=True: native column u reads column u (w - 1) / (W - 1). Positions are
    kept as integer quotient and remainder, which is exact, and only the four neighbours of each return are read.

    Args:
        depth: predicted depth [m], (B, 1, h, w).
        lidar_index: flat pixel index into the native image, (B, N), -1 for padding (which reads pixel 0).
        native_size: height and width of each frame's native image [px], (B, 2).
    """
    KORNIA_CHECK_SHAPE(depth, ["B", "1", "h", "w"])
    height, width = depth.shape[-2:]
    native_height, native_width = native_size[:, :1], native_size[:, 1:]  # (B, 1)
    index = lidar_index.clamp(min=0)
    top, down = _position(index // native_width, height, native_height, depth.dtype)
    left, right = _position(index % native_width, width, native_width, depth.dtype)
    bottom, end = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    pixels = depth.flatten(1)

    def row(line: Tensor) -> Tensor:
        """Depth of this row of the prediction at the columns of the returns, (B, N)."""
        return pixels.gather(1, line * width + left).lerp(pixels.gather(1, line * width + end), right)

    return row(top).lerp(row(bottom), down)


def _position(native: Tensor, size: int, native_size: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Index and fraction (B, N) along one axis of `size` pixels for positions on an axis of `native_size` pixels."""
    last = (native_size - 1).clamp(min=1)  # an image of one row or column reads position 0
    scaled = native * (size - 1)
    return scaled // last, (scaled % last).to(dtype) / last
