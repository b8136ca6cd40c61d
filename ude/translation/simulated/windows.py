"""Lit windows and shop fronts of a simulated night, in the perspective of the facades that the depth shows."""

import math

import torch
from torch import Generator, Tensor

from .camera import blur, happens, log_uniform, luminance, tint, uniform
from .lights import draw_pixels
from .scene import Street

INCANDESCENT, DAYLIGHT_TUBE = (1.0, 0.72, 0.38), (0.9, 1.0, 0.95)
GLASS_SEEN = 0.04  # share of a grid that must be glass for its panes to be taken from the image


def lit_windows(image: Tensor, street: Street, glass: Tensor, generator: Generator) -> Tensor:
    """Linear light (3, H, W) of clusters of windows and shop fronts on some facades.

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
        glass: how much a pixel is a pane, 0..1 (H, W).
        generator: source of the draws (CPU).
    """
    facade = facade_mask(image, street)
    light = torch.zeros_like(image)
    starts = facade & (street.height > 2.4) & (street.depth > 5) & (street.depth < 160)  # higher than a car
    for row, column in draw_pixels(starts, generator, int(uniform(generator, 5, 60))):
        if float(street.height[row, column]) < 3.8 and happens(generator, 0.6):
            cells, pitch = (1, 3), (uniform(generator, 2, 5), 2.6)  # a shop
        else:
            cells, pitch = (4, 4), (uniform(generator, 1.6, 3.5), uniform(generator, 2.4, 3.4))
        lit = torch.rand(cells, generator=generator)
        lit = lit * (torch.rand(cells, generator=generator) < uniform(generator, 0.2, 0.7))
        colour = log_uniform(generator, 0.25, 5) * tint(generator, INCANDESCENT, DAYLIGHT_TUBE, image)
        guess = happens(generator, 0.3)
        area, brightness = window_grid(street, facade, glass, (row, column), lit=lit, pitch=pitch, guess=guess)
        light[:, *area] += colour * brightness
    return light


def facade_mask(image: Tensor, street: Street) -> Tensor:
    """Where windows may be, bool (H, W): upright, beside the road, and neither sky nor leaves."""
    leaves = ((image[1] > 0.97 * image[0]) & (image[2] < 0.8 * image[1])).float()
    green = blur(leaves[None], image.shape[2] / 150)[0] > 0.3
    beside = (street.height > 0.5) & (street.lateral.abs() > 3.5)
    return beside & (street.ground < 0.3) & (street.sky < 0.3) & ~green & (luminance(image) < 0.75)


def window_grid(
    street: Street,
    facade: Tensor,
    glass: Tensor,
    corner: tuple[int, int],
    *,
    lit: Tensor,
    pitch: tuple[float, float],
    guess: bool,
) -> tuple[tuple[slice, slice], Tensor]:
    """A grid of windows that lies on the facade at a pixel: the part (rows, columns) of the image and its brightness.

    Where the image shows panes, they are what shines; elsewhere each cell of the grid may hold one.

    Args:
        street: geometry of the frame.
        facade: where windows may be (H, W).
        glass: how much a pixel is a pane, 0..1 (H, W).
        corner: row and column of the grid's upper left corner [px].
        lit: brightness of each window (down, across).
        pitch: width and height of a cell of the grid [m].
        guess: whether cells hold panes where the image shows none.
    """
    row, column = corner
    depth = float(street.depth[row, column])
    slope = depth_slope(street.depth, row, column)
    width = max(1.0, pitch[0] / math.hypot(depth / street.focal, slope))  # [px] of a cell
    height = max(1.0, pitch[1] * street.focal / depth)
    down, across = lit.shape
    area = (slice(row, row + round(height * down) + 1), slice(column, column + round(width * across) + 1))
    patch = street.depth[area]
    u = torch.arange(patch.shape[1], device=patch.device)[None]
    v = torch.arange(patch.shape[0], device=patch.device)[:, None] + (row - street.horizon) * slope / depth * u
    i, j = (v / height).floor().long(), (u / width).floor().long()
    inside = (i >= 0) & (i < down) & (j < across) & facade[area]
    panes = glass[area]
    if float((panes * facade[area]).mean()) < GLASS_SEEN:
        panes = ((v / height - i - 0.5).abs() < 0.3) & ((u / width - j - 0.5).abs() < 0.34) & guess
    same_wall = (patch - depth - slope * u).abs() < 0.2 * depth
    shine = lit.to(patch.device)[i.clamp(0, down - 1), j.clamp(max=across - 1)]
    return area, shine * panes * (inside & same_wall)


def depth_slope(depth: Tensor, row: int, column: int) -> float:
    """Change of depth per column [m/px] about a pixel: 0 for a wall that faces the camera; limited for noisy depth."""
    left, right = max(column - 3, 0), min(column + 3, depth.shape[1] - 1)
    limit = 0.15 * float(depth[row, column])
    return max(-limit, min(limit, float(depth[row, right] - depth[row, left]) / max(right - left, 1)))
