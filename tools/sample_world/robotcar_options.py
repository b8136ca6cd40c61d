"""What a sample world in the RobotCar format consists of: its options, and the drive that follows from them."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from .drive import ramp
from .robotcar_calibration import T_EGO_VEHICLE
from .street import Street

GENERATOR = 2  # raise when the same options give other files
FRAME_RATE, SCAN_RATE, INS_RATE = 16, 50, 50  # [1/s]
SCAN_PHASE = 0.003  # of the scanner's clock against the camera's [s]
LEAD = 0.5  # odometry and INS outlast the scans by this much on both sides [s]
# name of the traverse -> condition it is drawn in
TRAVERSES = {"2014-12-09-13-21-02": "day-clear", "2014-12-16-18-44-24": "night-clear"}


@dataclass(frozen=True)
class RobotCarOptions:
    """Everything that decides what a world in the RobotCar format looks like; `workers` alone changes nothing.

    Attributes:
        seed: base of all randomness; different seeds give different streets.
        frames: frames of a traverse, 16 per second.
        standing: frames in the middle of a traverse while the car stands still.
        over_exposed: frames late in the day traverse that are over-exposed.
        scan_margin: how long the scanner runs before the first and after the last frame [s].
        size: image size (height, width) [px], multiples of 4; the real one is 960 1280.
        range_noise: standard deviation of the scanner's range [m].
        dense_depth: whether to write the exact depth of the undistorted views, too.
        workers: number of processes.
    """

    seed: int = 0
    frames: int = 64
    standing: int = 8
    over_exposed: int = 2
    scan_margin: float = 4.0
    size: tuple[int, int] = (960, 1280)
    range_noise: float = 0.012
    dense_depth: bool = True
    workers: int = 2

    def __post_init__(self) -> None:
        quarter = self.frames // 4
        problems = [
            ("seed", self.seed, ">= 0", self.seed >= 0),
            ("frames", self.frames, ">= 1", self.frames >= 1),
            ("standing", self.standing, "between 0 and a quarter of frames", 0 <= self.standing <= quarter),
            ("over_exposed", self.over_exposed, "between 0 and a quarter of frames", 0 <= self.over_exposed <= quarter),
            ("scan_margin", self.scan_margin, ">= 0 s", self.scan_margin >= 0),
            ("size", self.size, "two multiples of 4, at least 32", all(n >= 32 and n % 4 == 0 for n in self.size)),
            ("range_noise", self.range_noise, ">= 0 m", self.range_noise >= 0),
            ("workers", self.workers, ">= 1", self.workers >= 1),
        ]
        wrong = [f"{name} must be {rule}, got {value}" for name, value, rule, right in problems if not right]
        if wrong:
            raise ValueError("\n".join(wrong))

    def identity(self) -> dict:
        """What tells this world from others, as it is kept in `world.json`."""
        values = asdict(self)
        del values["workers"]
        return {"format": "robotcar", "generator": GENERATOR, **values, "size": list(self.size)}


@dataclass(frozen=True)
class Traversal:
    """The drive that all traverses of a world repeat at other times of the day, second by second the same.

    All times count from the start of the drive [s].
    """

    options: RobotCarOptions

    @cached_property
    def street(self) -> Street:
        """The street, built anew; the ego car's stop is not the street's but that of `T_world_vehicle`."""
        return Street((self.options.seed, 3, 0), kind="city", left_hand=True, duration=self.duration)

    @property
    def duration(self) -> float:
        """Length of the drive [s]."""
        return self.frame_times[-1] + self.options.scan_margin + 2 * LEAD

    @property
    def frame_times(self) -> np.ndarray:
        """Times of the pictures (frames,)."""
        return self.options.scan_margin + 2 * LEAD + np.arange(self.options.frames) / FRAME_RATE

    @property
    def standing_frames(self) -> range:
        """Numbers of the frames at which the car stands still."""
        first = self.options.frames // 3
        return range(first, first + self.options.standing)

    @property
    def over_exposed_frames(self) -> range:
        """Numbers of the frames of the day traverse that are over-exposed."""
        first = 3 * self.options.frames // 4
        return range(first, first + self.options.over_exposed)

    @property
    def scan_times(self) -> np.ndarray:
        """Times of the scans (n,)."""
        first, last = self.frame_times[0] - self.options.scan_margin, self.frame_times[-1] + self.options.scan_margin
        return np.arange(first + SCAN_PHASE, last, 1 / SCAN_RATE)

    @property
    def odometry_times(self) -> np.ndarray:
        """Times of the visual odometry's poses (n,): those of the pictures and as many around them as it takes."""
        more = int(np.ceil((self.options.scan_margin + LEAD) * FRAME_RATE))
        return self.frame_times[0] + np.arange(-more, self.options.frames + more) / FRAME_RATE

    @property
    def ins_times(self) -> np.ndarray:
        """Times of the INS's poses (n,)."""
        margin = self.options.scan_margin + LEAD
        return np.arange(self.frame_times[0] - margin, self.frame_times[-1] + margin, 1 / INS_RATE)

    def T_world_vehicle(self, time: float) -> np.ndarray:  # noqa: N802 - transforms keep their name
        """Pose of the vehicle frame (4, 4) at a time [s]: the street's drive, halted for the frames that stand."""
        standing = self.standing_frames
        if standing:
            begin, end = self.frame_times[standing[0]] - 1, self.frame_times[standing[-1]]
            time = time - ramp(time - begin) + ramp(time - end)
        return self.street.ego_pose(time) @ T_EGO_VEHICLE


def timestamp(traverse: str, time: float) -> int:
    """Microseconds since 1970 of a moment of a traverse.

    Args:
        traverse: its name, the date at which it starts.
        time: since the start of the drive [s].
    """
    start = datetime.strptime(traverse, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=UTC)
    return int(start.timestamp()) * 1_000_000 + round(time * 1e6)
