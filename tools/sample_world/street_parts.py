"""Single objects of a street: cars, trees, people and roofs."""

from typing import NamedTuple

import numpy as np

from .road import Road
from .solids import Material, Shape, SolidList, Vector, unit_planes

CAR_COLORS = (
    (0.65, 0.65, 0.66),
    (0.05, 0.05, 0.055),
    (0.28, 0.29, 0.31),
    (0.45, 0.03, 0.03),
    (0.04, 0.08, 0.30),
    (0.75, 0.74, 0.70),
    (0.12, 0.16, 0.13),
    (0.55, 0.42, 0.10),
)
CAR_CLEARANCE = 0.28  # height of a car's floor [m]
CROWN_SHELLS = (
    (1.0, 0.9),
    (0.93, 0.15),
    (0.84, -0.7),
)  # (scale, noise level below which it is bare): ragged, then dense


class CarPlace(NamedTuple):
    """Where a car stands: x, y [m], heading [rad], length and width [m]."""

    x: float
    y: float
    yaw: float
    length: float
    width: float


def add_car(
    solids: SolidList, rng: np.random.Generator, road: Road, *, x: float, across: float, facing_back: bool
) -> CarPlace:
    """Add a random car, van or lorry beside the centre line and return its place.

    Args:
        solids: receives the parts.
        rng: source of type, size and colour.
        road: the road it stands on.
        x: where along the road [m].
        across: distance to the left of the centre line [m].
        facing_back: whether it points towards smaller x.
    """
    px, py, heading = road.place(x, across)
    yaw = heading + np.pi * facing_back
    draw = rng.random()
    length, width, height = (4.4, 1.8, 1.45) if draw < 0.7 else ((4.9, 2.0, 1.9) if draw < 0.9 else (7.5, 2.4, 3.1))
    length *= float(rng.uniform(0.93, 1.08))
    color = CAR_COLORS[int(rng.integers(len(CAR_COLORS)))]
    place = CarPlace(px, py, yaw, length, width)
    seed = float(rng.integers(1, 1000))
    waist = CAR_CLEARANCE + ((height - CAR_CLEARANCE) / 2 if height < 3 else 1.0)
    middle, half = (CAR_CLEARANCE + waist) / 2, (waist - CAR_CLEARANCE) / 2
    body = (length / 2, width / 2, half)
    solids.add(Shape.BOX, (px, py, middle), body, Material.CAR_BODY, yaw=yaw, tint=color, seed=seed)
    (_add_cabin if height < 3 else _add_load)(solids, place, waist, height - waist, color, seed)
    for lx in (-0.31 * length, 0.31 * length):
        for ly in (0.1 - width / 2, width / 2 - 0.1):
            wheel = (*_beside(place, lx, ly), 0.33)
            solids.add(Shape.ELLIPSOID, wheel, (0.34, 0.13, 0.34), Material.WHEEL, yaw=yaw)
    return place


def _beside(place: CarPlace, forward: float, left: float) -> tuple[float, float]:
    """World x, y of a point in a car's frame."""
    cos, sin = np.cos(place.yaw), np.sin(place.yaw)
    return place.x + cos * forward - sin * left, place.y + sin * forward + cos * left


def _add_cabin(solids: SolidList, place: CarPlace, waist: float, height: float, color: Vector, seed: float) -> None:
    """A passenger cabin with raked windscreens on top of a car body."""
    rear, front = -0.46 * place.length, 0.22 * place.length
    half_length, half_width = (front - rear) / 2, place.width / 2
    normals = [[1, 0, 0.75], [-1, 0, 0.35], [0, 1, 0.18], [0, -1, 0.18], [0, 0, 1], [0, 0, -1]]
    distances = [half_length, half_length, half_width * 0.97, half_width * 0.97, height, 0.0]
    solids.add(
        Shape.POLYTOPE,
        (*_beside(place, (rear + front) / 2, 0), waist),
        (half_length, half_width, height),
        Material.CAR_CABIN,
        yaw=place.yaw,
        tint=color,
        seed=seed,
        planes=unit_planes(normals, distances),
    )


def _add_load(solids: SolidList, place: CarPlace, waist: float, height: float, color: Vector, seed: float) -> None:
    """A lorry's box body."""
    centre = (*_beside(place, -0.08 * place.length, 0), waist + height / 2)
    half = (0.42 * place.length, place.width / 2, height / 2)
    solids.add(Shape.BOX, centre, half, Material.PLASTER, yaw=place.yaw, tint=color, seed=seed)


