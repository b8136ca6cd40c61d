"""LiDAR points to depth: closed forms of the projections, and the rules of the devkit and of RobotCar."""

import numpy as np
import pytest

from ude.data.lidar import dense_depth, nearest_projection, project_lidar, sparse_depth, sparse_projection

K = np.array([[100.0, 0, 79.5], [0, 100.0, 44.5], [0, 0, 1]])
SIZE = (90, 160)


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


def cloud(count: int, seed: int = 0) -> np.ndarray:
    """Points all around, most of them out of sight, some in the same pixel and some on the borders."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 8, (count, 3))
    points[: count // 4] = [at(u, v, z) for u, v, z in rng.uniform((-2, -2, 0.5), (162, 92, 40), (count // 4, 3))]
    points[: count // 8, :2] = points[0, :2] * points[: count // 8, 2:] / points[0, 2]
    return points.astype(np.float32)


def test_the_sparse_projection_is_that_of_a_loop_over_the_points():
    points = cloud(4000)
    expected = {}
    for x, y, z in points.astype(np.float64).tolist():
        if z > 1.0:
            u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
            if 1 < u < SIZE[1] - 1 and 1 < v < SIZE[0] - 1:
                expected[int(v) * SIZE[1] + int(u)] = np.float32(z)
    index, depth = sparse_projection(points, np.eye(4), K, SIZE)
    assert (index.dtype, depth.dtype) == (np.int64, np.float32)
    assert len(index) < 900  # of the 1,000 that were meant to be seen: pixels are shared
    assert dict(zip(index.tolist(), depth, strict=True)) == expected
    assert (np.diff(index) > 0).all()


def test_the_map_and_the_sparse_form_agree_exactly():
    T = np.eye(4)
    T[:3, 3] = [0.2, -0.1, 0.4]
    index, depth = sparse_projection(cloud(4000), T, K, SIZE)
    dense = project_lidar(cloud(4000), T, K, SIZE)
    found_index, found_depth = sparse_depth(dense)
    np.testing.assert_array_equal(found_index, index)
    np.testing.assert_array_equal(found_depth, depth)
    np.testing.assert_array_equal(dense_depth(index, depth, SIZE), dense)


def test_points_that_are_a_view_or_have_another_order_in_memory_give_the_same():
    points = cloud(500)
    wide = np.zeros((500, 5), np.float32)
    wide[:, :3] = points
    expected = sparse_projection(points, np.eye(4), K, SIZE)
    for other in (wide[:, :3], np.asfortranarray(points)):
        for a, b in zip(sparse_projection(other, np.eye(4), K, SIZE), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_no_point_in_sight_gives_no_pixel():
    for found in (
        sparse_projection(np.float32([[0, 0, -3]]), np.eye(4), K, SIZE),
        sparse_projection(np.zeros((0, 3), np.float32), np.eye(4), K, SIZE),
        nearest_projection(np.float32([[0, 0, -3], [0, 0, 0]]), K, SIZE),
    ):
        assert [(len(values), values.dtype) for values in found] == [(0, np.int64), (0, np.float32)]


def nearest(*points: tuple[float, float, float]) -> list[tuple[int, int, float]]:
    index, depth = nearest_projection(np.array(points), K, SIZE)
    return [(int(i) % SIZE[1], int(i) // SIZE[1], float(z)) for i, z in zip(index, depth, strict=True)]


def test_robotcars_pixel_is_the_rounded_one_and_the_nearest_point_wins():
    assert nearest(at(20.6, 30.4, 8.0)) == [(21, 30, 8.0)]
    assert nearest(at(50.4, 50.4, 9.0), at(49.7, 49.9, 30.0)) == [(50, 50, 9.0)]
    assert nearest(at(49.7, 49.9, 30.0), at(50.4, 50.4, 9.0)) == [(50, 50, 9.0)]


@pytest.mark.parametrize(
    ("u", "v", "z", "pixel"),
    [
        (0.6, 10.2, 5.0, (1, 10)),
        (0.4, 10.2, 5.0, None),  # rounds into the picture, but the bound is that of the SDK
        (158.9, 10.2, 5.0, (159, 10)),  # the last column is used
        (159.1, 10.2, 5.0, None),
        (10.2, 0.6, 5.0, (10, 1)),
        (10.2, 0.4, 5.0, None),
        (10.2, 88.9, 5.0, (10, 89)),
        (10.2, 89.1, 5.0, None),
        (10.2, 10.2, 0.05, (10, 10)),  # no least depth as on nuScenes
        (10.2, 10.2, -5.0, None),
        (10.2, 10.2, 1e-5, None),
    ],
)
def test_robotcars_bounds_are_those_of_the_sdk(u, v, z, pixel):
    assert [found[:2] for found in nearest(at(u, v, z))] == ([pixel] if pixel else [])


def test_the_nearest_projection_is_that_of_a_loop_over_the_points():
    points = cloud(4000, seed=1)
    expected = np.zeros(SIZE, np.float32)
    for x, y, z in points.astype(np.float64):
        if z >= 1e-3:
            u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
            if 0.5 <= u <= SIZE[1] - 1 and 0.5 <= v <= SIZE[0] - 1:
                pixel = int(np.round(v)), int(np.round(u))
                expected[pixel] = min(z, expected[pixel] or np.inf)
    np.testing.assert_array_equal(dense_depth(*nearest_projection(points, K, SIZE), SIZE), expected)
