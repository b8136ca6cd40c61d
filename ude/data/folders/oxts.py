"""Poses of KITTI's GPS/IMU unit from its oxts files.

Source: A. Geiger et al., Vision meets Robotics: The KITTI Dataset, IJRR 2013, section 4.1 and its development kit.
"""

from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

EARTH_RADIUS = 6378137.0
_FIELDS = 30
_REMEDY = "download the drive again, or set LOSS.VELOCITY 0, DATA.MIN_SPEED 0 and MODEL.POSE learned"


def read_oxts(path: Path) -> np.ndarray:
    """The 30 numbers of one oxts file, float64 (30,); the first are latitude, longitude, altitude, roll, pitch, yaw.

    Raises:
        DataError: when it is missing or damaged.
    """
    try:
        words = path.read_text(encoding="ascii", errors="replace").split()
        values = np.array([float(word) for word in words])
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such oxts file, so the frame has no pose; {_REMEDY}") from error
    except ValueError as error:
        raise DataError(f"{path}: not numbers only; {_REMEDY}") from error
    if len(values) != _FIELDS or not np.isfinite(values).all():
        raise DataError(f"{path}: expected {_FIELDS} finite numbers, got {len(values)}; {_REMEDY}")
    return values


def T_world_imu(oxts: np.ndarray, latitude: float) -> np.ndarray:  # noqa: N802 (T is a transform)
    """Pose of the unit, float64 (4, 4), in a world with x east, y north, z up [m].

    The position is a Mercator projection with the scale of one latitude, the rotation Rz(yaw) Ry(pitch) Rx(roll). The
    development kit takes the scale of a drive's first frame; that of the frame itself is right wherever the drive goes.

    Args:
        oxts: the numbers of a frame, (30,).
        latitude: where the scale is right [deg].
    """
    lat, lon, altitude, roll, pitch, yaw = oxts[:6]
    scale = np.cos(np.radians(latitude)) * EARTH_RADIUS
    T = np.eye(4)
    T[:3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
    T[:3, 3] = scale * np.radians(lon), scale * np.log(np.tan(np.radians(90 + lat) / 2)), altitude
    return T


def speed(oxts: np.ndarray) -> float:
    """Measured speed [m/s]: forward, leftward and upward velocity together."""
    return float(np.linalg.norm(oxts[8:11]))


def _about(axis: int, angle_rad: float) -> np.ndarray:
    """Rotation about one axis, (3, 3)."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    R = np.eye(3)
    R[first, first] = R[second, second] = cos
    R[first, second], R[second, first] = -sin, sin
    return R
