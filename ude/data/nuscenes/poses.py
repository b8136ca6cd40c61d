"""Poses of the front camera and of the LiDAR, from the columns of the index."""

import numpy as np

from .index import TableIndex


def camera_poses(index: TableIndex, images: np.ndarray) -> np.ndarray:
    """``T_global_camera`` of images of the stream, float64 (*images.shape, 4, 4)."""
    sensor = squared(index.calibration_T_ego_sensor)[index.image_calibration[images]]
    return squared(index.image_T_global_ego[images]) @ sensor


def camera_centres(index: TableIndex, images: np.ndarray) -> np.ndarray:
    """Camera centres of images of the stream in the global frame [m], float64 (*images.shape, 3)."""
    T = index.image_T_global_ego[images]
    centre = index.calibration_T_ego_sensor[index.image_calibration[images], :, 3]
    return (T[..., :3] @ centre[..., None])[..., 0] + T[..., 3]


def squared(T: np.ndarray) -> np.ndarray:
    """Transforms (..., 3, 4) with their last row, (..., 4, 4)."""
    whole = np.zeros((*T.shape[:-2], 4, 4))
    whole[..., :3, :] = T
    whole[..., 3, 3] = 1
    return whole


def lidar_steps(index: TableIndex, key: np.ndarray) -> np.ndarray:
    """The four transforms between LiDAR and camera of key frames, float64 (F, 4, 3, 4).

    ``T_ego_lidar`` and ``T_global_ego`` at the sweep's time, ``T_global_ego`` and ``T_ego_camera`` at the image's.
    """
    image = index.key_image[key]
    return np.stack(
        [
            index.calibration_T_ego_sensor[index.key_lidar_calibration[key]],
            index.key_lidar_T_global_ego[key],
            index.image_T_global_ego[image],
            index.calibration_T_ego_sensor[index.image_calibration[image]],
        ],
        axis=1,
    )
