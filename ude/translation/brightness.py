"""The brightness of translated images matched to references, by a tone curve that leaves geometry and hue alone."""

import math

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

LUMINANCE = (0.2126, 0.7152, 0.0722)  # shares of red, green and blue
_FLOOR = 0.02  # added to the luminance before the logarithm: below it a camera shows noise
_LEAST_SPREAD = 1e-3  # of log-luminance; less is rounding
_GREATEST_STRETCH = 4.0  # of log-luminance, so that a nearly flat image does not become all black and white
_GREATEST_GAIN = 8.0  # of colours; above it the noise of dark pixels would turn colourful
_ROUNDS = 12
_BLACK, _WHITE = math.log(_FLOOR), math.log(1 + _FLOOR)


def match_brightness(images: Tensor, references: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] with mean and spread of log-luminance of their references, each by itself.

    The curve is linear in the logarithm of luminance (plus 0.02), and cut at black and white: it never turns dark into
    bright. Pixels keep their hue; colours that leave the cube are paled towards the grey of the same luminance.

    Args:
        images: images in [0, 1], (B, 3, H, W).
        references: one image per row in [0, 1] whose brightness is wanted, (B, 3, h, w) of any size.
    """
    KORNIA_CHECK_SHAPE(images, ["B", "3", "H", "W"])
    colour = images.float()
    luminance = _luminance(colour)
    wanted_mean, wanted_spread = _statistics(_logarithm(references))
    curve = _matched(torch.log(luminance + _FLOOR), wanted_mean, wanted_spread)
    return _relit(colour, luminance, (curve.exp() - _FLOOR).clamp(0, 1)).to(images.dtype)


def _luminance(images: Tensor) -> Tensor:
    """Luminance (B, 1, H, W) of images (B, 3, H, W)."""
    return (images * images.new_tensor(LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)


def _logarithm(images: Tensor) -> Tensor:
    return torch.log(_luminance(images.float()) + _FLOOR)


def _statistics(logarithm: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread (standard deviation) of each map (B, 1, H, W), both (B, 1, 1, 1)."""
    dimensions = (1, 2, 3)
    spread = logarithm.std(dimensions, correction=0, keepdim=True)
    return logarithm.mean(dimensions, keepdim=True), spread


def _matched(logarithm: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """Log-luminance (B, 1, H, W) with a mean and spread, as near as a line that is cut at black and white comes.

    The cut changes both, so the line is corrected a few times.
    """
    own_mean, own_spread = _statistics(logarithm)
    slope, offset, found_spread = torch.ones_like(mean), mean, own_spread
    for _ in range(_ROUNDS):
        ratio = spread / found_spread.clamp(min=_LEAST_SPREAD)
        slope = (slope * ratio).clamp(1 / _GREATEST_STRETCH, _GREATEST_STRETCH)
        curve = (offset + slope * (logarithm - own_mean)).clamp(_BLACK, _WHITE)
        found_mean, found_spread = _statistics(curve)
        offset = offset + mean - found_mean
    return curve


def _relit(colour: Tensor, luminance: Tensor, wanted: Tensor) -> Tensor:
    """Colours (B, 3, H, W) in [0, 1] of another luminance (B, 1, H, W) and the same hue."""
    gain = (wanted / luminance.clamp(min=1e-6)).clamp(max=_GREATEST_GAIN)
    chroma = gain * (colour - luminance)
    room = (1 - wanted) / chroma.amax(1, keepdim=True).clamp(min=1e-6)
    return (wanted + room.clamp(max=1) * chroma).clamp(0, 1)
