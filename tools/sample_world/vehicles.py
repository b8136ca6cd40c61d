"""The two recording vehicles with their real, different calibrations, and rotations as quaternions."""

from dataclasses import dataclass

import numpy as np

from .camera import Camera

NATIVE = (900, 1600)  # height and width that the calibrations refer to [px]


@dataclass(frozen=True)
class Vehicle:
    """One vehicle: K at native size, and the sensors' poses in the ego frame as translation [m] and quaternion wxyz."""

    name: str
    left_hand: bool
    focal: float
    principal_point: tuple[float, float]
    camera_translation: tuple[float, ...]
    camera_rotation: tuple[float, ...]
    lidar_translation: tuple[float, ...]
    lidar_rotation: tuple[float, ...]

    def camera(self, size: tuple[int, int]) -> Camera:
        """The front camera at a size (height, width) [px]: scaled by the width, then cropped centrally."""
        scale = size[1] / NATIVE[1]
        crop = (NATIVE[0] * scale - size[0]) / 2
        x, y = ((c + 0.5) * scale - 0.5 for c in self.principal_point)
        K = np.array([[self.focal * scale, 0, x], [0, self.focal * scale, y - crop], [0, 0, 1]])
        return Camera(K, size)

    @property
    def T_ego_camera(self) -> np.ndarray:  # noqa: N802 - transforms keep their name
        """Pose of the front camera (4, 4)."""
        return transform(self.camera_translation, self.camera_rotation)

    @property
    def T_ego_lidar(self) -> np.ndarray:  # noqa: N802
        """Pose of the scanner (4, 4)."""
        return transform(self.lidar_translation, self.lidar_rotation)


VEHICLES = (
    Vehicle(
        name="w000",
        left_hand=True,
        focal=1266.417203046554,
        principal_point=(816.2670197447984, 491.50706579294757),
        camera_translation=(1.70079118954, 0.0159456324149, 1.51095763913),
        camera_rotation=(0.4998015430569128, -0.5030316162024876, 0.4997798114386805, -0.49737083824542755),
        lidar_translation=(0.943713, 0.0, 1.84023),
        lidar_rotation=(0.7077955119163518, -0.006492242056004365, 0.010646214713995808, -0.7063073142877817),
    ),
    Vehicle(
        name="w001",
        left_hand=False,
        focal=1252.8131021185304,
        principal_point=(826.588114781398, 469.9846626224581),
        camera_translation=(1.72200568478, 0.00475453292289, 1.49491291905),
        camera_rotation=(0.5077241387638071, -0.4973392230703816, 0.49837167536166627, -0.4964832014373754),
        lidar_translation=(0.985793, 0.0, 1.84019),
        lidar_rotation=(0.706749235646644, -0.015300993788500868, 0.01739745181256607, -0.7070846669051719),
    ),
)


def transform(translation: tuple[float, ...], rotation: tuple[float, ...]) -> np.ndarray:
    """Matrix (4, 4) of a translation [m] and a quaternion wxyz."""
    w, x, y, z = np.array(rotation) / np.linalg.norm(rotation)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix


def quaternion(rotation: np.ndarray) -> list[float]:
    """Unit quaternion wxyz of a rotation matrix (3, 3) by less than half a turn."""
    w = np.sqrt(max(0.0, 1 + np.trace(rotation))) / 2
    axis = rotation - rotation.T
    values = np.array([w, *(np.array([axis[2, 1], axis[0, 2], axis[1, 0]]) / (4 * w))])
    return (values / np.linalg.norm(values)).tolist()
