import filecmp
import json
from dataclasses import fields, replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from robotcar_files import drive, stamps, table

from sample_world import robotcar_world
from sample_world.__main__ import build_parser, main
from sample_world.line_scanner import BEAMS
from sample_world.nuscenes_world import WorldOptions, write_nuscenes
from sample_world.robotcar_calibration import (
    EXTRINSICS,
    NATIVE,
    T_NED_WORLD,
    T_VEHICLE_CAMERA,
    bayer_mosaic,
    pose_components,
    pose_matrix,
    stereo_camera,
)
from sample_world.robotcar_options import TRAVERSES, RobotCarOptions, Traversal, timestamp
from sample_world.robotcar_world import WorldError, write_robotcar

TINY = RobotCarOptions(seed=6, frames=6, standing=1, over_exposed=1, scan_margin=0.1, size=(48, 64), workers=1)
DAY, NIGHT = TRAVERSES


@pytest.fixture(scope="module")
def traversal(robotcar_raw):
    return drive(robotcar_raw)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "world"
    write_robotcar(folder, TINY, progress=False)
    return folder


def brightness(root, traverse):
    """Mean of every raw picture without the car's bonnet, 0..1."""
    names = [root / traverse / "stereo" / "left" / f"{stamp}.png" for stamp in stamps(root / traverse, "stereo")]
    return np.array([cv2.imread(str(name), cv2.IMREAD_UNCHANGED)[:192].mean() / 255 for name in names])


def test_the_folders_are_those_of_the_real_data_and_hold_what_the_timestamps_list(robotcar_raw):
    names = {path.relative_to(robotcar_raw).as_posix() for path in robotcar_raw.rglob("*") if path.is_file()}
    expected = {"world.json", *(f"extrinsics/{name}.txt" for name in ("stereo", "lms_front", "ins"))}
    expected |= {"models/stereo_wide_left.txt", "models/stereo_wide_left_distortion_lut.bin"}
    for traverse in (DAY, NIGHT):
        frames, scans = (stamps(robotcar_raw / traverse, name) for name in ("stereo", "lms_front"))
        expected |= {f"{traverse}/{name}.timestamps" for name in ("stereo", "lms_front")}
        expected |= {f"{traverse}/vo/vo.csv", f"{traverse}/gps/ins.csv"}
        expected |= {
            f"{traverse}/{folder}/{stamp}.png" for folder in ("stereo/left", "dense_depth") for stamp in frames
        }
        expected |= {f"{traverse}/lms_front/{stamp}.bin" for stamp in scans}
    assert names == expected


def test_pictures_are_bayer_mosaics_and_scans_are_triplets_of_doubles(robotcar_raw):
    for traverse in (DAY, NIGHT):
        for path in (robotcar_raw / traverse / "stereo" / "left").iterdir():
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert (image.shape, image.dtype) == ((240, 320), np.uint8)
        for path in (robotcar_raw / traverse / "lms_front").iterdir():
            x, y, reflectance = np.fromfile(path, "<f8").reshape(-1, 3).T
            assert x.size == BEAMS
            heard = np.hypot(x, y) > 0  # a beam without an echo is three zeros
            assert 100 < heard.sum() < BEAMS
            assert np.hypot(x, y).max() < 51
            np.testing.assert_array_equal(reflectance > 0, heard)
    lookup = robotcar_raw / "models" / "stereo_wide_left_distortion_lut.bin"
    assert lookup.stat().st_size == 2 * 8 * 240 * 320


def test_timestamps_increase_and_the_scans_and_poses_enclose_the_pictures(robotcar_raw):
    for traverse in (DAY, NIGHT):
        folder = robotcar_raw / traverse
        frames, scans = stamps(folder, "stereo"), stamps(folder, "lms_front")
        odometry = [int(row[0]) for row in table(folder / "vo" / "vo.csv")]
        ins = [int(row[0]) for row in table(folder / "gps" / "ins.csv")]
        assert set(np.diff(frames)) == {62_500}
        assert set(np.diff(scans)) <= {19_999, 20_000, 20_001}
        assert all(np.diff(times).min() > 0 for times in (odometry, ins))
        assert frames[0] - scans[0] > 0.95e6
        assert scans[-1] - frames[-1] > 0.95e6
        assert max(odometry[0], ins[0]) < scans[0]
        assert min(odometry[-1], ins[-1]) > scans[-1]
        assert set(frames) <= set(odometry)
    assert not set(stamps(robotcar_raw / DAY, "stereo")) & set(stamps(robotcar_raw / NIGHT, "stereo"))


