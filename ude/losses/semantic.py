"""Semantic consistency: the student's features on a translated frame stay those of a frozen encoder on the day frame.

Source: SSD, https://arxiv.org/abs/2403.05056, equation 7; the margin is Depth Anything's, https://arxiv.org/abs/2401.10891.
"""

from torch import Tensor
from torch.nn import functional as F

from .distillation import masked_mean


def semantic_loss(features: Tensor, target: Tensor, margin: float = 1.0, count: Tensor | None = None) -> Tensor:
    """One minus the mean cosine between two feature maps (B, C, h, w), over the cells below the margin.

    Args:
        features: features of the student, (B, C, h, w).
        target: features of the frozen encoder, same shape; no gradient flows into them.
        margin: cells whose cosine is at least this count as consistent; 1 counts every cell.
        count: what the sum over the cells below the margin is divided by, a scalar; their number when None. The
            processes of a distributed run pass the mean of their numbers.

    Raises:
        ValueError: when the shapes differ.
    """
    distance = _cosine_distance(features, target)
    if margin >= 1:
        return distance.mean()
    return masked_mean(distance, distance > 1 - margin, count)


def inconsistent_cells(features: Tensor, target: Tensor, margin: float) -> Tensor:
    """Cells (B, h, w), bool, that :func:`semantic_loss` counts below a margin smaller than 1."""
    return _cosine_distance(features.detach(), target) > 1 - margin


def _cosine_distance(features: Tensor, target: Tensor) -> Tensor:
    if features.shape != target.shape:
        raise ValueError(f"features {tuple(features.shape)} and target {tuple(target.shape)} must have the same shape")
    return 1 - F.cosine_similarity(features.float(), target.detach().float(), dim=1)
