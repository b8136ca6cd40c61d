"""Light by day: sun with shadows under a blue sky with clouds, or an overcast sky."""

import numpy as np

from .paint import color
from .solids import Solids, intersect, into_frame
from .street import Street
from .surfaces import Surface
from .textures import atlas, lookup

CELL = 0.12  # of the shadow map [m]
BAND = 32.0  # half width of the shadow map beside the road [m]
TAPS = ((-0.9, -0.3), (0.3, -0.9), (-0.3, 0.9), (0.9, 0.3))  # [cells], for soft edges


class ShadowMap:
    """For every place on the ground: the height up to which the static solids shade the ray towards the sun.

    Args:
        street: the street.
    """

    def __init__(self, street: Street):
        sun, road = street.sun.direction, street.road
        self.slope = sun / sun[2]  # towards the sun, per metre of height
        end = min(street.drive.x(street.drive.duration) + 140, road.length)
        centre = road.centre(np.linspace(-10, end, 64))
        self.x, self.y = -10.0, float(centre.min()) - BAND
        rows, columns = int((centre.max() + BAND - self.y) / CELL), int((end - self.x) / CELL)
        self.top = np.zeros((rows, columns), np.float32)
        with np.errstate(all="ignore"):
            for index in range(len(street.static)):
                self._cast(street.static, index)

    def _cast(self, solids: Solids, index: int) -> None:
        """Add one solid's shadow."""
        centre, half = solids.centre[index], solids.half[index].astype(np.float64)
        heights = np.array([max(centre[2] - half[2], 0), centre[2] + half[2]])
        radius = np.hypot(half[0], half[1])
        shadow = centre[:2] - heights[:, None] * self.slope[:2] - (self.x, self.y)
        low = np.floor((shadow.min(0) - radius) / CELL).astype(int).clip(0, self.top.shape[::-1])
        high = np.ceil((shadow.max(0) + radius) / CELL).astype(int).clip(0, self.top.shape[::-1]) + 1
        (x0, y0), (x1, y1) = low, np.minimum(high, self.top.shape[::-1])
        if x0 >= x1 or y0 >= y1:
            return
        x = (self.x + (np.arange(x0, x1) + 0.5) * CELL - centre[0]).astype(np.float32)[None]
        y = (self.y + (np.arange(y0, y1) + 0.5) * CELL - centre[1]).astype(np.float32)[:, None]
        yaw = float(solids.yaw[index])
        origin = into_frame((x, y, np.float32(-centre[2])), yaw)
        direction = into_frame(self.slope.astype(np.float32), yaw)
        _, far, hit = intersect(solids, index, origin, direction)
        window = self.top[y0:y1, x0:x1]
        np.maximum(window, far, out=window, where=hit & (far > 0))

    def lit(self, x: np.ndarray, y: np.ndarray, z: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Share of sunlight that arrives at points, (n,).

        Args:
            x: world x [m], (n,).
            y: world y [m], (n,).
            z: height [m], (n,).
            bias: a point must lie this far below a shadow's top to be dark [m].
        """
        column = (x - z * np.float32(self.slope[0]) - np.float32(self.x)) / np.float32(CELL) - np.float32(0.5)
        row = (y - z * np.float32(self.slope[1]) - np.float32(self.y)) / np.float32(CELL) - np.float32(0.5)
        height, share = z + bias, np.zeros(x.size, np.float32)
        for right, down in TAPS:
            share += lookup(self.top, column + np.float32(right), row + np.float32(down), nearest=True) <= height
        return share / np.float32(len(TAPS))


def reflected(surface: Surface, at: np.ndarray) -> np.ndarray:
    """Directions of the mirrored rays (3, n) at some of the points."""
    direction, normal = surface.direction[:, at], surface.normal[:, at]
    along = direction[0] * normal[0] + direction[1] * normal[1] + direction[2] * normal[2]
    return direction - 2 * along * normal


def sunny_light(surface: Surface, street: Street, shadows: ShadowMap) -> np.ndarray:
    """Radiance (3, n) under sun and sky."""
    sun = street.sun
    toward = sun.direction.astype(np.float32)
    normal, up = surface.normal, surface.normal[2]
    facing = np.maximum(normal[0] * toward[0] + normal[1] * toward[1] + normal[2] * toward[2], 0)
    at = np.flatnonzero(facing > 0)
    lifted = surface.position[:, at] + normal[:, at] * np.float32(0.12)
    facing[at] *= shadows.lit(*lifted, 0.05 + 0.003 * surface.depth[at])
    ambient = (0.30 + 0.18 * sun.cloud) * (0.55 + 0.45 * up)
    light = (1.5 - 0.9 * sun.cloud) * facing * color(1.0, 0.93, 0.80)
    light += ambient * color(0.86, 0.95, 1.12) + 0.10 * (1 - up) * color(1, 0.95, 0.85)
    radiance = surface.albedo * light + 0.05 * surface.emission
    at = np.flatnonzero((surface.gloss > 0.1) & (up < 0.95))
    mirror = reflected(surface, at)
    sky = np.clip(sunny_sky(mirror, street), 0, 1.2) * (mirror[2] > 0)
    radiance[:, at] += 0.22 * surface.gloss[at] * sky
    return radiance


def overcast_light(surface: Surface) -> np.ndarray:
    """Radiance (3, n) under a closed cover of clouds."""
    up = surface.normal[2]
    radiance = surface.albedo * (0.62 * (0.55 + 0.45 * up) * color(0.95, 1.0, 1.04)) + 0.25 * surface.emission
    at = np.flatnonzero((surface.gloss > 0) & (up < 0.95))
    radiance[:, at] += 0.14 * surface.gloss[at] * (reflected(surface, at)[2] > 0)
    return radiance


def clouds(direction: np.ndarray, street: Street) -> tuple[np.ndarray, np.ndarray]:
    """Cloud density (n,) and sine of the elevation (n,) in some directions (3, n)."""
    length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    up = np.maximum(direction[2], 0)
    scale = np.float32(0.16) / (up + np.float32(0.12) * length)
    u, v = direction[0] * scale + np.float32(street.cloud_shift), direction[1] * scale
    footprint = np.full(u.size, 2.0 / 512, np.float32)
    return atlas().sample(atlas().rows["cloudy"], u, v, footprint)[2], up / length


def sunny_sky(direction: np.ndarray, street: Street) -> np.ndarray:
    """Radiance (3, n) of the sky by day in some directions (3, n)."""
    density, elevation = clouds(direction, street)
    haze = (1 - elevation) ** 5
    blue = color(0.22, 0.40, 0.78) * (1 - elevation) ** np.float32(0.6) + color(0.10, 0.22, 0.58) * elevation
    sky = haze * color(0.75, 0.82, 0.90) + (1 - haze) * blue
    share = np.clip((density - np.float32(0.62 - 0.3 * street.sun.cloud)) * 4.5, 0, 1)
    sky += share * ((0.75 + 0.5 * (density - 0.3)) * color(0.95, 0.96, 1.0) - sky)
    toward = street.sun.direction.astype(np.float32)
    length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    cosine = direction[0] * toward[0] + direction[1] * toward[1] + direction[2] * toward[2]
    cosine = np.maximum(cosine / length, 0)
    return 1.15 * sky + (cosine**24 + 20 * (cosine > 0.9992)) * (1 - 0.6 * share)


def overcast_sky(direction: np.ndarray, street: Street) -> np.ndarray:
    """Radiance (3, n) of a grey sky in some directions (3, n)."""
    density, elevation = clouds(direction, street)
    return (0.75 + 0.45 * density) * (1 - 0.25 * elevation) * color(0.52, 0.55, 0.58)
