"""Rows of objects along a street: buildings, lamps, parked cars, traffic lights, the skyline."""

from typing import NamedTuple

import numpy as np

from .road import CROSSING_HALF, Road
from .solids import Material, Shape, SolidList, Vector
from .street_parts import add_car, add_gable

LAMP_HEIGHT = 7.5  # [m]


class Lot(NamedTuple):
    """Size of one building: width along the street, depth, height, and the gap to the next one [m]."""

    width: float
    depth: float
    height: float
    gap: float


def add_buildings(solids: SolidList, rng: np.random.Generator, road: Road, side: int) -> None:
    """Line one side of a street with buildings.

    Args:
        solids: receives the parts.
        rng: source of all draws.
        road: the road to line.
        side: +1 left, -1 right.
    """
    x = -40.0
    while x < road.length:
        lot = _random_lot(rng, road.kind)
        middle = x + lot.width / 2
        if all(abs(c - middle) > CROSSING_HALF + road.pavement + lot.width / 2 for c in road.crossings):
            _add_building(solids, rng, road, side, middle, lot)
        x += lot.width + lot.gap


def _random_lot(rng: np.random.Generator, kind: str) -> Lot:
    bounds = {
        "city": ((10, 28), (10, 20), (7, 30), (0, 1.5)),
        "suburb": ((7, 13), (7, 11), (4.5, 7), (3, 12)),
        "park": ((12, 30), (8, 12), (3, 9), (3, 40)),
    }
    return Lot(*(float(rng.uniform(*b)) for b in bounds[kind]))


def _add_building(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float, lot: Lot) -> None:
    edge = road.half_width + road.pavement
    px, py, yaw = road.place(x, side * (edge + road.verge + rng.uniform(0, 2) + lot.depth / 2))
    tint = rng.uniform(0.55, 1.1) * (1 + rng.uniform(-0.25, 0.25, 3) * np.array([1, 0.5, 1]))
    seed = float(rng.integers(1, 4000))
    half = (lot.width / 2, lot.depth / 2, lot.height / 2)
    solids.add(Shape.BOX, (px, py, lot.height / 2), half, Material.FACADE, yaw=yaw, tint=tint, seed=seed)
    if road.kind != "city":
        add_gable(solids, rng, centre=(px, py, lot.height), width=lot.width, depth=lot.depth, yaw=yaw)
    else:
        for _ in range(int(rng.integers(0, 3))):  # machinery on the flat roof
            dx, dy = rng.uniform(-0.3, 0.3) * lot.width, rng.uniform(-0.3, 0.3) * lot.depth
            solids.add(Shape.BOX, (px + dx, py + dy, lot.height + 1), (1.5, 1.5, 1), Material.METAL, yaw=yaw)
    if road.kind == "suburb" and road.verge > 2.5 and rng.random() < 0.7:
        fx, fy, fence_yaw = road.place(x, side * (edge + 0.3))
        material = Material.BRICK if rng.random() < 0.5 else Material.FOLIAGE
        solids.add(Shape.BOX, (fx, fy, 0.5), (lot.width / 2, 0.2, 0.5), material, yaw=fence_yaw, seed=seed + 7)


def add_lamps(
    solids: SolidList, rng: np.random.Generator, road: Road, side: int, tint: Vector
) -> list[tuple[float, float, float]]:
    """Add street lamps at even distances and return the positions of their lights [m].

    Args:
        solids: receives the parts.
        rng: source of start and spacing.
        road: the road to light.
        side: +1 left, -1 right.
        tint: colour of the light.
    """
    start, spacing = -15 + rng.uniform(0, 20), rng.uniform(22, 34)
    places = [float(x) for x in np.arange(start, road.length, spacing) if not road.near_crossing(x, 2)]
    return [_add_lamp(solids, road, x=x, side=side, tint=tint) for x in places]


