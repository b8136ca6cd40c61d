"""Night from a day frame: the day's light is taken away and lamps at plausible places light the street instead."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .camera import (
    bloom,
    blur,
    enlarge,
    glare,
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
from .glass import glass_mask
from .lights import (
    HEADLAMP_COLD,
    HEADLAMP_WARM,
    SODIUM,
    WHITE,
    StreetLamps,
    distant_lights,
    emission,
    head_lamps,
    street_lamps,
    vehicle_lights,
)
from .scene import Street, weaken_shadows
from .windows import lit_windows

MOONLIGHT, CITY_GLOW = (0.75, 0.88, 1.0), (1.0, 0.78, 0.55)


def night(image: Tensor, street: Street, generator: Generator) -> Tensor:
    """The day frame as a camera might record it at night.

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
        generator: source of every draw: lamps, exposure, tint and noise (CPU).
    """
    return record(lamp_light(image, street, generator), generator)


def lamp_light(image: Tensor, street: Street, generator: Generator) -> Tensor:
    """Linear light (3, H, W) of the street by its lamps, head lamps and windows, exposed; arguments as of `night`."""
    surface = reflectance(image, street, flatten=uniform(generator, 0.2, 0.8))
    surface = saturate(surface, uniform(generator, 0.4, 1.1)).clamp(min=0)
    glass = glass_mask(image, street)
    surface = surface * (1 - 0.85 * glass)  # no sky is left to mirror
    lamps = street_lamps(generator, image) if happens(generator, 0.75) else None
    lights = [] if lamps is None else lamps.heads(street)
    lights += distant_lights(street, generator)
    lights += vehicle_lights(street, generator, count=int(uniform(generator, 0, 8)))
    emitted = emission(street, lights) + lit_windows(image, street, glass, generator)
    spill = blur(emitted.clamp(max=6), image.shape[2] / 14)  # windows and lamps light what is around them
    light = irradiance(street, generator, lamps) + log_uniform(generator, 0.2, 3) * spill
    reflected = surface * light + night_sky(street, generator)
    return expose(reflected, generator) + log_uniform(generator, 0.4, 1.6) * emitted


def reflectance(image: Tensor, street: Street, *, flatten: float) -> Tensor:
    """Surface colour in linear light (3, H, W), the road near 0.2, with the day's large shadows weakened; 0 in the sky.

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
        flatten: how much of the local mean brightness is divided out, 0..1.
    """
    surface = weaken_shadows(to_linear(image), street, amount=flatten) * (1 - street.sky)
    level = (luminance(surface) * street.ground).sum() / street.ground.sum().clamp(min=1)
    return surface * 0.2 / level.clamp(0.03, 0.6)


def irradiance(street: Street, generator: Generator, lamps: StreetLamps | None) -> Tensor:
    """Coloured light that falls on the street (3, H, W): sky glow, the own head lamps and the street lamps, if any."""
    columns = street.depth.shape[1]
    step = 2 if columns >= 320 else 1
    coarse = street.shrink(step)
    ambient = log_uniform(generator, 0.003, 0.03) * tint(generator, CITY_GLOW, MOONLIGHT, street.depth)
    light = ambient * (0.6 + 0.8 * smooth_noise(generator, (3, 4), coarse.depth))
    if happens(generator, 0.85):
        colour = log_uniform(generator, 0.25, 5) * tint(generator, HEADLAMP_WARM, HEADLAMP_COLD, street.depth)
        light = light + colour * head_lamps(coarse, generator)
    if lamps is not None:
        light = light + lamps.irradiance(coarse)
    return enlarge(opened(light, columns // (60 * step)), street.depth.shape)


def opened(light: Tensor, width: int) -> Tensor:
    """Light without bright ridges narrower than about `width` pixels (morphological opening), (3, H, W).

    Estimated depth is blurred at the outline of near things; what seems to float there would shine in the lamps.
    """
    radius = max(width // 2, 1)
    return _highest_around(-_highest_around(-light, radius), radius)


def _highest_around(light: Tensor, radius: int) -> Tensor:
    """Highest value (3, H, W) in a square about each pixel."""
    across = F.max_pool2d(light, (1, 2 * radius + 1), stride=1, padding=(0, radius))
    return F.max_pool2d(across, (2 * radius + 1, 1), stride=1, padding=(radius, 0))


def night_sky(street: Street, generator: Generator) -> Tensor:
    """Faint glow of the sky (3, H, W), stronger towards the horizon."""
    rows = torch.arange(street.depth.shape[0], device=street.depth.device)[:, None]
    above = (street.horizon - rows).clamp(min=0) / max(street.horizon, 1)
    glow = torch.exp(-above * uniform(generator, 0.5, 4)) * log_uniform(generator, 3e-4, 0.02)
    return street.sky * glow * tint(generator, CITY_GLOW, MOONLIGHT, street.depth)


def expose(reflected: Tensor, generator: Generator) -> Tensor:
    """Light after the camera's exposure, which reaches a mean from nearly black to dusk.

    Light above five times the mean counts as that: a near wall in the head lamps does not turn the rest black.
    """
    mean = luminance(reflected).mean()
    mean = luminance(reflected).clamp(max=5 * mean).mean().clamp(min=1e-6)
    return reflected * log_uniform(generator, 0.01, 0.22) / mean


def record(light: Tensor, generator: Generator) -> Tensor:
    """Image (3, H, W) in [0, 1] that a lens and a sensor make of linear light at night."""
    scale = light.shape[2] / 576
    light = bloom(light, strength=log_uniform(generator, 0.05, 0.5), scale=scale * uniform(generator, 1.0, 2.2))
    if happens(generator, 0.35):
        angle, length = uniform(generator, 0, 3.14), scale * uniform(generator, 20, 110)
        light = glare(light, strength=log_uniform(generator, 0.03, 0.4), angle_rad=angle, length=length)
    if happens(generator, 0.5):
        light = blur(light, scale * uniform(generator, 0.3, 1.0))
    veil = log_uniform(generator, 2e-4, 8e-3) * tint(generator, SODIUM, WHITE, light)
    light = (light + veil) * tint(generator, (1.1, 1.0, 0.85), (0.9, 1.0, 1.12), light)
    gain = log_uniform(generator, 0.15, 1.5)  # a dark scene is amplified, and its noise with it
    gain *= min(1.0, scale**0.5)  # a pixel of a small image is the mean of more of the sensor's
    light = sensor_noise(
        light, generator, read=0.006 * gain, shot=0.05 * gain, blotch=0.004 * gain * uniform(generator, 0, 1)
    )
    return to_display(light)
