"""Sweeps on disk in the layout of nuScenes with real calibrations, and points as RobotCar's scanner piles them up.

A street canyon stands in for the world: a road between walls, so that about as many points are in sight as in a real
key frame (3,053), and a fifth of the beams without an echo.
"""

from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pyquaternion import Quaternion

from ude.data.lidar import read_points, sparse_projection

FIRINGS, BEAMS = 1084, 32
NATIVE = (900, 1600)
K_NATIVE = np.array([[1266.417, 0, 816.267], [0, 1266.417, 491.507], [0, 0, 1]])
T_EGO = {
    "lidar": {"translation": [0.943713, 0.0, 1.84023], "rotation": [0.7077955, -0.0064922, 0.0106462, -0.7063073]},
    "camera": {
        "translation": [1.700791, 0.015946, 1.510958],
        "rotation": [0.4998015, -0.5030316, 0.4997798, -0.497371],
    },
}
SPEED, FRAME_GAP_S, SWEEP_DELAY_S = 8.0, 0.5, 0.035  # [m/s], between key frames, from picture to sweep

ROBOTCAR_SIZE = (960, 1280)
K_ROBOTCAR = np.array([[983.044, 0, 643.647], [0, 983.044, 493.379], [0, 0, 1]])


class Sweeps:
    """Some sweeps and pictures, written below a folder: a source of LiDAR depth, and tables for the devkit.

    Args:
        dataroot: the folder.
        size: (height, width) of the pictures [px].
        count: number of frames.

    Attributes:
        dataroot: the folder, under the devkit's name for it.
        K: intrinsics at the size of the pictures [px], (3, 3).
        T_camera_lidar: per frame, all four steps in one matrix, float64 (4, 4).
    """

    def __init__(self, dataroot: Path, size: tuple[int, int], count: int) -> None:
        self.dataroot, self._size, self._count = dataroot, size, count
        self.K = np.diag([size[1] / NATIVE[1], size[0] / NATIVE[0], 1]) @ K_NATIVE
        self._rows = _tables(count, self.K)
        self.T_camera_lidar = [_chain(self.steps(i)) for i in range(count)]
        for i in range(count):
            canyon_sweep(seed=i).tofile(self.lidar_path(i))
            Image.new("RGB", size[::-1]).save(dataroot / f"camera{i}.jpg")

    def __len__(self) -> int:
        return self._count

    def get(self, table: str, token: str) -> dict[str, Any]:
        """A row of the tables, as the devkit asks for it."""
        return self._rows[table, token]

    def frame_id(self, index: int) -> str:
        """Name of a frame."""
        return f"frame{index}"

    def scene(self, index: int) -> str:
        """Name of the drive."""
        return "canyon"

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the pictures [px]."""
        return self._size

    def intrinsics(self, index: int) -> np.ndarray:
        """K at the size of the pictures [px], (3, 3)."""
        return self.K

    def lidar_path(self, index: int) -> Path:
        """File of a sweep."""
        return self.dataroot / f"lidar{index}.pcd.bin"

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels with a return and their depths, by one float64 matrix."""
        return sparse_projection(read_points(self.lidar_path(index)), self.T_camera_lidar[index], self.K, self._size)

    def steps(self, index: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rotation and translation of the four rows, as the tables have them."""
        rows = [
            self.get("calibrated_sensor", "lidar"),
            self.get("ego_pose", f"lidar{index}"),
            self.get("ego_pose", f"camera{index}"),
            self.get("calibrated_sensor", "camera"),
        ]
        return [(Quaternion(row["rotation"]).rotation_matrix, np.array(row["translation"])) for row in rows]


def canyon_sweep(seed: int) -> np.ndarray:
    """A turn of 1,084 firings of 32 beams in a street canyon, float32 (34688, 5), in the layout of nuScenes."""
    rng = np.random.default_rng(seed)
    azimuth = (-np.pi / 2 + 2 * np.pi / FIRINGS * np.arange(FIRINGS))[:, None]  # clockwise from the left
    elevation = np.deg2rad(np.linspace(-30.67, 10.67, BEAMS))[None]
    direction = np.stack(
        [np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation) + 0 * azimuth], -1
    )
    left, right, back, front, road = -rng.uniform(6, 12), rng.uniform(6, 12), -40.0, rng.uniform(40, 80), -1.84
    x, y, z = np.moveaxis(direction, -1, 0)
    to_wall = np.where(x > 0, right, -left) / np.maximum(np.abs(x), 1e-6)
    to_end = np.where(y > 0, front, -back) / np.maximum(np.abs(y), 1e-6)
    to_road = np.where(z < 0, -road / np.maximum(-z, 1e-6), np.inf)
    reach = np.minimum(np.minimum(to_wall, to_end), to_road) + rng.normal(0, 0.015, x.shape)
    silent = rng.random(reach.shape) < 0.2
    points = direction * np.where(silent, 0.45, reach)[..., None]
    ring = np.broadcast_to(np.arange(BEAMS), reach.shape)
    values = np.concatenate([points, np.stack([rng.integers(0, 256, ring.shape), ring], -1)], -1)
    return values.reshape(-1, 5).astype(np.float32)


def piled_points(count: int, seed: int) -> np.ndarray:
    """Points (N, 3) float32 in the camera frame [m] as eight seconds of a scanner that looks down at the road give."""
    rng = np.random.default_rng(seed)
    side, along, up = rng.uniform(-12, 12, count), rng.uniform(-35, 45, count), rng.uniform(0, 1, count)
    wall = np.abs(side) > 8
    points = [np.where(wall, np.sign(side) * 8, side), np.where(wall, 1.5 - 6 * up, 1.5 + 0.05 * up), along]
    return np.stack(points, 1).astype(np.float32)


def _tables(count: int, K: np.ndarray) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows that a projection looks up, by table and token."""
    rows: dict[tuple[str, str], dict[str, Any]] = {
        ("calibrated_sensor", sensor): {**row, "camera_intrinsic": K.tolist()} for sensor, row in T_EGO.items()
    }
    for i in range(count):
        for sensor, ending, delay in (("lidar", "pcd.bin", SWEEP_DELAY_S), ("camera", "jpg", 0.0)):
            token, metres = f"{sensor}{i}", SPEED * (FRAME_GAP_S * i + delay)
            rows["sample_data", token] = {
                "filename": f"{token}.{ending}",
                "sensor_modality": sensor,
                "calibrated_sensor_token": sensor,
                "ego_pose_token": token,
            }
            rows["ego_pose", token] = {
                "translation": [411.304 - 0.346 * metres, 1180.89 - 0.938 * metres, 0.0],
                "rotation": [0.57203, -0.0016, 0.0119, -0.82015 + 0.0001 * metres],
            }
    return rows


def _chain(steps: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """All four steps in one matrix, float64 (4, 4)."""
    transforms = []
    for rotation, translation in steps:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation, translation
        transforms.append(T)
    T_ego_lidar, T_global_ego, T_global_ego_image, T_ego_camera = transforms
    return reduce(
        np.matmul, [np.linalg.inv(T_ego_camera), np.linalg.inv(T_global_ego_image), T_global_ego, T_ego_lidar]
    )
