"""Calibration and trajectories of the RobotCar, against SciPy and hand-made files."""

import sys

import numpy as np
import pytest
from robotcar_oracles import DAY, NIGHT, ins_poses, pose_at, transform, vo_poses

from ude.data.robotcar.calibration import find_tags, read_calibration, rigid_transforms
from ude.data.robotcar.recording import find_traverses, read_times, traverse_condition
from ude.data.robotcar.trajectory import read_trajectory
from ude.files import DataError, MissingFileError

STEP = 62_500
"""Between two images [us]."""


def odometry(folder, rows):
    """A traverse whose vo.csv moves ``metres`` ahead from ``destination`` to ``source`` [us] per row."""
    text = "source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw\n"
    text += "".join(f"{source},{destination},{metres},0,0,0,0,0\n" for destination, source, metres in rows)
    (folder / "vo").mkdir()
    (folder / "vo/vo.csv").write_text(text)
    return folder


def test_a_transform_turns_by_roll_then_pitch_then_yaw():
    values = np.random.default_rng(1).uniform(-2, 2, (5, 6))
    np.testing.assert_allclose(rigid_transforms(values), [transform(row) for row in values.tolist()], atol=1e-14)


def test_the_camera_looks_along_the_axis_ahead_of_the_vehicle(robotcar_raw):
    calibration = read_calibration("stereo_wide_left", raw=robotcar_raw)
    ahead, right, down = np.eye(4)[:3, [0, 1, 2, 3]]
    T = calibration.T_camera_vehicle[:3, :3]
    assert [(T @ axis[:3]).round(6).tolist() for axis in (ahead, right, down)] == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert calibration.K[0, 0] == pytest.approx(983.044006 / 4)


@pytest.mark.parametrize(("source", "oracle", "tolerance"), [("vo", vo_poses, 1e-9), ("ins", ins_poses, 1e-6)])
def test_poses_between_two_measured_ones_are_those_of_slerp(robotcar_raw, source, oracle, tolerance):
    folder = robotcar_raw / DAY
    times, poses = oracle(folder / {"vo": "vo/vo.csv", "ins": "gps/ins.csv"}[source])
    asked = np.random.default_rng(2).integers(times[0], times[-1], 40)
    ours, sections = read_trajectory(folder, source).at(asked)
    assert (sections == 0).all()
    for time, T in zip(asked[1:], ours[1:], strict=True):
        expected = np.linalg.inv(pose_at(times, poses, asked[0])) @ pose_at(times, poses, time)
        np.testing.assert_allclose(np.linalg.inv(ours[0]) @ T, expected, atol=tolerance)


def test_linear_goes_on_between_two_poses_where_floor_waits(tmp_path):
    trajectory = read_trajectory(odometry(tmp_path, [(0, STEP, 1.0), (STEP, 2 * STEP, 2.0)]), "vo")
    asked = np.array([0, STEP // 2, STEP, STEP + STEP // 4, 2 * STEP])
    linear, _ = trajectory.at(asked, "linear")
    floor, _ = trajectory.at(asked, "floor")
    assert linear[:, 0, 3].tolist() == [0, 0.5, 1, 1.5, 3]
    assert floor[:, 0, 3].tolist() == [0, 0, 1, 1, 3]


def test_there_is_no_pose_in_a_gap_and_past_the_ends_but_floor_bridges_them(tmp_path):
    rows = [(STEP, 2 * STEP, 1.0), (4 * STEP, 5 * STEP, 1.0), (5 * STEP, 30 * STEP, 9.0), (30 * STEP, 31 * STEP, 1.0)]
    rows += [(30 * STEP, 32 * STEP, 1.0)]  # does not go on from where the last one ended
    trajectory = read_trajectory(odometry(tmp_path, rows), "vo")
    asked = np.array([0, 1, 1.5, 2, 3, 4, 4.5, 5, 20, 30, 30.5, 31, 31.5, 32, 33]) * STEP
    _, sections = trajectory.at(asked.astype(np.int64))
    assert sections.tolist() == [-1, 0, 0, 0, -1, 1, 1, 1, -1, 2, 2, 2, -1, 3, -1]
    floor, sections = trajectory.at(asked.astype(np.int64), "floor")
    assert floor[:, 0, 3].tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 11, 11, 12, 12, 13, 13]
    assert not sections.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"vo\.csv: its first line lacks source_timestamp"),
        ("source_timestamp,destination_timestamp,x,y,z,roll,pitch\n", r"its first line lacks yaw"),
        ("source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw\n", r"holds no poses"),
        ("source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw\n2,1,0,0,0,0,0\n", r"vo\.csv:2: cannot be read"),
        ("source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw\n2,1,0,0,nan,0,0,0\n", r"not finite"),
        ("source_timestamp,destination_timestamp,x,y,z,roll,pitch,yaw\n3,2,0,0,0,0,0,0\n2,1,0,0,0,0,0,0\n", r"order"),
    ],
)
def test_damaged_odometry_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "vo").mkdir()
    (tmp_path / "vo/vo.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_trajectory(tmp_path, "vo")


def test_a_missing_look_up_table_is_named_with_where_it_comes_from(tmp_path, robotcar_raw):
    sdk = tmp_path / "sdk"
    for name in ("models/stereo_wide_left.txt", *(f"extrinsics/{m}.txt" for m in ("stereo", "lms_front", "ins"))):
        (sdk / name).parent.mkdir(parents=True, exist_ok=True)
        (sdk / name).write_text((robotcar_raw / name).read_text())
    (sdk / "python").mkdir()
    with pytest.raises(MissingFileError) as caught:
        read_calibration("stereo_wide_left", sdk=sdk / "python", raw=tmp_path)
    said = str(caught.value)
    assert f"{sdk / 'python'} or {tmp_path}: no models/stereo_wide_left_distortion_lut.bin there, nor" in said
    assert "they come with the camera models of the data set's download page" in said


def test_the_sdk_is_found_beside_an_entry_of_the_python_path(tmp_path, robotcar_raw, monkeypatch):
    with pytest.raises(MissingFileError, match=rf"^{tmp_path}: .*get the RobotCar SDK and set DATA\.ROBOTCAR_SDK"):
        read_calibration("stereo_wide_left", raw=tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(robotcar_raw / "python")])
    assert len(read_calibration("stereo_wide_left", raw=tmp_path).lookup.T) == 240 * 320


