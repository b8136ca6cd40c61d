from dataclasses import replace

import cv2
import numpy as np
import pytest
from robotcar_files import drive, stamps

from sample_world.line_scanner import BEAMS, LineScanner
from sample_world.probe import depth_at, on_moving
from sample_world.raycast import GROUND, NOTHING, SKY, cast, cast_ground
from sample_world.renderer import Renderer
from sample_world.robotcar_calibration import (
    EXTRINSICS,
    T_VEHICLE_CAMERA,
    pose_matrix,
    stereo_camera,
    undistortion_table,
)
from sample_world.robotcar_options import TRAVERSES, RobotCarOptions, timestamp
from sample_world.robotcar_world import write_robotcar
from sample_world.solids import Material, Shape, SolidList
from sample_world.street import Moment

DAY, NIGHT = TRAVERSES


@pytest.fixture(scope="module")
def traversal(robotcar_raw):
    return drive(robotcar_raw)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """A world without range noise, with scans two seconds beyond its few frames."""
    folder = tmp_path_factory.mktemp("exact") / "world"
    options = RobotCarOptions(
        seed=6, frames=6, standing=0, over_exposed=0, scan_margin=2.0, size=(48, 64), range_noise=0.0, workers=1
    )
    write_robotcar(folder, options, progress=False)
    return folder


def undistorted(root, traverse, number, *, pattern=cv2.COLOR_BayerGR2RGB):  # OpenCV names a pattern by its second row
    """RGB (H, W, 3) uint8 of a frame, by OpenCV and the table on disk."""
    path = root / traverse / "stereo" / "left" / f"{stamps(root / traverse, 'stereo')[number]}.png"
    mosaic = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    lookup = np.fromfile(root / "models" / "stereo_wide_left_distortion_lut.bin").reshape(2, *mosaic.shape)
    return cv2.remap(cv2.cvtColor(mosaic, pattern), *lookup.astype(np.float32), cv2.INTER_LINEAR)


def ideal(traversal, number, condition, camera):
    """The same view through a camera without distortion."""
    time = float(traversal.frame_times[number])
    T_world_camera = traversal.T_world_vehicle(time) @ T_VEHICLE_CAMERA
    generators = {condition: np.random.default_rng(0)}
    return Renderer(traversal.street, camera).frames(T_world_camera, time, generators)[condition]


def test_the_table_leads_every_undistorted_pixel_to_the_raw_pixel_of_the_same_ray():
    camera = stereo_camera((240, 320))
    u, v = undistortion_table(camera).reshape(2, 240, 320).astype(np.float32)
    assert (u.min() > 0, v.min() > 0, u.max() < 319, v.max() < 239) == (True,) * 4
    for raw, straight in zip(camera.slopes, camera.pinhole.slopes, strict=True):
        np.testing.assert_allclose(
            cv2.remap(raw, u, v, cv2.INTER_LINEAR), straight, atol=1.3e-4
        )  # 1/32 px, OpenCV's step
    corner = np.hypot(u[0, 0] - camera.K[0, 2], v[0, 0] - camera.K[1, 2]) / np.hypot(*camera.K[:2, 2])
    assert 0.88 < corner < 0.93  # barrel distortion pulls the corners inwards


def test_the_lens_bends_and_straightens_in_closed_form():
    camera = replace(stereo_camera((480, 640)), bend=0.25)
    bent = camera.bent(np.array([[0.0, 0.0], [np.sqrt(6), 0.0]]))  # 1 + 4 * 0.25 * 6 = 7
    np.testing.assert_allclose(bent[:, 0], [0, 2 * np.sqrt(6) / (1 + np.sqrt(7))])
    squared = (bent**2).sum(-1, keepdims=True)
    np.testing.assert_allclose(bent / (1 - 0.25 * squared), [[0, 0], [np.sqrt(6), 0]], atol=1e-12)


def smooth(image):
    """Float32 picture with the noise blurred away, without the border."""
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.5)[8:-8, 8:-8]


