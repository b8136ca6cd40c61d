"""Pictures of a street in any condition, and exact depth along any ray."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np

from .camera import Camera
from .daylight import ShadowMap, overcast_light, overcast_sky, sunny_light, sunny_sky
from .night import LampMap, night_light, night_sky
from .raycast import SKY, GBuffer, g_buffer
from .sensor import photograph
from .street import Street
from .surfaces import Surface, visible_surface
from .weather import hazy, wet_road

CONDITIONS = ("day-clear", "night-clear", "day-rain", "night-rain")
WET_GROUND, WET_SOLIDS = 0.52, 0.8  # factors on the albedo
MIRROR_MARGIN = 24  # rows of the mirror image above the first wet pixel, for its blur


class Renderer:
    """Draws one street through one camera; what conditions share is computed once.

    Args:
        street: the street.
        camera: the camera.
    """

    def __init__(self, street: Street, camera: Camera):
        self.street, self.camera = street, camera

    def frames(
        self,
        T_world_camera: np.ndarray,
        time: float,
        generators: Mapping[str, np.random.Generator],
        exposures: Mapping[str, float] = MappingProxyType({}),
    ) -> dict[str, np.ndarray]:
        """Pictures (H, W, 3) uint8 RGB of one moment, by condition.

        Args:
            T_world_camera: pose of the camera (4, 4).
            time: when [s].
            generators: source of rain and sensor noise for every condition to draw.
            exposures: factors on the right exposure by condition, 1 where it is not named.
        """
        moment = self.street.at(time)
        buffer = g_buffer(self.camera, T_world_camera, moment)
        surface = visible_surface(buffer, self.camera.K[0, 0], self.street.road)
        mirror = None
        if any(condition.endswith("rain") for condition in generators):
            top = _first_mirror_row(surface, self.camera.size)
            half = self.camera.halved().below(top)
            below = g_buffer(half, T_world_camera, moment, mirrored=True)
            mirror = below, visible_surface(below, half.K[0, 0], self.street.road), top
        pictures = {}
        for condition, rng in generators.items():
            image = self._radiance(buffer, surface, T_world_camera, condition)
            if condition.endswith("rain"):
                image = self._wet(image, buffer, surface, mirror, T_world_camera, condition)
            image = hazy(image, buffer.depth, condition)
            pictures[condition] = photograph(image, condition, rng, exposure=exposures.get(condition, 1.0))
        return pictures

    @cached_property
    def _shadows(self) -> ShadowMap:
        return ShadowMap(self.street)

    @cached_property
    def _lamps(self) -> LampMap:
        return LampMap(self.street)

    def _radiance(self, buffer: GBuffer, surface: Surface, T_world_camera: np.ndarray, condition: str) -> np.ndarray:
        """What arrives from every pixel without haze, (H, W, 3)."""
        height, width = buffer.depth.shape
        image = np.zeros((height * width, 3), np.float32)
        image[surface.pixel] = self._light(surface, T_world_camera, condition).T
        sky = np.flatnonzero(buffer.solid.ravel() == SKY)
        if sky.size:
            direction = buffer.directions.reshape(3, -1)[:, sky]
            direction[2] = np.maximum(direction[2], 0)
            image[sky] = self._sky(direction, condition).T
        return image.reshape(height, width, 3)

    def _light(self, surface: Surface, T_world_camera: np.ndarray, condition: str) -> np.ndarray:
        if condition.endswith("rain"):
            surface = _soaked(surface)
        if condition.startswith("night"):
            return night_light(surface, self._lamps, T_world_camera)
        if condition.endswith("rain"):
            return overcast_light(surface)
        return sunny_light(surface, self.street, self._shadows)

    def _sky(self, direction: np.ndarray, condition: str) -> np.ndarray:
        rain = condition.endswith("rain")
        if condition.startswith("night"):
            return night_sky(direction, self.street, rain=rain)
        return overcast_sky(direction, self.street) if rain else sunny_sky(direction, self.street)

    def _wet(
        self,
        image: np.ndarray,
        buffer: GBuffer,
        surface: Surface,
        mirror: tuple[GBuffer, Surface, int],
        T_world_camera: np.ndarray,
        condition: str,
    ) -> np.ndarray:
        """The image with the mirror image in the road."""
        below, reflected, top = mirror
        reflection = hazy(self._radiance(below, reflected, T_world_camera, condition), below.depth, condition)
        gloss, puddle = (np.zeros(image.shape[0] * image.shape[1], np.float32) for _ in range(2))
        gloss[surface.pixel] = surface.gloss * surface.ground
        puddle[surface.pixel] = surface.puddle
        x, y, z = buffer.directions
        steepness = -z / np.sqrt(x * x + y * y + z * z)
        shape = image.shape[:2]
        return wet_road(image, reflection, top, steepness, gloss.reshape(shape), puddle.reshape(shape))


def _first_mirror_row(surface: Surface, size: tuple[int, int]) -> int:
    """First row of the mirror image that is needed, at half size."""
    ground = surface.pixel[surface.ground]
    first = int(ground.min()) // size[1] if ground.size else size[0] - 2
    return max(first // 2 - MIRROR_MARGIN, 0)


def _soaked(surface: Surface) -> Surface:
    """The same surface, darkened by water."""
    wet = np.where(surface.ground, np.float32(WET_GROUND), np.float32(WET_SOLIDS))
    return Surface(**{**vars(surface), "albedo": surface.albedo * wet})
