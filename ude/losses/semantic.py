"""Semantic consistency: the student's features on a translated frame stay those of a frozen encoder on the day frame.

Source: SSD, https://arxiv.org/abs/2403.05056, equation 7; the margin is Depth Anything's, https://arxiv.org/abs/2401.10891.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def semantic_loss(features: Tensor, target: Tensor, margin: float = 1.0) -> Tensor:
    """One minus the mean cosine between two feature maps (B, C, h, w), over the cells below the margin.

    Args:
        features: features of the student, (B, C, h, w).
        target: features of the frozen encoder, same shape; no gradient flows into them.
        margin: cells whose cosine is at least this count as consistent; 1 counts every cell.

    Raises:
        ValueError: when the shapes differ.
    """
    if features.shape != target.shape:
        raise ValueError(f"features {tuple(features.shape)} and target {tuple(target.shape)} must have the same shape")
    loss = 1 - F.cosine_similarity(features.float(), target.detach().float(), dim=1)
    if margin >= 1:
        return loss.mean()
    kept = loss > 1 - margin
    return torch.where(kept, loss, loss.new_zeros(())).sum() / kept.sum().clamp(min=1)
