"""Canny edges as the picture that a ControlNet for edges was trained on: thin and white on black."""

import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from kornia.core.check import KORNIA_CHECK_SHAPE
from kornia.filters import canny
from torch import Tensor

THRESHOLDS = (100 / 255, 200 / 255)  # of the Sobel gradient, as in the examples of the ControlNet


def edge_control(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Control image (B, 3, height, width), 1 on the edges of an image and 0 elsewhere.

    Args:
        images: frames (B, 3, H, W) in [0, 1].
        size: (height, width) of the control image [px].
    """
    KORNIA_CHECK_SHAPE(images, ["B", "3", "H", "W"])
    resized = F.interpolate(images.float(), size, mode="bicubic", antialias=True).clamp(0, 1)
    _, edges = canny(rgb_to_grayscale(resized), *THRESHOLDS, kernel_size=1)
    return edges.expand(-1, 3, -1, -1).contiguous()
