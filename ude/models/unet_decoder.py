"""The way up of a U-Net, as both convolutional networks walk it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def decode(decoder: nn.ModuleDict, skips: list[Tensor], features: Tensor) -> list[Tensor]:
    """Four maps at 1/1, 1/2, 1/4 and 1/8 of the image.

    Args:
        decoder: ``up`` and ``join``, a layer per level from 1/1 to 1/16 each.
        skips: the image and the encoder's maps at 1/2 to 1/16; every level is enlarged to the size of its skip, which
            is twice its own or one less.
        features: the encoder's last map at 1/32.
    """
    maps, x = [], features
    for level in range(4, -1, -1):
        skip = skips[level]
        x = F.interpolate(decoder["up"][level](x), skip.shape[-2:], mode="nearest")
        x = decoder["join"][level](torch.cat([x, skip], 1) if level else x)
        maps.append(x)
    return maps[:0:-1]