def test_the_camera_is_the_real_one_at_the_real_size_and_scaled_about_pixel_corners_at_others(robotcar_raw):
    np.testing.assert_array_equal(
        stereo_camera(NATIVE).K, [[983.044006, 0, 643.646973], [0, 983.044006, 493.378998], [0, 0, 1]]
    )
    lines = (robotcar_raw / "models" / "stereo_wide_left.txt").read_text().splitlines()
    np.testing.assert_allclose(
        [float(value) for value in lines[0].split()],
        [983.044006 / 4, 983.044006 / 4, (643.646973 + 0.5) / 4 - 0.5, (493.378998 + 0.5) / 4 - 0.5],
        atol=1e-6,
    )
    np.testing.assert_array_equal([[float(value) for value in line.split()] for line in lines[1:]], T_VEHICLE_CAMERA)


def test_a_picture_of_another_shape_is_cropped_in_the_middle():
    whole, cropped = stereo_camera((240, 320)), stereo_camera((200, 320))
    np.testing.assert_allclose(cropped.K - whole.K, [[0, 0, 0], [0, 0, -20], [0, 0, 0]], atol=1e-9)


def test_the_mosaic_is_green_blue_over_red_green():
    picture = np.arange(4 * 4 * 3).reshape(4, 4, 3)
    mosaic = bayer_mosaic(picture)
    for row, column, channel in ((0, 0, 1), (0, 1, 2), (1, 0, 0), (1, 1, 1), (2, 3, 2), (3, 2, 0)):
        assert mosaic[row, column] == picture[row, column, channel]


def test_the_chained_odometry_and_the_ins_follow_the_vehicle(robotcar_raw, traversal):
    for traverse in (DAY, NIGHT):
        steps = table(robotcar_raw / traverse / "vo" / "vo.csv")
        first, pose = traversal.T_world_vehicle(float(traversal.odometry_times[0])), np.eye(4)
        for row, (earlier, later) in zip(steps, pairwise(traversal.odometry_times), strict=True):
            assert (int(row[0]), int(row[1])) == (timestamp(traverse, later), timestamp(traverse, earlier))
            pose = pose @ pose_matrix(tuple(float(value) for value in row[2:8]))
            expected = np.linalg.inv(first) @ traversal.T_world_vehicle(float(later))
            np.testing.assert_allclose(pose, expected, atol=1e-6)
        ins = table(robotcar_raw / traverse / "gps" / "ins.csv")
        start = np.array([float(value) for value in ins[0][5:8]])
        for row, time in list(zip(ins, traversal.ins_times, strict=True))[::10]:
            expected = T_NED_WORLD @ traversal.T_world_vehicle(float(time)) @ pose_matrix(EXTRINSICS["ins"])
            found = pose_matrix(tuple(float(value) for value in (*row[5:8], *row[-3:])))
            np.testing.assert_allclose(found[:3, :3], expected[:3, :3], atol=1e-8)
            origin = (
                T_NED_WORLD @ traversal.T_world_vehicle(float(traversal.ins_times[0])) @ pose_matrix(EXTRINSICS["ins"])
            )
            np.testing.assert_allclose(found[:3, 3] - start, (expected - origin)[:3, 3], atol=3e-6)


def test_ins_velocities_are_the_steps_between_its_positions(robotcar_raw):
    rows = table(robotcar_raw / DAY / "gps" / "ins.csv")
    numbers = np.array([[float(value) for value in row[5:8] + row[9:12]] for row in rows])
    position, velocity = numbers[:, :3], numbers[:, 3:]
    np.testing.assert_allclose(velocity[1:-1], (position[2:] - position[:-2]) / 0.04, atol=1e-3)