@pytest.mark.parametrize(("traverse", "limit"), [(DAY, 3.0), (NIGHT, 4.5)])
def test_a_demosaicked_and_undistorted_frame_is_the_ideal_pinhole_picture(robotcar_raw, traversal, traverse, limit):
    camera = stereo_camera(traversal.options.size)
    expected = smooth(ideal(traversal, 4, TRAVERSES[traverse], camera.pinhole))
    found = smooth(undistorted(robotcar_raw, traverse, 4))
    error = np.abs(found - expected).mean((0, 1))
    assert error.max() < limit
    swapped = smooth(undistorted(robotcar_raw, traverse, 4, pattern=cv2.COLOR_BayerGR2BGR))
    assert np.abs(swapped - expected).mean((0, 1)).max() > 2 * error.max()
    bent = smooth(ideal(traversal, 4, TRAVERSES[traverse], camera))
    assert np.abs(bent - expected).mean((0, 1)).max() > 1.25 * error.max()
    slopes = np.stack([np.gradient(expected.mean(2), axis=axis).ravel() for axis in (1, 0)], 1)
    shift, *_ = np.linalg.lstsq(slopes, (found - expected).mean(2).ravel(), rcond=None)  # Lucas and Kanade
    assert np.abs(shift).max() < 0.15  # [px]; the chance pattern of the mosaic moves it by 0.05


def test_dense_depth_is_the_depth_of_the_undistorted_pixels_and_the_sky_is_zero(robotcar_raw, traversal):
    camera = stereo_camera(traversal.options.size).pinhole
    for traverse in (DAY, NIGHT):
        number, stamp = 20, stamps(robotcar_raw / traverse, "stereo")[20]
        depth = cv2.imread(str(robotcar_raw / traverse / "dense_depth" / f"{stamp}.png"), cv2.IMREAD_UNCHANGED)
        assert (depth.shape, depth.dtype) == ((240, 320), np.uint16)
        time = float(traversal.frame_times[number])
        row, column = (index.ravel().astype(float) for index in np.mgrid[0:240:7, 0:320:7])
        T_world_camera = traversal.T_world_vehicle(time) @ T_VEHICLE_CAMERA
        exact, solid = depth_at(camera, T_world_camera, traversal.street.at(time), column, row)
        written = depth[::7, ::7].ravel() / 256
        same = np.where(
            solid == SKY, written == 0, np.abs(written - np.minimum(exact, 65535 / 256)) < 0.004 + 0.002 * exact
        )
        assert same.mean() > 0.995  # rounding decides at edges


def lidar_errors(root, number, *, late=0.0):
    """Rendered minus projected depth [m] of all scans around a frame, on the ground and on solids at rest.

    `late` is how much later than the scans their poses are taken [s].
    """
    traversal, camera = drive(root), stereo_camera((480, 640)).pinhole
    time = float(traversal.frame_times[number])
    T_world_camera, moment = traversal.T_world_vehicle(time) @ T_VEHICLE_CAMERA, traversal.street.at(time)
    T_vehicle_lms = pose_matrix(tuple(float(v) for v in (root / "extrinsics" / "lms_front.txt").read_text().split()))
    parts = []
    for scan_time in traversal.scan_times:
        x, y, _ = np.fromfile(root / DAY / "lms_front" / f"{timestamp(DAY, scan_time)}.bin").reshape(-1, 3).T
        x, y = x[x != 0], y[x != 0]  # the others have no echo
        T_world_lms = traversal.T_world_vehicle(float(scan_time) + late) @ T_vehicle_lms
        world = (T_world_lms @ np.stack([x, y, 0 * x, 0 * x + 1]))[:3]
        points = T_world_camera[:3, :3].T @ (world - T_world_camera[:3, 3:])
        parts.append(points[:, (points[2] > 1) & ~on_moving(world, traversal.street.at(scan_time), margin=0.1)])
    points = np.concatenate(parts, 1)
    u, v = (camera.K @ points)[:2] / points[2]
    inside = (u >= 0) & (u <= 639) & (v >= 0) & (v <= 479)
    seen, solid = depth_at(camera, T_world_camera, moment, u[inside], v[inside])
    error = seen - points[2, inside]
    return error[solid == GROUND], error[(solid >= 0) & (solid < moment.num_static)]


