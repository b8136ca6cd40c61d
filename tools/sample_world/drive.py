"""The ego car's drive: speed, an optional stop, weaving, pitch and roll."""

import numpy as np

from .road import Road

START = 10.0  # x at time 0 [m]
SPEED_WAVE = 0.35  # angular frequency of the gentle speed changes [rad/s]


class Drive:
    """Where the ego car is at any time.

    Args:
        road: the road it keeps to.
        rng: source of the phases of all oscillations.
        speed: mean speed [m/s].
        duration: length of the drive [s].
        stop: whether it brakes to a halt in the middle third of the drive.
    """

    def __init__(self, road: Road, rng: np.random.Generator, *, speed: float, duration: float, stop: bool):
        self.road, self.speed, self.duration, self.stop = road, speed, duration, stop
        self.phase = rng.uniform(0, 2 * np.pi, 2)

    def x(self, time: float) -> float:
        """How far along the road the car is [m] at a time [s]."""
        moving = time - self._standing(time)
        swing = 0.22 * self.speed / SPEED_WAVE
        wave = np.sin(SPEED_WAVE * moving + self.phase[0]) - np.sin(self.phase[0])
        return START + self.speed * moving + swing * float(wave)

    def pose(self, time: float) -> np.ndarray:
        """T_world_ego (4, 4) at a time [s]."""
        a, b = self.phase
        weave = 0.25 * np.sin(0.23 * time + b)
        x, y, yaw = self.road.place(self.x(time), self.road.own_lane + weave)
        pitch = np.deg2rad(0.35) * np.sin(2.1 * time + a) + np.deg2rad(0.15) * np.sin(7.3 * time)
        roll = np.deg2rad(0.25) * np.sin(1.3 * time + b)
        pose = np.eye(4)
        pose[:3, :3] = _turn(yaw, 2) @ _turn(pitch, 1) @ _turn(roll, 0)
        pose[:3, 3] = x, y, 0
        return pose

    def _standing(self, time: float) -> float:
        """Driving time lost so far to the stop [s]: the integral of a trapezoid with flanks of one second."""
        if not self.stop:
            return 0.0
        begin, end = self.duration / 3, max(2 * self.duration / 3, self.duration / 3 + 1)
        return ramp(time - begin) - ramp(time - end)


def ramp(time: float) -> float:
    """Integral of a step with a rise of one second, at a time [s] after its beginning."""
    return float(np.clip(time, 0, 1) ** 2 / 2 + max(time - 1, 0))


def _turn(angle_rad: float, axis: int) -> np.ndarray:
    """Rotation about one axis."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    i, j = [k for k in range(3) if k != axis]
    turn = np.eye(3)
    sign = -1 if axis == 1 else 1
    turn[i, i], turn[j, j], turn[i, j], turn[j, i] = cos, cos, -sign * sin, sign * sin
    return turn
