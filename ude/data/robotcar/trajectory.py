"""Where the RobotCar was: visual odometry (VO), inertial navigation (INS) or its post-processed form (RTK)."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ude.files import DataError, MissingFileError

from .calibration import rigid_transforms

POSE_FILES = {"vo": "vo/vo.csv", "ins": "gps/ins.csv", "rtk": "gps/rtk.csv"}
"""File of a traverse by the source of poses."""
_STEP = ("x", "y", "z", "roll", "pitch", "yaw")
_PLACE = ("northing", "easting", "down", "roll", "pitch", "yaw")
_MAX_GAP_US = 500_000
"""Poses farther apart are not interpolated between [us]."""


@dataclass(frozen=True)
class Trajectory:
    """Poses of a sensor over a traverse, in sections without gaps.

    Attributes:
        times: when the poses hold [us], int64 (N,), ascending.
        T_start_sensor: poses relative to a place near the start, float64 (N, 4, 4).
        sections: number of the section of each pose, int64 (N,); nothing is known of how sections lie to one another.
    """

    times: np.ndarray
    T_start_sensor: np.ndarray
    sections: np.ndarray

    def at(self, times: np.ndarray, interpolation: str = "linear") -> tuple[np.ndarray, np.ndarray]:
        """Poses at other times, and the sections they belong to, -1 where the trajectory has a gap or has ended.

        Args:
            times: when [us], int64 (M,).
            interpolation: ``linear`` moves and turns evenly between two poses. ``floor`` takes the pose before, as the
                RobotCar SDK does, whose integer division turns every fraction between two poses into 0; gaps and ends
                are bridged by the last pose.

        Returns:
            Poses, float64 (M, 4, 4), and sections, int64 (M,).
        """
        times = np.asarray(times, np.int64)
        before = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 1)
        if interpolation == "floor":
            return self.T_start_sensor[before], np.zeros(len(times), np.int64)
        after = np.minimum(before + (self.times[before] < times), len(self.times) - 1)
        span = np.maximum(self.times[after] - self.times[before], 1)
        share = (times - self.times[before]) / span
        inside = (share >= 0) & (share <= 1) & (self.sections[before] == self.sections[after])
        share = np.where(inside, share, 0.0)
        poses = _between(self.T_start_sensor[before], self.T_start_sensor[after], share)
        return poses, np.where(inside, self.sections[before], -1)


def read_trajectory(traverse: Path, source: str) -> Trajectory:
    """Trajectory of the vehicle (VO) or of its inertial sensor (INS, RTK).

    Args:
        traverse: folder of the raw traverse.
        source: one of ``POSE_FILES``.

    Raises:
        MissingFileError: the traverse has no such file.
        DataError: the file is damaged.
    """
    path = traverse / POSE_FILES[source]
    if source == "vo":
        stamps, values = _columns(path, ("source_timestamp", "destination_timestamp"), _STEP)
        return _chained(stamps[:, 0], stamps[:, 1], rigid_transforms(values))
    stamps, values = _columns(path, ("timestamp",), _PLACE)
    values[:, :3] -= values[0, :3]  # thousands of kilometres in the map's grid
    times = stamps[:, 0]
    return Trajectory(times, rigid_transforms(values), np.cumsum(np.diff(times, prepend=times[0]) > _MAX_GAP_US))


class Motions(NamedTuple):
    """What moves a traverse's scans together, and what moves its camera: odometry where there is some.

    Attributes:
        scans: None without a file of poses.
        camera: the same trajectory or another one, or None.
        camera_source: the key of ``POSE_FILES`` that the latter is of.
    """

    scans: Trajectory | None
    camera: Trajectory | None
    camera_source: str


def read_motions(traverse: Path, poses: str) -> Motions:
    """Trajectories of a traverse.

    Args:
        traverse: folder of the raw traverse.
        poses: key of ``POSE_FILES``, for the scans.

    Raises:
        DataError: a file is damaged.
    """
    there = _pose_files(traverse)
    found = {source: read_trajectory(traverse, source) for source in dict.fromkeys((poses, "vo")) if source in there}
    camera_source = "vo" if "vo" in found else poses
    return Motions(found.get(poses), found.get(camera_source), camera_source)


def require_poses(traverse: Path, poses: str) -> None:
    """Refuses poses of which a traverse has no file, if it has others; without any, images can still be prepared.

    Raises:
        MissingFileError: one line that names the file and the poses that there are.
    """
    there = _pose_files(traverse)
    if there and poses not in there:
        raise MissingFileError(
            f"{traverse / POSE_FILES[poses]}: no such file, so that there would be no depth, but there is "
            f"{POSE_FILES[there[0]]}: give --poses {there[0]}, or download this part of the traverse"
        )


def _pose_files(traverse: Path) -> list[str]:
    """Sources of poses that a traverse has files of."""
    return [source for source, file in POSE_FILES.items() if (traverse / file).is_file()]


def _chained(sources: np.ndarray, destinations: np.ndarray, T_destination_source: np.ndarray) -> Trajectory:
    """Odometry as poses: each row moves from the destination's time, the earlier one, to the source's."""
    times, poses, sections = [int(destinations[0])], [np.eye(4)], [0]
    for source, destination, step in zip(sources.tolist(), destinations.tolist(), T_destination_source, strict=True):
        if destination > times[-1]:  # a row is missing: go on from where the last one ended
            times.append(destination)
            poses.append(poses[-1])
            sections.append(sections[-1] + 1)
        connected = destination == times[-1] and source - destination <= _MAX_GAP_US
        times.append(source)
        poses.append(poses[-1] @ step)
        sections.append(sections[-1] + (not connected))
    return Trajectory(np.array(times), np.stack(poses), np.array(sections))


def _columns(path: Path, stamps: Sequence[str], numbers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a CSV file by the names in its first line: int64 (N, S) and float64 (N, V)."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; download this part of the traverse or choose other poses")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        names, *rows = [*csv.reader(file)] or [[]]
    names = [name.strip() for name in names]
    if lacking := [name for name in (*stamps, *numbers) if name not in names]:
        raise DataError(f"{path}: its first line lacks {', '.join(lacking)}; download the file again")
    places = [names.index(name) for name in stamps], [names.index(name) for name in numbers]
    times, values = [], []
    for line, row in enumerate(rows, start=2):
        try:
            times.append([int(row[place]) for place in places[0]])
            values.append([float(row[place]) for place in places[1]])
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}:{line}: cannot be read ({error}); download the file again") from error
    if not rows or not np.isfinite(values).all() or (np.diff([row[0] for row in times]) <= 0).any():
        raise DataError(f"{path}: holds no poses, or numbers that are not finite or not in order; download it again")
    return np.array(times, np.int64), np.array(values)


def _between(T_a: np.ndarray, T_b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Poses at a share (M,) of the way from one (M, 4, 4) to another: straight on, turning evenly."""
    turn = np.swapaxes(T_a[:, :3, :3], 1, 2) @ T_b[:, :3, :3]
    sine_axis = (
        np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], -1) / 2
    )
    sine = np.linalg.norm(sine_axis, axis=1)
    angle_rad = np.arctan2(sine, (np.trace(turn, axis1=1, axis2=2) - 1) / 2)
    axis = sine_axis / np.maximum(sine, 1e-12)[:, None]
    T = T_a + share[:, None, None] * (T_b - T_a)
    T[:, :3, :3] = T_a[:, :3, :3] @ _rotations(axis, share * angle_rad)
    return T


def _rotations(axis: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """Rotations (M, 3, 3) about unit axes (M, 3), by Rodrigues' formula."""
    cross = np.zeros((len(axis), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axis
    cross -= np.swapaxes(cross, 1, 2)
    sine, versine = np.sin(angle_rad)[:, None, None], (1 - np.cos(angle_rad))[:, None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)
