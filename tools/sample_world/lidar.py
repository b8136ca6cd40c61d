"""A spinning LiDAR scanner on the roof. Its frame: x right, y forward, z up, as in nuScenes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .raycast import GROUND, NOTHING, SKY, cast, cast_ground
from .solids import Shape, Solids
from .street import Moment

BEAMS, STEPS = 32, 1084  # steps per full turn
LOWEST_DEG, HIGHEST_DEG = -30.67, 10.67
REACH = 100.0  # [m]


@dataclass(frozen=True)
class Sweep:
    """What the beams hit in one turn: range (beams, steps) [m] and index of the solid (beams, steps)."""

    distance: np.ndarray
    solid: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class Scanner:
    """A scanner that records the sector of `azimuth_deg` degrees ahead, with Gaussian `range_noise` [m]."""

    azimuth_deg: float = 360.0
    range_noise: float = 0.015

    @cached_property
    def beams(self) -> np.ndarray:
        """Unit directions of all beams in the scanner's frame, (3, beams, steps) float32."""
        elevation = np.deg2rad(np.linspace(LOWEST_DEG, HIGHEST_DEG, BEAMS))[:, None]
        azimuth = -np.pi + (np.arange(STEPS) + 0.5) * 2 * np.pi / STEPS
        azimuth = azimuth[np.abs(azimuth) <= np.deg2rad(self.azimuth_deg) / 2][None]
        level = np.cos(elevation)
        beams = [level * np.sin(azimuth), level * np.cos(azimuth), np.sin(elevation) + 0 * azimuth]
        return np.stack(beams).astype(np.float32)

    def sweep(self, T_world_lidar: np.ndarray, moment: Moment) -> Sweep:
        """Cast all beams.

        Args:
            T_world_lidar: pose of the scanner (4, 4).
            moment: the street at that time.
        """
        x, y, z = self.beams
        direction = np.stack([row[0] * x + row[1] * y + row[2] * z for row in T_world_lidar[:3, :3].astype(np.float32)])
        distance = np.full(x.shape, NOTHING, np.float32)
        solid = np.full(x.shape, SKY, np.int32)
        cast_ground(T_world_lidar[2, 3], direction[2], distance, solid)
        rects, near = self._rects(T_world_lidar, moment.solids)
        cast(T_world_lidar[:3, 3], direction, moment.solids, rects, near, distance, solid)
        return Sweep(distance, solid, direction)

    def returns(self, sweep: Sweep, rng: np.random.Generator, *, rain: bool) -> np.ndarray:
        """All beams of a whole turn in their order (STEPS * BEAMS, 5) float32: x, y, z [m], intensity 0..255, ring.

        Echoes get lost with distance, at grazing angles, in rain and above all on a wet road. As in nuScenes, a beam
        without an echo stays as a point at the scanner; so do the beams outside of the recorded sector.

        Args:
            sweep: what the beams hit.
            rng: source of loss, range noise and intensity.
            rain: whether it rains.
        """
        distance, ground = sweep.distance, sweep.solid == GROUND
        lost = 0.02 + 0.25 * np.clip(distance / REACH, 0, 1) ** 2
        lost += 0.25 * (ground & (np.abs(sweep.direction[2]) < 0.03))
        if rain:
            lost += 0.12 + 0.55 * ground * np.clip(distance / 40, 0, 1)
        shape = distance.shape
        heard = (distance < REACH) & (sweep.solid != SKY) & (rng.random(shape) > lost)
        measured = distance + np.float32(self.range_noise) * rng.standard_normal(shape, dtype=np.float32)
        intensity = np.clip(rng.gamma(2.0, 8.0, shape), 0, 255)
        echoes = np.stack([*(self.beams * measured), intensity], -1).astype(np.float32)
        first = (STEPS - shape[1]) // 2
        values = np.zeros((STEPS, BEAMS, 5), np.float32)
        values[first : first + shape[1], :, :4] = np.where(heard[..., None], echoes, 0).transpose(1, 0, 2)
        values[..., 4] = np.arange(BEAMS)
        return values.reshape(-1, 5)

    def _rects(self, T_world_lidar: np.ndarray, solids: Solids) -> tuple[np.ndarray, np.ndarray]:
        """Ranges of azimuth steps around the solids as rectangles (n, 4), and their least range (n,)."""
        half = solids.half.astype(np.float64)
        local = (solids.centre - T_world_lidar[:3, 3]) @ T_world_lidar[:3, :3]
        away = np.hypot(local[:, 0], local[:, 1])
        round_shape = (solids.shape == Shape.ELLIPSOID) | (solids.shape == Shape.CYLINDER)
        radius = np.where(round_shape, half[:, :2].max(1), np.hypot(half[:, 0], half[:, 1]))
        radius += 0.15 + 0.02 * away  # roll and pitch of the scanner
        azimuth = np.arctan2(local[:, 0], local[:, 1])
        spread = np.where(away > radius, np.arcsin(np.clip(radius / np.maximum(away, 1e-6), 0, 1)), np.pi)
        steps = self.beams.shape[2]
        per_rad, middle = STEPS / (2 * np.pi), steps / 2
        start, end = np.floor((azimuth - spread) * per_rad + middle), np.ceil((azimuth + spread) * per_rad + middle) + 1
        around = (azimuth - spread < -np.pi) | (azimuth + spread > np.pi)
        start, end = np.where(around, 0, start).clip(0, steps), np.where(around, steps, end).clip(0, steps)
        near = np.maximum(away - radius, 0)
        end = np.where(near < REACH, end, start)
        rects = np.stack([start, 0 * start, end, np.full_like(start, BEAMS)], -1)
        return rects.astype(np.int64), near.astype(np.float32)
