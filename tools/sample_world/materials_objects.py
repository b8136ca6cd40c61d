"""Materials of street furniture, plants and people."""

import numpy as np

from .noise import volume_noise
from .paint import Paint, Patch, color


def plain(patch: Patch) -> Paint:
    """One colour with faint stains."""
    return Paint(patch.tint * (0.8 + 0.4 * patch.texture("cloudy", 1.0)[0]))


def foliage(patch: Patch) -> Paint:
    """Leaves: brightness and normal vary from cell to cell; darker below."""
    fine = volume_noise(*patch.local, cell=0.06, offset=11.0)
    coarse = volume_noise(*patch.local, cell=0.25, offset=23.0)
    sharp = np.clip(0.055 / np.maximum(patch.footprint, np.float32(1e-4)), 0, 1)  # far leaves blend into their mean
    bright = np.clip(0.42 + 0.20 * fine * sharp + 0.12 * coarse, 0.04, 1)
    albedo = (color(0.012, 0.03, 0.008) + bright**2 * color(0.22, 0.36, 0.075)) * patch.tint
    albedo *= 0.40 + 0.75 * np.clip(patch.local[2] / patch.half[2] * 0.5 + 0.5, 0, 1)
    normal = 0.6 * patch.normal
    normal[0] += 0.25 * fine
    normal[1] += 0.25 * coarse
    normal[2] += 0.4
    normal /= np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    return Paint(albedo.astype(np.float32), normal=normal)


def bark(patch: Patch) -> Paint:
    """Rough bark around a trunk."""
    return Paint(patch.texture("bark", 1.2, 0.4 * np.arctan2(patch.local[1], patch.local[0]), patch.height))


def metal(patch: Patch) -> Paint:
    """Grey, slightly shining metal."""
    return Paint(patch.tint * patch.texture("metal", 1.0), gloss=0.2)


def sign(patch: Patch) -> Paint:
    """A round traffic sign on a square board."""
    radius = np.sqrt(patch.local[1] ** 2 + patch.local[2] ** 2) / patch.half[1]
    albedo = np.where(radius < 0.62, np.float32(0.8), patch.tint)
    return Paint(np.where((np.abs(patch.local[1]) < 0.06) & (radius < 0.5), np.float32(0.03), albedo))


def lamp(patch: Patch) -> Paint:
    """The head of a street lamp."""
    return Paint(np.full_like(patch.tint, 0.5), 14 * patch.tint)


def traffic_light(patch: Patch) -> Paint:
    """A black case with one disc lit, red above or green below."""
    red = patch.seed > 0.5
    up = patch.local[2] / patch.half[2] - np.where(red, 0.66, -0.66)
    disc = (patch.face == 0) & ((patch.local[1] / 0.1) ** 2 + (up / 0.28) ** 2 < 1)
    light = np.where(red, color(1, 0.05, 0.03), color(0.05, 1, 0.5))
    return Paint(np.where(disc, light, np.float32(0.03)), disc * light * 5)


def cloth(patch: Patch) -> Paint:
    """Clothes and skin."""
    return Paint(patch.tint * (0.7 + 0.6 * patch.texture("cloudy", 0.5)[0]))
