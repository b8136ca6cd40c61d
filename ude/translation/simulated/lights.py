"""Lamps of a simulated night: what they throw on the street (irradiance) and how they look themselves (emission).

Positions are those of `simulated_scene`: lateral to the right, height above the road, depth ahead, in pseudo-metres.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from .camera import happens, log_uniform, tint, uniform
from .scene import Street

SODIUM, WHITE = (1.0, 0.62, 0.25), (0.86, 0.95, 1.0)
RED, HEADLAMP_WARM, HEADLAMP_COLD = (1.0, 0.07, 0.03), (1.0, 0.86, 0.62), (0.9, 0.96, 1.0)
SIGNALS = (RED, (0.1, 1.0, 0.7), (1.0, 0.55, 0.1), WHITE, SODIUM)
LIT_RANGE = 60.0  # [m] street lamps farther away are seen but their light on the road is not


@dataclass(frozen=True)
class Light:
    """A round light in the image.

    Attributes:
        column: where [px].
        row: where [px].
        depth: how far [m].
        radius: how large [m].
        colour: linear light of its centre (3, 1, 1).
    """

    column: float
    row: float
    depth: float
    radius: float
    colour: Tensor


@dataclass(frozen=True)
class StreetLamps:
    """Street lamps of one kind.

    Attributes:
        positions: (lateral, height, depth) of each [m].
        colour: colour of their light (3, 1, 1).
        power: irradiance on the road 6 m under one.
        brightness: linear light of a lamp's head.
        radius: radius of a lamp's head [m].
    """

    positions: tuple[tuple[float, float, float], ...]
    colour: Tensor
    power: float
    brightness: float
    radius: float

    def irradiance(self, street: Street) -> Tensor:
        """Coloured light (3, H, W) that the lamps throw on the street."""
        near = [lamp_irradiance(street, *position) for position in self.positions if position[2] < LIT_RANGE]
        return self.power * self.colour * sum(near, torch.zeros_like(street.depth))

    def heads(self, street: Street) -> list[Light]:
        """The lamps as they are seen, without those beside the camera."""
        return [
            Light(street.column(x, z), street.row(height, z), z, self.radius, self.brightness * self.colour)
            for x, height, z in self.positions
            if z > 4
        ]


def street_lamps(generator: Generator, like: Tensor) -> StreetLamps:
    """One or two rows of lamps along a road that bends a little, the first beside the camera.

    Args:
        generator: source of the draws (CPU).
        like: a tensor on the device of the colours.
    """
    spacing, height = uniform(generator, 16, 45), uniform(generator, 4.5, 9)
    bend = uniform(generator, -4e-3, 4e-3)
    first = 1 if happens(generator, 0.5) else -1
    positions = []
    for side in (first, -first) if happens(generator, 0.6) else (first,):
        lateral, start = uniform(generator, 3.5, 9), uniform(generator, 0, spacing)
        depths = [start + spacing * k for k in range(int(130 / spacing) + 1)]
        positions += [(side * lateral + bend * depth**2, height, depth) for depth in depths]
    return StreetLamps(
        positions=tuple(positions),
        colour=tint(generator, SODIUM, WHITE, like),
        power=log_uniform(generator, 0.15, 2.5),
        brightness=log_uniform(generator, 2, 12),
        radius=uniform(generator, 0.1, 0.2),
    )


def lamp_irradiance(street: Street, lateral: float, height: float, depth: float) -> Tensor:
    """Irradiance (H, W) of a street lamp at a place [m]: about 1 on the road 6 m under it, nothing above it."""
    down = (height - street.height).clamp(min=0)
    range_squared = (street.lateral - lateral) ** 2 + down**2 + (street.depth - depth) ** 2 + 1
    return 36 * (down / range_squared.sqrt()) ** 1.5 / range_squared * (1 - street.sky)


def head_lamps(street: Street, generator: Generator) -> Tensor:
    """Irradiance (H, W) of the own low or high beam, about 1 on a wall 10 m ahead.

    An inverse-square cone from the front bumper with a horizontal cut-off: it lies on the road, fades with the
    distance, and leaves what is above the bonnet in stray light.
    """
    ahead = (street.depth - 1.5).clamp(min=1.0)  # the lamps stand in front of the camera
    up = street.height - 0.65
    range_squared = ahead**2 + street.lateral**2 + up**2
    across, rise = street.lateral / ahead - uniform(generator, -0.08, 0.08), up / ahead
    width = uniform(generator, 0.3, 0.65)
    beam = torch.exp(-((across / width) ** 2)) + 0.03 * torch.exp(-((across / 1.1) ** 2))
    cut = uniform(generator, 0.04, 0.12) if happens(generator, 0.2) else uniform(generator, -0.015, 0.01)
    stray = uniform(generator, 0.02, 0.10)
    below = stray + (1 - stray) * torch.sigmoid((cut - rise) / uniform(generator, 0.006, 0.03))
    spot = torch.exp(rise.clamp(max=0) / log_uniform(generator, 0.07, 0.3))
    grazing = (0.65 / range_squared.sqrt()) ** uniform(generator, 0.6, 1.0)  # asphalt sends back more than a matt plane
    incidence = street.ground * grazing + (1 - street.ground) * 0.8
    return 100 / range_squared * beam * below * spot * incidence * (1 - street.sky)


def distant_lights(street: Street, generator: Generator) -> list[Light]:
    """Signals, lamps and signs far away: small dots in a band about the horizon."""
    lights = []
    for _ in range(int(uniform(generator, 0, 26))):
        depth, height = uniform(generator, 35, 140), uniform(generator, 0.5, 9)
        kind = SIGNALS[int(uniform(generator, 0, len(SIGNALS)))]
        colour = log_uniform(generator, 0.8, 12) * tint(generator, kind, kind, street.depth)
        column = uniform(generator, 0, street.depth.shape[1])
        lights.append(Light(column, street.row(height, depth), depth, uniform(generator, 0.08, 0.3), colour))
    return lights


def vehicle_lights(street: Street, generator: Generator, *, count: int) -> list[Light]:
    """Pairs of head lamps on one side of the road and of tail lamps on the other.

    A pair sits where the depth shows something that stands on the road between 0.5 and 1.1 m above it.

    Args:
        street: geometry of the frame.
        generator: source of the draws (CPU).
        count: how many vehicles at most carry lights.
    """
    body = (street.height > 0.5) & (street.height < 1.1) & (street.ground < 0.3) & (street.lateral.abs() < 8)
    body &= (street.depth > 6) & (street.depth < 90)
    oncoming = 1 if happens(generator, 0.5) else -1
    lights = []
    for row, column in draw_pixels(body, generator, count):
        depth = float(street.depth[row, column])
        gap = uniform(generator, 1.1, 1.5) * street.focal / depth
        if column + gap >= body.shape[1] or abs(float(street.depth[row, int(column + gap)]) / depth - 1) > 0.12:
            continue  # the second lamp would hang in the air
        if float(street.lateral[row, column]) * oncoming > -0.5 and happens(generator, 0.7):
            colour = log_uniform(generator, 4, 30) * tint(generator, HEADLAMP_WARM, HEADLAMP_COLD, street.depth)
        else:
            colour = log_uniform(generator, 0.6, 4) * tint(generator, RED, RED, street.depth)
        lights += [Light(u, row, depth, 0.07, colour) for u in (column, column + gap)]
    return lights


def draw_pixels(mask: Tensor, generator: Generator, count: int, *, tries: int = 400) -> list[tuple[int, int]]:
    """At most `count` random (row, column) pixels of a mask (H, W), of `tries` drawn over the whole image."""
    drawn = torch.rand((2, tries), generator=generator)
    rows, columns = (drawn * torch.tensor(mask.shape)[:, None]).long().to(mask.device)
    hit = mask[rows, columns].nonzero()[:count, 0]
    return list(zip(rows[hit].tolist(), columns[hit].tolist(), strict=True))


def emission(street: Street, lights: Iterable[Light]) -> Tensor:
    """Linear light (3, H, W) of the lamps themselves, where the street does not hide them."""
    seen = street.depth.new_zeros((3, *street.depth.shape))
    for light in lights:
        if is_seen(street, light):
            _add(seen, light, light.radius * street.focal / light.depth)
    return seen


def is_seen(street: Street, light: Light) -> bool:
    """Whether a light is inside the image and in front of what is there."""
    rows, columns = street.depth.shape
    if not (0 <= light.column < columns and 0 <= light.row < rows):
        return False
    return float(street.depth[int(light.row), int(light.column)]) > 0.8 * light.depth


def _add(image: Tensor, light: Light, radius: float) -> None:
    """Add a soft disc of a radius [px] to an image (3, H, W); below half a pixel it is dimmer instead of smaller."""
    sigma = max(0.45, radius)
    dimmed = min(1.0, max(0.1, (radius / sigma) ** 2))
    reach = math.ceil(3 * sigma)
    top, left = max(0, int(light.row) - reach), max(0, int(light.column) - reach)
    patch = image[:, top : int(light.row) + reach + 1, left : int(light.column) + reach + 1]
    v = torch.arange(patch.shape[1], device=image.device)[:, None] + top - light.row
    u = torch.arange(patch.shape[2], device=image.device)[None] + left - light.column
    patch += dimmed * light.colour * torch.exp(-0.5 * ((u**2 + v**2) / sigma**2) ** 1.5)
