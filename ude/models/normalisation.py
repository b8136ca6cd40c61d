"""The input normalisations that networks were trained with; they live inside each network, so images stay in [0, 1]."""

import torch
from torch import Tensor, nn

NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "monodepth2": ((0.45,), (0.225,)),
    "md4all_nuscenes_day": ((0.4130,), (0.2093,)),
    "md4all_nuscenes_night": ((0.1652,), (0.1728,)),
    "md4all_robotcar_day": ((0.5758,), (0.319,)),
    "md4all_robotcar_night": ((0.2471,), (0.2627,)),
}
"""Name to mean and standard deviation of images in [0, 1], per channel or for all three."""


class Normalisation(nn.Module):
    """Images in [0, 1] to zero mean and unit variance by fixed statistics; holds no weights.

    Args:
        name: row of :data:`NORMALISATIONS`.

    Raises:
        ValueError: for an unknown name.
    """

    def __init__(self, name: str = "imagenet") -> None:
        super().__init__()
        if name not in NORMALISATIONS:
            raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {name!r}")
        mean, std = NORMALISATIONS[name]
        self.name = name
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W)."""
        return (images - self.mean) / self.std
