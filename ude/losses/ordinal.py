"""Ordinal guidance: where student and teacher disagree most, a relative depth model says what lies in front of what.

Source: ACDepth, https://arxiv.org/abs/2505.12199, and its code for the share, the ratio and the kinds of pairs; the
ranking loss is that of https://arxiv.org/abs/1604.03901, equation 3, without pairs of equal depth.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .distillation import masked_mean

UNRELIABLE = 0.05
"""Share of the pixels, those of the largest disagreement, whose order is asked for."""
PAIRS = 0.01
"""Pairs of each kind, in units of the number of pixels."""
RATIO = 1.15
"""Ratio of two relative inverse depths from which one pixel counts as nearer."""
DRAWS = 4
"""Random numbers per pair of each kind, see :func:`ordinal_pairs`."""


def ordinal_pairs(disagreement: Tensor, draws: Tensor) -> Tensor:
    """Pairs of pixels, flat indices int64 (B, 2, 2 N): N of an unreliable and a reliable pixel, then N of any two.

    Args:
        disagreement: how far student and teacher differ, (B, 1, H, W).
        draws: uniform numbers in [0, 1), (B, 4, N), for the two pixels of both kinds of pairs.
    """
    order = disagreement.flatten(1).argsort(dim=1, descending=True, stable=True)
    pixels = order.shape[1]
    unreliable = max(1, int(UNRELIABLE * pixels))
    starts, ends = (0, unreliable, 0, 0), (unreliable, pixels, pixels, pixels)
    places = torch.stack(
        [
            (start + (draw * (end - start)).long()).clamp(max=end - 1)
            for draw, start, end in zip(draws.unbind(1), starts, ends, strict=True)
        ],
        1,
    )  # (B, 4, N)
    drawn = order.gather(1, places.flatten(1)).view_as(places)
    return torch.cat([drawn[:, :2], drawn[:, 2:]], 2)


def pair_order(guide: Tensor, pairs: Tensor) -> Tensor:
    """What lies nearer, (B, P): 1 the first pixel of a pair, -1 the second, 0 neither by a clear ratio.

    Args:
        guide: relative inverse depth, near is large, at least 0, (B, 1, H, W).
        pairs: flat indices, (B, 2, P).
    """
    first, second = _values(guide, pairs)
    return (first > RATIO * second).float() - (second > RATIO * first).float()


def ordinal_loss(inverse_depth: Tensor, pairs: Tensor, order: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean ranking loss of the ordered pairs, log(1 + exp(D_near - D_far)) with depths in metres.

    Args:
        inverse_depth: inverse depth of the student [1/m], (B, 1, H, W).
        pairs: flat indices, (B, 2, P).
        order: what :func:`pair_order` says of them, (B, P).
        count: what the sum over the ordered pairs is divided by, a scalar; their number when None. The processes of a
            distributed run pass the mean of their numbers.
    """
    first, second = _values(1 / inverse_depth.float(), pairs)
    return masked_mean(F.softplus(order * (first - second)), order != 0, count)


def _values(values: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Values (B, P) of the first and of the second pixels."""
    flat = values.flatten(1)
    return flat.gather(1, pairs[:, 0]), flat.gather(1, pairs[:, 1])
