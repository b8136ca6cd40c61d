"""Predictions aligned to the LiDAR returns of their own frame: median scaling, or scale and shift of inverse depth."""

import torch
from torch import Tensor
from torch.nn import functional as F

ALIGNMENTS = ("none", "median", "least_squares")
"""Ways to align; "_" + name ends the names of aligned modes, which "none" has not."""
CONSTANT = 1e-12
"""Relative spread of inverse depths below which they are one value, whose scale nothing tells."""


def mode_suffixes(alignment: str, *, flip: bool) -> tuple[str, ...]:
    """Suffixes of the modes of an evaluation: plain, flip-averaged, then each aligned if anything is."""
    plain = ("", "_flip") if flip else ("",)
    if alignment == "none":
        return plain
    return (*plain, *(f"{mode}_{alignment}" for mode in plain))


def masked_median(values: Tensor, valid: Tensor, *, lower: bool = True) -> Tensor:
    """Median (..., 1) of the valid ones among values (..., N); NaN if there is none.

    Args:
        values: what to take the median of.
        valid: which values count, broadcast against them.
        lower: of the two in the middle of an even number take the lower, as torch.median; otherwise their mean.
    """
    masked = F.pad(values.masked_fill(~valid, torch.nan), (0, 1), value=torch.nan)  # padded because N may be 0
    median = masked.nanmedian(-1, keepdim=True).values
    return median if lower else (median - (-masked).nanmedian(-1, keepdim=True).values) / 2


def median_scaled(depth: Tensor, lidar_value: Tensor, valid: Tensor, *, lower: bool = True) -> Tensor:
    """Depth (..., N) multiplied so that its median over the valid returns is that of the LiDAR.

    Args:
        depth: predicted depth at the returns, (..., N).
        lidar_value: LiDAR depth [m], broadcast against it.
        valid: which returns count.
        lower: which median, see masked_median.
    """
    return depth * (masked_median(lidar_value, valid, lower=lower) / masked_median(depth, valid, lower=lower))


def least_squares_depth(
    inverse_depth: Tensor, lidar_value: Tensor, valid: Tensor, *, min_depth: float, max_depth: float
) -> Tensor:
    """Depth (..., N) [m] of the scale and shift of inverse depth that fit 1 / LiDAR best, clamped to the bounds.

    Closed form with centred sums, in the precision of the arguments. One return, or a constant prediction, fits with
    scale 0. Source: MiDaS, https://arxiv.org/abs/1907.01341, section 5.

    Args:
        inverse_depth: predicted inverse depth at the returns up to scale and shift, finite, (..., N).
        lidar_value: LiDAR depth [m], broadcast against it.
        valid: which returns count.
        min_depth: nearest depth of the result [m].
        max_depth: farthest depth of the result, also where the fit has an inverse depth of 0 or less [m].
    """
    weight = valid.to(inverse_depth.dtype)
    count = weight.sum(-1, keepdim=True)
    wanted = lidar_value.reciprocal().where(valid, 0)
    offset, mean = (inverse_depth * weight).sum(-1, keepdim=True) / count, wanted.sum(-1, keepdim=True) / count
    centred = inverse_depth - offset
    spread = (centred.square() * weight).sum(-1, keepdim=True)
    covariance = (centred * (wanted - mean) * weight).sum(-1, keepdim=True)
    scale = (covariance / spread).where(spread > count * (CONSTANT * offset).square(), 0)
    return (scale * centred + mean).clamp(1 / max_depth, 1 / min_depth).reciprocal()
