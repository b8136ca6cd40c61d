"""Depth of accumulated laser scans: against one point at a time, the SDK, and the exact depth of the sample world."""

import json

import numpy as np
import pytest
from PIL import Image
from robotcar_oracles import DAY, NIGHT, depth_points, nearest_depth, sdk

from ude.data.lidar import dense_depth
from ude.data.robotcar import Preparation, prepare
from ude.data.robotcar.calibration import read_calibration
from ude.data.robotcar.ground_truth import read_ground_truth, read_header, write_ground_truth
from ude.data.robotcar.scans import read_scan, scan_cloud
from ude.data.robotcar.trajectory import Trajectory, read_trajectory
from ude.files import DataError, MissingFileError, read_jsonl

SIZE = (240, 320)
HORIZON = 118
"""Rows above it show no ground, whose depth hardly changes when its points are moved along it."""


@pytest.fixture(scope="module")
def prepared(robotcar_raw, tmp_path_factory):
    """Folders of frames that were prepared in four ways."""
    output = tmp_path_factory.mktemp("ways")
    for poses in ("vo", "ins"):
        for interpolation in ("linear", "floor"):
            way = Preparation(poses=poses, interpolation=interpolation)
            traverses = () if (poses, interpolation) == ("vo", "linear") else (DAY,)
            prepare(robotcar_raw, output / f"{poses}_{interpolation}", way, traverses=traverses, progress=False)
    return output


def depths(folder):
    """Time and sparse depth of every frame of a prepared traverse during which the car moves."""
    for row in read_jsonl(folder / "frames.jsonl"):
        if "static" in row["filters"]:
            continue
        yield row["timestamp"], *read_ground_truth(folder / row["lidar"]["path"], SIZE)


def relative_errors(prepared, raw, way):
    """Errors of a way of preparing on surfaces that stand, relative to the exact depth."""
    errors = []
    for time, index, depth in depths(prepared / way / DAY):
        exact = np.array(Image.open(raw / DAY / "dense_depth" / f"{time}.png")).astype(np.float32).ravel()[index] / 256
        # accumulated points also lie behind what hides them, and where cars were at another time
        seen = (index // SIZE[1] < HORIZON) & (exact > 0) & (np.abs(depth - exact) < 0.1 * exact)
        errors.append((depth[seen] - exact[seen]) / exact[seen])
    return np.concatenate(errors)


@pytest.mark.parametrize(("way", "traverse"), [("vo_linear", DAY), ("vo_linear", NIGHT), ("vo_floor", DAY)])
def test_depth_equals_that_of_one_point_at_a_time(prepared, robotcar_raw, way, traverse):
    K = read_calibration("stereo_wide_left", raw=robotcar_raw).K
    time, index, depth = list(depths(prepared / way / traverse))[3]
    ours = dense_depth(index, depth, SIZE)
    points = depth_points(robotcar_raw, traverse, time, 4.0, as_sdk=way == "vo_floor")
    slow = nearest_depth(points, K, SIZE)
    assert len(index) > 3000
    differs = (ours > 0) != (slow > 0)
    assert differs.sum() <= 2  # a point on the edge between two pixels
    np.testing.assert_allclose(ours[~differs], slow[~differs], rtol=1e-6, atol=1e-6)


# INS comes 50 times a second, VO 16 times: half a step back and a scan ahead, the SDK's two errors, nearly cancel there
@pytest.mark.parametrize(("poses", "factor"), [("vo", 2.0), ("ins", 1.2)])
def test_depth_agrees_with_the_scene_and_floored_poses_are_visibly_worse(prepared, robotcar_raw, poses, factor):
    linear = relative_errors(prepared, robotcar_raw, f"{poses}_linear")
    floor = relative_errors(prepared, robotcar_raw, f"{poses}_floor")
    assert min(len(linear), len(floor)) > 1000
    assert np.median(np.abs(linear)) < 0.006
    assert np.median(np.abs(floor)) > factor * np.median(np.abs(linear))


@pytest.mark.parametrize(("poses", "file"), [("vo", "vo/vo.csv"), ("ins", "gps/ins.csv")])
@pytest.mark.parametrize("traverse", [DAY, NIGHT])
def test_points_are_those_of_the_sdk_to_a_millimetre(robotcar_raw, traverse, poses, file):
    folder, calibration = robotcar_raw / traverse, read_calibration("stereo_wide_left", raw=robotcar_raw)
    times = np.array([int(line.split()[0]) for line in (folder / "lms_front.timestamps").read_text().splitlines()])
    images = [int(line.split()[0]) for line in (folder / "stereo.timestamps").read_text().splitlines()]
    T_sensor_laser = calibration.T_vehicle_laser
    if poses == "ins":
        T_sensor_laser = np.linalg.inv(calibration.T_vehicle_ins) @ T_sensor_laser
    trajectory = read_trajectory(folder, poses)
    cloud, _ = scan_cloud(folder / "lms_front", times, trajectory, T_sensor_laser, "floor")
    with sdk("build_pointcloud") as (build_pointcloud,):
        for time in images[::9]:
            theirs, _ = build_pointcloud.build_pointcloud(
                str(folder / "lms_front"),
                str(folder / file),
                str(robotcar_raw / "extrinsics"),
                time - 5e5,
                time + 5e5,
                time,
            )
            T_start_origin = trajectory.at(np.array([time]), "floor")[0][0]
            points = cloud.around(time, 0, 500_000, drop_last=True).points
            ours = np.linalg.inv(T_start_origin) @ np.vstack([points.T, np.ones(len(points))])
            np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-3)


