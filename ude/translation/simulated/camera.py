"""What a camera does to light, for the simulated weather: linear light, blur, bloom, glare, sensor noise, seeded draws.

Images are (C, H, W) float tensors of one frame. Draws come from a CPU generator: they are the same on every device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

GAMMA = 2.2
LUMINANCE = (0.2126, 0.7152, 0.0722)


def uniform(generator: Generator, low: float, high: float) -> float:
    """A number drawn evenly from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def log_uniform(generator: Generator, low: float, high: float) -> float:
    """A positive number drawn evenly on the logarithmic scale from [low, high)."""
    return math.exp(uniform(generator, math.log(low), math.log(high)))


def happens(generator: Generator, probability: float) -> bool:
    """Whether an event of this probability happens."""
    return uniform(generator, 0, 1) < probability


def tint(
    generator: Generator, warm: tuple[float, float, float], cold: tuple[float, float, float], like: Tensor
) -> Tensor:
    """A colour (3, 1, 1) between two colours, on the device of a tensor."""
    share = uniform(generator, 0, 1)
    return torch.tensor(
        [share * a + (1 - share) * b for a, b in zip(warm, cold, strict=True)], device=like.device
    ).view(3, 1, 1)


def to_linear(image: Tensor) -> Tensor:
    """Linear light of a gamma-coded image in [0, 1]."""
    return image.clamp(0, 1) ** GAMMA


def to_display(light: Tensor) -> Tensor:
    """Gamma-coded image in [0, 1] of linear light; brighter than 1 saturates."""
    return light.clamp(0, 1) ** (1 / GAMMA)


def luminance(image: Tensor) -> Tensor:
    """Rec. 709 luminance (H, W) of an image (3, H, W)."""
    return LUMINANCE[0] * image[0] + LUMINANCE[1] * image[1] + LUMINANCE[2] * image[2]


def saturate(image: Tensor, saturation: float) -> Tensor:
    """Image with its colours scaled about grey: 0 is grey, 1 unchanged."""
    grey = luminance(image)
    return grey + saturation * (image - grey)


def blur(image: Tensor, sigma: float, sigma_rows: float | None = None) -> Tensor:
    """Gaussian blur of (C, H, W); wide blurs run on a smaller image and are enlarged again.

    Args:
        image: channels to blur (C, H, W).
        sigma: standard deviation along the columns [px], and along the rows unless `sigma_rows` is given.
        sigma_rows: standard deviation along the rows, i.e. vertically [px].
    """
    vertical = sigma if sigma_rows is None else sigma_rows
    steps = [max(1, min(size // 4, int(s / 1.5))) for s, size in zip((vertical, sigma), image.shape[1:], strict=True)]
    small = F.avg_pool2d(image[None], steps, ceil_mode=True, count_include_pad=False) if max(steps) > 1 else image[None]
    small = _blur_axis(_blur_axis(small, vertical / steps[0], -2), sigma / steps[1], -1)
    return enlarge(small[0], image.shape[1:])


def enlarge(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Image (C, h, w) enlarged bilinearly to (height, width)."""
    if image.shape[1:] == size:
        return image
    return F.interpolate(image[None], size, mode="bilinear", align_corners=False)[0]


def _blur_axis(image: Tensor, sigma: float, axis: int) -> Tensor:
    """Gaussian blur of (1, C, H, W) along one axis, edges repeated."""
    radius = min(math.ceil(2.5 * sigma), image.shape[axis] - 1)
    if sigma < 0.05 or radius < 1:
        return image
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).tolist()
    padding = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
    padded = F.pad(image, padding, mode="replicate")
    size = image.shape[axis]
    return sum(w * padded.narrow(axis, i, size) for i, w in enumerate(weights))


def bloom(light: Tensor, *, strength: float, scale: float) -> Tensor:
    """Light that the lens scatters around whatever is brighter than it can record.

    Args:
        light: linear light (3, H, W), not limited to 1.
        strength: share of the excess that is scattered.
        scale: radius of the narrow halo [px]; the wide one is six times that.
    """
    excess = (light - 0.8).clamp(0, 12)
    step = max(1, min(4, int(scale)))  # the wide halos need no finer grid
    small = F.avg_pool2d(excess[None], step, ceil_mode=True)[0]
    wide = 0.35 * blur(small, 3 * scale / step) + 0.25 * blur(small, 8 * scale / step)
    return light + strength * (0.5 * blur(excess, scale) + enlarge(wide, light.shape[1:]))


def glare(light: Tensor, *, strength: float, angle_rad: float, length: float) -> Tensor:
    """Streaks through saturated lights, as of a smeared windscreen.

    Args:
        light: linear light (3, H, W), not limited to 1.
        strength: share of the excess that is streaked.
        angle_rad: direction of the streak from the horizontal [rad].
        length: length of one arm [px].
    """
    step = 4
    excess = F.avg_pool2d((light - 1).clamp(0, 12)[None], step, ceil_mode=True)[0]
    reach = max(2, min(int(length / step), min(excess.shape[1:]) - 1))
    padded = F.pad(excess[None], (reach,) * 4)[0]
    streak = torch.zeros_like(excess)
    for distance in range(-reach, reach + 1):
        row = reach + round(distance * math.sin(angle_rad))
        column = reach + round(distance * math.cos(angle_rad))
        streak += (1 - abs(distance) / (reach + 1)) ** 2 * padded[
            :, row : row + excess.shape[1], column : column + excess.shape[2]
        ]
    return light + strength / 3 * enlarge(streak, light.shape[1:])


def sensor_noise(light: Tensor, generator: Generator, *, read: float, shot: float, blotch: float) -> Tensor:
    """Linear light with shot, read and spatially correlated colour noise.

    Args:
        light: linear light (3, H, W).
        generator: source of the draws (CPU).
        read: standard deviation in the dark.
        shot: standard deviation at light 1; grows with the square root of the light.
        blotch: standard deviation of colour noise three pixels wide.
    """
    shape = light.shape
    fine = torch.randn(shape, generator=generator).to(light.device)
    coarse = torch.randn((shape[0], -(-shape[1] // 3), -(-shape[2] // 3)), generator=generator).to(light.device)
    deviation = (read**2 + shot**2 * light.clamp(min=0)).sqrt()
    return light + deviation * fine + blotch * enlarge(coarse, shape[1:])


def smooth_noise(generator: Generator, cells: tuple[int, int], like: Tensor) -> Tensor:
    """Smooth random field (H, W) in [0, 1] with so many cells down and across, as large as an image (..., H, W)."""
    field = torch.rand((1, 1, *cells), generator=generator).to(like.device)
    return F.interpolate(field, like.shape[-2:], mode="bicubic", align_corners=False)[0, 0].clamp(0, 1)
