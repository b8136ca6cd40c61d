"""Photometric self-supervision: minimum reprojection with automasking.

Source: monodepth2, https://arxiv.org/abs/1806.01260, equations 1-5.
"""

from typing import NamedTuple

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import at_least_float32, project_depth, sample_image

from .box import box_mean

C1 = 0.01**2
C2 = 0.03**2


class WindowedImage(NamedTuple):
    """An image with the moments of its 3 x 3 windows, so that they are computed once for many comparisons.

    Attributes:
        image: (..., C, H, W).
        mean: mean of every window, same shape.
        variance: variance of every window, same shape.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor


def windowed(image: Tensor) -> WindowedImage:
    """An image (..., C, H, W) with the mean and variance of its windows over a reflected border."""
    mean = box_mean(image)
    return WindowedImage(image, mean, box_mean(image * image) - mean * mean)


def dssim(prediction: Tensor, target: Tensor | WindowedImage) -> Tensor:
    """Structural dissimilarity (1 - SSIM) / 2 per pixel and channel, in [0, 1], of two images (..., C, H, W).

    The window is a 3 x 3 box over a reflected border, as in monodepth2 (a Gaussian window gives other numbers).
    Source: SSIM, https://doi.org/10.1109/TIP.2003.819861, with constants 0.01^2 and 0.03^2.
    """
    image, mean_t, variance_t = target if isinstance(target, WindowedImage) else windowed(target)
    _, mean_p, variance_p = windowed(prediction)
    means = mean_p * mean_t
    covariance = box_mean(prediction * image) - means
    numerator = (2 * means + C1) * (2 * covariance + C2)
    denominator = (mean_p * mean_p + mean_t * mean_t + C1) * (variance_p + variance_t + C2)
    return ((1 - numerator / denominator) / 2).clamp(0, 1)


def photometric_error(prediction: Tensor, target: Tensor | WindowedImage, ssim_weight: float = 0.85) -> Tensor:
    """Per-pixel error (..., 1, H, W) between two images (..., 3, H, W): weighted DSSIM plus L1.

    Source: monodepth2, https://arxiv.org/abs/1806.01260, equation 2.
    """
    image = target.image if isinstance(target, WindowedImage) else target
    KORNIA_CHECK_SHAPE(prediction, ["*", "3", "H", "W"])
    KORNIA_CHECK_SHAPE(image, ["*", "3", "H", "W"])
    structure = dssim(prediction, target).mean(-3, keepdim=True)
    l1 = (prediction - image).abs().mean(-3, keepdim=True)
    return ssim_weight * structure + (1 - ssim_weight) * l1


def reprojection_error(
    inverse_depth: Tensor,
    target: Tensor | WindowedImage,
    sources: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    *,
    ssim_weight: float = 0.85,
) -> Tensor:
    """Smallest photometric error over the sources when they are warped into the target view.

    Args:
        inverse_depth: inverse depth of the target [1/m], (B, 1, H, W).
        target: target image in [0, 1], (B, 3, H, W).
        sources: neighbouring images in [0, 1], (B, S, 3, H, W).
        K: intrinsics at (H, W) [px], (B, 3, 3).
        T_source_target: maps target-camera points to each source camera, (B, S, 4, 4).
        ssim_weight: share of DSSIM in the error.

    Returns:
        Error (B, 1, H, W).
    """
    count = sources.shape[1]
    with torch.autocast(sources.device.type, enabled=False):
        u, v, _ = project_depth(
            (1 / inverse_depth).repeat_interleave(count, 0),
            K.repeat_interleave(count, 0),
            T_source_target.flatten(0, 1),
        )
        warped = sample_image(sources.flatten(0, 1).to(u.dtype), u, v).unflatten(0, (-1, count))
        return _smallest_error(warped, target, ssim_weight)


def reprojection_loss(
    inverse_depths: list[Tensor],
    target: Tensor,
    sources: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    *,
    ssim_weight: float = 0.85,
    automask: bool = True,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean minimum reprojection error over pixels and scales, without the pixels that look static.

    Every scale is enlarged to the image before warping. A pixel whose unwarped sources explain it at least as well as
    the warped ones is masked (automask); on a tie the unwarped one wins, so a static scene has exactly no gradient.
    The scales go one after the other: all at once would leave the processor's cache, and cost three times the time.

    Args:
        inverse_depths: inverse depths [1/m], finest first, each (B, 1, H >> s, W >> s).
        target: target image in [0, 1], (B, 3, H, W).
        sources: neighbouring images in [0, 1], (B, S, 3, H, W).
        K: intrinsics at (H, W) [px], (B, 3, 3).
        T_source_target: maps target-camera points to each source camera, (B, S, 4, 4).
        ssim_weight: share of DSSIM in the error.
        automask: whether static-looking pixels are masked.

    Returns:
        Loss (scalar) and maps of the finest scale: ``error`` (B, 1, H, W) and ``automask`` (B, 1, H, W), true where
        the pixel counts.
    """
    with torch.no_grad(), torch.autocast(target.device.type, enabled=False):
        moments = windowed(target)
        identity = _smallest_error(sources, moments, ssim_weight)
    losses, maps = [], {}
    for inverse_depth in inverse_depths:
        full = _enlarged(inverse_depth, target.shape[-2:])
        error = reprojection_error(full, moments, sources, K, T_source_target, ssim_weight=ssim_weight)
        kept = error < identity if automask else torch.ones_like(error, dtype=torch.bool)
        losses.append(torch.where(kept, error, identity).mean())
        maps = maps or {"error": error.detach(), "automask": kept}
    return torch.stack(losses).mean(), maps


def _enlarged(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverse depth (B, 1, H, W) at the size of the image, at least in float32."""
    inverse_depth = at_least_float32(inverse_depth)
    if inverse_depth.shape[-2:] == size:
        return inverse_depth
    return F.interpolate(inverse_depth, size, mode="bilinear", align_corners=False)


def _smallest_error(images: Tensor, target: Tensor | WindowedImage, ssim_weight: float) -> Tensor:
    """Smallest photometric error (B, 1, H, W) of several images (B, S, 3, H, W) to one target (B, 3, H, W)."""
    target = target if isinstance(target, WindowedImage) else windowed(target)
    errors = photometric_error(images, WindowedImage(*(part[:, None] for part in target)), ssim_weight)
    smallest = errors[:, 0]
    for index in range(1, errors.shape[1]):
        smallest = torch.where(errors[:, index] < smallest, errors[:, index], smallest)  # a tie has one winner
    return smallest