def _add_lamp(solids: SolidList, road: Road, *, x: float, side: int, tint: Vector) -> tuple[float, float, float]:
    """Add a street lamp at the kerb and return the position of its light [m]."""
    px, py, yaw = road.place(x, side * (road.half_width + 0.4))
    ax, ay, _ = road.place(x, side * (road.half_width - 0.6))
    grey = (0.6, 0.6, 0.6)
    pole, arm, head = (0.09, 0.09, LAMP_HEIGHT / 2), (0.05, 0.55, 0.05), (0.16, 0.38, 0.08)
    solids.add(Shape.CYLINDER, (px, py, LAMP_HEIGHT / 2), pole, Material.METAL, tint=grey)
    solids.add(Shape.BOX, ((px + ax) / 2, (py + ay) / 2, LAMP_HEIGHT), arm, Material.METAL, yaw=yaw, tint=grey)
    solids.add(Shape.BOX, (ax, ay, LAMP_HEIGHT - 0.04), head, Material.LAMP, yaw=yaw, tint=tint)
    return ax, ay, LAMP_HEIGHT - 0.15


def add_parked_cars(solids: SolidList, rng: np.random.Generator, road: Road, side: int) -> None:
    """Park cars at the kerb where there is room.

    Args:
        solids: receives the parts.
        rng: source of all draws.
        road: the road to park on.
        side: +1 left, -1 right.
    """
    x = -20 + rng.uniform(0, 10)
    while road.parking > 1.5 and x < road.length:
        if rng.random() < 0.55 and not road.near_crossing(x, 4):
            across, facing_back = side * (road.half_width - 1.05), (side > 0) != road.left_hand
            add_car(solids, rng, road, x=float(x), across=across, facing_back=facing_back)
        x += rng.uniform(6, 13)


def add_traffic_lights(solids: SolidList, rng: np.random.Generator, road: Road) -> None:
    """Put a traffic light on either side of every crossing.

    Args:
        solids: receives the parts.
        rng: decides between red and green.
        road: the road with its crossings.
    """
    for crossing in road.crossings:
        for side in (-1, 1):
            ahead = (side > 0) == road.left_hand
            x = float(crossing) - (CROSSING_HALF + 1.5) * (1 if ahead else -1)
            px, py, yaw = road.place(x, side * (road.half_width + 0.5))
            solids.add(Shape.CYLINDER, (px, py, 1.7), (0.07, 0.07, 1.7), Material.METAL, tint=(0.3, 0.3, 0.3))
            solids.add(
                Shape.BOX,
                (px, py, 3.7),
                (0.14, 0.16, 0.42),
                Material.TRAFFIC_LIGHT,
                yaw=yaw + np.pi * (not ahead),
                seed=float(rng.integers(0, 2)),
            )


def add_skyline(solids: SolidList, rng: np.random.Generator, road: Road) -> None:
    """Add distant blocks all around, and buildings that close the street at its end.

    Args:
        solids: receives the blocks.
        rng: source of all draws.
        road: the road in the middle.
    """
    city = road.kind == "city"
    tint = (1, 1, 1) if city else (0.5, 0.7, 0.35)
    for _ in range(46):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(130, 260)
        x = np.clip(road.length / 2 + 1.6 * radius * np.cos(angle), -200, road.length + 260)
        y = road.centre(np.clip(x, 0, road.length)) + (1 if np.sin(angle) >= 0 else -1) * rng.uniform(60, 200)
        height = rng.uniform(8, 45) if city else rng.uniform(5, 14)
        half = (rng.uniform(8, 25), rng.uniform(8, 25), height / 2)
        yaw, seed = float(rng.uniform(0, 1.5)), float(rng.integers(1, 999))
        solids.add(Shape.BOX, (x, y, height / 2), half, Material.SKYLINE, yaw=yaw, tint=tint, seed=seed)
    for step in range(10):
        px, py, yaw = road.place(road.length + 30, -90 + 20 * step)
        height, tint = rng.uniform(10, 26), rng.uniform(0.6, 1, 3)
        centre, half = (px + rng.uniform(0, 30), py, height / 2), (8, 11, height / 2)
        seed = float(rng.integers(1, 999))
        solids.add(Shape.BOX, centre, half, Material.FACADE, yaw=yaw + np.pi / 2, tint=tint, seed=seed)
