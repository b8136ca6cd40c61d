"""Exact answers about single points, for checks: depth at any sub-pixel position, and what moves."""

from typing import NamedTuple

import numpy as np

from .camera import Camera
from .raycast import GROUND, NOTHING, SKY, bounds, cast_ground, first_hit
from .solids import into_frame
from .street import Moment

NEAREST = 0.1


class Depths(NamedTuple):
    """z-depth (n,) [m], infinite for the sky, and index of the solid (n,) or one of raycast's SKY and GROUND."""

    depth: np.ndarray
    solid: np.ndarray


def depth_at(camera: Camera, T_world_camera: np.ndarray, moment: Moment, u: np.ndarray, v: np.ndarray) -> Depths:
    """What the camera sees at sub-pixel positions.

    Args:
        camera: the camera.
        T_world_camera: its pose (4, 4).
        moment: the street at that time.
        u: columns (n,) [px], pixel centres at whole numbers.
        v: rows (n,) [px].
    """
    K, rotation = camera.K, T_world_camera[:3, :3]
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)])
    directions = (rotation @ rays).astype(np.float32)
    origin = T_world_camera[:3, 3]
    depth, solid = np.full(u.size, NOTHING, np.float32), np.full(u.size, SKY, np.int32)
    cast_ground(origin[2], directions[2], depth, solid)
    rects, _ = bounds(camera, T_world_camera, moment.solids)
    with np.errstate(all="ignore"):
        for index, (x0, y0, x1, y1) in enumerate(rects):
            at = np.flatnonzero((u >= x0 - 1) & (u <= x1) & (v >= y0 - 1) & (v <= y1))
            if at.size == 0:
                continue
            parameter, hit = first_hit(origin, directions[:, at], moment.solids, index)
            closer = hit & (parameter > NEAREST) & (parameter < depth[at])
            depth[at[closer]], solid[at[closer]] = parameter[closer], index
    return Depths(np.where(solid == SKY, np.inf, depth), solid)


def on_moving(points: np.ndarray, moment: Moment, *, margin: float = 0.05) -> np.ndarray:
    """Which points (3, n) lie on or in a moving solid.

    Args:
        points: world positions [m].
        moment: the street at the time of the points.
        margin: how far outside a solid's bounding box still counts [m].
    """
    solids, inside = moment.solids, np.zeros(points.shape[1], bool)
    for index in range(moment.num_static, len(solids)):
        local = into_frame(points - solids.centre[index][:, None], float(solids.yaw[index]))
        inside |= np.all(np.abs(np.stack(local)) <= solids.half[index][:, None] + margin, 0)
    return inside


__all__ = ["GROUND", "SKY", "Depths", "depth_at", "on_moving"]
