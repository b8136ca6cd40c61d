"""LiDAR sweeps: reading, projection into a camera, and the sparse form of a depth map."""

from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

POINT_BYTES = 20
"""A nuScenes LiDAR point: x, y, z [m], intensity and ring index, five float32."""


def read_points(path: Path) -> np.ndarray:
    """Points of a nuScenes sweep in the LiDAR frame [m], float32 (N, 3).

    Raises:
        DataError: when the file is missing, empty, cut or holds numbers that are not finite.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such LiDAR file; download the LiDAR blobs of this data set again")
    size = path.stat().st_size
    if size == 0 or size % POINT_BYTES:
        raise DataError(
            f"{path}: {size} bytes are not a positive multiple of {POINT_BYTES} (a point), so the file is cut; "
            "copy or download it again"
        )
    values = np.fromfile(path, np.float32).reshape(-1, POINT_BYTES // 4)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: holds LiDAR points that are not finite; copy or download it again")
    return values[:, :3]


def project_lidar(
    points: np.ndarray,
    T_camera_lidar: np.ndarray,
    K: np.ndarray,
    size: tuple[int, int],
    *,
    min_depth: float = 1.0,
) -> np.ndarray:
    """Depth map of LiDAR points by the rules of the nuScenes devkit, one pixel per point.

    A point counts if it lies more than ``min_depth`` in front of the camera and strictly inside a border of one pixel.
    Its pixel is the truncated (not rounded) one and the last point of a pixel wins, as in the published evaluations;
    truncation is half a pixel off where integers are pixel centres, collisions are rare.

    Args:
        points: points in the LiDAR frame [m], (N, 3).
        T_camera_lidar: maps LiDAR points to the camera at the time of the image, float64 (4, 4).
        K: intrinsics [px], (3, 3).
        size: (height, width) of the map that K belongs to [px].
        min_depth: depth that a point has to exceed [m].

    Returns:
        Depth [m], float32 (H, W); 0 = no return.
    """
    height, width = size
    in_camera = points.astype(np.float64) @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
    in_camera = in_camera[in_camera[:, 2] > min_depth]
    z = in_camera[:, 2]
    u, v = ((in_camera @ K.T)[:, :2] / z[:, None]).T
    inside = (u > 1) & (u < width - 1) & (v > 1) & (v < height - 1)
    depth = np.zeros(size, np.float32)
    depth[v[inside].astype(int), u[inside].astype(int)] = z[inside]
    return depth


def sparse_depth(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat row-major pixel indices, int64 (N,), and depths [m], float32 (N,), of the returns of a map (H, W)."""
    index = np.flatnonzero(depth)
    return index, depth.ravel()[index]
