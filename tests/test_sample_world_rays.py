import cv2
import numpy as np
import pytest

from sample_world.camera import Camera, LensCamera
from sample_world.drive import Drive
from sample_world.lidar import BEAMS, STEPS, Scanner
from sample_world.noise import fractal, hash01
from sample_world.probe import depth_at, on_moving
from sample_world.raycast import GROUND, NOTHING, SKY, bounds, cast, g_buffer
from sample_world.renderer import CONDITIONS, Renderer
from sample_world.road import random_road
from sample_world.solids import Material, Shape, SolidList, intersect, unit_planes
from sample_world.street import KINDS, Moment, Street
from sample_world.vehicles import VEHICLES, quaternion, transform

CUBE = unit_planes([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], [1] * 6)


@pytest.fixture(scope="module")
def street():
    return Street((0, 0, 5), kind="park", left_hand=False, duration=4.0)


@pytest.fixture(scope="module")
def camera():
    return VEHICLES[1].camera((96, 160))


def entry(shape, half, origin, direction, planes=None):
    """Where one ray enters a solid at the origin, None if it misses."""
    solids = SolidList()
    solids.add(shape, (0, 0, 0), half, Material.PLAIN, planes=planes)
    ray = [np.array([value], np.float32) for value in direction]
    with np.errstate(all="ignore"):
        near, _, hit = intersect(solids.pack(), 0, np.array(origin, np.float32), ray)
    return float(near[0]) if hit[0] else None


def test_rays_enter_the_four_shapes_at_the_distances_of_the_closed_forms():
    assert entry(Shape.BOX, (1, 2, 3), (-5, 0, 0), (1, 0.01, 0.01)) == pytest.approx(4)
    assert entry(Shape.ELLIPSOID, (1, 2, 3), (0, -7, 0), (0, 1, 0)) == pytest.approx(5)
    assert entry(Shape.CYLINDER, (1, 1, 3), (-5, 0.6, 2), (1, 0, 0)) == pytest.approx(5 - 0.8)
    assert entry(Shape.POLYTOPE, (1, 1, 1), (-3, 0.2, -3), (1, 0, 1), CUBE) == pytest.approx(2)


def test_rays_beside_the_four_shapes_miss():
    assert entry(Shape.BOX, (1, 2, 3), (-5, 2.1, 0), (1, 0.001, 0.001)) is None
    assert entry(Shape.ELLIPSOID, (1, 2, 3), (-5, 0, 3.1), (1, 0, 0)) is None
    assert entry(Shape.CYLINDER, (1, 1, 3), (-5, 0, 3.1), (1, 0, 0)) is None
    assert entry(Shape.POLYTOPE, (1, 1, 1), (-3, 0, 1.1), (1, 0.001, 0.001), CUBE) is None


def test_pixel_centres_lie_at_whole_numbers(street, camera):
    T_world_camera = street.ego_pose(1.0) @ VEHICLES[1].T_ego_camera
    buffer = g_buffer(camera, T_world_camera, street.at(1.0))
    row, column = np.mgrid[0:96, 0:160]
    found = depth_at(camera, T_world_camera, street.at(1.0), column.ravel().astype(float), row.ravel().astype(float))
    assert (found.solid == buffer.solid.ravel()).mean() > 0.998  # rounding decides at edges
    same = (found.solid == buffer.solid.ravel()) & (found.solid != SKY)
    np.testing.assert_allclose(found.depth[same], buffer.depth.ravel()[same], rtol=2e-3)


def test_ground_depth_is_camera_height_over_slope(street):
    camera = Camera(np.array([[100.0, 0, 79.5], [0, 100.0, 47.5], [0, 0, 1]]), (96, 160))
    level = np.array([[0, 0, 1, 500], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], np.float64)
    buffer = g_buffer(camera, level, street.at(0.0))
    row = 90
    ground = buffer.solid[row] == GROUND
    assert ground.any()
    np.testing.assert_allclose(buffer.depth[row, ground], 1.5 * 100 / (row - 47.5), rtol=1e-5)


def test_halving_a_camera_keeps_the_view(camera):
    half = camera.halved()
    ray = np.linalg.inv(camera.K) @ [20.5, 30.5, 1]  # the corner shared by four pixels is the centre of one
    np.testing.assert_allclose(half.K @ ray, [10, 15, 1], atol=1e-9)


@pytest.mark.parametrize("bend", [0.0, 0.17, 0.6])
def test_all_pixels_inside_a_solid_lie_inside_its_rectangle(street, camera, bend):
    if bend:
        camera = LensCamera(camera.K, camera.size, bend)
    T_world_camera = street.ego_pose(2.0) @ VEHICLES[1].T_ego_camera
    moment = street.at(2.0)
    rects, near = bounds(camera, T_world_camera, moment.solids)
    whole = np.array([0, 0, 160, 96])
    depth, solid = np.full((96, 160), NOTHING, np.float32), np.full((96, 160), SKY, np.int32)
    directions = camera.directions(T_world_camera[:3, :3])
    everywhere, at_once = np.broadcast_to(whole, rects.shape), np.zeros_like(near)
    cast(T_world_camera[:3, 3], directions, moment.solids, everywhere, at_once, depth, solid)
    culled, ids = np.full((96, 160), NOTHING, np.float32), np.full((96, 160), SKY, np.int32)
    cast(T_world_camera[:3, 3], directions, moment.solids, rects, near, culled, ids)
    np.testing.assert_array_equal(depth, culled)
    np.testing.assert_array_equal(solid, ids)


