"""Exact colour jitter of a batch, every sample with its own factors."""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor


def color_jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Images with brightness, contrast, saturation and hue changed, in this order, one set of factors per sample.

    The same as torchvision's ``adjust_brightness``, ``adjust_contrast``, ``adjust_saturation`` and ``adjust_hue`` image
    by image, whose own batched forms share one set of factors and are slower.

    Args:
        images: frames in [0, 1], (B, F, 3, H, W); contrast is taken about the mean grey of each frame.
        factors: brightness, contrast, saturation (1 = unchanged) and hue (turns, 0 = unchanged), (B, 4).

    Returns:
        Images in [0, 1], (B, F, 3, H, W).
    """
    KORNIA_CHECK_SHAPE(images, ["B", "F", "3", "H", "W"])
    KORNIA_CHECK_SHAPE(factors, ["B", "4"])
    brightness, contrast, saturation, hue = factors[:, :, None, None, None, None].unbind(1)
    images = (images * brightness).clamp(0, 1)
    images = _blend(images, _grey(images).mean((-2, -1), keepdim=True), contrast)
    images = _blend(images, _grey(images), saturation)
    return _rotate_hue(images, hue)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """``factor`` parts of the images and the rest of the other ones, kept in [0, 1]."""
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    """Luma (B, F, 1, H, W) with torchvision's weights; a plain sum, which autocast leaves in float32."""
    red, green, blue = images.split(1, dim=2)
    return 0.2989 * red + 0.587 * green + 0.114 * blue


def _rotate_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Images with the hue of HSV turned, without going through S: a channel is V minus its share of the chroma."""
    red, green, blue = images.split(1, dim=2)
    value = images.amax(2, keepdim=True)
    chroma = value - images.amin(2, keepdim=True)
    divisor = torch.where(chroma == 0, 1, chroma)  # grey has no hue and no chroma: any divisor does
    sixths = torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor)
    sixths = torch.where(value == red, (green - blue) / divisor, sixths) + 6 * turns
    position = torch.cat([5 + sixths, 3 + sixths, 1 + sixths], dim=2) % 6
    return value - chroma * torch.minimum(position, 4 - position).clamp(0, 1)
