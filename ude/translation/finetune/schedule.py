"""Learning rates over the steps of a training."""

import math


def cosine_rate(step: int, total: int, *, warmup: int, flat: float = 0.3) -> float:
    """Factor of a learning rate: rises, stays for a share of the steps, then falls to 0 along a cosine.

    Args:
        step: steps that are done.
        total: steps of the training.
        warmup: steps over which the rate rises.
        flat: share of the steps before it begins to fall.
    """
    warm = min(1.0, (step + 1) / (warmup + 1))
    fallen = min(1.0, max(0.0, step / total - flat) / (1 - flat))
    return warm * 0.5 * (1 + math.cos(math.pi * fallen))
