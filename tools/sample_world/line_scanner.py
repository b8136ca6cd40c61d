"""A laser that scans one plane. Its frame: the plane is z = 0, the beam in the middle goes along x."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .raycast import NOTHING, SKY, cast, cast_ground
from .street import Moment

BEAMS, SPREAD_DEG = 541, 270.0
REACH = 50.0  # [m]


@dataclass(frozen=True)
class LineScanner:
    """A scanner of 541 beams over 270 degrees with Gaussian `range_noise` [m]."""

    range_noise: float = 0.012

    @cached_property
    def beams(self) -> np.ndarray:
        """Unit directions of all beams in the scanner's frame, (3, 541) float64."""
        azimuth = np.deg2rad(np.linspace(-SPREAD_DEG / 2, SPREAD_DEG / 2, BEAMS))
        return np.stack([np.cos(azimuth), np.sin(azimuth), 0 * azimuth])

    def ranges(self, T_world_scanner: np.ndarray, moment: Moment) -> np.ndarray:
        """Exact range of every beam (541,) [m], infinite where it meets nothing.

        Args:
            T_world_scanner: pose of the scanner (4, 4).
            moment: the street at that time.
        """
        direction = (T_world_scanner[:3, :3] @ self.beams).astype(np.float32)[:, None]  # (3, 1, 541)
        origin, normal = T_world_scanner[:3, 3], T_world_scanner[:3, 2]
        distance, solid = np.full((1, BEAMS), NOTHING, np.float32), np.full((1, BEAMS), SKY, np.int32)
        cast_ground(origin[2], direction[2], distance, solid)
        away = moment.solids.centre - origin
        radius = np.linalg.norm(moment.solids.half.astype(np.float64), axis=1) * 1.001
        near = np.linalg.norm(away, axis=1) - radius
        met = (np.abs(away @ normal) < radius) & (near < REACH)
        rects = met[:, None] * np.array([0, 0, BEAMS, 1])
        cast(origin, direction, moment.solids, rects, np.maximum(near, 0).astype(np.float32), distance, solid)
        return np.where(solid[0] == SKY, np.inf, distance[0].astype(np.float64))

    def returns(self, ranges: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What a scan records of every beam (541, 3) float64: x, y [m], reflectance; zeros where nothing comes back.

        One return in fifty gets lost.

        Args:
            ranges: what the beams hit (541,) [m].
            rng: source of loss, range noise and reflectance.
        """
        heard = (ranges < REACH) & (rng.random(BEAMS) > 0.02)
        measured = np.where(heard, ranges, 0) + self.range_noise * rng.standard_normal(BEAMS)
        x, y, _ = self.beams * measured
        return np.stack([x, y, rng.uniform(50, 900, BEAMS)], -1) * heard[:, None]
