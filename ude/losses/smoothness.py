"""Edge-aware smoothness of the inverse depth."""

import torch
from kornia.losses import inverse_depth_smoothness_loss
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import at_least_float32


def smoothness_loss(inverse_depths: list[Tensor], image: Tensor) -> Tensor:
    """Edge-aware first-order smoothness of mean-normalised inverse depths, scale s divided by 2^s, mean over scales.

    The normalisation by the image's mean keeps the loss from shrinking the inverse depth.
    Source: monodepth2, https://arxiv.org/abs/1806.01260, equation 3.

    Args:
        inverse_depths: inverse depths [1/m], finest first, each (B, 1, H >> s, W >> s).
        image: image in [0, 1] whose edges allow depth edges, (B, 3, H, W).

    Returns:
        Loss, a scalar.
    """
    losses = []
    for scale, inverse_depth in enumerate(inverse_depths):
        inverse_depth = at_least_float32(inverse_depth)
        normalised = inverse_depth / inverse_depth.mean((2, 3), keepdim=True)
        edges = image if scale == 0 else F.interpolate(image, inverse_depth.shape[-2:], mode="area")
        losses.append(inverse_depth_smoothness_loss(normalised, edges) / 2**scale)
    return torch.stack(losses).mean()
