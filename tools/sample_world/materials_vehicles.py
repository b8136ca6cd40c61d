"""Materials of vehicles: bodies with lamps and plates, glazed cabins, wheels."""

import numpy as np

from .paint import Paint, Patch, color

LIGHTS_ON = 500  # cars whose seed is larger drive or park with their lights on


def car_body(patch: Patch) -> Paint:
    """Painted metal with head and tail lamps, number plates, grille and door joints."""
    albedo = patch.tint * (0.92 + 0.16 * patch.texture("cloudy", 1.0)[0])
    up, aside = patch.local[2] / patch.half[2], np.abs(patch.local[1] / patch.half[1])
    end = patch.face == 0
    front, back = end & (patch.local[0] > 0), end & (patch.local[0] < 0)
    lamp = (up > 0.1) & (up < 0.72) & (aside > 0.58) & (aside < 0.95)
    albedo = np.where(end & (up < -0.35), albedo * 0.35 + 0.02, albedo)
    albedo = np.where(back & lamp, color(0.35, 0.01, 0.01), albedo)
    albedo = np.where(front & lamp, color(0.75, 0.75, 0.78), albedo)
    albedo = np.where(end & (up > -0.4) & (up < 0) & (aside < 0.3), color(0.8, 0.78, 0.55), albedo)
    albedo = np.where(front & (up > -0.1) & (up < 0.6) & (aside < 0.5), np.float32(0.03), albedo)
    joint = np.abs(np.abs(patch.local[0]) - 0.12 - 0.55 * (patch.local[0] > 0)) < 0.02
    albedo = np.where((patch.face == 1) & joint, albedo * 0.3, albedo)
    shining = lamp & (patch.seed > LIGHTS_ON)
    emission = (back & shining) * color(1.6, 0.06, 0.04) + (front & shining) * color(9.0, 8.6, 7.6)
    return Paint(albedo.astype(np.float32), emission, gloss=0.35)


def car_cabin(patch: Patch) -> Paint:
    """Windows, pillars and a roof; also the glazed bus shelters."""
    height = np.where(patch.box, 2, 1) * patch.half[2]
    share = (patch.local[2] + patch.box * patch.half[2]) / height
    along = patch.local[0] / patch.half[0]
    pillar = (np.abs(patch.normal[1]) > 0.5) & ((np.abs(along + 0.05) < 0.05) | (np.abs(along) > 0.8))
    glass = (share > 0.12) & (share < 0.86) & (patch.normal[2] <= 0.9) & ~pillar
    return Paint(np.where(glass, color(0.02, 0.025, 0.03), patch.tint), gloss=np.where(glass, 0.9, 0.35))


def wheel(patch: Patch) -> Paint:
    """A tyre with a bright rim."""
    radius = np.sqrt(patch.local[0] ** 2 + patch.local[2] ** 2) / patch.half[0]
    return Paint(np.where(radius < 0.55, np.float32(0.35), np.float32(0.025)) * color(1, 1, 1))
