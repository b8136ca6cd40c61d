"""Adaptation to real adverse frames: pseudo-labels, weighted by the agreement of two networks, and a prior of depth.

Source: Syn2Real-Depth (CVPR 2025), https://github.com/DavidYan2001/Synthetic2Real-Depth, whose second stage this is.
"""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import at_least_float32

BINS = 256
NEAREST, FARTHEST = 3.5, 80.0
"""Bins of a histogram of depth, and the centres of the first and the last one [m]."""


def disagreement(label: Tensor, other: Tensor) -> Tensor:
    """Relative difference |d - d_other| / d of two inverse depths [1/m], (B, 1, H, W); no gradient."""
    label, other = at_least_float32(label.detach()), at_least_float32(other.detach())
    return (label - other).abs() / label


def agreement_weights(difference: Tensor, *, beta: float = 1.0, eps: float = 1.0) -> Tensor:
    """Weights exp(-beta difference) + eps of pseudo-labels, any shape: from 1 + eps where both agree down to eps.

    Args:
        difference: :func:`disagreement`.
        beta: how fast the weight falls.
        eps: weight that is left to a label however much the networks disagree.
    """
    return torch.exp(-beta * difference) + eps


def weighted_distillation_loss(student: Tensor, label: Tensor, weights: Tensor) -> Tensor:
    """Mean over all pixels of w |d_S - d| / d_S; a pixel of weight 0 has a gradient of exactly 0.

    The sum is divided by the number of pixels, not by the weights: where the networks disagree, less is learned.

    Args:
        student: inverse depth of the student [1/m], (B, 1, H, W).
        label: pseudo-label [1/m], (B, 1, H, W); no gradient flows into it.
        weights: (B, 1, H, W).
    """
    KORNIA_CHECK_SHAPE(student, ["B", "1", "H", "W"])
    student = at_least_float32(student)
    error = weights * (student - at_least_float32(label.detach())).abs() / student
    return torch.where(weights > 0, error, 0).mean()


def depth_histogram(inverse_depth: Tensor) -> Tensor:
    """Shares of the pixels of a batch by depth, (BINS,), with a gradient; all 0 where no depth lies within the bins.

    Args:
        inverse_depth: inverse depth [1/m], (B, 1, H, W).
    """
    counts = depth_counts(inverse_depth)
    return counts / counts.detach().sum().clamp(min=1)


def depth_counts(inverse_depth: Tensor) -> Tensor:
    """Numbers of the pixels of a batch by depth, (BINS,), with a gradient.

    Every pixel is divided between the two bins whose centres are around its depth; one beyond the outer centres does
    not count. (Syn2Real-Depth spreads it by sigmoids over all bins, which takes BINS maps of memory.)

    Args:
        inverse_depth: inverse depth [1/m], (B, 1, H, W).
    """
    depth = 1 / at_least_float32(inverse_depth).flatten()
    position = (depth - NEAREST) * ((BINS - 1) / (FARTHEST - NEAREST))
    inside = (position >= 0) & (position <= BINS - 1)
    position = torch.where(inside, position, 0)
    first = position.detach().floor().clamp(max=BINS - 2)
    share = position - first
    counts = position.new_zeros(BINS)
    for bins, shares in ((first, 1 - share), (first + 1, share)):
        counts = counts.index_add(0, bins.long(), torch.where(inside, shares, 0))
    return counts


def histogram_loss(histogram: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a histogram of depth from that of day frames, divided by the number of bins.

    The division is Syn2Real-Depth's, so that its weight of 0.001 means the same here.

    Args:
        histogram: shares of the prediction, (BINS,).
        target: shares by day, (BINS,); no gradient flows into it.
    """
    smallest = torch.finfo(torch.float32).eps  # of an empty bin
    shares = (histogram + smallest) / (histogram + smallest).sum()
    return F.kl_div(shares.log(), target.detach(), reduction="sum") / BINS
