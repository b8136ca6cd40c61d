"""The photometric losses as self-supervised depth is usually written: per scale, per source, from textbook parts.

It is the yardstick of the cases ``loss`` and ``step``, and an oracle for `ude.losses`: the same mathematics, with every
pixel's ray, every camera transform and every SSIM moment computed wherever it is needed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ude.geometry import MIN_Z

C1, C2 = 0.01**2, 0.03**2


def enlarged(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
    """An inverse depth at the size (H, W) of the image."""
    return F.interpolate(inverse_depth, size, mode="bilinear", align_corners=False)


def plain_reprojection_loss(
    inverse_depths: list[Tensor],
    target: Tensor,
    sources: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    *,
    ssim_weight: float = 0.85,
    enlarge: Callable[[Tensor, tuple[int, int]], Tensor] = enlarged,
    **sampling: Any,
) -> Tensor:
    """Minimum reprojection with automask, mean over the scales; arguments as in `ude.losses.reprojection_loss`.

    Args:
        inverse_depths: see there, like the next four.
        target: see there.
        sources: see there.
        K: see there.
        T_source_target: see there.
        ssim_weight: see there.
        enlarge: brings an inverse depth to the size of the image.
        **sampling: to ``grid_sample``, where a peer samples in another way than we do.
    """
    sampling = {"padding_mode": "border", "align_corners": True} | sampling
    frames = [source.contiguous() for source in sources.unbind(1)]  # others keep every frame in a tensor of its own
    losses = []
    for inverse_depth in inverse_depths:
        depth = 1 / enlarge(inverse_depth, target.shape[-2:])
        identity, warped = [], []
        for source, T in zip(frames, T_source_target.unbind(1), strict=True):
            grid = _sampling_grid(depth, K, T)
            synthesised = F.grid_sample(source, grid, **sampling)
            warped.append(_photometric_error(synthesised, target, ssim_weight))
            identity.append(_photometric_error(source, target, ssim_weight))
        candidates = torch.cat(identity + warped, 1)  # the first of equal ones wins: the unwarped
        losses.append(candidates.min(1).values.mean())
    return torch.stack(losses).mean()


def image_pyramid(image: Tensor, scales: int) -> list[Tensor]:
    """The image at every scale, which the loaders of others deliver, (B, 3, H >> s, W >> s)."""
    height, width = image.shape[-2:]
    return [image, *(F.interpolate(image, (height >> s, width >> s), mode="area") for s in range(1, scales))]


def plain_smoothness_loss(inverse_depths: list[Tensor], images: list[Tensor]) -> Tensor:
    """Edge-aware smoothness of mean-normalised inverse depths, scale s divided by 2^s, mean over the scales."""
    losses = []
    for scale, (inverse_depth, image) in enumerate(zip(inverse_depths, images, strict=True)):
        normalised = inverse_depth / inverse_depth.mean(2, True).mean(3, True)
        loss = 0
        for axis in (2, 3):
            step = normalised.diff(dim=axis).abs()
            edge = image.diff(dim=axis).abs().mean(1, True)
            loss = loss + (step * torch.exp(-edge)).mean()
        losses.append(loss / 2**scale)
    return torch.stack(losses).mean()


def pixel_grid(size: tuple[int, int], like: Tensor) -> Tensor:
    """Homogeneous pixel centres (3, H * W) in row-major order, rows u, v and 1, on the device and type of ``like``."""
    height, width = size
    v, u = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype),
        torch.arange(width, device=like.device, dtype=like.dtype),
        indexing="ij",
    )
    return torch.stack([u.flatten(), v.flatten(), torch.ones_like(u).flatten()])


def _sampling_grid(depth: Tensor, K: Tensor, T_source_target: Tensor) -> Tensor:
    """Where to read the source for every target pixel, (B, H, W, 2) in [-1, 1] between the outer pixel centres."""
    batch, _, height, width = depth.shape
    rays = torch.linalg.inv(K) @ pixel_grid((height, width), depth)
    points = depth.flatten(2) * rays
    points = torch.cat([points, torch.ones_like(points[:, :1])], 1)  # (B, 4, H * W)
    projected = (K @ T_source_target[:, :3]) @ points
    pixels = projected[:, :2] / projected[:, 2:].clamp(min=MIN_Z)
    last = pixels.new_tensor([width - 1, height - 1])[:, None]
    return (2 * pixels / last - 1).view(batch, 2, height, width).permute(0, 2, 3, 1)


def _photometric_error(image: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """Error per pixel (B, 1, H, W): DSSIM and L1."""
    l1 = (target - image).abs().mean(1, True)
    return ssim_weight * _dssim(image, target).mean(1, True) + (1 - ssim_weight) * l1


def _dssim(a: Tensor, b: Tensor) -> Tensor:
    """(1 - SSIM) / 2 per channel with a mean pool over a reflected border."""
    pad, mean = nn.ReflectionPad2d(1), nn.AvgPool2d(3, 1)
    a, b = pad(a), pad(b)
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a**2) - mean_a**2, mean(b**2) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    similarity = similarity / ((mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2))
    return ((1 - similarity) / 2).clamp(0, 1)
