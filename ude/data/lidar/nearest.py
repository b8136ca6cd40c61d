"""LiDAR points to the depth of pixels, by the rules of the RobotCar evaluations."""

import numpy as np

_NEAREST_Z = 1e-3
"""A point nearer than this [m] has no pixel of any meaning."""


def nearest_projection(points: np.ndarray, K: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels with a LiDAR return and their depths; the nearest point of a pixel wins.

    A point counts if it lies in front of the camera with 0.5 <= u <= width - 1 and 0.5 <= v <= height - 1. These are
    the bounds of the RobotCar SDK when it is told a size of (height - 1, width - 1), as in the published evaluations.
    Its pixel is the rounded one, halves to even.

    Args:
        points: points in the camera frame (x right, y down, z forward) [m], (N, 3).
        K: intrinsics [px], (3, 3), without skew.
        size: (height, width) of the image that K belongs to [px].

    Returns:
        Flat row-major pixel indices, int64 (M,) ascending without repetition, and depths [m], float32 (M,).
    """
    height, width = size
    x, y, z = points.T.astype(np.float64)
    front = np.flatnonzero(z >= _NEAREST_Z)
    x, y, z = x[front], y[front], z[front]
    u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
    inside = np.flatnonzero((u >= 0.5) & (u <= width - 1) & (v >= 0.5) & (v <= height - 1))
    index = np.rint(v[inside]).astype(np.int64) * width + np.rint(u[inside]).astype(np.int64)
    nearest = np.full(height * width, np.inf, np.float32)
    np.minimum.at(nearest, index, z[inside].astype(np.float32))
    index = np.flatnonzero(nearest < np.inf)
    return index, nearest[index]