def test_components_and_matrices_are_inverse_and_the_roll_turns_first():
    for components in EXTRINSICS.values():
        np.testing.assert_allclose(pose_components(pose_matrix(components)), components, atol=1e-12)
    quarter = np.pi / 2
    turn = pose_matrix((1, 2, 3, quarter, 0, quarter))  # y -> z by the roll, z stays z by the yaw
    np.testing.assert_allclose(turn @ [0, 1, 0, 1], [1, 2, 4, 1], atol=1e-12)
    np.testing.assert_allclose(turn @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


def test_the_car_stands_still_at_the_frames_that_stand_and_drives_at_the_others(robotcar_raw, traversal):
    assert list(traversal.standing_frames) == [9, 10, 11, 12, 13]
    frames = stamps(robotcar_raw / NIGHT, "stereo")
    steps = {
        int(row[0]): np.linalg.norm([float(v) for v in row[2:5]])
        for row in table(robotcar_raw / NIGHT / "vo" / "vo.csv")
    }
    step = np.array([steps[stamp] for stamp in frames])  # from the frame before
    assert step[10:14].max() < 1e-6
    assert step[[*range(10), *range(14, 28)]].min() > 1e-3
    assert step[:5].min() * 16 > 0.5  # m/s
    assert step[20:].min() * 16 > 0.5


def test_only_the_over_exposed_frames_of_the_day_are_nearly_white(robotcar_raw, traversal):
    white = list(traversal.over_exposed_frames)
    day, night = brightness(robotcar_raw, DAY), brightness(robotcar_raw, NIGHT)
    assert np.flatnonzero(day >= 0.9).tolist() == white == [21, 22]
    usual = np.delete(day, white)
    assert np.abs(np.diff(usual)).max() < 0.05
    assert night.max() < 0.6 * usual.min()


def test_every_frame_has_its_own_noise(robotcar_raw, traversal):
    first, second = list(traversal.standing_frames)[1:3]  # the same view twice
    for traverse in (DAY, NIGHT):
        frames = stamps(robotcar_raw / traverse, "stereo")
        pair = [
            cv2.imread(str(robotcar_raw / traverse / "stereo" / "left" / f"{frames[number]}.png"), cv2.IMREAD_UNCHANGED)
            for number in (first, second)
        ]
        assert 0.5 < cv2.absdiff(*pair).mean() < 20


def test_both_traverses_see_the_same_street_frame_by_frame(robotcar_raw):
    for day, night in zip(*(stamps(robotcar_raw / name, "stereo") for name in (DAY, NIGHT)), strict=True):
        pair = (
            robotcar_raw / DAY / "dense_depth" / f"{day}.png",
            robotcar_raw / NIGHT / "dense_depth" / f"{night}.png",
        )
        assert filecmp.cmp(*pair, shallow=False)
    scans = [stamps(robotcar_raw / name, "lms_front")[40] for name in (DAY, NIGHT)]
    day, night = (robotcar_raw / n / "lms_front" / f"{s}.bin" for n, s in zip((DAY, NIGHT), scans, strict=True))
    assert day.read_bytes() != night.read_bytes()  # its own noise


def test_two_workers_write_the_same_bytes_as_one(tiny, tmp_path):
    write_robotcar(tmp_path / "again", replace(TINY, workers=2), progress=False)
    files = [str(path.relative_to(tiny)) for path in tiny.rglob("*") if path.is_file()]
    same, different, missing = filecmp.cmpfiles(tiny, tmp_path / "again", files, shallow=False)
    assert (len(same), different, missing) == (len(files), [], [])


def test_a_second_call_with_the_same_options_does_nothing(tiny, monkeypatch):
    monkeypatch.setattr(robotcar_world, "Traversal", lambda options: pytest.fail("it started to render"))
    write_robotcar(tiny, replace(TINY, workers=5), progress=False)


def test_the_folder_of_another_world_or_format_is_refused_by_one_line(tiny, tmp_path, world_root):
    with pytest.raises(WorldError, match=r"world holds another sample world \(seed 6, not 7\); choose another"):
        write_robotcar(tiny, replace(TINY, seed=7), progress=False)
    with pytest.raises(WorldError, match=r"world holds a sample world in the format robotcar; choose another folder"):
        write_nuscenes(tiny, WorldOptions(), progress=False)
    with pytest.raises(
        WorldError, match=r"nuscenes holds a sample world in the format nuscenes; choose another folder"
    ):
        write_robotcar(world_root, TINY, progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WorldError, match="is no sample world"):
        write_robotcar(tmp_path, TINY, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_another_seed_is_another_street(tiny):
    streets = [Traversal(replace(TINY, seed=seed)).street.static.centre.tobytes() for seed in (0, 0, 1)]
    assert streets[0] == streets[1] != streets[2]


def test_a_broken_off_build_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(robotcar_world, "write_tables", fail)
    with pytest.raises(OSError, match="no space left"):
        write_robotcar(tmp_path / "world", TINY, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_named_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)seed must be >= 0, got -1.*standing must be .*size must be "):
        RobotCarOptions(seed=-1, frames=8, standing=3, size=(30, 64))


def test_depth_is_left_out_on_request(tmp_path):
    write_robotcar(
        tmp_path / "world", replace(TINY, frames=1, standing=0, over_exposed=0, dense_depth=False), progress=False
    )
    assert not list(tmp_path.rglob("dense_depth"))
    assert len(list(tmp_path.rglob("stereo/left/*.png"))) == 2


def test_the_command_line_writes_either_format_and_refuses_the_options_of_the_other(tmp_path, capsys, monkeypatch):
    text = build_parser().format_help()
    assert "--format robotcar --output data/robotcar_raw" in text
    for option in fields(RobotCarOptions):
        assert f"--{option.name.replace('_', '-')}" in text
    with pytest.raises(SystemExit) as info:
        main(["--output", str(tmp_path / "w"), "--frames", "8"])
    assert info.value.code == 2
    assert "--format nuscenes has no --frames" in capsys.readouterr().err
    arguments = ["--format", "robotcar", "--output", str(tmp_path / "w"), "--size", "48", "64", "--frames", "2"]
    arguments += ["--standing", "0", "--over-exposed", "0", "--scan-margin", "0.1", "--workers", "1"]
    assert main([*arguments, "--no-dense-depth"]) == 0
    found = json.loads((tmp_path / "w" / "world.json").read_text())
    assert (found["format"], found["size"], found["frames"], found["range_noise"]) == ("robotcar", [48, 64], 2, 0.012)
    assert main(arguments) == 4
    assert "dense_depth False, not True" in capsys.readouterr().err
