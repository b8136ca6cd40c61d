"""Calibration of the RobotCar platform at any picture size, and its Euler angles.

The numbers are those of the data set's SDK, apart from the lens: the SDK has a table in place of a formula.
Vehicle frame = frame of the left stereo camera: x forward, y right, z down.
"""

import numpy as np

from .camera import LensCamera

NATIVE = (960, 1280)  # height and width that the calibration refers to [px]
FOCAL, PRINCIPAL_POINT = 983.044006, (643.646973, 493.378998)  # of stereo_wide_left [px]
BEND = 0.17  # of the lens; the corners of the picture move by a tenth of their distance to the centre
CAMERA_AHEAD, CAMERA_HEIGHT = 1.0, 1.55  # of the middle of the ego frame [m]
# name -> pose in the vehicle frame: x, y, z [m], roll, pitch, yaw [rad]
EXTRINSICS = {
    "stereo": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "lms_front": (1.7589, 0.2268, 1.0411, -0.0437, -1.4572, 0.0356),
    "ins": (-1.7132, 0.1181, 1.1948, -0.0125, 0.0400, 0.0050),
}
# camera frame of a picture (x right, y down, z forward) in the vehicle frame
T_VEHICLE_CAMERA = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
T_EGO_VEHICLE = np.diag([1.0, -1.0, -1.0, 1.0]) + np.array([[0, 0, 0, v] for v in (CAMERA_AHEAD, 0, CAMERA_HEIGHT, 0)])
T_NED_WORLD = np.diag([1.0, -1.0, -1.0, 1.0])  # north = x, east = -y, down = -z


def stereo_camera(size: tuple[int, int]) -> LensCamera:
    """The left camera of the wide stereo pair at a size (height, width) [px]: scaled by the width, then cropped.

    Args:
        size: height and width of the picture [px].
    """
    scale = size[1] / NATIVE[1]
    crop = (NATIVE[0] * scale - size[0]) / 2
    x, y = ((c + 0.5) * scale - 0.5 for c in PRINCIPAL_POINT)
    K = np.array([[FOCAL * scale, 0, x], [0, FOCAL * scale, y - crop], [0, 0, 1]]).round(6)  # as the file has it
    return LensCamera(K, size, BEND)


def model_text(camera: LensCamera) -> str:
    """The camera's model file: focal lengths, principal point, and the pose of the camera frame.

    Args:
        camera: the camera.
    """
    K = camera.K
    rows = [(K[0, 0], K[1, 1], K[0, 2], K[1, 2]), *T_VEHICLE_CAMERA]
    return "".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in rows)


def undistortion_table(camera: LensCamera) -> np.ndarray:
    """Where the pixels of the undistorted picture, row by row, lie in the raw one: (2, H * W) float64, u and v.

    Args:
        camera: the camera.
    """
    height, width = camera.size
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    focal, centre = camera.K[[0, 1], [0, 1]], camera.K[:2, 2]
    slopes = (np.stack([u, v], -1).reshape(-1, 2) - centre) / focal
    return (camera.bent(slopes) * focal + centre).T


def bayer_mosaic(picture: np.ndarray) -> np.ndarray:
    """What a sensor under a GBRG pattern records (H, W): even rows G B G B, odd rows R G R G.

    Args:
        picture: RGB (H, W, 3).
    """
    mosaic = picture[..., 1].copy()
    mosaic[0::2, 1::2] = picture[0::2, 1::2, 2]
    mosaic[1::2, 0::2] = picture[1::2, 0::2, 0]
    return mosaic


def pose_matrix(components: tuple[float, ...]) -> np.ndarray:
    """Matrix (4, 4) of x, y, z [m] and roll, pitch, yaw [rad] about the axes x, y, z, the roll first.

    Args:
        components: the six numbers.
    """
    (sr, sp, sy), (cr, cp, cy) = np.sin(components[3:]), np.cos(components[3:])
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    matrix[:3, 3] = components[:3]
    return matrix


def pose_components(matrix: np.ndarray) -> list[float]:
    """x, y, z [m] and roll, pitch, yaw [rad] of a matrix (4, 4) with less than a quarter turn of pitch."""
    roll = np.arctan2(matrix[2, 1], matrix[2, 2])
    pitch = np.arctan2(-matrix[2, 0], np.hypot(matrix[0, 0], matrix[1, 0]))
    yaw = np.arctan2(matrix[1, 0], matrix[0, 0])
    return [float(value) for value in (*matrix[:3, 3], roll, pitch, yaw)]
