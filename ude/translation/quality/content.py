"""Figures that unmask a translation without content: empty parts, noise, a copy of its source, other depth."""

import torch.nn.functional as F
from torch import Tensor

from .statistics import luminance, working_size

BLOCKS = 40  # along the longer side
CONTENT, FLAT = 16 / 255, 1 / 255  # ranges of luminance in a block: above there is something to see, below nothing
BLACK, WHITE = 0.03, 0.97  # beyond these a flat block may be the night or the sky
CELLS = (8, 12)  # of the grid that light is compared on
COHERENCE_SCALES = (1, 2, 4, 8)


def empty_shares(source: Tensor, translated: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of the blocks with content in a source (1, 3, H, W) that are flat in its translation: grey, and clipped.

    Grey blocks are what a decoder leaves of a damaged image. Clipped ones, black or white, are dark or dazzling places
    as long as they are few.
    """
    side = max(2, max(source.shape[2:]) // BLOCKS)
    most, least = _extremes(luminance(translated), side)
    shown_most, shown_least = _extremes(luminance(source), side)
    content = shown_most - shown_least > CONTENT
    empty = content & (most - least < FLAT)
    clipped = empty & ((most < BLACK) | (least > WHITE))
    count = content.sum().clamp(min=1)
    return (empty & ~clipped).sum() / count, clipped.sum() / count


def coherence(image: Tensor) -> Tensor:
    """Correlation () of neighbouring pixels of an image (1, 3, H, W), at the scale where it is smallest.

    Noise has about 0, and blobs, which undecoded latents give, less than 0.4 at the scale of their size. Pictures have
    0.6 to 0.98 at every scale.
    """
    grey = luminance(working_size(image))
    scales = [F.avg_pool2d(grey, scale) for scale in COHERENCE_SCALES if min(grey.shape[2:]) >= 4 * scale]
    correlations = [
        (_correlation(level[..., 1:], level[..., :-1]) + _correlation(level[..., 1:, :], level[..., :-1, :])) / 2
        for level in scales
    ]
    return min(correlations)


def light_change(source: Tensor, translated: Tensor) -> Tensor:
    """Mean absolute difference () of the colours of an image (1, 3, H, W) and its translation, on a coarse grid."""
    return F.adaptive_avg_pool2d(source.float() - translated.float(), CELLS).abs().mean()


def depth_difference(inverse_depth: Tensor, control: Tensor) -> Tensor:
    """Mean absolute difference () of an inverse depth from the control's, relative to the control's mean deviation.

    The estimate is scaled and shifted by least squares before, never turned round. 0 = the same depth up to scale and
    shift, 1 = no better than a plane that faces the camera; neither depends on the unit of the two.

    Args:
        inverse_depth: estimated on the translation (1, 1, h, w), near is large.
        control: what the translation was made from (1, 1, H, W), near is large.
    """
    control = control.float()
    estimate = F.interpolate(inverse_depth.float(), control.shape[2:], mode="bilinear", align_corners=False)
    estimate, control = estimate - estimate.mean(), control - control.mean()
    variance = estimate.square().mean()
    scale = ((estimate * control).mean() / variance.clamp(min=1e-20)).clamp(min=0)  # a plane gets the scale 0
    spread = control.abs().mean()
    difference = (scale * estimate - control).abs().mean()
    return difference / spread.clamp(min=1e-20)


def _extremes(grey: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Largest and smallest value of each block of an image (1, 1, H, W)."""
    return F.max_pool2d(grey, side, ceil_mode=True), -F.max_pool2d(-grey, side, ceil_mode=True)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation () of two tensors; 0 where one is constant."""
    first, second = (values.flatten() - values.mean() for values in (first, second))
    return F.normalize(first, dim=0) @ F.normalize(second, dim=0)
