"""A small residual U-Net: a network that learns depth from random weights within minutes on a CPU.

Source: the encoder-decoder of monodepth2, https://arxiv.org/abs/1806.01260, made narrower; blocks are torchvision's.
"""

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from .heads import hidden_head
from .unet_decoder import decode


class ResidualUnet(nn.Module):
    """Images to four decoder maps at 1/1, 1/2, 1/4 and 1/8, and the last encoder map at 1/32.

    Args:
        widths: channels of the five encoder stages, each at half the size of the one before.
    """

    head = staticmethod(hidden_head)

    def __init__(self, widths: tuple[int, int, int, int, int]) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        stages = [_stage(*pair) for pair in pairwise(widths)]
        self.encoder = nn.ModuleList([stem, *stages])
        outputs = (widths[0], widths[0], widths[1], widths[2], widths[3])  # decoder width at 1/1, 1/2 ... 1/16
        inputs = (*outputs[1:], widths[4])
        self.decoder = nn.ModuleDict(
            {
                "up": nn.ModuleList(_convolution(i, o) for i, o in zip(inputs, outputs, strict=True)),
                "join": nn.ModuleList(
                    _convolution(o + skip, o) for o, skip in zip(outputs, (0, *widths[:4]), strict=True)
                ),
            }
        )
        self.channels = outputs[:4]
        self.feature_channels = widths[4]

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Feature maps, finest first, and encoder features (B, C, H / 32, W / 32) of normalised images (B, 3, H, W)."""
        skips = [images]
        for stage in self.encoder:
            skips.append(stage(skips[-1]))
        features = skips.pop()
        return decode(self.decoder, skips, features), features


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _stage(inputs: int, outputs: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs))
    return BasicBlock(inputs, outputs, stride=2, downsample=shortcut)
