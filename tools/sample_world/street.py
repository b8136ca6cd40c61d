"""A procedural street: its road, its solids, its light, and everything that moves on it.

World frame: x along the road, y to the left, z up [m]. Ego frame: x forward, y left, z up, origin on the ground.
"""

from dataclasses import dataclass

import numpy as np

from .drive import Drive
from .road import Road, random_road
from .solids import SolidList, Solids
from .street_furniture import add_furniture
from .street_parts import CarPlace, add_car
from .street_rows import (
    add_buildings,
    add_lamps,
    add_parked_cars,
    add_skyline,
    add_traffic_lights,
)

KINDS = ("city", "suburb", "park")
LAMP_TINTS = ((1.0, 0.62, 0.28), (0.85, 0.92, 1.0))  # sodium, LED
SIGHT = 180.0  # street built beyond the end of the drive [m]


@dataclass(frozen=True)
class Sun:
    """Direction towards the sun, a unit vector, and the share of cloud in the sky (0..1)."""

    direction: np.ndarray
    cloud: float


@dataclass(frozen=True)
class Traveller:
    """A moving car: start [m], speed along x [m/s] (None: it keeps ahead of the ego car), lane [m] and its seed."""

    start: float
    speed: float | None
    across: float
    seed: int


@dataclass(frozen=True)
class Moment:
    """A street at one time: all solids, the moving ones last, and the places of the moving cars."""

    solids: Solids
    num_static: int
    cars: tuple[CarPlace, ...]


class Street:
    """One street with its static solids, built from a seed, and its moving cars.

    Args:
        seed: any sequence of whole numbers; equal seeds give equal streets.
        kind: city (tall blocks), suburb (houses and gardens) or park (trees).
        left_hand: whether traffic keeps to the left.
        duration: length of the drive along it [s].
        stop: whether the ego car stands still in the middle of the drive.
    """

    def __init__(self, seed: tuple[int, ...], *, kind: str, left_hand: bool, duration: float, stop: bool = False):
        rng = np.random.default_rng(seed)
        speed = float(rng.uniform(5, 11))
        length = 60 + SIGHT + 12 * duration
        self.seed, self.kind = seed, kind
        self.road = random_road(rng, kind=kind, length=length, left_hand=left_hand)
        self.drive = Drive(self.road, rng, speed=speed, duration=duration, stop=stop)
        azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(28, 62))
        level = np.cos(elevation)
        toward_sun = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
        self.sun = Sun(toward_sun, float(rng.uniform(0, 1)))
        self.cloud_shift = float(rng.uniform(0, 100))
        self.lamp_tint = LAMP_TINTS[0] if rng.random() < 0.6 else LAMP_TINTS[1]
        solids = SolidList()
        self.lamps = np.array(_furnish(solids, rng, self.road, self.lamp_tint))
        self.static = solids.pack()
        self.travellers = _random_travellers(rng, self.road)

    def at(self, time: float) -> Moment:
        """The street at a time [s]."""
        solids, cars = SolidList(), []
        for traveller in self.travellers:
            if traveller.speed is None:
                x = traveller.start + self.drive.x(time + 0.4)
            else:
                x = traveller.start + traveller.speed * time
            if -60 < x < self.road.length + 60:
                rng = np.random.default_rng(traveller.seed)
                back = traveller.speed is not None
                cars.append(add_car(solids, rng, self.road, x=x, across=traveller.across, facing_back=back))
        everything = self.static + solids.pack() if cars else self.static
        return Moment(everything, len(self.static), tuple(cars))

    def ego_pose(self, time: float) -> np.ndarray:
        """T_world_ego (4, 4) at a time [s]."""
        return self.drive.pose(time)


def _furnish(
    solids: SolidList, rng: np.random.Generator, road: Road, lamp_tint: tuple[float, float, float]
) -> list[tuple[float, float, float]]:
    """Add all static solids and return the positions of the street lamps' lights."""
    lamps = []
    for side in (-1, 1):
        add_buildings(solids, rng, road, side)
        add_furniture(solids, rng, road, side)
        lamps += add_lamps(solids, rng, road, side, lamp_tint)
        add_parked_cars(solids, rng, road, side)
    add_traffic_lights(solids, rng, road)
    add_skyline(solids, rng, road)
    return lamps


def _random_travellers(rng: np.random.Generator, road: Road) -> tuple[Traveller, ...]:
    """Two to five oncoming cars and often one ahead."""
    travellers = [
        Traveller(
            float(rng.uniform(20, road.length)),
            -float(rng.uniform(6, 13)),
            -road.own_lane,
            int(rng.integers(1 << 30)),
        )
        for _ in range(int(rng.integers(2, 6)))
    ]
    if rng.random() < 0.6:
        travellers.append(Traveller(float(rng.uniform(16, 40)), None, road.own_lane, int(rng.integers(1 << 30))))
    return tuple(travellers)
