"""A street to measure on: three views of one solid texture, with exact depth and known motion.

Noise would not do: on it every warp is wrong, so the minima, masks and clamps of the losses take other branches.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ude.geometry import transform_from_axis_angle

from .plain import pixel_grid

CAMERA_HEIGHT = 1.5
HALF_STREET = 6.0
STREET_LENGTH = 30.0
"""Planes of the street [m]: the ground, two facades, and the one that ends it."""

BONNET = 0.08
"""Share of the rows, at the bottom, that show the camera's own car: they look static and have to be masked."""

NOISE = 0.02
"""Standard deviation of the sensor's noise, in units of the full range."""

WAVES = 64
NUM_SCALES = 4


@dataclass(frozen=True)
class Street:
    """A batch of triplets.

    Attributes:
        target: image in [0, 1], (B, 3, H, W), with 8 bits of depth.
        sources: the frames before and after, (B, 2, 3, H, W).
        K: intrinsics [px], (B, 3, 3).
        T_source_target: estimate of the motion, a few centimetres and tenths of a degree off, (B, 2, 4, 4).
        inverse_depths: estimate [1/m] of four scales, some ten percent off, each (B, 1, H >> s, W >> s).
        distance: distance travelled [m], (B, 2).
    """

    target: Tensor
    sources: Tensor
    K: Tensor
    T_source_target: Tensor
    inverse_depths: tuple[Tensor, ...]
    distance: Tensor

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Street":
        """The same on a device and in a type."""
        moved = {name: value.to(device, dtype) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved, inverse_depths=tuple(d.to(device, dtype) for d in self.inverse_depths))


def street(size: tuple[int, int], batch: int, *, seed: int = 0) -> Street:
    """A batch of float32 triplets, another street in every sample.

    Args:
        size: (height, width) of the images [px]; multiples of 8.
        batch: number of triplets.
        seed: of textures, motion and errors.
    """
    random = torch.Generator().manual_seed(seed)
    height, width = size
    K = torch.tensor([[0.8 * width, 0, (width - 1) / 2], [0, 0.8 * width, (height - 1) / 2], [0, 0, 1]])
    K = K.expand(batch, 3, 3).contiguous()
    step = 0.6 + 0.6 * torch.rand(batch, 1, generator=random)
    steps = torch.cat([step, -step], 1)  # from the frame before, everything lies farther ahead
    turns, shifts = (scale * torch.randn(2 * batch, 3, generator=random) for scale in (0.005, 0.02))
    shifts[:, 2] += steps.flatten()
    T_source_target = transform_from_axis_angle(turns, shifts).unflatten(0, (batch, 2))
    waves = _waves(batch, random)
    target, depth = _view(size, K, torch.eye(4).expand(batch, 4, 4), waves)
    views = [target, *(_view(size, K, T_source_target[:, index], waves)[0] for index in (0, 1))]
    frames = torch.stack(views, 1)
    frames = (frames + NOISE * torch.randn(frames.shape, generator=random)).clamp(0, 1)
    frames = (255 * frames).round() / 255
    frames[..., -max(1, round(BONNET * height)) :, :] = 0.25
    turn_errors, shift_errors = (scale * torch.randn(2 * batch, 3, generator=random) for scale in (0.001, 0.02))
    error = transform_from_axis_angle(turn_errors, shift_errors).unflatten(0, (batch, 2))
    return Street(
        target=frames[:, 0].contiguous(),
        sources=frames[:, 1:].contiguous(),
        K=K,
        T_source_target=error @ T_source_target,
        inverse_depths=tuple(_estimate(depth, scale, random) for scale in range(NUM_SCALES)),
        distance=T_source_target[..., :3, 3].norm(dim=-1),
    )


def _waves(batch: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Directions [rad/m] (B, 3, N), phases (B, 1, N) and colours (B, N, 3) of a texture that fills space."""
    length = torch.logspace(math.log10(0.3), math.log10(12), WAVES)  # [m]
    directions = F.normalize(torch.randn(batch, 3, WAVES, generator=random), dim=1) * 2 * math.pi / length
    phases = 2 * math.pi * torch.rand(batch, 1, WAVES, generator=random)
    grey, colour = (torch.randn(batch, WAVES, channels, generator=random) for channels in (1, 3))
    colours = (0.016 * grey + 0.006 * colour) * length[:, None].sqrt()
    return directions, phases, colours


def _view(size: tuple[int, int], K: Tensor, T_view_target: Tensor, waves: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Image (B, 3, H, W) about 0.5 and depth [m] (B, 1, H, W) of the street from a camera."""
    rotation, translation = T_view_target[:, :3, :3], T_view_target[:, :3, 3:]
    rays = rotation.mT @ torch.linalg.inv(K) @ pixel_grid(size, K)  # (B, 3, H * W), in the target camera's frame
    centre = -rotation.mT @ translation
    x, y, z = rays.unbind(1)
    distances = [
        (CAMERA_HEIGHT - centre[:, 1]) / y.clamp(min=1e-6),
        (HALF_STREET * x.sign() - centre[:, 0]) / torch.where(x.abs() < 1e-6, 1e-6, x),
        (STREET_LENGTH - centre[:, 2]) / z,
    ]
    depth = torch.stack(distances).amin(0)[:, None]  # (B, 1, H * W); the rays have length one in z of the view
    directions, phases, colours = waves
    points = centre + depth * rays
    texture = torch.sin(points.mT @ directions + phases) @ colours  # (B, H * W, 3)
    return (0.5 + texture).mT.unflatten(2, size), depth.unflatten(2, size)


def _estimate(depth: Tensor, scale: int, random: torch.Generator) -> Tensor:
    """Inverse depth [1/m] of a scale with smooth errors, (B, 1, H >> s, W >> s)."""
    inverse_depth = F.avg_pool2d(1 / depth, 2**scale)
    coarse = torch.randn(len(depth), 1, 6, 8, generator=random)
    error = F.interpolate(coarse, inverse_depth.shape[-2:], mode="bicubic", align_corners=True)
    return (inverse_depth * torch.exp(0.2 * error)).clamp(1 / 80, 10)
