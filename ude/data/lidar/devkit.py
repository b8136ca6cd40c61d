"""The projection of the nuScenes devkit to the bit, for comparison with numbers that were published with it."""

from collections.abc import Sequence

import numpy as np

from .projection import last_wins


def devkit_projection(
    points: np.ndarray,
    steps: Sequence[tuple[np.ndarray, np.ndarray]],
    K: np.ndarray,
    size: tuple[int, int],
    *,
    min_depth: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels with a LiDAR return and their depths, bit for bit those of the nuScenes devkit.

    The devkit moves float32 points step by step through the global frame, whose kilometres leave float32 a tenth of a
    millimetre, so that 0.5 % of the points fall on another pixel than in ``sparse_projection``.

    Args:
        points: points in the LiDAR frame [m], float32 (N, 3), as ``read_points`` gives them.
        steps: four pairs (rotation, float64 (3, 3); translation [m], float64 (3,)), each as its table has it, thus
            mapping to the frame that follows the slash: LiDAR / ego and ego / global at the sweep's time, ego / global
            at the image's time, camera / ego. The last two are inverted here. Rotations are those of the devkit,
            ``Quaternion(row["rotation"]).rotation_matrix``.
        K: intrinsics [px], (3, 3).
        size: (height, width) of the image that K belongs to [px].
        min_depth: depth that a point has to exceed [m].

    Returns:
        Flat row-major pixel indices, int64 (M,) ascending without repetition, and depths [m], float32 (M,).
    """
    height, width = size
    moved = np.array(points.T, np.float32, order="F")  # in memory as the devkit has them: it can matter to rounding
    for rotation, translation in steps[:2]:
        moved[:] = np.dot(rotation, moved)
        moved += _float32_column(translation)
    for rotation, translation in steps[2:]:
        moved += _float32_column(-np.asarray(translation))
        moved[:] = np.dot(np.asarray(rotation).T, moved)
    view = np.eye(4)
    view[:3, :3] = K
    # all points, though most are out of sight: a product of another width may round otherwise
    homogeneous = np.dot(view, np.concatenate((moved, np.ones((1, moved.shape[1])))))
    front = moved[2] > min_depth
    depth = moved[2, front]
    u, v = homogeneous[:2, front] / homogeneous[2, front]
    inside = (u > 1) & (u < width - 1) & (v > 1) & (v < height - 1)
    index = v[inside].astype(np.int64) * width + u[inside].astype(np.int64)
    return last_wins(index, depth[inside])


def _float32_column(translation: np.ndarray) -> np.ndarray:
    """A translation (3,) as float32 (3, 1): the devkit adds float64 numbers, which NumPy 1 rounds first."""
    return np.asarray(translation, np.float32)[:, None]
