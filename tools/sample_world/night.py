"""Light at night: street lamps, the ego car's head lamps, and the glow of the sky."""

import numpy as np

from .daylight import clouds
from .paint import color
from .street import Street
from .surfaces import Surface
from .textures import lookup

CELL = 0.25  # of the irradiance map on the ground [m]
REACH = 20.0  # how far a street lamp shines [m]
STRENGTH = 7.0
HEAD_LAMPS = ((1.6, 0.65, 0.65), (1.6, -0.65, 0.65))  # forward of the camera's foot point, left, up [m]
AMBIENT = color(0.006, 0.0055, 0.006)


class LampMap:
    """The street lamps' irradiance on the ground, added up once per street.

    Args:
        street: the street.
    """

    def __init__(self, street: Street):
        self.lamps, self.tint = street.lamps, color(*street.lamp_tint)
        self.low = self.lamps[:, :2].min(0) - 25
        columns, rows = ((self.lamps[:, :2].max(0) + 25 - self.low) / CELL).astype(int)
        self.irradiance = np.zeros((rows, columns), np.float32)
        for lamp in self.lamps:
            self._add(lamp)

    def _add(self, lamp: np.ndarray) -> None:
        reach = int(REACH / CELL)
        column, row = ((lamp[:2] - self.low) / CELL).astype(int)
        x0, y0 = max(column - reach, 0), max(row - reach, 0)
        window = self.irradiance[y0 : row + reach, x0 : column + reach]
        x = self.low[0] + (x0 + np.arange(window.shape[1]) + 0.5) * CELL
        y = self.low[1] + (y0 + np.arange(window.shape[0]) + 0.5) * CELL
        level = (x - lamp[0])[None] ** 2 + (y - lamp[1])[:, None] ** 2
        squared = level + lamp[2] ** 2 + 0.3
        cosine = lamp[2] / np.sqrt(squared)
        window += STRENGTH * (0.85 * cosine + 0.15) * cosine**1.5 / squared * (level < REACH**2)

    def on_ground(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Irradiance (n,) of points on the ground, x and y (n,) [m]."""
        column = (x - np.float32(self.low[0])) / np.float32(CELL) - np.float32(0.5)
        row = (y - np.float32(self.low[1])) / np.float32(CELL) - np.float32(0.5)
        return lookup(self.irradiance, column, row)

    def on_solids(self, position: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Irradiance (n,) of points (3, n) [m] with normals (3, n), lamp by lamp."""
        total = np.zeros(position.shape[1], np.float32)
        cell = np.floor(position[0] / 8).astype(np.int32)  # bins along the road: one sort serves all lamps
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        for lamp in self.lamps:
            first, last = np.searchsorted(cell, [int((lamp[0] - REACH) // 8), int((lamp[0] + REACH) // 8) + 1])
            at = order[first:last]
            if at.size == 0:
                continue
            x, y, z = lamp.astype(np.float32)[:, None] - position[:, at]
            squared = x * x + y * y + z * z + np.float32(0.3)
            inverse = 1 / np.sqrt(squared)
            facing = np.maximum((normal[0, at] * x + normal[1, at] * y + normal[2, at] * z) * inverse, 0)
            down = np.maximum(z * inverse, 0)
            light = (0.85 * facing + 0.15) * down * np.sqrt(down) / squared
            total[at] += STRENGTH * light * (squared < REACH**2)
        return total


def night_light(surface: Surface, lamps: LampMap, T_world_camera: np.ndarray) -> np.ndarray:
    """Radiance (3, n) under street lamps and the ego car's head lamps.

    Args:
        surface: the visible points.
        lamps: the street's lamps.
        T_world_camera: the camera's pose (4, 4); the head lamps sit below it.
    """
    light = np.zeros(surface.depth.size, np.float32)
    low = surface.position[2] < 0.02
    ground, solids = np.flatnonzero(low), np.flatnonzero(~low)
    light[ground] = lamps.on_ground(surface.position[0, ground], surface.position[1, ground])
    light[solids] = lamps.on_solids(surface.position[:, solids], surface.normal[:, solids])
    beams = _head_lamps(surface, T_world_camera) * color(1.0, 0.95, 0.84)
    return surface.albedo * (light * lamps.tint + beams + AMBIENT) + surface.emission


def _head_lamps(surface: Surface, T_world_camera: np.ndarray) -> np.ndarray:
    """Irradiance (n,) of two dipped beams with a cut-off above the horizon."""
    forward = T_world_camera[:2, 2] / np.linalg.norm(T_world_camera[:2, 2])
    left = np.array([-forward[1], forward[0]])
    total = np.zeros(surface.depth.size, np.float32)
    for ahead, aside, height in HEAD_LAMPS:
        foot = T_world_camera[:2, 3] + ahead * forward + aside * left
        x, y, z = surface.position - np.array([*foot, height], np.float32)[:, None]
        squared = x * x + y * y + z * z + np.float32(0.5)
        inverse = 1 / np.sqrt(squared)
        front = x * np.float32(forward[0]) + y * np.float32(forward[1])
        side = (x * np.float32(left[0]) + y * np.float32(left[1])) * inverse
        rise = z * inverse + np.float32(0.01)
        above = rise > 0
        spread = np.where(above, 0.9, 1.0) * np.exp(-((rise / np.where(above, 0.035, 0.16)) ** 2)) + 0.07 * above
        beam = np.exp(-((side / np.float32(0.33)) ** 2)) * spread * (front > 0)
        normal = surface.normal
        facing = np.maximum(-(normal[0] * x + normal[1] * y + normal[2] * z) * inverse, 0)
        total += 26 * beam * (0.8 * facing + 0.2) * inverse ** np.float32(1.7)
    return total


def night_sky(direction: np.ndarray, street: Street, *, rain: bool) -> np.ndarray:
    """Radiance (3, n) of the sky at night in some directions (3, n)."""
    density, elevation = clouds(direction, street)
    glow = (1 - elevation) ** 6 * color(0.010, 0.0075, 0.005) + color(0.0006, 0.0007, 0.0012)
    return glow * (1 + (0.8 if rain else 0.3) * density)
