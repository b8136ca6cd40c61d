"""Photometric self-supervision: minimum reprojection with automasking.

Source: monodepth2, https://arxiv.org/abs/1806.01260, equations 1-5.
"""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import at_least_float32, project_depth, sample_image

from .dssim import WindowedImage, dssim, windowed


def photometric_error(prediction: Tensor, target: Tensor | WindowedImage, ssim_weight: float = 0.85) -> Tensor:
    """Per-pixel error (..., 1, H, W) between two images (..., 3, H, W): weighted DSSIM plus L1.

    No gradient flows into the target.

    Source: monodepth2, https://arxiv.org/abs/1806.01260, equation 2.
    """
    target = target if isinstance(target, WindowedImage) else windowed(target)
    KORNIA_CHECK_SHAPE(prediction, ["*", "3", "H", "W"])
    KORNIA_CHECK_SHAPE(target.image, ["*", "3", "H", "W"])
    structure = dssim(prediction, target).mean(-3, keepdim=True)
    l1 = (prediction - target.image).abs().mean(-3, keepdim=True)
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
        full = enlarged(inverse_depth, target.shape[-2:])
        error = reprojection_error(full, moments, sources, K, T_source_target, ssim_weight=ssim_weight)
        kept = error < identity if automask else torch.ones_like(error, dtype=torch.bool)
        losses.append(torch.where(kept, error, identity).mean())
        maps = maps or {"error": error.detach(), "automask": kept}
    return torch.stack(losses).mean(), maps


def enlarged(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
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