def test_a_depth_file_says_how_it_was_made(prepared, robotcar_raw):
    path = next((prepared / "ins_floor" / DAY / "lidar").glob("*.npz"))
    header = read_header(path)
    assert {key: header[key] for key in ("traverse", "camera", "size", "margin_s", "poses", "interpolation")} == {
        **{"traverse": DAY, "camera": "stereo_wide_left", "size": [240, 320]},
        **{"margin_s": 4.0, "poses": "ins", "interpolation": "floor"},
    }
    assert header["scans"] == {"used": 184}  # of the 185 of the traverse, all within the margin, the SDK loses one
    assert header["calibration_sha256"] == read_calibration("stereo_wide_left", raw=robotcar_raw).digest


@pytest.mark.parametrize(
    ("index", "depth", "message"),
    [
        ([1, 1], [1, 2], "no ascending pixels"),
        ([2, 1], [1, 2], "no ascending pixels"),
        ([-1, 1], [1, 2], "no ascending pixels"),
        ([1, 12], [1, 2], "no ascending pixels"),
        ([1, 2], [1], "no ascending pixels"),
        ([1, 2], [1, 0], "not positive and finite"),
        ([1, 2], [1, np.nan], "not positive and finite"),
    ],
)
def test_a_depth_file_without_sense_is_refused(tmp_path, index, depth, message):
    path = tmp_path / "1.npz"
    write_ground_truth(path, np.array(index), np.array(depth, np.float32), {"size": [3, 4]})
    with pytest.raises(DataError, match=rf"1\.npz: .*{message}.*run tools/prepare_robotcar\.py again"):
        read_ground_truth(path, (3, 4))


def test_a_damaged_or_foreign_depth_file_is_refused_and_nothing_in_it_is_run(tmp_path):
    path = tmp_path / "1.npz"
    write_ground_truth(path, np.arange(3), np.ones(3, np.float32), {"size": [3, 4]})
    good = path.read_bytes()
    with pytest.raises(DataError, match=r"is for frames of \[3, 4\] px, not \[4, 3\]"):
        read_ground_truth(path, (4, 3))
    flipped = bytearray(good)
    flipped[good.index(b"depth.npy") + 150] ^= 1
    for data in (b"", good[:-10], good[:100], bytes(flipped), b"garbage" * 30):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"1\.npz cannot be read"):
            read_ground_truth(path, (3, 4))
    np.savez(path, header=np.array(json.dumps({"size": [3, 4]}), object), index=np.arange(1), depth=np.ones(1))
    with pytest.raises(DataError, match=r"1\.npz cannot be read"):
        read_ground_truth(path, (3, 4))
    for header in (
        {"index": np.arange(1)},
        {"header": np.array("no JSON"), "index": np.arange(1), "depth": np.ones(1)},
    ):
        np.savez(path, **header)
        with pytest.raises(DataError, match=r"1\.npz: is no depth file of a RobotCar frame"):
            read_ground_truth(path, (3, 4))
    with pytest.raises(MissingFileError, match=r"2\.npz"):
        read_ground_truth(tmp_path / "2.npz", (3, 4))


@pytest.mark.parametrize("size", [0, 1, 23, 25])
def test_a_cut_scan_is_refused(tmp_path, size):
    (tmp_path / "1.bin").write_bytes(bytes(size))
    with pytest.raises(DataError, match=r"1\.bin: \d+ bytes are no positive multiple of 24"):
        read_scan(tmp_path / "1.bin")


def test_a_scan_that_is_not_finite_is_refused(tmp_path):
    np.array([1.0, np.inf, 3.0]).tofile(tmp_path / "1.bin")
    with pytest.raises(DataError, match=r"1\.bin: holds points that are not finite"):
        read_scan(tmp_path / "1.bin")


@pytest.mark.parametrize(("interpolation", "kept"), [("linear", 2), ("floor", 4)])
def test_beams_without_an_echo_are_no_points_but_for_parity_with_the_sdk(tmp_path, interpolation, kept):
    scan = np.array([[1.0, 2, 9], [0, 0, 0], [0, 3, 9], [0, 0, 7]])
    scan.tofile(tmp_path / "5.bin")
    trajectory = Trajectory(np.array([0, 10]), np.stack([np.eye(4)] * 2), np.zeros(2, np.int64))
    cloud, _ = scan_cloud(tmp_path, np.array([5]), trajectory, np.eye(4), interpolation)
    assert cloud.counts() == {"used": 1}
    assert len(cloud.points) == cloud.first[-1] == kept
