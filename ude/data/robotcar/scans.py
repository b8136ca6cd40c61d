"""Scans of the RobotCar's 2-D laser, brought into one frame and seen from a camera."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

from .trajectory import Trajectory

_POINT_BYTES = 24
"""A point of a scan: x, y [m] in the plane of the scan and reflectance, three float64."""


@dataclass(frozen=True)
class ScanCloud:
    """Points of consecutive scans in the frame of a trajectory's start.

    Attributes:
        times: when the scans were taken [us], int64 (S,), ascending.
        first: place of each scan's first point in ``points``, and the end, int64 (S + 1,).
        points: [m], float64 (P, 3).
        sections: section of the trajectory that each scan lies in, int64 (S,).
        fates: what became of each scan: ``used``, ``missing``, ``damaged`` or ``without pose``.
    """

    times: np.ndarray
    first: np.ndarray
    points: np.ndarray
    sections: np.ndarray
    fates: list[str]

    def around(self, time: int, section: int, margin_us: int, *, drop_last: bool = False) -> "ScanCloud":
        """The scans within a margin of a time [us]; those of another section of the trajectory count as without pose.

        Args:
            time: middle of the window [us].
            section: section that can be seen from there.
            margin_us: half of the window [us].
            drop_last: leave out the last scan of the window, as the RobotCar SDK does.
        """
        begin = int(np.searchsorted(self.times, time - margin_us, side="left"))
        end = max(int(np.searchsorted(self.times, time + margin_us, side="right")) - drop_last, begin)
        scans = slice(begin, end)
        first, points = self.first[begin : end + 1], self.points[self.first[begin] : self.first[end]]
        reachable, fates = self.sections[scans] == section, self.fates[scans]
        if not reachable.all():
            points = points[np.repeat(reachable, np.diff(first))]
            first = np.concatenate([[0], np.cumsum(np.diff(first) * reachable)])
            fates = ["without pose" if f == "used" and not r else f for f, r in zip(fates, reachable, strict=True)]
        return ScanCloud(self.times[scans], first - first[0], points, self.sections[scans], fates)

    def counts(self) -> dict[str, int]:
        """Number of scans by what became of them."""
        return dict(sorted(Counter(self.fates).items()))


def read_scan(path: Path) -> np.ndarray:
    """Points of a scan in its plane [m], float64 (N, 2); a beam without an echo gives (0, 0).

    Raises:
        MissingFileError: there is no such file.
        DataError: it is empty, cut or not finite.
    """
    try:
        values = np.fromfile(path, np.uint8)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such scan; download this part of the traverse") from error
    if len(values) == 0 or len(values) % _POINT_BYTES:
        raise DataError(f"{path}: {len(values)} bytes are no positive multiple of {_POINT_BYTES} (a point); it is cut")
    points = values.view(np.float64).reshape(-1, 3)[:, :2]
    if not np.isfinite(points).all():
        raise DataError(f"{path}: holds points that are not finite; download it again")
    return points


def scan_cloud(
    folder: Path,
    times: np.ndarray,
    trajectory: Trajectory,
    T_sensor_laser: np.ndarray,
    interpolation: str,
) -> tuple[ScanCloud, list[str]]:
    """Scans in the frame of the trajectory's start, and what is wrong with the damaged ones, a line each.

    A beam without an echo has range 0, so that its point would lie in the laser itself, which drives ahead of the
    camera, near and wrong. Only ``floor`` keeps such points, as the SDK and thus published ground truth do.

    With ``floor``, scan i is moved by the pose of scan i + 1, as the RobotCar SDK does: its interpolation puts the
    origin in front of the caller's list of times, from which the scans' names are then taken.

    Args:
        folder: folder of the scans, named by their times.
        times: times of the scans [us], int64 (S,), without gaps in the traverse's list.
        trajectory: poses of the sensor that the laser's place is given for.
        T_sensor_laser: float64 (4, 4).
        interpolation: ``linear`` or ``floor``.
    """
    following = np.append(times[1:], times[-1:])
    poses, sections = trajectory.at(following if interpolation == "floor" else times, interpolation)
    # the scan's z is 0, so that the third column of the rotation drops out
    T_start_laser = (poses @ T_sensor_laser)[:, :3, [0, 1, 3]]
    points, fates, problems = [], [], []
    for time, T, section in zip(times.tolist(), T_start_laser, sections.tolist(), strict=True):
        fate, scan = "used", np.zeros((0, 2))
        try:
            scan = read_scan(folder / f"{time}.bin")
        except MissingFileError:
            fate = "missing"
        except DataError as error:
            fate = "damaged"
            problems.append(str(error))
        if interpolation != "floor":
            scan = scan[scan.any(axis=1)]
        if fate == "used" and section < 0:
            fate, scan = "without pose", scan[:0]
        points.append(scan @ T[:, :2].T + T[:, 2])
        fates.append(fate)
    first = np.concatenate([[0], np.cumsum([len(scan) for scan in points], dtype=np.int64)]).astype(np.int64)
    return ScanCloud(times, first, np.concatenate([np.zeros((0, 3)), *points]), sections, fates), problems
