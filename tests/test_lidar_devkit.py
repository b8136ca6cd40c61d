"""The devkit's float32 projection: the same bits as the unmodified devkit."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from nuscenes.nuscenes import NuScenesExplorer
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion

from ude.data.lidar import dense_depth, devkit_projection, project_lidar, read_points, sparse_projection

REAL_SAMPLES = os.environ.get("UDE_REAL_SAMPLES", "")
needs_real_samples = pytest.mark.skipif(not REAL_SAMPLES, reason="UDE_REAL_SAMPLES names no folder with real samples")
REAL_SIZE = (900, 1600)


class KeyFrame(NamedTuple):
    """The real key frame.

    Attributes:
        path: its sweep.
        steps: as ``devkit_projection`` takes them.
        T_camera_lidar: the chain as the file itself has it.
        K: intrinsics.
    """

    path: Path
    steps: list[tuple[np.ndarray, np.ndarray]]
    T_camera_lidar: np.ndarray
    K: np.ndarray


@pytest.fixture(scope="module")
def key_frame() -> KeyFrame:
    folder = Path(REAL_SAMPLES) / "nuscenes_keyframe"
    calibration = json.loads((folder / "calibration.json").read_text())
    camera, lidar = calibration["CAM_FRONT"], calibration["lidar_points"]
    T_global_ego, T_camera_lidar = np.array(calibration["ego2global"]), np.array(camera["lidar2cam"])
    T_ego_lidar, T_ego_camera = np.array(lidar["lidar2ego"]), np.array(camera["cam2ego"])
    T_global_ego_image = T_global_ego @ T_ego_lidar @ np.linalg.inv(T_camera_lidar) @ np.linalg.inv(T_ego_camera)
    chain = (T_ego_lidar, T_global_ego, T_global_ego_image, T_ego_camera)
    steps = [(np.ascontiguousarray(T[:3, :3]), T[:3, 3].copy()) for T in chain]
    return KeyFrame(folder / lidar["lidar_path"], steps, T_camera_lidar, np.array(camera["cam2img"]))


def devkits_own_map(frame: KeyFrame) -> np.ndarray:
    """Depth map (H, W) through the devkit's own functions, in the order of its ``map_pointcloud_to_image``."""
    cloud = LidarPointCloud.from_file(str(frame.path))
    for rotation, translation in frame.steps[:2]:
        cloud.rotate(rotation)
        cloud.translate(translation)
    for rotation, translation in frame.steps[2:]:
        cloud.translate(-translation)
        cloud.rotate(rotation.T)
    depth = cloud.points[2]
    (u, v, _) = view_points(cloud.points[:3], frame.K, normalize=True)
    kept = (depth > 1.0) & (u > 1) & (u < REAL_SIZE[1] - 1) & (v > 1) & (v < REAL_SIZE[0] - 1)
    dense = np.zeros(REAL_SIZE, np.float32)
    dense[v[kept].astype(np.int32), u[kept].astype(np.int32)] = depth[kept]
    return dense


def table_steps(devkit, lidar, camera) -> list[tuple[np.ndarray, np.ndarray]]:
    """The four rows of the tables, as they are."""
    rows = [
        devkit.get("calibrated_sensor", lidar["calibrated_sensor_token"]),
        devkit.get("ego_pose", lidar["ego_pose_token"]),
        devkit.get("ego_pose", camera["ego_pose_token"]),
        devkit.get("calibrated_sensor", camera["calibrated_sensor_token"]),
    ]
    return [(Quaternion(row["rotation"]).rotation_matrix, np.array(row["translation"])) for row in rows]