def test_scans_put_together_with_the_true_poses_lie_on_the_rendered_depth(exact):
    for error, number in zip(lidar_errors(exact, 5), (20_000, 3000), strict=True):
        hidden = error < -0.05  # behind something that the camera sees: it stands higher than the scanner
        assert error.size > number
        assert hidden.mean() < 0.25
        assert (np.abs(error[~hidden]) <= 0.005).mean() > 0.98  # [m]; no range noise in this world
    for error in lidar_errors(exact, 5, late=0.02):
        assert (np.abs(error) <= 0.005).mean() < 0.6


def test_a_scanner_above_open_ground_measures_height_over_cosine():
    solids = SolidList()
    solids.add(Shape.BOX, (5, 30, 1), (1, 1, 1), Material.PLAIN)
    T_world_scanner = np.array([[0, 0, -1, 5], [0, -1, 0, 0], [-1, 0, 0, 0.5], [0, 0, 0, 1]], np.float64)  # x down
    ranges = LineScanner().ranges(T_world_scanner, Moment(solids.pack(), 1, ()))
    azimuth = np.deg2rad(np.linspace(-135, 135, BEAMS))
    down = np.abs(azimuth) < np.deg2rad(85)
    np.testing.assert_allclose(ranges[down], 0.5 / np.cos(azimuth[down]), rtol=1e-5)
    assert ranges[azimuth == np.deg2rad(-90)] == pytest.approx(29)  # level, at the box
    assert np.isinf(ranges[azimuth > np.pi / 2]).all()


def test_a_scanner_misses_no_solid_near_its_plane(traversal):
    scanner = LineScanner()
    for time in traversal.scan_times[::25]:
        moment = traversal.street.at(float(time))
        T_world_scanner = traversal.T_world_vehicle(float(time)) @ pose_matrix(EXTRINSICS["lms_front"])
        directions = (T_world_scanner[:3, :3] @ scanner.beams).astype(np.float32)[:, None]
        distance, solid = np.full((1, BEAMS), NOTHING, np.float32), np.full((1, BEAMS), SKY, np.int32)
        cast_ground(T_world_scanner[2, 3], directions[2], distance, solid)
        everywhere = np.tile([0, 0, BEAMS, 1], (len(moment.solids), 1))
        near = np.zeros(len(moment.solids), np.float32)
        cast(T_world_scanner[:3, 3], directions, moment.solids, everywhere, near, distance, solid)
        ranges = scanner.ranges(T_world_scanner, moment)
        within = (ranges < 50) | (distance[0] < 50)
        np.testing.assert_array_equal(ranges[within], distance[0][within])


def test_the_window_of_a_lens_is_the_least_one_around_the_bent_picture_of_a_rectangle():
    camera, share = replace(stereo_camera((240, 320)), bend=0.4), np.linspace(0, 1, 201)
    for low, high in (((-0.6, -0.2), (0.5, 0.4)), ((0.1, -0.3), (0.6, 0.3)), ((-0.5, -0.4), (-0.2, -0.1))):
        low, high = np.array([low]), np.array([high])
        x, y = (a + (b - a) * share for a, b in zip(low[0], high[0], strict=True))
        pixels = camera.bent(np.stack(np.meshgrid(x, y), -1)) * camera.K[[0, 1], [0, 1]] + camera.K[:2, 2]
        first, last = camera.window(low, high)
        np.testing.assert_allclose(first[0], pixels.min((0, 1)), atol=0.02)
        np.testing.assert_allclose(last[0], pixels.max((0, 1)), atol=0.02)
