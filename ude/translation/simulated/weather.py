"""Rain, fog and snow from a day frame: overcast light, a veil that thickens with depth, wet or white ground."""

import torch
from torch import Generator, Tensor

from .camera import (
    blur,
    happens,
    log_uniform,
    luminance,
    saturate,
    sensor_noise,
    smooth_noise,
    tint,
    to_display,
    to_linear,
    uniform,
)
from .lens import drops, flakes, streaks
from .lights import emission, vehicle_lights
from .scene import Street, ground_texture, weaken_shadows
from .wet import wet_ground

GREY_BLUE, GREY = (0.92, 0.98, 1.06), (1.02, 1.0, 0.97)
RAIN_VISIBILITY = 600, 8000  # [m] from a cloudburst to light rain; air that hides more is fog
CONTRAST_AT_VISIBILITY = 3.912  # -ln(0.02): an object at the visibility keeps 2 % of its contrast (Koschmieder)


def veil(light: Tensor, depth: Tensor, *, visibility: float, air: Tensor) -> Tensor:
    """Linear light (3, H, W) seen through rain, fog or falling snow.

    It is `light * t + air * (1 - t)` with the transmission `t = exp(-3.912 * depth / visibility)`.

    Args:
        light: linear light (3, H, W).
        depth: depth [m], (H, W).
        visibility: distance at which 2 % of the contrast are left [m].
        air: light of the air (3, 1, 1).
    """
    transmission = torch.exp(-CONTRAST_AT_VISIBILITY / visibility * depth)
    return light * transmission + air * (1 - transmission)


def rain(image: Tensor, street: Street, generator: Generator) -> Tensor:
    """The day frame as a camera might record it on a rainy day.

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
        generator: source of every draw (CPU).
    """
    light, air = overcast(image, street, generator, saturation=(0.5, 1.1))
    light = add_vehicle_lights(light, street, generator)
    light = wet_ground(light, street, generator)
    light = veil(light, street.depth, visibility=log_uniform(generator, *RAIN_VISIBILITY), air=air)
    light = streaks(light, generator, air=air)
    light = record(light, generator)
    return drops(light, generator) if happens(generator, 0.6) else light


def fog(image: Tensor, street: Street, generator: Generator) -> Tensor:
    """The day frame as a camera might record it in fog; arguments as of `rain`."""
    light, air = overcast(image, street, generator, saturation=(0.4, 0.9))
    light = add_vehicle_lights(light, street, generator)
    light = veil(light, street.depth, visibility=log_uniform(generator, 30, 300), air=air)
    return record(light, generator)


def snow(image: Tensor, street: Street, generator: Generator) -> Tensor:
    """The day frame as a camera might record it on a snowy day; arguments as of `rain`."""
    light, air = overcast(image, street, generator, saturation=(0.3, 0.8))
    light = snowy_ground(light, street, generator)
    light = add_vehicle_lights(light, street, generator)
    light = veil(light, street.depth, visibility=log_uniform(generator, 80, 1200), air=air)
    return record(flakes(light, generator), generator)


def overcast(
    image: Tensor, street: Street, generator: Generator, *, saturation: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Linear light (3, H, W) under a closed cloud cover, and the colour of the sky (3, 1, 1).

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
        generator: source of the draws (CPU).
        saturation: range of what is left of the colours.
    """
    light = weaken_shadows(to_linear(image), street, amount=uniform(generator, 0.2, 0.8))
    light = saturate(light, uniform(generator, *saturation)).clamp(min=0)
    surface = (1 - street.sky).clamp(min=1e-3)
    mean = (luminance(light) * surface).sum() / surface.sum()
    level = log_uniform(generator, 0.1, 0.32)
    light = light * level / mean.clamp(min=0.02)
    air = min(level * log_uniform(generator, 1.5, 4.5), 0.95) * tint(generator, GREY_BLUE, GREY, image)
    clouds = smooth_noise(generator, (3, 6), image) - 0.5
    sky = air * (1 + uniform(generator, 0, 0.35) * clouds)
    return light + street.sky * (sky - light), air


def add_vehicle_lights(light: Tensor, street: Street, generator: Generator) -> Tensor:
    """Linear light (3, H, W) with the lamps of some vehicles switched on."""
    if happens(generator, 0.4):
        return light
    return light + 0.3 * emission(street, vehicle_lights(street, generator, count=int(uniform(generator, 1, 6))))


def snowy_ground(light: Tensor, street: Street, generator: Generator) -> Tensor:
    """Linear light (3, H, W) with snow on the ground, thinner in two wheel tracks."""
    texture = ground_texture(street, generator, cell=uniform(generator, 0.4, 2))
    cover = uniform(generator, 0.35, 0.95) + 0.5 * (texture - 0.5)
    offset = uniform(generator, -0.5, 0.5)
    tracks = torch.exp(-((((street.lateral - offset).abs() - 0.8) / 0.35) ** 2))
    cover = (cover - uniform(generator, 0, 0.6) * tracks).clamp(0, 1) * street.ground
    white = uniform(generator, 0.45, 0.8) * tint(generator, GREY_BLUE, GREY, light) * (0.9 + 0.2 * texture)
    return light + cover * (white - light)


def record(light: Tensor, generator: Generator) -> Tensor:
    """Image (3, H, W) in [0, 1] that a lens and a sensor make of linear daylight."""
    scale = light.shape[2] / 576
    if happens(generator, 0.2):
        light = blur(light, scale * uniform(generator, 0.3, 0.9))
    if happens(generator, 0.1):  # a film of water on part of the windscreen
        film = smooth_noise(generator, (2, 3), light)
        light = light + film * (blur(light, scale * uniform(generator, 1, 2.5)) - light)
    read, shot = log_uniform(generator, 0.001, 0.006), log_uniform(generator, 0.005, 0.03)
    return to_display(sensor_noise(light, generator, read=read, shot=shot, blotch=0.5 * read))