def test_a_narrow_scanner_records_the_middle_of_the_full_turn(street):
    pose, moment = street.ego_pose(1.0) @ VEHICLES[0].T_ego_lidar, street.at(1.0)
    full, narrow = (Scanner(azimuth).sweep(pose, moment) for azimuth in (360.0, 90.0))
    assert full.distance.shape == (BEAMS, STEPS)
    edge = (STEPS - narrow.distance.shape[1]) // 2
    np.testing.assert_array_equal(full.solid[:, edge:-edge], narrow.solid)
    np.testing.assert_array_equal(full.distance[:, edge:-edge], narrow.distance)


def test_conditions_drawn_together_or_alone_are_the_same(street, camera):
    renderer, pose = Renderer(street, camera), street.ego_pose(1.5) @ VEHICLES[1].T_ego_camera
    together = renderer.frames(pose, 1.5, {c: np.random.default_rng(k) for k, c in enumerate(CONDITIONS)})
    for k, condition in enumerate(CONDITIONS):
        alone = renderer.frames(pose, 1.5, {condition: np.random.default_rng(k)})[condition]
        np.testing.assert_array_equal(alone, together[condition])


def test_the_next_frame_warped_with_the_true_depth_and_pose_is_the_best_match():
    street, camera = Street((0, 0, 1), kind="suburb", left_hand=False, duration=4.0), VEHICLES[1].camera((160, 288))
    renderer, times = Renderer(street, camera), (1.5, 1.5 + 1 / 12)
    poses = [street.ego_pose(t) @ VEHICLES[1].T_ego_camera for t in times]
    target, source = (
        renderer.frames(pose, t, {"day-clear": np.random.default_rng(7 * k)})["day-clear"].astype(np.float32)
        for k, (pose, t) in enumerate(zip(poses, times, strict=True))
    )
    buffer = g_buffer(camera, poses[0], street.at(times[0]))
    rays = np.stack([*camera.slopes, np.ones_like(buffer.depth)]).reshape(3, -1)
    T_source_target = np.linalg.inv(poses[1]) @ poses[0]
    warped, outside = {}, (-1, -1, -1)
    for scale in (0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 2.0):
        points = T_source_target[:3, :3] @ (rays * buffer.depth.ravel() * scale) + T_source_target[:3, 3:]
        u, v = ((camera.K @ points)[:2] / points[2]).reshape(2, *camera.size).astype(np.float32)
        warped[scale] = cv2.remap(source, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside)
    inside = np.all([image.min(-1) >= 0 for image in warped.values()], 0) & (buffer.solid != SKY)
    errors = {scale: np.abs(image - target)[inside].mean() for scale, image in warped.items()}
    assert min(errors, key=errors.get) == 1.0
    assert errors[1.0] < 0.9 * min(errors[0.8], errors[1.25])
    assert errors[1.0] < 0.6 * np.abs(source - target)[inside].mean()


def test_a_drive_with_a_stop_stands_still_in_between_and_never_goes_back():
    rng = np.random.default_rng(3)
    road = random_road(rng, kind="city", length=400.0, left_hand=False)
    drive = Drive(road, rng, speed=8.0, duration=12.0, stop=True)
    x = np.array([drive.x(t) for t in np.linspace(0, 12, 121)])
    assert np.all(np.diff(x) >= 0)
    assert np.ptp(x[51:80]) == pytest.approx(0, abs=1e-9)  # braked within a second of 4 s, off again at 8 s
    assert np.diff(x)[:30].min() > 0.5
    assert np.diff(x)[95:].min() > 0.5


def test_nothing_that_stands_still_blocks_the_ego_cars_lane():
    for kind in KINDS:
        for number in range(12):
            street = Street((9, 0, number), kind=kind, left_hand=bool(number % 2), duration=8.0)
            corners = np.array([[x, y, z, 1] for x in (-1, 3) for y in (-0.8, 0.8) for z in (0.5, 1.5)]).T
            path = np.concatenate([street.ego_pose(t)[:3] @ corners for t in np.arange(0, 8, 0.25)], 1)
            assert not on_moving(path, Moment(street.static, 0, ()), margin=0.0).any()


def test_quaternions_turn_back_into_the_rotations_they_came_from():
    for vehicle in VEHICLES:
        rotation = transform((0, 0, 0), vehicle.lidar_rotation)[:3, :3]
        np.testing.assert_allclose(transform((0, 0, 0), quaternion(rotation))[:3, :3], rotation, atol=1e-12)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_noise_is_tileable_and_hashes_are_evenly_spread():
    image = fractal(np.random.default_rng(0), 128)
    seam, inside = np.abs(image[:, 0] - image[:, -1]).mean(), np.abs(np.diff(image, axis=1)).mean()
    assert seam < 2 * inside
    values = hash01(np.arange(100_000), 3)
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / 10_000 - 1).max() < 0.05
