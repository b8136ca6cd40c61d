"""Moving averages of weights: what a diffusion model is used with."""

from collections.abc import Iterable

import torch
from torch import Tensor

EARLY = 20


@torch.no_grad()
def average_into(averages: Iterable[Tensor], weights: Iterable[Tensor], *, decay: float, step: int) -> None:
    """Move averages towards the weights, faster in the first steps, which they are to forget.

    Args:
        averages: changed in place.
        weights: what to average, in the same order.
        decay: share of the averages that stays.
        step: steps that are done since averaging began.
    """
    kept = min(decay, (1 + step) / (EARLY + step))
    torch._foreach_lerp_([*averages], [weight.detach() for weight in weights], 1 - kept)