def add_tree(solids: SolidList, rng: np.random.Generator, *, x: float, y: float, scale: float = 1.0) -> None:
    """Add a tree: a trunk and two to four crowns.

    A crown is three nested shells with holes where a noise volume is low. The holes belong to the shell and not to the
    ray, so a camera and a scanner see the same leaves.

    Args:
        solids: receives the parts.
        rng: source of all draws.
        x: world x of the trunk [m].
        y: world y of the trunk [m].
        scale: factor on the size.
    """
    height, radius = float(rng.uniform(4.5, 9)) * scale, float(rng.uniform(0.12, 0.3))
    tint = (rng.uniform(0.6, 1.3), rng.uniform(0.8, 1.2), rng.uniform(0.4, 1.0))
    trunk = (radius, radius, 0.3 * height)
    solids.add(Shape.CYLINDER, (x, y, 0.3 * height), trunk, Material.BARK, seed=float(rng.uniform(0, 99)))
    for crown in range(int(rng.integers(2, 5))):
        shift = rng.normal(0, 0.11 * height, 2) * (crown > 0)  # the first one hides the end of the trunk
        centre = (x + shift[0], y + shift[1], height * (rng.uniform(0.55, 0.85) if crown else 0.66))
        half = np.array([1, 1, rng.uniform(0.7, 1.0)]) * height * rng.uniform(0.18, 0.32)
        yaw, seed = float(rng.uniform(0, 3)), float(rng.uniform(0, 99))
        for shrink, bare in CROWN_SHELLS:
            solids.add(
                Shape.ELLIPSOID,
                centre,
                half * shrink,
                Material.FOLIAGE,
                yaw=yaw,
                tint=tint,
                seed=seed + 17 * shrink,
                bare=bare,
            )


def add_person(solids: SolidList, rng: np.random.Generator, *, x: float, y: float) -> None:
    """Add a standing person.

    Args:
        solids: receives the parts.
        rng: source of size and clothes.
        x: world x [m].
        y: world y [m].
    """
    height, yaw = float(rng.uniform(1.5, 1.9)), float(rng.uniform(0, 2 * np.pi))
    coat, legs = rng.uniform(0.03, 0.7, 3), rng.uniform(0.02, 0.25, 3)
    for side in (-1, 1):
        foot = (x - 0.1 * side * np.sin(yaw), y + 0.1 * side * np.cos(yaw), 0.24 * height)
        leg = (0.09, 0.08, 0.24 * height)
        solids.add(Shape.BOX, foot, leg, Material.CLOTH, yaw=yaw + 0.2 * side, tint=legs)
    trunk = (0.16, 0.25, 0.2 * height)
    solids.add(Shape.ELLIPSOID, (x, y, 0.66 * height), trunk, Material.CLOTH, yaw=yaw, tint=coat, seed=2.0)
    head = (0.1, 0.1, 0.13)
    solids.add(Shape.ELLIPSOID, (x, y, 0.93 * height), head, Material.CLOTH, yaw=yaw, tint=(0.45, 0.30, 0.22), seed=3.0)


def add_gable(
    solids: SolidList, rng: np.random.Generator, *, centre: Vector, width: float, depth: float, yaw: float
) -> None:
    """Add a gable roof with overhanging eaves.

    Args:
        solids: receives the roof.
        rng: source of height and colour.
        centre: middle of the roof's foot [m].
        width: extent along the ridge [m].
        depth: extent across the ridge [m].
        yaw: heading of the ridge [rad].
    """
    rise = float(rng.uniform(2, 3.5))
    normals = [[0, rise, depth / 2], [0, -rise, depth / 2], [1, 0, 0], [-1, 0, 0], [0, 0, -1]]
    distances = [rise * depth / 2, rise * depth / 2, width / 2 + 0.4, width / 2 + 0.4, 0.15]
    solids.add(
        Shape.POLYTOPE,
        centre,
        (width / 2 + 0.4, depth / 2 + 0.3, rise),
        Material.ROOF,
        yaw=yaw,
        tint=rng.uniform(0.6, 1.2, 3),
        seed=float(rng.integers(1, 4000)),
        planes=unit_planes(normals, distances),
    )
