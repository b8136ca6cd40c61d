"""LiDAR sweeps: the closed form of the projection, the devkit's rules, damaged files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from ude.data.lidar import project_lidar, read_points, sparse_depth
from ude.files import DataError, MissingFileError

K = np.array([[100.0, 0, 79.5], [0, 100.0, 44.5], [0, 0, 1]])
SIZE = (90, 160)
REAL_DATA = os.environ.get("UDE_REAL_DATA", "")


def project(*points: tuple[float, float, float], T: np.ndarray | None = None) -> np.ndarray:
    return project_lidar(np.array(points, np.float32), np.eye(4) if T is None else T, K, SIZE)


def at(u: float, v: float, z: float) -> tuple[float, float, float]:
    """The camera point that projects to pixel (u, v)."""
    return ((u - K[0, 2]) / K[0, 0] * z, (v - K[1, 2]) / K[1, 1] * z, z)


def test_a_point_lands_on_its_truncated_pixel_with_its_z():
    depth = project(at(20.75, 30.9, 8.0))
    assert depth.dtype == np.float32
    assert depth.shape == SIZE
    assert np.argwhere(depth).tolist() == [[30, 20]]
    assert depth[30, 20] == pytest.approx(8.0, abs=1e-6)


def test_a_wall_gives_the_same_z_at_every_pixel_and_not_the_ray_length():
    wall = [at(u, v, 12.0) for u in range(5, 155, 10) for v in range(5, 85, 10)]
    values = project(*wall)
    assert np.unique(values[values > 0]).tolist() == [12.0]
    assert (values > 0).sum() == len(wall)


def test_points_are_moved_by_the_transform_from_lidar_to_camera():
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]  # LiDAR x forward, y left, z up
    T[:3, 3] = [0.0, 0.5, -1.0]
    depth = project((11.0, 1.0, 2.0), T=T)  # in the camera (-1, -1.5, 10)
    assert np.argwhere(depth).tolist() == [[29, 69]]
    assert depth[29, 69] == 10.0


@pytest.mark.parametrize(
    ("u", "v", "z", "kept"),
    [
        (80.3, 45.3, 1.0, False),  # the bounds are strict
        (80.3, 45.3, 1.001, True),
        (80.3, 45.3, -5.0, False),  # not mirrored into the image
        (0.9, 45.3, 5.0, False),
        (1.1, 45.3, 5.0, True),
        (158.9, 45.3, 5.0, True),
        (159.1, 45.3, 5.0, False),
        (80.3, 0.9, 5.0, False),
        (80.3, 88.9, 5.0, True),
        (80.3, 89.1, 5.0, False),
    ],
)
def test_a_border_of_one_pixel_and_the_first_metre_do_not_count(u, v, z, kept):
    assert project(at(u, v, z)).any() == kept


def test_the_last_point_of_a_pixel_wins():
    assert project(at(50.2, 50.2, 9.0), at(50.7, 50.4, 30.0)).max() == 30.0
    assert project(at(50.7, 50.4, 30.0), at(50.2, 50.2, 9.0)).max() == 9.0


def test_global_coordinates_of_kilometres_cost_no_precision():
    T_global_lidar, T_global_camera = np.eye(4), np.eye(4)
    T_global_lidar[:3, 3] = T_global_camera[:3, 3] = [41_234.567, 11_822.345, 3.21]
    chain = np.linalg.inv(T_global_camera) @ T_global_lidar
    near = project(at(20.5, 30.5, 7.0), T=chain)
    assert near[30, 20] == pytest.approx(7.0, abs=1e-6)


def test_the_sparse_form_rebuilds_the_map():
    depth = project(*[at(u, 40.5, 3.0 + u) for u in range(3, 150, 7)])
    index, value = sparse_depth(depth)
    assert (index.dtype, value.dtype) == (np.int64, np.float32)
    rebuilt = np.zeros(SIZE, np.float32)
    rebuilt.ravel()[index] = value
    np.testing.assert_array_equal(rebuilt, depth)


def test_a_sweep_is_read_as_xyz(tmp_path):
    points = np.arange(50, dtype=np.float32).reshape(10, 5)
    points.tofile(tmp_path / "sweep.pcd.bin")
    np.testing.assert_array_equal(read_points(tmp_path / "sweep.pcd.bin"), points[:, :3])


def cut(data: bytes, count: int) -> bytes:
    return data[: len(data) - count]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "0 bytes"),
        (lambda data: cut(data, 3), "197 bytes"),
        (lambda data: cut(data, 4), "196 bytes"),
        (lambda data: np.float32("nan").tobytes() + data[4:], "not finite"),
        (lambda data: data[:40] + np.float32("inf").tobytes() + data[44:], "not finite"),
    ],
    ids=["empty", "minus 3", "minus 4", "nan", "inf"],
)
def test_a_damaged_sweep_is_refused_by_name_in_one_line(tmp_path, damage, words):
    path = tmp_path / "sweep.pcd.bin"
    path.write_bytes(damage(np.ones((10, 5), np.float32).tobytes()))
    with pytest.raises(DataError, match=words) as caught:
        read_points(path)
    assert str(path) in str(caught.value)
    assert "again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_sweep_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.pcd\.bin: no such LiDAR file"):
        read_points(tmp_path / "gone.pcd.bin")


@pytest.mark.skipif(not REAL_DATA, reason="UDE_REAL_DATA names no folder with real samples")
def test_the_real_key_frame_has_the_devkits_3053_points():
    folder = Path(REAL_DATA) / "nuscenes_keyframe"
    calibration = json.loads((folder / "calibration.json").read_text())
    camera, lidar = calibration["CAM_FRONT"], calibration["lidar_points"]
    points = read_points(folder / lidar["lidar_path"])
    T, K_real = np.array(camera["lidar2cam"]), np.array(camera["cam2img"])
    x, y, z = T[:3, :3] @ points.T + T[:3, 3:]
    u, v = K_real[0, 0] * x / z + K_real[0, 2], K_real[1, 1] * y / z + K_real[1, 2]
    kept = (z > 1) & (u > 1) & (u < 1599) & (v > 1) & (v < 899)
    assert kept.sum() == 3053
    depth = project_lidar(points, T, K_real, (900, 1600))
    assert np.count_nonzero(depth) == 3050  # three points share a pixel with another one
    assert set(depth[depth > 0]) <= set(z[kept].astype(np.float32))
