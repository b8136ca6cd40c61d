"""The normalisation that ImageNet-trained encoders expect; it lives inside each network, so images stay in [0, 1]."""

import torch
from torch import Tensor, nn

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class ImageNetNormalisation(nn.Module):
    """Images in [0, 1] to zero mean and unit variance by ImageNet's statistics; holds no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W)."""
        return (images - self.mean) / self.std
