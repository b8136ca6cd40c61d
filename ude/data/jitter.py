"""Exact colour jitter of a batch, every sample with its own factors."""

from collections.abc import Callable
from functools import cache

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

CHUNK = 2**19
"""Values that are worked on at a time on a CPU: they stay in its caches, which is twice as fast."""


def color_jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Images with brightness, contrast, saturation and hue changed, in this order, one set of factors per sample.

    The same as torchvision's ``adjust_brightness``, ``adjust_contrast``, ``adjust_saturation`` and ``adjust_hue`` image
    by image, whose own batched forms share one set of factors and are slower.

    Args:
        images: frames, uint8 or float in [0, 1], (B, F, 3, H, W); contrast is taken about the mean grey of each.
        factors: brightness, contrast, saturation (1 = unchanged) and hue (turns, 0 = unchanged), (B, 4).

    Returns:
        Images in [0, 1], (B, F, 3, H, W).
    """
    KORNIA_CHECK_SHAPE(images, ["B", "F", "3", "H", "W"])
    KORNIA_CHECK_SHAPE(factors, ["B", "4"])
    if images.device.type != "cpu":
        return _changed(images, factors)
    frames, each = images.flatten(0, 1)[:, None], factors.repeat_interleave(images.shape[1], 0)
    step = max(1, CHUNK // frames[0].numel())
    changed = [_changed(frames[i : i + step], each[i : i + step]) for i in range(0, len(frames), step)]
    return torch.cat(changed).view(images.shape)


def unit_range(images: Tensor) -> Tensor:
    """Images as float in [0, 1]; uint8 ones are divided by 255."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


@cache
def compiled_color_jitter() -> Callable[[Tensor, Tensor], Tensor]:
    """:func:`color_jitter` as one piece of code for its device, several times as fast; made at the first call."""
    return torch.compile(_changed, dynamic=False)


def _changed(images: Tensor, factors: Tensor) -> Tensor:
    """The four changes of images (B, F, 3, H, W) by factors (B, 4), in one go."""
    images = unit_range(images)
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
    """Images with the hue of HSV turned, without going through S: a channel is V minus its share of the chroma.

    One reciprocal in place of three divisions, and a floor in place of a remainder, make it twice as fast.
    """
    red, green, blue = images.split(1, dim=2)
    value = images.amax(2, keepdim=True)
    chroma = value - images.amin(2, keepdim=True)
    scale = 1 / torch.where(chroma == 0, 1, chroma)  # grey has no hue and no chroma: any divisor does
    sixths = torch.where(value == green, 2 + (blue - red) * scale, 4 + (red - green) * scale)
    sixths = torch.where(value == red, (green - blue) * scale, sixths) + 6 * turns
    return torch.cat([value - chroma * _share(sixths + start) for start in (5, 3, 1)], dim=2)


def _share(sixths: Tensor) -> Tensor:
    """Share of the chroma, 0..1, that a channel lacks at a place on the circle of hues, in sixths of a turn."""
    position = sixths - 6 * torch.floor(sixths * (1 / 6))
    return torch.minimum(position, 4 - position).clamp(0, 1)
