"""Slow, independent versions of what prepares RobotCar frames, written from the formulas, and the SDK where it is."""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import convolve, map_coordinates
from scipy.spatial.transform import Rotation, Slerp

DAY, NIGHT = "2014-12-09-13-21-02", "2014-12-16-18-44-24"
_SDK_MODULES = ("transform", "interpolate_poses", "velodyne", "build_pointcloud", "camera_model", "image")


def colours(mosaic: np.ndarray) -> np.ndarray:
    """Bilinear demosaicing of GBRG by convolution, float64 (H, W, 3)."""
    rows, columns = np.indices(mosaic.shape) % 2
    green = rows == columns
    masks = [(rows == 1) & (columns == 0), green, (rows == 0) & (columns == 1)]
    side = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    planes = [
        convolve(mosaic * mask.astype(float), kernel) for mask, kernel in zip(masks, (side, cross, side), strict=True)
    ]
    return np.stack(planes, -1)


def straightened(image: np.ndarray, lookup: np.ndarray) -> np.ndarray:
    """Bilinear undistortion, float64 (H, W, 3), zero outside; ``lookup`` is (2, H * W) with u, then v."""
    u, v = lookup.reshape(2, *image.shape[:2])
    return np.stack([map_coordinates(plane, [v, u], order=1) for plane in np.moveaxis(image, -1, 0)], -1)


def transform(values: list[float]) -> np.ndarray:
    """4 x 4 of x, y, z, roll, pitch, yaw."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", values[3:]).as_matrix()
    T[:3, 3] = values[:3]
    return T


def vo_poses(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times and chained poses of vo.csv."""
    rows = [line.split(",") for line in path.read_text().split("\n")[1:] if line]
    times, poses = [int(rows[0][1])], [np.eye(4)]
    for row in rows:
        times.append(int(row[0]))
        poses.append(poses[-1] @ transform([float(value) for value in row[2:8]]))
    return np.array(times), np.stack(poses)


def ins_poses(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times and poses of ins.csv."""
    rows = [line.split(",") for line in path.read_text().split("\n")[1:] if line]
    return np.array([int(row[0]) for row in rows]), np.stack(
        [transform([float(value) for value in (*row[5:8], *row[-3:])]) for row in rows]
    )


def pose_at(times: np.ndarray, poses: np.ndarray, time: int) -> np.ndarray:
    """Pose by slerp and linear interpolation."""
    T = np.eye(4)
    T[:3, :3] = Slerp(times - times[0], Rotation.from_matrix(poses[:, :3, :3]))(time - times[0]).as_matrix()
    T[:3, 3] = [np.interp(time, times, poses[:, axis, 3]) for axis in range(3)]
    return T


def pose_before(times: np.ndarray, poses: np.ndarray, time: int) -> np.ndarray:
    """The last pose that is not later."""
    return poses[max(n for n, known in enumerate(times) if known <= time)]


def depth_points(raw: Path, traverse: str, time: int, margin: float, *, as_sdk: bool = False) -> np.ndarray:
    """Points (N, 3) of the scans around an image in its camera, by VO, one scan at a time.

    With ``as_sdk``, the pose before is taken, each scan gets that of the scan after it, which costs the last one, and
    beams without an echo count as points in the laser.
    """
    folder = raw / traverse
    pose = pose_before if as_sdk else pose_at
    times, poses = vo_poses(folder / "vo/vo.csv")
    T_vehicle_laser = transform([float(v) for v in (raw / "extrinsics/lms_front.txt").read_text().split()])
    T_origin = pose(times, poses, time)
    scans = [int(line.split()[0]) for line in (folder / "lms_front.timestamps").read_text().splitlines()]
    scans = [scan for scan in scans if abs(scan - time) <= margin * 1e6]
    points = []
    for scan, moved_at in pairwise(scans) if as_sdk else zip(scans, scans, strict=True):
        x, y, _ = np.fromfile(folder / f"lms_front/{scan}.bin").reshape(-1, 3).T
        if not as_sdk:
            x, y = x[(x != 0) | (y != 0)], y[(x != 0) | (y != 0)]
        T = np.linalg.inv(T_origin) @ pose(times, poses, moved_at) @ T_vehicle_laser
        points.append((T @ np.stack([x, y, 0 * x, 0 * x + 1]))[:3].T)
    forward, right, down = np.concatenate(points).T
    return np.stack([right, down, forward], -1)


def nearest_depth(points: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth map of points (N, 3) in a camera, one point at a time, the nearest wins; 0 = none."""
    depth = np.zeros(size)
    for x, y, z in points:
        if z <= 0:
            continue
        u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        if 0.5 <= u <= size[1] - 1 and 0.5 <= v <= size[0] - 1:
            pixel = int(np.round(v)), int(np.round(u))
            depth[pixel] = z if depth[pixel] == 0 else min(z, depth[pixel])
    return depth


@contextmanager
def sdk(*names: str) -> Iterator[list[ModuleType]]:
    """Modules of the RobotCar SDK, found through ROBOTCAR_SDK or PYTHONPATH; the test is skipped where they are not."""
    place = os.environ.get("ROBOTCAR_SDK")
    candidates = [Path(place), Path(place, "python")] if place else [Path(entry) for entry in sys.path if entry]
    folder = next((path for path in candidates if (path / "interpolate_poses.py").is_file()), None)
    if folder is None:
        pytest.skip("RobotCar SDK not found: set ROBOTCAR_SDK to its folder")
    sys.path.insert(0, str(folder))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield [importlib.import_module(name) for name in names]
    except ModuleNotFoundError as error:
        pytest.skip(f"the RobotCar SDK needs {error.name}")
    finally:
        sys.path.remove(str(folder))
        for name in _SDK_MODULES:
            sys.modules.pop(name, None)
