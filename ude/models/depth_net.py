"""The depth network: a backbone of the table below and one sigmoid head per scale."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from huggingface_hub import PyTorchModelHubMixin
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor, nn
from torch.nn import functional as F

from ude.geometry import disparity_from_depth, inverse_depth_from_disparity

from .dino_dpt import DinoDpt, DinoDptSize
from .normalisation import Normalisation
from .residual_unet import ResidualUnet
from .resnet_unet import ResnetUnet

BACKBONES: dict[str, DinoDptSize | tuple[int, ...] | str] = {
    "tiny": DinoDptSize("", 16, 4, 2, (1, 2, 3, 4), (4, 8, 8, 16), 8, mlp_ratio=2, image_size=70),
    "resnet_small": (16, 32, 64, 96, 128),
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "dinov2_vits14": DinoDptSize("facebook/dinov2-small", 384, 12, 6, (3, 6, 9, 12), (48, 96, 192, 384), 64),
    "dinov2_vitb14": DinoDptSize("facebook/dinov2-base", 768, 12, 12, (3, 6, 9, 12), (96, 192, 384, 768), 128),
    "dinov2_vitl14": DinoDptSize("facebook/dinov2-large", 1024, 24, 16, (5, 12, 18, 24), (256, 512, 1024, 1024), 256),
}
BACKBONES |= {
    f"dinov2_vit{letter}14_last4": replace(BACKBONES[f"dinov2_vit{letter}14"], blocks=tuple(range(last - 3, last + 1)))
    for letter, last in (("s", 12), ("b", 12), ("l", 24))
}
"""Name to size: DINOv2 + DPT, the widths of a residual U-Net, or the ResNet below monodepth2's decoder.

``tiny`` is for tests. The rows ``last4`` read the blocks that Depth Anything V1 was trained on, the others those of V2.
"""

INITIAL_DEPTH = 10.0
"""Depth [m] an untrained network predicts; a sigmoid of 0.5 would be 0.2 m, and every warp would leave the image.

Ranges of depth that end near or before it start within, see :func:`initial_depth`."""


class DepthPrediction(NamedTuple):
    """What the depth network returns.

    Attributes:
        inverse_depths: inverse depths [1/m], finest first, each (B, 1, H >> s, W >> s).
        features: last encoder features (B, C, h, w), for the semantic loss.
    """

    inverse_depths: list[Tensor]
    features: Tensor


class DepthNet(nn.Module, PyTorchModelHubMixin):
    """Images in [0, 1] to inverse depth.

    Args:
        backbone: row of :data:`BACKBONES`.
        num_scales: number of predicted scales, 1 to 4.
        min_depth: smallest depth that the decoder can express [m].
        max_depth: largest depth that the decoder can express [m].
        input_height: image height the network sees [px]; the image is resized to it, the result resized back.
        input_width: image width the network sees [px].
        normalisation: row of :data:`~ude.models.normalisation.NORMALISATIONS` that the weights were trained with.

    Raises:
        ValueError: for an unknown backbone, normalisation or number of scales.
    """

    def __init__(
        self,
        *,
        backbone: str = "dinov2_vitb14",
        num_scales: int = 4,
        min_depth: float = 0.1,
        max_depth: float = 80.0,
        input_height: int = 518,
        input_width: int = 784,
        normalisation: str = "imagenet",
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {backbone!r}")
        if not 1 <= num_scales <= 4:
            raise ValueError(f"num_scales must be 1 to 4, got {num_scales}")
        self.trunk = _trunk(BACKBONES[backbone])
        self.heads = nn.ModuleList(self.trunk.head(channels) for channels in self.trunk.channels[:num_scales])
        self.range = {"min_depth": min_depth, "max_depth": max_depth}
        self.input_size = (input_height, input_width)
        self.backbone = backbone
        self.normalise = Normalisation(normalisation)
        start = disparity_from_depth(initial_depth(min_depth, max_depth), **self.range)
        for head in self.heads:
            nn.init.normal_(head[-1].weight, std=0.003)  # an untrained network predicts one plane
            nn.init.constant_(head[-1].bias, math.log(start / (1 - start)))
        self.to(memory_format=torch.channels_last)  # on a CPU, U-Nets are 1.1 to 1.3 times as fast, DINOv2 as fast

    def forward(self, images: Tensor) -> DepthPrediction:
        """Inverse depths [1/m] and encoder features of images in [0, 1], (B, 3, H, W)."""
        KORNIA_CHECK_SHAPE(images, ["B", "3", "H", "W"])
        height, width = images.shape[-2:]
        maps, features = self.trunk(self._network_input(images))
        inverse_depths = []
        for scale, (head, feature) in enumerate(zip(self.heads, maps, strict=False)):
            # bfloat16 has steps of 1/64 near the logits of common depths, 1.5 % in depth: the heads stay in float32
            with torch.autocast(feature.device.type, enabled=False):
                disparity = torch.sigmoid(head(feature.float()))
            inverse_depth = inverse_depth_from_disparity(disparity, **self.range)
            size = (height >> scale, width >> scale)
            if inverse_depth.shape[-2:] != size:
                inverse_depth = F.interpolate(inverse_depth, size, mode="bilinear", align_corners=False)
            inverse_depths.append(inverse_depth)
        return DepthPrediction(inverse_depths, features)

    @property
    def arguments(self) -> dict[str, str | int | float]:
        """The constructor's arguments."""
        return {
            "backbone": self.backbone,
            "num_scales": len(self.heads),
            **self.range,
            "input_height": self.input_size[0],
            "input_width": self.input_size[1],
            "normalisation": self.normalise.name,
        }

    @property
    def feature_channels(self) -> int:
        """Channels of the encoder features."""
        return self.trunk.feature_channels

    def train(self, mode: bool = True) -> "DepthNet":
        """Enter or leave training mode; a frozen encoder never enters it, so that its statistics stay."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.trunk.encoder.parameters()):
            self.trunk.encoder.eval()
        return self

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters of the encoder that are trained, and all others."""
        encoder = [parameter for parameter in self.trunk.encoder.parameters() if parameter.requires_grad]
        return encoder, [*self.trunk.decoder.parameters(), *self.heads.parameters()]

    def _network_input(self, images: Tensor) -> Tensor:
        if tuple(images.shape[-2:]) != self.input_size:
            images = F.interpolate(images, self.input_size, mode="bilinear", align_corners=False, antialias=True)
        return self.normalise(images).contiguous(memory_format=torch.channels_last)


def initial_depth(min_depth: float, max_depth: float) -> float:
    """Depth [m] an untrained network predicts: 10 m, moved into the middle 80 % of the range of log depth [m]."""
    margin = (max_depth / min_depth) ** 0.1
    return min(max(INITIAL_DEPTH, min_depth * margin), max_depth / margin)


def _trunk(size: DinoDptSize | tuple[int, ...] | str) -> DinoDpt | ResidualUnet | ResnetUnet:
    if isinstance(size, str):
        return ResnetUnet(size)
    return DinoDpt(size) if isinstance(size, DinoDptSize) else ResidualUnet(size)
