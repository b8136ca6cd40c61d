"""Losses between depth maps of unknown scale and shift, for networks that predict relative inverse depth.

Source: MiDaS, https://arxiv.org/abs/1907.01341, section 5: the two alignments of equations 3 to 6 and the gradient term
of equation 11. Diffusion4RobustDepth, https://arxiv.org/abs/2407.16698, distils with the first one.
"""

from typing import Literal

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

Alignment = Literal["median", "least_squares"]

_RESOLVED = 1e-6
"""Spread of a map, as a share of its largest value, below which float32 holds rounding errors alone."""


def scale_shift_loss(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, *, alignment: Alignment = "median"
) -> Tensor:
    """Mean over the images of half the mean error between two maps without their scale and shift.

    ``median``: absolute errors between maps that are both brought to median 0 and mean absolute deviation 1.
    ``least_squares``: squared errors between the target, brought to mean 0 and variance 1, and the prediction with the
    scale and shift that fit it best; that is (1 - r^2) / 2 with the correlation r, and blind to its sign.

    An image that is constant (in either map) or has an empty mask gives 0 with a gradient of exactly 0.

    Args:
        prediction: inverse depth up to scale and shift, (B, 1, H, W).
        target: inverse depth up to scale and shift, (B, 1, H, W); no gradient flows into it.
        mask: pixels that count, bool (B, 1, H, W); all when None.
        alignment: how scale and shift are removed.

    Raises:
        ValueError: for another alignment.
    """
    error = aligned_residual(prediction, target, mask, alignment=alignment)
    error = error.abs() if alignment == "median" else error.square()
    return 0.5 * _means(error, _all_where_none(mask, error)).mean()


def gradient_matching_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    alignment: Alignment = "median",
    scales: int = 4,
) -> Tensor:
    """Mean over the images of how much the aligned difference of two maps changes from pixel to pixel.

    The sum over the scales of the mean absolute step to the right and of that downwards; every scale takes each second
    row and column of the one before. Steps into pixels that do not count are left out.

    Args:
        prediction: inverse depth up to scale and shift, (B, 1, H, W).
        target: inverse depth up to scale and shift, (B, 1, H, W); no gradient flows into it.
        mask: pixels that count, bool (B, 1, H, W); all when None.
        alignment: how scale and shift are removed.
        scales: number of scales.

    Raises:
        ValueError: for another alignment.
    """
    residual = aligned_residual(prediction, target, mask, alignment=alignment)
    valid, total = _all_where_none(mask, residual), residual.new_zeros(())
    for _ in range(scales):
        for axis in (-1, -2):
            steps = residual.diff(dim=axis).abs()
            both = valid.narrow(axis, 1, steps.shape[axis]) & valid.narrow(axis, 0, steps.shape[axis])
            total = total + _means(steps, both).mean()
        residual, valid = residual[..., ::2, ::2], valid[..., ::2, ::2]
    return total


def aligned_residual(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, *, alignment: Alignment = "median"
) -> Tensor:
    """Prediction minus target without their scale and shift, (B, 1, H, W); 0 where nothing counts.

    Args:
        prediction: inverse depth up to scale and shift, (B, 1, H, W).
        target: inverse depth up to scale and shift, (B, 1, H, W); no gradient flows into it.
        mask: pixels that count, bool (B, 1, H, W); all when None.
        alignment: see :func:`scale_shift_loss`.

    Raises:
        ValueError: for another alignment.
    """
    KORNIA_CHECK_SHAPE(prediction, ["B", "1", "H", "W"])
    if alignment not in ("median", "least_squares"):
        raise ValueError(f"alignment must be median or least_squares, got {alignment!r}")
    at_least_float32 = torch.promote_types(prediction.dtype, torch.float32)
    valid = _all_where_none(mask, prediction)
    prediction, target = (
        values.to(at_least_float32).masked_fill(~valid, 0) for values in (prediction, target.detach())
    )  # what does not count may be anything, even NaN
    if alignment == "median":
        (ours, our_spread), (theirs, their_spread) = (_deviation(values, valid) for values in (prediction, target))
        residual = ours / _safe(our_spread) - theirs / _safe(their_spread)
    else:
        (ours, our_spread), (theirs, their_spread) = (_standard(values, valid) for values in (prediction, target))
        wanted = theirs / _safe(their_spread)
        unit = ours / _safe(our_spread)
        residual = _means(unit * wanted, valid).view(-1, 1, 1, 1) * unit - wanted
    counts = valid & (our_spread > 0) & (their_spread > 0)
    return torch.where(counts, residual, residual.new_zeros(()))


def _deviation(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Values minus their median, and their mean absolute deviation from it, (B, 1, 1, 1); 0 for constant maps."""
    flat = torch.where(valid, values, values.new_tensor(torch.nan)).flatten(1)
    median = flat.nanmedian(dim=1).values.nan_to_num(0).view(-1, 1, 1, 1)  # nothing counts: NaN
    centred = values - median
    return centred, _resolved(_means(centred.abs(), valid).view(-1, 1, 1, 1), values)


def _standard(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Values minus their mean, and their standard deviation, (B, 1, 1, 1); 0 for constant maps."""
    centred = values - _means(values, valid).view(-1, 1, 1, 1)
    variance = _means(centred.square(), valid).view(-1, 1, 1, 1)
    # a root's gradient is infinite at 0
    spread = torch.where(variance > 0, variance, torch.ones_like(variance)).sqrt()
    return centred, _resolved(torch.where(variance > 0, spread, torch.zeros_like(variance)), values)


def _resolved(spread: Tensor, values: Tensor) -> Tensor:
    """The spread, or 0 where it is no more than rounding."""
    largest = values.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    return torch.where(spread > _RESOLVED * largest, spread, torch.zeros_like(spread))


def _safe(spread: Tensor) -> Tensor:
    """A spread to divide by; what is divided by a spread of 0 never counts."""
    return torch.where(spread > 0, spread, torch.ones_like(spread))


def _means(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the pixels of each image that count, (B,); 0 without any."""
    count = valid.sum(dim=(1, 2, 3))
    return torch.where(valid, values, values.new_zeros(())).sum(dim=(1, 2, 3)) / count.clamp(min=1)


def _all_where_none(mask: Tensor | None, values: Tensor) -> Tensor:
    return torch.ones_like(values, dtype=torch.bool) if mask is None else mask
