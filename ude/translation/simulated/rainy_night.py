"""Rainy night from a day frame: the lamps of the night on a wet road, behind rain and drops."""

from torch import Generator, Tensor

from .camera import blur, happens, log_uniform, uniform
from .lens import drops, streaks
from .night import lamp_light, record
from .scene import Street
from .weather import RAIN_VISIBILITY, veil
from .wet import wet_ground


def rainy_night(image: Tensor, street: Street, generator: Generator) -> Tensor:
    """The day frame as a camera might record it in a rainy night.

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
        generator: source of every draw (CPU).
    """
    light = wet_ground(lamp_light(image, street, generator), street, generator)
    around = blur(light, image.shape[2] / 14)  # what lights the air, and the drops that fall
    air = around.mean((1, 2), keepdim=True) * uniform(generator, 0.1, 0.5)
    light = veil(light, street.depth, visibility=log_uniform(generator, *RAIN_VISIBILITY), air=air)
    light = light + uniform(generator, 0, 1) * street.sky * air  # low clouds send the light of the town back
    light = streaks(light, generator, air=around)
    image = record(light, generator)
    return drops(image, generator) if happens(generator, 0.6) else image
