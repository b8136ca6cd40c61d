"""What falls between the street and the lens, and on it: rain streaks, snow flakes, drops."""

import math

import torch
from torch import Generator, Tensor

from .camera import blur, log_uniform, uniform


def specks(generator: Generator, count: int, like: Tensor) -> Tensor:
    """Image (H, W) that is 0 but for so many random pixels between 0.3 and 1."""
    rows, columns = like.shape[-2:]
    field = torch.zeros(rows * columns)
    field[torch.randint(rows * columns, (count,), generator=generator)] = 0.3 + 0.7 * torch.rand(
        count, generator=generator
    )
    return field.view(rows, columns).to(like.device)


def streaks(light: Tensor, generator: Generator, *, air: Tensor) -> Tensor:
    """Linear light (3, H, W) behind falling drops that the exposure draws out into parallel lines.

    Args:
        light: linear light (3, H, W).
        generator: source of the draws (CPU).
        air: light that the drops refract, of the sky (3, 1, 1) or of what is around each pixel (3, H, W).
    """
    pixels = light.shape[1] * light.shape[2]
    length = max(3, int(uniform(generator, 8, 40) * light.shape[1] / 320))
    start = specks(generator, int(pixels * log_uniform(generator, 2e-5, 1.2e-3)), light)
    slope = uniform(generator, -0.25, 0.25)
    cover = torch.zeros_like(start)
    for step in range(length):
        cover = torch.maximum(cover, torch.roll(start, (step, round(slope * step)), (0, 1)))
    cover = blur(cover[None], 0.5 * light.shape[2] / 576)[0] * uniform(generator, 0.1, 0.45)
    return light + cover * (1.2 * air - light)


def flakes(light: Tensor, generator: Generator) -> Tensor:
    """Linear light (3, H, W) behind falling snow: many small far flakes, few large ones near the lens."""
    pixels, scale = light.shape[1] * light.shape[2], light.shape[2] / 576
    white = uniform(generator, 0.6, 1.0)
    fall = uniform(generator, 1, 2.5)
    for radius, share in ((0.6, 2e-3), (1.2, 5e-4), (3.0, 6e-5)):
        radius = max(radius * scale, 0.45)
        spots = specks(generator, int(pixels * share * log_uniform(generator, 0.2, 3)), light)
        cover = blur(spots[None], radius, fall * radius)[0] * (6.3 * fall * radius**2)  # peak 1
        light = light + (cover * uniform(generator, 0.5, 0.95)).clamp(max=1) * (white - light)
    return light


def drops(image: Tensor, generator: Generator) -> Tensor:
    """Image (3, H, W) behind drops on the windscreen: small lenses that show the scene blurred and upside down."""
    rows, columns = image.shape[1:]
    soft = blur(image, columns / 250)
    image = image.clone()
    for _ in range(int(uniform(generator, 1, 22))):
        radius = columns * log_uniform(generator, 0.004, 0.03)
        row, column = uniform(generator, 0, rows), uniform(generator, 0, columns)
        reach = math.ceil(1.2 * radius)
        v0, v1 = max(0, int(row) - reach), min(rows, int(row) + reach + 1)
        u0, u1 = max(0, int(column) - reach), min(columns, int(column) + reach + 1)
        v = torch.arange(v0, v1, device=image.device)[:, None] - row
        u = torch.arange(u0, u1, device=image.device)[None] - column
        distance = (u**2 + (v / uniform(generator, 1.0, 1.5)) ** 2).sqrt() / radius
        turned_v = (row - 4 * v).long().clamp(0, rows - 1).expand_as(distance)
        turned_u = (column - 4 * u).long().clamp(0, columns - 1).expand_as(distance)
        inside = soft[:, turned_v, turned_u] * (1.05 - 0.35 * distance.clamp(max=1) ** 4)
        cover = ((1 - distance) * 4).clamp(0, 1) * uniform(generator, 0.5, 0.95)
        image[:, v0:v1, u0:u1] += cover * (inside - image[:, v0:v1, u0:u1])
    return image.clamp(0, 1)
