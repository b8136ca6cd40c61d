"""LiDAR depth the way of others: the devkit's per-frame path, and loops over the points."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .lidar_scene import Sweeps
from .peers import load_peer, stand_in

Projection = Callable[[np.ndarray, np.ndarray, tuple[int, int]], tuple[np.ndarray, np.ndarray]]
"""Points (N, 3) in the camera frame, K and (height, width) to pixels (2, M) and depths (M,)."""
Raster = Callable[[np.ndarray, np.ndarray, tuple[int, int]], np.ndarray]
"""Pixels (2, M), depths (M,) and (height, width) to a map (H, W)."""


def devkit_maps(sweeps: Sweeps) -> Callable[[int], np.ndarray]:
    """The depth map of a frame through the unmodified devkit, in the way of the published evaluations."""
    from nuscenes.nuscenes import NuScenesExplorer

    explorer = NuScenesExplorer(sweeps)

    def depth_map(index: int) -> np.ndarray:
        points, depth, picture = explorer.map_pointcloud_to_image(f"lidar{index}", f"camera{index}")
        pixels = points.astype(np.int32)
        dense = np.zeros(picture.size[::-1], np.float32)
        dense[pixels[1], pixels[0]] = depth
        return dense

    return depth_map


def float64_map(points: np.ndarray, T_camera_lidar: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The definition of the projection in float64: move, divide, look where it lands; nothing is left out early."""
    in_camera = points.astype(np.float64) @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
    x, y, z = in_camera[in_camera[:, 2] > 1.0].T
    u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
    seen = (u > 1) & (u < size[1] - 1) & (v > 1) & (v < size[0] - 1)
    dense = np.zeros(size, np.float32)
    dense[v[seen].astype(int), u[seen].astype(int)] = z[seen]
    return dense


def loop_projection(points: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (2, M) and depths (M,) of points (N, 3) in the camera frame, point by point where the SDK does so."""
    points = points.T.astype(np.float64)
    points = points[:, [i for i in range(points.shape[1]) if points[2, i] >= 0]]
    u, v = K[0, 0] * points[0] / points[2] + K[0, 2], K[1, 1] * points[1] / points[2] + K[1, 2]
    seen = [i for i in range(len(u)) if 0.5 <= u[i] <= size[1] - 1 and 0.5 <= v[i] <= size[0] - 1]
    return np.stack([u[seen], v[seen]]), points[2, seen]


def loop_raster(pixels: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth map (H, W) of rounded pixels, point by point; the nearest wins."""
    dense = np.zeros(size, np.float32)
    for u, v, z in zip(*np.round(pixels).astype(int), depth, strict=True):
        if dense[v, u] == 0 or z < dense[v, u]:
            dense[v, u] = z
    return dense


def sdk_projection() -> Projection | None:
    """The RobotCar SDK's own projection where its ``python`` folder is on PYTHONPATH, None elsewhere."""
    if importlib.util.find_spec("camera_model") is None:
        return None
    from camera_model import CameraModel

    camera = object.__new__(CameraModel)  # its constructor wants the files of a camera
    camera.G_camera_image = np.eye(4)

    def projection(points: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        camera.focal_length, camera.principal_point = (K[0, 0], K[1, 1]), (K[0, 2], K[1, 2])
        homogeneous = np.vstack([points.T, np.ones(len(points))])
        return camera.project(homogeneous, (size[0] - 1, size[1] - 1, 3))

    return projection


def md4all_raster(folder: Path) -> Raster:
    """md4all's own raster of RobotCar's points, from a checkout of it."""
    from yacs.config import CfgNode

    stand_ins = {
        "robotcar_dataset_sdk": stand_in("robotcar_dataset_sdk"),
        "robotcar_dataset_sdk.camera_model": stand_in("robotcar_dataset_sdk.camera_model", CameraModel=None),
        "fvcore": stand_in("fvcore"),
        "fvcore.common": stand_in("fvcore.common"),
        "fvcore.common.config": stand_in("fvcore.common.config", CfgNode=CfgNode),
    }
    peer = load_peer(folder, ("data.robotcar.robotcar_dataset",), stand_ins)
    return peer.robotcar_dataset.RobotCarDataset.generate_image_from_points
