"""Exact casting of a camera's or a scanner's rays against all solids of a street."""

from dataclasses import dataclass

import numpy as np

from .camera import Camera
from .noise import volume_noise
from .solids import Solids, intersect, into_frame
from .street import Moment

SKY, GROUND = -1, -2  # in place of a solid's index
NOTHING = np.float32(1e9)  # ray parameter where nothing is hit
NEAREST = 0.1  # [m]
FARTHEST_GROUND = 600.0  # [m]
FAR = 1e7  # a slope beyond all pictures
LEAF = 0.075  # edge of a leaf cell in a crown [m]
CORNERS = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], np.float64)
EDGES = tuple((i, j) for i in range(8) for j in range(i) if (i ^ j).bit_count() == 1)


@dataclass(frozen=True)
class GBuffer:
    """What every pixel sees: origin (3,), directions (3, H, W), z-depth (H, W) [m], index of the solid (H, W)."""

    origin: np.ndarray
    directions: np.ndarray
    depth: np.ndarray
    solid: np.ndarray
    moment: Moment


def g_buffer(camera: Camera, T_world_camera: np.ndarray, moment: Moment, *, mirrored: bool = False) -> GBuffer:
    """Cast all rays of a camera.

    Args:
        camera: the camera.
        T_world_camera: its pose (4, 4).
        moment: the street at that time.
        mirrored: whether to look from below at the mirror image of the camera, without the ground; this is what a
            wet road reflects.
    """
    origin, directions = T_world_camera[:3, 3].copy(), camera.directions(T_world_camera[:3, :3])
    rects, near = bounds(camera, T_world_camera, moment.solids, mirrored=mirrored)
    depth = np.full(camera.size, NOTHING, np.float32)
    solid = np.full(camera.size, SKY, np.int32)
    if mirrored:
        origin[2] *= -1
        directions[2] *= -1
    else:
        cast_ground(origin[2], directions[2], depth, solid)
    cast(origin, directions, moment.solids, rects, near, depth, solid)
    return GBuffer(origin, directions, depth, solid, moment)


def cast_ground(height: float, slope: np.ndarray, depth: np.ndarray, solid: np.ndarray) -> None:
    """Write the ground plane z = 0 into depth and solid where it is nearer than what is there.

    Args:
        height: z of the rays' origin [m].
        slope: z of the rays' directions.
        depth: ray parameters, changed in place.
        solid: indices of solids, changed in place.
    """
    parameter = np.float32(-height) / np.minimum(slope, np.float32(-1e-6))
    ground = (parameter < depth) & (parameter < FARTHEST_GROUND)
    depth[ground], solid[ground] = parameter[ground], GROUND


def bounds(
    camera: Camera, T_world_camera: np.ndarray, solids: Solids, *, mirrored: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel rectangles (n, 4) x0, y0, x1, y1 around the solids, empty when out of sight, and their least depth (n,).

    Args:
        camera: the camera.
        T_world_camera: its pose (4, 4).
        solids: the solids.
        mirrored: whether the solids are mirrored at the ground.
    """
    world = solids.centre[:, None] + _corner_offsets(solids)  # (n, 8, 3)
    if mirrored:
        world[..., 2] *= -1
    points = (world - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]
    i, j = np.array(EDGES).T
    start, step = points[:, i], points[:, j] - points[:, i]  # where an edge crosses the near plane
    share = (NEAREST - start[..., 2]) / np.where(np.abs(step[..., 2]) < 1e-9, 1e-9, step[..., 2])
    crossings = start + share[..., None] * step
    visible = np.concatenate([points[..., 2] > NEAREST, (share > 0) & (share < 1)], 1)
    points = np.concatenate([points, crossings], 1)
    depth = np.maximum(points[..., 2], NEAREST)
    slopes, seen = points[..., :2] / depth[..., None], visible[..., None]
    low, high = camera.window(np.where(seen, slopes, FAR).min(1), np.where(seen, slopes, -FAR).max(1))
    rects = np.concatenate([np.floor(low), np.ceil(high) + 1], 1) * visible.any(1)[:, None]
    limit = np.array(camera.size[::-1] * 2)
    return rects.clip(0, limit).astype(np.int64), np.where(visible, depth, np.inf).min(1).astype(np.float32)


def _corner_offsets(solids: Solids) -> np.ndarray:
    """Corners of the bounding boxes relative to the centres, (n, 8, 3)."""
    corners = CORNERS * solids.half[:, None].astype(np.float64)
    cos, sin = np.cos(solids.yaw)[:, None], np.sin(solids.yaw)[:, None]
    x, y = cos * corners[..., 0] - sin * corners[..., 1], sin * corners[..., 0] + cos * corners[..., 1]
    return np.stack([x, y, corners[..., 2]], -1)


def cast(
    origin: np.ndarray,
    directions: np.ndarray,
    solids: Solids,
    rects: np.ndarray,
    near: np.ndarray,
    depth: np.ndarray,
    solid: np.ndarray,
) -> None:
    """Keep the nearest hit of every ray, from the nearest solid to the farthest.

    Args:
        origin: where all rays start (3,) [m].
        directions: their directions (3, H, W).
        solids: the solids.
        rects: pixel rectangles (n, 4) outside which a solid is not hit.
        near: least ray parameter at which each solid may be hit (n,).
        depth: ray parameters (H, W), changed in place.
        solid: indices of solids (H, W), changed in place.
    """
    seen = np.flatnonzero((rects[:, 2] > rects[:, 0]) & (rects[:, 3] > rects[:, 1]))
    with np.errstate(all="ignore"):
        for index in seen[np.argsort(near[seen], kind="stable")]:
            x0, y0, x1, y1 = rects[index]
            window = np.s_[y0:y1, x0:x1]
            if near[index] > depth[window].max():
                continue
            parameter, hit = first_hit(origin, directions[:, y0:y1, x0:x1], solids, int(index))
            hit &= (parameter > NEAREST) & (parameter < depth[window])
            np.copyto(depth[window], parameter, where=hit)
            np.copyto(solid[window], np.int32(index), where=hit)


def first_hit(origin: np.ndarray, directions: np.ndarray, solids: Solids, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Ray parameter of the first surface of one solid, and which rays hit it.

    Args:
        origin: where all rays start (3,) [m].
        directions: their directions (3, ...).
        solids: the solids.
        index: which of them.
    """
    yaw = float(solids.yaw[index])
    start = into_frame((origin - solids.centre[index]).astype(np.float32), yaw)
    turned = into_frame(directions, yaw)
    near, far, hit = intersect(solids, index, start, turned)
    bare = solids.bare[index]
    if bare == -np.inf:
        return near, hit
    hit &= near > NEAREST
    offset = float(solids.seed[index])
    front = hit & _leafy(start, turned, near, bare, offset)
    back = hit & ~front & _leafy(start, turned, far, bare, offset)
    return np.where(front, near, far), front | back


def _leafy(start: tuple, direction: tuple, parameter: np.ndarray, bare: np.float32, offset: float) -> np.ndarray:
    """Whether there is a leaf at a point of a crown's shell: a matter of the point, not of the ray."""
    x, y, z = (s + parameter * d for s, d in zip(start, direction, strict=True))
    return volume_noise(x, y, z, cell=LEAF, offset=offset) > bare
