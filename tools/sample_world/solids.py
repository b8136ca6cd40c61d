"""The solids a street is made of: packed arrays of four convex shapes, each with an exact ray intersection."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum

import numpy as np

Vector = Sequence[float] | np.ndarray
Hit = tuple[np.ndarray, np.ndarray, np.ndarray]


class Shape(IntEnum):
    """Convex shapes; all are upright, so that a yaw angle turns them."""

    BOX = 0
    CYLINDER = 1
    ELLIPSOID = 2
    POLYTOPE = 3


class Material(IntEnum):
    """What a solid is painted with; `surfaces.py` has one function for each."""

    PLAIN = 0
    FACADE = 1
    BRICK = 2
    CAR_BODY = 3
    CAR_CABIN = 4
    FOLIAGE = 5
    BARK = 6
    METAL = 7
    SIGN = 8
    WHEEL = 9
    LAMP = 10
    SKYLINE = 11
    ROOF = 12
    PLASTER = 13
    TRAFFIC_LIGHT = 14
    CLOTH = 15


@dataclass(frozen=True)
class Solids:
    """n solids as arrays: shape (n,), centre (n, 3) [m], half extents (n, 3) [m], yaw (n,) [rad], and their paint.

    `bare` is the noise level below which an ellipsoid's shell has no leaf (-inf: the shell is closed);
    `planes` holds (k, 4) rows (normal, distance) in the solid's own frame for polytopes, None otherwise.
    """

    shape: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    yaw: np.ndarray
    material: np.ndarray
    tint: np.ndarray
    seed: np.ndarray
    bare: np.ndarray
    planes: tuple[np.ndarray | None, ...]

    def __len__(self) -> int:
        return len(self.shape)

    def __add__(self, other: "Solids") -> "Solids":
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self) if f.name != "planes"}
        return Solids(**{k: np.concatenate(v) for k, v in pairs.items()}, planes=self.planes + other.planes)


@dataclass
class SolidList:
    """Collects solids one by one while a street is built."""

    rows: list[tuple] = field(default_factory=list)

    def add(
        self,
        shape: Shape,
        centre: Vector,
        half: Vector,
        material: Material,
        *,
        yaw: float = 0.0,
        tint: Vector = (1.0, 1.0, 1.0),
        seed: float = 1.0,
        bare: float = -np.inf,
        planes: np.ndarray | None = None,
    ) -> None:
        """Append one solid.

        Args:
            shape: which convex shape.
            centre: centre of the bounding box [m]; for polytopes the origin of the planes.
            half: half extents [m]; a cylinder's radius comes twice, then half its height.
            material: which paint.
            yaw: angle about the vertical [rad].
            tint: RGB factor or colour of the paint.
            seed: tells solids of one material apart.
            bare: noise level below which a crown has no leaf.
            planes: (k, 4) rows (normal, distance) of a polytope, in its own frame.
        """
        self.rows.append((int(shape), centre, half, yaw, int(material), tint, seed, bare, planes))

    def pack(self) -> Solids:
        """All solids added so far, as arrays."""
        shape, centre, half, yaw, material, tint, seed, bare, planes = zip(*self.rows, strict=True)
        return Solids(
            shape=np.array(shape, np.int32),
            centre=np.array(centre, np.float64),
            half=np.array(half, np.float32),
            yaw=np.array(yaw, np.float64),
            material=np.array(material, np.int32),
            tint=np.array(tint, np.float32),
            seed=np.array(seed, np.float32),
            bare=np.array(bare, np.float32),
            planes=planes,
        )


def unit_planes(normals: Vector, distances: Vector) -> np.ndarray:
    """Rows (normal, distance) of half spaces normal . x <= distance, normals scaled to length one, (k, 4) float32."""
    normal, distance = np.asarray(normals, np.float64), np.asarray(distances, np.float64)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.hstack([normal / length, distance[:, None] / length]).astype(np.float32)


def intersect(solids: Solids, index: int, origin: Sequence, direction: Sequence) -> Hit:
    """Where rays enter and leave one solid, and which rays hit it at all.

    Args:
        solids: all solids.
        index: which of them.
        origin: x, y, z of the rays' origins in the solid's own frame [m], numbers or arrays.
        direction: x, y, z of the rays' directions in that frame, numbers or arrays; they set the unit of the parameter.
    """
    half, shape = solids.half[index], solids.shape[index]
    if shape == Shape.BOX:
        return _box(origin, direction, half)
    if shape == Shape.ELLIPSOID:
        return _ellipsoid(origin, direction, half)
    if shape == Shape.CYLINDER:
        return _cylinder(origin, direction, half)
    return _polytope(origin, direction, solids.planes[index])


def into_frame(vector: Sequence, yaw: float) -> tuple:
    """x, y, z of a vector in a frame turned by yaw [rad] about the vertical."""
    if yaw == 0:
        return tuple(vector)
    cos, sin = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    return cos * vector[0] + sin * vector[1], cos * vector[1] - sin * vector[0], vector[2]


def _box(origin: Sequence, direction: Sequence, half: np.ndarray) -> Hit:
    near, far = None, None
    for o, d, h in zip(origin, direction, half, strict=True):
        inverse = 1 / d
        first, second = (-h - o) * inverse, (h - o) * inverse
        enter, leave = np.minimum(first, second), np.maximum(first, second)
        near = enter if near is None else np.maximum(near, enter)
        far = leave if far is None else np.minimum(far, leave)
    return near, far, near < far


def _ellipsoid(origin: Sequence, direction: Sequence, half: np.ndarray) -> Hit:
    ox, oy, oz = (o / h for o, h in zip(origin, half, strict=True))
    dx, dy, dz = (d * (1 / h) for d, h in zip(direction, half, strict=True))
    return _quadratic(dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - 1)


def _cylinder(origin: Sequence, direction: Sequence, half: np.ndarray) -> Hit:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    near, far, hit = _quadratic(dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - half[0] ** 2)
    return near, far, hit & (np.abs(oz + near * dz) < half[2])  # open ends: nobody sees a pole from above


def _quadratic(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Hit:
    """Roots of a t^2 + 2 b t + c."""
    discriminant = b * b - a * c
    root, inverse = np.sqrt(np.maximum(discriminant, 0)), 1 / a
    return (-b - root) * inverse, (root - b) * inverse, discriminant > 0


def _polytope(origin: Sequence, direction: Sequence, planes: np.ndarray) -> Hit:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    near, far, huge = None, None, np.float32(1e9)
    for a, b, c, distance in planes:
        slope = a * dx + b * dy + c * dz
        t = (distance - (a * ox + b * oy + c * oz)) / slope
        enter, leave = np.where(slope < 0, t, -huge), np.where(slope < 0, huge, t)
        near = enter if near is None else np.maximum(near, enter)
        far = leave if far is None else np.minimum(far, leave)
    return near, far, near < far
