"""Photometric self-supervision: minimum reprojection with automasking.

Source: monodepth2, https://arxiv.org/abs/1806.01260, equations 1-5.
"""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import view_synthesis

C1 = 0.01**2
C2 = 0.03**2


def dssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural dissimilarity (1 - SSIM) / 2 per pixel and channel, in [0, 1], of two images (B, C, H, W).

    The window is a 3 x 3 box over a reflected border, as in monodepth2 (a Gaussian window gives other numbers).
    Source: SSIM, https://doi.org/10.1109/TIP.2003.819861, with constants 0.01^2 and 0.03^2.
    """
    mean_p, mean_t = _box_mean(prediction), _box_mean(target)
    variance_p = _box_mean(prediction * prediction) - mean_p * mean_p
    variance_t = _box_mean(target * target) - mean_t * mean_t
    covariance = _box_mean(prediction * target) - mean_p * mean_t
    numerator = (2 * mean_p * mean_t + C1) * (2 * covariance + C2)
    denominator = (mean_p * mean_p + mean_t * mean_t + C1) * (variance_p + variance_t + C2)
    return ((1 - numerator / denominator) / 2).clamp(0, 1)


def photometric_error(prediction: Tensor, target: Tensor, ssim_weight: float = 0.85) -> Tensor:
    """Per-pixel error (B, 1, H, W) between two images (B, 3, H, W): weighted DSSIM plus L1.

    Source: monodepth2, https://arxiv.org/abs/1806.01260, equation 2.
    """
    KORNIA_CHECK_SHAPE(prediction, ["B", "3", "H", "W"])
    KORNIA_CHECK_SHAPE(target, ["B", "3", "H", "W"])
    l1 = (prediction - target).abs()
    return (ssim_weight * dssim(prediction, target) + (1 - ssim_weight) * l1).mean(1, keepdim=True)


def reprojection_error(
    inverse_depth: Tensor,
    target: Tensor,
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
    warped, _ = view_synthesis(
        sources.flatten(0, 1),
        (1 / inverse_depth).repeat_interleave(count, 0),
        K.repeat_interleave(count, 0),
        T_source_target.flatten(0, 1),
    )
    return _smallest_error(warped.unflatten(0, (-1, count)), target, ssim_weight)


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
    size = target.shape[-2:]
    with torch.no_grad():
        identity = _smallest_error(sources, target, ssim_weight)
    losses, maps = [], {}
    for inverse_depth in inverse_depths:
        full = F.interpolate(inverse_depth.float(), size, mode="bilinear", align_corners=False)
        error = reprojection_error(full, target, sources, K, T_source_target, ssim_weight=ssim_weight)
        kept = error < identity if automask else torch.ones_like(error, dtype=torch.bool)
        losses.append(torch.where(kept, error, identity).mean())
        maps = maps or {"error": error.detach(), "automask": kept}
    return torch.stack(losses).mean(), maps


def _smallest_error(images: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """Smallest photometric error (B, 1, H, W) of several images (B, S, 3, H, W) to one target (B, 3, H, W)."""
    count = images.shape[1]
    error = photometric_error(images.flatten(0, 1), target.repeat_interleave(count, 0), ssim_weight)
    return error.unflatten(0, (-1, count)).amin(1)


def _box_mean(image: Tensor) -> Tensor:
    """3 x 3 mean over a reflected border; slices, since avg_pool2d costs many times the memory traffic on a CPU."""
    x = F.pad(image, (1, 1, 1, 1), mode="reflect")
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]) / 9
