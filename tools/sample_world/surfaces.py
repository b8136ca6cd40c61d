"""Where rays meet surfaces: position, normal, and the paint of the material (albedo, emission, gloss)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from . import materials_buildings as buildings
from . import materials_objects as objects
from . import materials_vehicles as vehicles
from .ground import ground_paint
from .paint import Paint, Patch
from .raycast import GROUND, SKY, GBuffer
from .road import Road
from .solids import Material, Shape, Solids

MATERIALS: dict[Material, Callable[[Patch], Paint]] = {
    Material.PLAIN: objects.plain,
    Material.FACADE: buildings.facade,
    Material.BRICK: buildings.brick,
    Material.CAR_BODY: vehicles.car_body,
    Material.CAR_CABIN: vehicles.car_cabin,
    Material.FOLIAGE: objects.foliage,
    Material.BARK: objects.bark,
    Material.METAL: objects.metal,
    Material.SIGN: objects.sign,
    Material.WHEEL: vehicles.wheel,
    Material.LAMP: objects.lamp,
    Material.SKYLINE: buildings.skyline,
    Material.ROOF: buildings.roof,
    Material.PLASTER: buildings.plaster,
    Material.TRAFFIC_LIGHT: objects.traffic_light,
    Material.CLOTH: objects.cloth,
}


@dataclass(frozen=True)
class Surface:
    """The n visible points of an image, in the order of their pixels; colours and vectors are (3, n) float32.

    `pixel` is the flat index into the image, `depth` the ray parameter [m]; `puddle` (0..1) and `ground` are (n,).
    """

    pixel: np.ndarray
    position: np.ndarray
    direction: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    albedo: np.ndarray
    emission: np.ndarray
    gloss: np.ndarray
    puddle: np.ndarray
    ground: np.ndarray


def visible_surface(buffer: GBuffer, focal: float, road: Road) -> Surface:
    """Paint everything that a G-buffer shows.

    Args:
        buffer: what every pixel sees.
        focal: focal length [px].
        road: the road on the ground.
    """
    ids = buffer.solid.ravel()
    pixel = np.flatnonzero(ids != SKY)
    ids, depth = ids[pixel], buffer.depth.ravel()[pixel]
    direction = buffer.directions.reshape(3, -1)[:, pixel]
    position = direction * depth + buffer.origin.astype(np.float32)[:, None]
    count = pixel.size
    surface = Surface(
        pixel,
        position,
        direction,
        depth,
        normal=np.zeros((3, count), np.float32),
        albedo=np.zeros((3, count), np.float32),
        emission=np.zeros((3, count), np.float32),
        gloss=np.zeros(count, np.float32),
        puddle=np.zeros(count, np.float32),
        ground=ids == GROUND,
    )
    length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    _fill_ground(surface, length, focal, road, buffer)
    _fill_solids(surface, ids, length, focal, road, buffer.moment.solids)
    return surface


def _footprint(depth: np.ndarray, cosine: np.ndarray, focal: float) -> np.ndarray:
    """Width of a pixel on a surface [m]: between its short and its long axis, a stand-in for anisotropic filters."""
    return depth / np.float32(focal) / cosine ** np.float32(0.6)


def _fill_ground(surface: Surface, length: np.ndarray, focal: float, road: Road, buffer: GBuffer) -> None:
    at = np.flatnonzero(surface.ground)
    if at.size == 0:
        return
    cosine = np.maximum(-surface.direction[2, at] / length[at], np.float32(0.02))
    x, y = surface.position[0, at], surface.position[1, at]
    paint = ground_paint(x, y, _footprint(surface.depth[at], cosine, focal), road)
    shade = np.ones(at.size, np.float32)
    for car in buffer.moment.cars:  # contact shadows: the sun's shadow map holds only what stands still
        cos, sin = np.float32(np.cos(car.yaw)), np.float32(np.sin(car.yaw))
        dx, dy = x - np.float32(car.x), y - np.float32(car.y)
        ahead, aside = np.abs(cos * dx + sin * dy), np.abs(cos * dy - sin * dx)
        reach = np.maximum(ahead * np.float32(2 / car.length), aside * np.float32(2 / car.width))
        shade *= 1 - 0.75 * np.clip((1.25 - reach) / 0.35, 0, 1)
    surface.albedo[:, at] = paint.albedo * shade
    surface.normal[2, at] = 1
    surface.gloss[at] = paint.gloss
    surface.puddle[at] = paint.puddle


def _fill_solids(
    surface: Surface, ids: np.ndarray, length: np.ndarray, focal: float, road: Road, solids: Solids
) -> None:
    at = np.flatnonzero(~surface.ground)
    material = solids.material[ids[at]]
    order = np.argsort(material, kind="stable")
    at, material = at[order], material[order]
    edges = np.flatnonzero(np.diff(material, prepend=-1, append=-1))
    for begin, end in pairwise(edges):
        points = at[begin:end]
        patch = _patch(surface, points, ids[points], length[points], focal, road, solids)
        paint = MATERIALS[Material(int(material[begin]))](patch)
        surface.albedo[:, points] = paint.albedo
        if paint.emission is not None:
            surface.emission[:, points] = paint.emission
        surface.gloss[points] = paint.gloss
        normal = patch.normal if paint.normal is None else paint.normal
        cos, sin = patch.cos, patch.sin
        surface.normal[:, points] = cos * normal[0] - sin * normal[1], sin * normal[0] + cos * normal[1], normal[2]


def _patch(
    surface: Surface,
    points: np.ndarray,
    ids: np.ndarray,
    length: np.ndarray,
    focal: float,
    road: Road,
    solids: Solids,
) -> Patch:
    """Points of one material in the frames of their solids."""
    yaw = solids.yaw[ids]
    cos, sin = np.cos(yaw).astype(np.float32), np.sin(yaw).astype(np.float32)
    dx, dy, dz = surface.position[:, points] - solids.centre[ids].T.astype(np.float32)
    local = np.stack([cos * dx + sin * dy, cos * dy - sin * dx, dz])
    half = np.ascontiguousarray(solids.half[ids].T)
    face = np.argmax(np.abs(local / half), 0)
    normal = _normals(local, half, face, ids, solids)
    direction = surface.direction[:, points]
    along = cos * direction[0] + sin * direction[1], cos * direction[1] - sin * direction[0]
    cosine = np.abs(normal[0] * along[0] + normal[1] * along[1] + normal[2] * direction[2]) / length
    return Patch(
        local=local,
        half=half,
        face=face,
        normal=normal,
        height=surface.position[2, points],
        footprint=_footprint(surface.depth[points], np.maximum(cosine, np.float32(0.1)), focal),
        tint=np.ascontiguousarray(solids.tint[ids].T),
        seed=solids.seed[ids],
        box=solids.shape[ids] == Shape.BOX,
        cos=cos,
        sin=sin,
        city=road.kind == "city",
    )


def _normals(local: np.ndarray, half: np.ndarray, face: np.ndarray, ids: np.ndarray, solids: Solids) -> np.ndarray:
    """Outward unit normals (3, n) in the frames of the solids."""
    shape = solids.shape[ids]
    normal = local / half**2  # right for ellipsoids
    normal[2, shape == Shape.CYLINDER] = 0
    box = np.flatnonzero(shape == Shape.BOX)
    normal[:, box] = 0
    normal[face[box], box] = np.sign(local[face[box], box])
    polytopes = np.flatnonzero(shape == Shape.POLYTOPE)
    for index in np.unique(ids[polytopes]):
        at = polytopes[ids[polytopes] == index]
        x, y, z = local[:, at]
        planes = solids.planes[index]
        excess = [a * x + b * y + c * z - distance for a, b, c, distance in planes]
        normal[:, at] = planes[np.argmax(excess, 0), :3].T
    return normal / np.maximum(np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2), np.float32(1e-9))
