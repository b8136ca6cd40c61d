"""KITTI's velodyne sweeps and their projection by the rules of the published evaluations."""

from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

POINT_BYTES = 16
"""A KITTI LiDAR point: x forward, y left, z up [m] and reflectance, four float32."""


def read_velodyne(path: Path) -> np.ndarray:
    """Points of a sweep in the LiDAR frame [m], float32 (N, 3).

    Raises:
        DataError: when the file is missing, empty, cut or holds numbers that are not finite.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such LiDAR file; download the synced data of this drive again")
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


def kitti_projection(
    points: np.ndarray, T_camera_lidar: np.ndarray, K: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels with a LiDAR return and their depths by the rules of KITTI's development kit; the nearest point wins.

    A point's pixel is its rounded position minus one, (round(u) - 1, round(v) - 1): the kit's index starts at one. All
    published depth evaluations on raw KITTI keep this, so the map lies a pixel above and left of where integers are
    pixel centres. Depth is the camera's z; the files that monodepth2 exports hold the LiDAR's x (forward) instead,
    which is a quarter of a metre more, and there the pixels of the first and last column can take each other's depth.

    Args:
        points: points in the LiDAR frame [m], (N, 3).
        T_camera_lidar: maps LiDAR points to the camera, float64 (4, 4).
        K: intrinsics [px], (3, 3).
        size: (height, width) of the image that K belongs to [px].

    Returns:
        Flat row-major pixel indices, int64 (M,) ascending without repetition, and depths [m], float32 (M,).
    """
    height, width = size
    front = points[points[:, 0] >= 0].astype(np.float64)  # the kit leaves out what lies behind the LiDAR
    in_camera = front @ T_camera_lidar[:3, :3].T + T_camera_lidar[:3, 3]
    in_camera = in_camera[in_camera[:, 2] > 0]
    z = in_camera[:, 2]
    u, v = np.rint((in_camera @ K.T)[:, :2] / z[:, None]).T - 1
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    index = v[inside].astype(np.int64) * width + u[inside].astype(np.int64)
    order = np.lexsort((z[inside], index))
    index, first = np.unique(index[order], return_index=True)
    return index, z[inside][order][first].astype(np.float32)
