"""Text files of a RobotCar traverse: timestamps, visual odometry, INS."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from .robotcar_calibration import EXTRINSICS, T_NED_WORLD, pose_components, pose_matrix
from .robotcar_options import INS_RATE, Traversal, timestamp

ODOMETRY_COLUMNS = "source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw"
INS_COLUMNS = (
    "timestamp,ins_status,latitude,longitude,altitude,northing,easting,down,utm_zone,"
    "velocity_north,velocity_east,velocity_down,roll,pitch,yaw"
)
NORTHING, EASTING, LATITUDE, LONGITUDE, ALTITUDE = 5_735_000.0, 620_000.0, 51.76, -1.25, 110.0  # where x = y = z = 0


def write_tables(folder: Path, traverse: str, traversal: Traversal) -> None:
    """Write all text files of one traverse.

    Args:
        folder: of the traverse.
        traverse: its name.
        traversal: the drive.
    """
    stamps = {
        "stereo.timestamps": traversal.frame_times,
        "lms_front.timestamps": traversal.scan_times,
    }
    for name, times in stamps.items():
        _write_lines(folder / name, (f"{timestamp(traverse, time)} 1" for time in times))
    _write_lines(folder / "vo" / "vo.csv", [ODOMETRY_COLUMNS, *_odometry_rows(traverse, traversal)])
    _write_lines(folder / "gps" / "ins.csv", [INS_COLUMNS, *_ins_rows(traverse, traversal)])


def _odometry_rows(traverse: str, traversal: Traversal) -> Iterable[str]:
    """One row per step: the later time, the earlier time, and the later pose in the frame of the earlier one."""
    for earlier, later in pairwise(traversal.odometry_times):
        T_earlier_later = np.linalg.inv(traversal.T_world_vehicle(earlier)) @ traversal.T_world_vehicle(later)
        numbers = ",".join(f"{value:.9g}" for value in pose_components(T_earlier_later))
        yield f"{timestamp(traverse, later)},{timestamp(traverse, earlier)},{numbers}"


def _ins_rows(traverse: str, traversal: Traversal) -> Iterable[str]:
    T_vehicle_ins = pose_matrix(EXTRINSICS["ins"])
    poses = [T_NED_WORLD @ traversal.T_world_vehicle(time) @ T_vehicle_ins for time in traversal.ins_times]
    velocities = np.gradient(np.array([pose[:3, 3] for pose in poses]), 1 / INS_RATE, axis=0)
    for time, pose, velocity in zip(traversal.ins_times, poses, velocities, strict=True):
        north, east, down, *angles = pose_components(pose)
        latitude, longitude = LATITUDE + north / 111_250, LONGITUDE + east / 69_000
        fields = [
            str(timestamp(traverse, time)),
            "INS_SOLUTION_GOOD",
            *(f"{value:.9f}" for value in (latitude, longitude)),
            *(f"{value:.6f}" for value in (ALTITUDE - down, NORTHING + north, EASTING + east, down)),
            "30U",
            *(f"{value:.6f}" for value in velocity),
            *(f"{value:.9f}" for value in angles),
        ]
        yield ",".join(fields)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
