"""Wet ground: darker, with the mirror image of what stands behind it."""

import torch
from torch import Generator, Tensor

from .camera import blur, enlarge, uniform
from .scene import CAMERA_HEIGHT, FAR, Street, ground_texture

HIGHEST_SHARE = 0.85  # of the mirror image: even far ahead a wet road shows something of itself


def wet_ground(light: Tensor, street: Street, generator: Generator) -> Tensor:
    """Linear light (3, H, W) with the ground wet: darker asphalt, sharp images in puddles and blurred ones elsewhere.

    Args:
        light: linear light (3, H, W).
        street: geometry of the frame.
        generator: source of the draws (CPU).
    """
    scale = light.shape[2] / 576
    mirrored = mirror_image(light, street)
    sharp = blur(mirrored, 0.5 * scale, uniform(generator, 1, 4) * scale)
    rough = blur(mirrored, uniform(generator, 2, 5) * scale, uniform(generator, 10, 30) * scale)
    texture = ground_texture(street, generator, cell=uniform(generator, 2, 12))
    puddle = torch.sigmoid((texture - uniform(generator, 0.35, 0.75)) / 0.05)
    reflected = rough + puddle * (sharp - rough)
    strength = (0.1 + 0.9 * fresnel(street)) * uniform(generator, 0.7, 1.0)
    strength = strength * (uniform(generator, 0.4, 1.0) * (1 - puddle) + puddle)
    strength = strength.clamp(max=HIGHEST_SHARE)
    wet = light * uniform(generator, 0.35, 0.85)
    return light + street.ground * (wet + strength * (reflected - wet) - light)


def fresnel(street: Street) -> Tensor:
    """Share of light (H, W) that still water at each pixel reflects: Schlick's approximation, 0.02 straight down."""
    cosine = CAMERA_HEIGHT / (street.depth**2 + street.lateral**2 + CAMERA_HEIGHT**2).sqrt()
    return 0.02 + 0.98 * (1 - cosine) ** 5


def mirrored_rows(street: Street) -> Tensor:
    """Row (H, W) [px] whose mirror image a flat wet road shows at each pixel.

    A thing at depth Z is mirrored about the row where it meets the road, `horizon + focal * CAMERA_HEIGHT / Z`. Its
    depth is that at the row looked for, so the row is found by iterating from a far one.
    """
    rows, columns = street.depth.shape
    row = torch.arange(rows, device=street.depth.device, dtype=street.depth.dtype)[:, None].expand(rows, columns)
    contact = torch.full_like(street.depth, street.horizon + street.focal * CAMERA_HEIGHT / FAR)
    for _ in range(3):
        source = (2 * contact - row).clamp(0, rows - 1)
        depth = street.depth.gather(0, source.round().long())
        contact = street.horizon + street.focal * CAMERA_HEIGHT / depth
    return (2 * contact - row).clamp(0, rows - 1)


def mirror_image(light: Tensor, street: Street) -> Tensor:
    """Image (3, H, W) seen in a flat mirror on the road, soft where images are large.

    Args:
        light: linear light (3, H, W).
        street: geometry of the frame.
    """
    step = 2 if light.shape[2] >= 320 else 1
    coarse = street.shrink(step)
    source = mirrored_rows(coarse).round().long()
    seen = light[:, ::step, ::step]
    mirrored = seen.gather(1, source[None].expand_as(seen))
    return enlarge(mirrored, light.shape[1:])