def test_every_sweep_of_the_sample_world_has_the_devkits_pixels_and_depths(devkit, world_root):
    explorer, total = NuScenesExplorer(devkit), 0
    for sample in devkit.sample:
        lidar, camera = (devkit.get("sample_data", sample["data"][name]) for name in ("LIDAR_TOP", "CAM_FRONT"))
        points, depth, picture = explorer.map_pointcloud_to_image(lidar["token"], camera["token"])
        theirs = np.zeros(picture.size[::-1], np.float32)
        theirs[points[1].astype(np.int32), points[0].astype(np.int32)] = depth
        K = np.array(devkit.get("calibrated_sensor", camera["calibrated_sensor_token"])["camera_intrinsic"])
        ours = devkit_projection(
            read_points(world_root / lidar["filename"]), table_steps(devkit, lidar, camera), K, theirs.shape
        )
        np.testing.assert_array_equal(dense_depth(*ours, theirs.shape), theirs)
        total += len(depth)
    assert total > 10_000


def test_float32_in_global_coordinates_moves_some_points_by_a_pixel_and_no_depth_by_a_millimetre():
    rng = np.random.default_rng(0)
    z = rng.uniform(2, 80, 20_000)
    points = np.stack([rng.uniform(-0.6, 0.6, z.size) * z, z, rng.uniform(-0.3, 0.3, z.size) * z], 1).astype(np.float32)
    turn = Quaternion(axis=[0.1, 0.2, 1], degrees=37).rotation_matrix
    to_camera = np.array(
        [[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]
    )  # columns are the camera's axes: x right, y forward, z up
    steps = [
        (np.eye(3), np.array([0.9, 0, 1.8])),
        (turn, np.array([1234.5, 2345.6, 3.2])),
        (turn, np.array([1234.3, 2345.4, 3.2])),
        (to_camera, np.array([1.7, 0, 1.5])),
    ]
    T_camera_lidar = np.eye(4)
    for (rotation, translation), inverse in zip(steps, (False, False, True, True), strict=True):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation, translation
        T_camera_lidar = (np.linalg.inv(T) if inverse else T) @ T_camera_lidar
    K, size = np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]]), (900, 1600)
    exact = dense_depth(*sparse_projection(points, T_camera_lidar, K, size), size)
    index, depth = devkit_projection(points, steps, K, size)
    parity = dense_depth(index, depth, size)
    assert (index.dtype, depth.dtype) == (np.int64, np.float32)
    assert (np.diff(index) > 0).all()
    moved = ((exact > 0) != (parity > 0)).sum() / (exact > 0).sum()
    assert 1e-4 < moved < 0.02
    both = (exact > 0) & (parity > 0)
    assert np.median(np.abs(exact - parity)[both]) < 1e-3


@needs_real_samples
def test_the_real_key_frame_has_the_devkits_bits(key_frame):
    ours = devkit_projection(read_points(key_frame.path), key_frame.steps, key_frame.K, REAL_SIZE)
    theirs = devkits_own_map(key_frame)
    np.testing.assert_array_equal(dense_depth(*ours, REAL_SIZE), theirs)
    assert np.count_nonzero(theirs) > 3000
    exact = project_lidar(read_points(key_frame.path), key_frame.T_camera_lidar, key_frame.K, REAL_SIZE)
    assert 0 < ((exact > 0) != (theirs > 0)).sum() < 0.02 * np.count_nonzero(theirs)


@needs_real_samples
def test_the_real_key_frame_has_the_3053_points_of_a_loop_over_them(key_frame):
    points, T, K = read_points(key_frame.path), key_frame.T_camera_lidar.tolist(), key_frame.K.tolist()
    expected, kept = np.zeros(REAL_SIZE, np.float32), 0
    for point in points.tolist():
        x, y, z = (sum(a * b for a, b in zip(row, (*point, 1.0), strict=True)) for row in T[:3])
        if z <= 1.0:
            continue
        u, v = K[0][0] * x / z + K[0][2], K[1][1] * y / z + K[1][2]
        if 1 < u < REAL_SIZE[1] - 1 and 1 < v < REAL_SIZE[0] - 1:
            expected[int(v), int(u)] = z
            kept += 1
    assert kept == 3053
    ours = project_lidar(points, key_frame.T_camera_lidar, key_frame.K, REAL_SIZE)
    assert np.count_nonzero(ours) == 3050  # three points share a pixel with another one
    np.testing.assert_array_equal(ours > 0, expected > 0)
    np.testing.assert_allclose(ours, expected, rtol=1e-7)
