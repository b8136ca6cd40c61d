"""What stands on the pavements: trees, people, signs, cabinets, shelters, bollards."""

from collections.abc import Callable

import numpy as np

from .road import Road
from .solids import Material, Shape, SolidList
from .street_parts import add_person, add_tree


def add_furniture(solids: SolidList, rng: np.random.Generator, road: Road, side: int) -> None:
    """Scatter trees, people, signs, boxes, shelters and bollards along a pavement.

    Args:
        solids: receives the parts.
        rng: source of all draws.
        road: the road beside the pavement.
        side: +1 left, -1 right.
    """
    shares = ((0.35, _add_trees), (0.5, _add_walker), (0.62, _add_sign), (0.74, _add_cabinet), (0.8, _add_shelter))
    x = -20 + rng.uniform(0, 10)
    while x < road.length:
        if not road.near_crossing(x, 4):
            draw = rng.random()
            add: Callable = next((f for limit, f in shares if draw < limit), _add_bollards)
            (_add_trees if road.kind == "park" else add)(solids, rng, road, side, float(x))
        x += rng.uniform(4, 11)


def _add_trees(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float) -> None:
    park = road.kind == "park"
    px, py, _ = road.place(x, side * (road.half_width + 0.6))
    add_tree(solids, rng, x=px + rng.normal(0, 0.2), y=py, scale=1.25 if park else 1.0)
    if park and rng.random() < 0.8:
        behind = side * (road.half_width + road.pavement + rng.uniform(2, 14))
        qx, qy, _ = road.place(x + rng.uniform(-4, 4), behind)
        add_tree(solids, rng, x=qx, y=qy, scale=1.4)


def _add_walker(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float) -> None:
    px, py, _ = road.place(x, side * (road.half_width + rng.uniform(1, road.pavement)))
    add_person(solids, rng, x=px, y=py)


def _add_sign(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float) -> None:
    px, py, yaw = road.place(x, side * (road.half_width + 0.6))
    solids.add(Shape.CYLINDER, (px, py, 1.3), (0.05, 0.05, 1.3), Material.METAL, tint=(0.8, 0.8, 0.8))
    tint, seed = rng.uniform(0.1, 0.8, 3), float(rng.integers(99))
    solids.add(Shape.BOX, (px, py, 2.5), (0.03, 0.38, 0.38), Material.SIGN, yaw=yaw, tint=tint, seed=seed)


def _add_cabinet(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float) -> None:
    px, py, yaw = road.place(x, side * (road.half_width + 0.6))
    solids.add(Shape.BOX, (px, py, 0.5), (0.35, 0.3, 0.5), Material.PLAIN, yaw=yaw, tint=rng.uniform(0.05, 0.4, 3))


def _add_shelter(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float) -> None:
    px, py, yaw = road.place(x, side * (road.half_width + road.pavement - 0.5))
    tint = np.array([0.2, 0.25, 0.3]) * rng.uniform(0.7, 1.3)
    solids.add(Shape.BOX, (px, py, 1.2), (1.6, 0.6, 1.2), Material.CAR_CABIN, yaw=yaw, tint=tint, seed=5.0)


def _add_bollards(solids: SolidList, rng: np.random.Generator, road: Road, side: int, x: float) -> None:
    height = float(rng.uniform(0.4, 0.5))
    for step in range(3):
        px, py, _ = road.place(x + 1.5 * step, side * (road.half_width + 0.35))
        half = (0.08, 0.08, height)
        solids.add(Shape.CYLINDER, (px, py, height), half, Material.METAL, tint=(0.25, 0.25, 0.25))
