"""The frozen DINOv2 that the semantic loss compares with."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ude.files import DataError

from .checkpoint import from_hub, whole_from_hub
from .normalisation import Normalisation


class DinoFeatures(nn.Module):
    """Patch features of a frozen DINOv2.

    Source: SSD, https://arxiv.org/abs/2403.05056, equation 7 (the frozen encoder on the day frame).

    Args:
        name: hub id or local folder of a DINOv2 encoder.

    Raises:
        DataError: when it is neither on disk, cached nor reachable, damaged, or something other than a DINOv2.
    """

    def __init__(self, name: str | Path) -> None:
        from transformers import AutoConfig, Dinov2Model

        super().__init__()
        kind = from_hub(AutoConfig, str(name)).model_type
        if kind != "dinov2":
            raise DataError(f"{name} holds a {kind}; choose an encoder of DINOv2, such as facebook/dinov2-base")
        self.encoder = whole_from_hub(Dinov2Model, str(name))
        self.normalise = Normalisation()
        self.eval().requires_grad_(False)

    @property
    def channels(self) -> int:
        """Channels of the features."""
        return self.encoder.config.hidden_size

    @torch.no_grad()
    def forward(self, images: Tensor, cells: tuple[int, int]) -> Tensor:
        """Features (B, C, h, w) of images in [0, 1], (B, 3, H, W), resized so that there are (h, w) patches."""
        patch = self.encoder.config.patch_size
        size = (cells[0] * patch, cells[1] * patch)
        images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        tokens = self.encoder(self.normalise(images)).last_hidden_state
        return tokens[:, 1:].transpose(1, 2).unflatten(2, cells)
