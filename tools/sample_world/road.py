"""The road: a smooth centre line, lanes, pavements, verges and crossings."""

from dataclasses import dataclass

import numpy as np

CROSSING_HALF = 5.5  # half width of a side street [m]


@dataclass(frozen=True)
class Road:
    """Shape and paint of a road along the world's x axis; distances across it count positive to the left [m].

    The centre line is y = sum of amplitude * sin(wave * x + phase). Half width reaches to the kerb, then come the
    pavement and the verge; `crossings` are the x of side streets.
    """

    kind: str
    length: float
    left_hand: bool
    amplitude: np.ndarray
    wave: np.ndarray
    phase: np.ndarray
    lanes: int
    lane_width: float
    half_width: float
    pavement: float
    verge: float
    paved_verge: bool
    patched: bool
    brightness: float
    crossings: np.ndarray

    @property
    def own_lane(self) -> float:
        """Distance of the ego car's lane from the centre line [m]."""
        return (0.5 if self.left_hand else -0.5) * self.lane_width

    @property
    def parking(self) -> float:
        """Width left between the outer lane and the kerb [m]."""
        return self.half_width - self.lanes * self.lane_width

    def centre(self, x: np.ndarray | float) -> np.ndarray:
        """The centre line's y [m]."""
        waves = zip(self.amplitude, self.wave, self.phase, strict=True)
        return sum(a * np.sin(k * x + p) for a, k, p in waves)

    def slope(self, x: np.ndarray | float) -> np.ndarray:
        """dy/dx of the centre line."""
        waves = zip(self.amplitude, self.wave, self.phase, strict=True)
        return sum(a * k * np.cos(k * x + p) for a, k, p in waves)

    def across(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance to the left of the centre line [m] of float32 ground points, in single precision."""
        centre = slope = np.float32(0)
        for a, k, p in zip(self.amplitude, self.wave, self.phase, strict=True):
            angle = x * np.float32(k) + np.float32(p)
            centre = centre + np.float32(a) * np.sin(angle)
            slope = slope + np.float32(a * k) * np.cos(angle)
        return (y - centre) / np.sqrt(1 + slope * slope)

    def place(self, x: float, across: float) -> tuple[float, float, float]:
        """World x, y [m] and heading [rad] of a point beside the centre line.

        Args:
            x: where along the road [m].
            across: how far to the left of the centre line [m].
        """
        heading = float(np.arctan(self.slope(x)))
        return x - across * np.sin(heading), float(self.centre(x)) + across * np.cos(heading), heading

    def near_crossing(self, x: float, margin: float = 0.0) -> bool:
        """Whether x lies in a side street or within a margin [m] of one."""
        return bool(np.any(np.abs(self.crossings - x) < CROSSING_HALF + margin))


def random_road(rng: np.random.Generator, *, kind: str, length: float, left_hand: bool) -> Road:
    """A road of the given kind with random curves and widths.

    Args:
        rng: source of all draws.
        kind: city, suburb or park.
        length: extent along x [m].
        left_hand: whether traffic keeps to the left.
    """
    lanes, lane_width = int(rng.integers(1, 3)), float(rng.uniform(3.2, 3.6))
    parking = float(rng.uniform(1.9, 2.6) if rng.random() < 0.7 else rng.uniform(0.3, 0.9))
    return Road(
        kind=kind,
        length=length,
        left_hand=left_hand,
        amplitude=rng.uniform(2, 9, 3) * np.array([1.6, 0.5, 0.12]),
        wave=2 * np.pi / (np.array([330.0, 140.0, 60.0]) * rng.uniform(0.8, 1.3, 3)),
        phase=rng.uniform(0, 2 * np.pi, 3),
        lanes=lanes,
        lane_width=lane_width,
        half_width=lanes * lane_width + parking,
        pavement=float(rng.uniform(2.0, 4.0)),
        verge=float(rng.uniform(0, 5) if kind == "city" else rng.uniform(2, 8)),
        paved_verge=kind == "city" and bool(rng.random() < 0.5),
        patched=bool(rng.random() < 0.5),
        brightness=float(rng.uniform(0.75, 1.5)),
        crossings=np.sort(rng.uniform(40, length - 60, 3)),
    )