def test_each_file_of_the_calibration_is_searched_in_the_sdk_then_beside_the_data(tmp_path, robotcar_raw, caplog):
    sdk, model, table = tmp_path / "sdk", "models/stereo_wide_left.txt", "models/stereo_wide_left_distortion_lut.bin"
    (sdk / "models").mkdir(parents=True)
    (sdk / model).write_text((robotcar_raw / model).read_text().replace("245.761002", "200.5"))
    caplog.set_level("INFO")
    found = read_calibration("stereo_wide_left", sdk=sdk, raw=robotcar_raw)
    assert found.K[0, 0] == 200.5  # of the SDK, which has precedence
    np.testing.assert_array_equal(found.lookup.ravel(), np.fromfile(robotcar_raw / table))
    assert [str(sdk / model), str(robotcar_raw / table)] == [line.split()[1] for line in caplog.messages[:2]]
    with pytest.raises(MissingFileError, match=rf"{tmp_path}: no models/.*get the RobotCar SDK"):
        read_calibration("stereo_wide_left", sdk=tmp_path, raw=robotcar_raw)  # a mistyped folder is not passed over


@pytest.mark.parametrize("content", [b"", b"12345678", b"1234567890"])
def test_a_cut_look_up_table_is_refused(tmp_path, robotcar_raw, content):
    from shutil import copytree

    copytree(robotcar_raw / "models", tmp_path / "models")
    copytree(robotcar_raw / "extrinsics", tmp_path / "extrinsics")
    (tmp_path / "models/stereo_wide_left_distortion_lut.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"distortion_lut\.bin: \d+ bytes are no pairs of float64"):
        read_calibration("stereo_wide_left", sdk=tmp_path, raw=robotcar_raw)


@pytest.mark.parametrize(
    ("tags", "condition"),
    [
        ("- overcast", "day-clear"),
        ("- night", "night-clear"),
        ("- rain\n- poor-gps", "day-rain"),
        ("- night- rain", "night-rain"),
    ],
)
def test_a_condition_follows_from_the_sdks_tags(tmp_path, tags, condition):
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags/2015-01-01-10-00-00.yaml").write_text(tags)
    assert traverse_condition("2015-01-01-10-00-00", raw=tmp_path) == condition


@pytest.mark.parametrize("tags", [None, "", "- dusk\n- sun", "- snow\n- overcast", "- roadworks"])
def test_a_traverse_that_is_neither_clear_day_nor_night_needs_to_be_told(tmp_path, tags):
    if tags is not None:
        (tmp_path / "tags").mkdir()
        (tmp_path / "tags/2015-01-01-10-00-00.yaml").write_text(tags)
    with pytest.raises(DataError, match=r"give --condition 2015-01-01-10-00-00=NAME"):
        traverse_condition("2015-01-01-10-00-00", raw=tmp_path)
    assert find_tags(DAY, raw=tmp_path) is None
    assert [traverse_condition(name, raw=tmp_path) for name in (DAY, NIGHT)] == ["day-clear", "night-clear"]


def test_missing_traverses_and_lists_are_named(tmp_path, robotcar_raw):
    with pytest.raises(MissingFileError, match=r"no folder named like a traverse"):
        find_traverses(tmp_path)
    with pytest.raises(MissingFileError, match=rf"no traverse x \(there are: {DAY}, {NIGHT}\)"):
        find_traverses(robotcar_raw, ["x"])
    with pytest.raises(MissingFileError, match=r"stereo\.timestamps: no such file"):
        read_times(tmp_path / "stereo.timestamps")
    for text, message in (("a 1\n", "without a time"), ("", "is empty"), ("2 1\n1 1\n", "do not ascend")):
        (tmp_path / "list").write_text(text)
        with pytest.raises(DataError, match=message):
            read_times(tmp_path / "list")
