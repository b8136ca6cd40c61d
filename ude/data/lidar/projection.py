"""LiDAR points to the depth of pixels, by the rules of the nuScenes devkit and in exact arithmetic."""

import numpy as np


def sparse_projection(
    points: np.ndarray,
    T_camera_lidar: np.ndarray,
    K: np.ndarray,
    size: tuple[int, int],
    *,
    min_depth: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels with a LiDAR return and their depths, by the rules of the nuScenes devkit.

    A point counts if it lies more than ``min_depth`` in front of the camera and strictly inside a border of one pixel.
    Its pixel is the truncated (not rounded) one and the last point of a pixel wins, as in the published evaluations;
    truncation is half a pixel off where integers are pixel centres, collisions are rare.

    Args:
        points: points in the LiDAR frame [m], (N, 3).
        T_camera_lidar: maps LiDAR points to the camera at the time of the image, float64 (4, 4).
        K: intrinsics [px], (3, 3).
        size: (height, width) of the image that K belongs to [px].
        min_depth: depth that a point has to exceed [m].

    Returns:
        Flat row-major pixel indices, int64 (M,) ascending without repetition, and depths [m], float32 (M,).
    """
    height, width = size
    P = K @ T_camera_lidar[:3]
    points = points.T.astype(np.float64)
    z = P[2, :3] @ points + P[2, 3]
    front = np.flatnonzero(z > min_depth)
    z = z[front]
    u_z, v_z = P[:2, :3] @ points[:, front] + P[:2, 3:]
    # the borders times z: most points are out of sight and need no division
    inside = np.flatnonzero((u_z > z) & (u_z < (width - 1) * z) & (v_z > z) & (v_z < (height - 1) * z))
    z = z[inside]
    index = (v_z[inside] / z).astype(np.int64) * width + (u_z[inside] / z).astype(np.int64)
    return last_wins(index, z.astype(np.float32))


def project_lidar(
    points: np.ndarray,
    T_camera_lidar: np.ndarray,
    K: np.ndarray,
    size: tuple[int, int],
    *,
    min_depth: float = 1.0,
) -> np.ndarray:
    """The same as ``sparse_projection`` as a depth map [m], float32 (H, W); 0 = no return."""
    return dense_depth(*sparse_projection(points, T_camera_lidar, K, size, min_depth=min_depth), size)


def last_wins(index: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N,) in ascending order, each once, with the depth (N,) that stands last in the given order."""
    order = np.argsort(index, kind="stable")
    index = index[order]
    last = np.ones(len(index), bool)
    np.not_equal(index[1:], index[:-1], out=last[:-1])
    return index[last], depth[order[last]]


def dense_depth(index: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth map [m], float32 (H, W), of flat pixel indices (N,) and depths (N,); 0 = no return."""
    dense = np.zeros(size[0] * size[1], np.float32)
    dense[index] = depth
    return dense.reshape(size)


def sparse_depth(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat row-major pixel indices, int64 (N,), and depths [m], float32 (N,), of the returns of a map (H, W)."""
    index = np.flatnonzero(depth)
    return index, depth.ravel()[index]
