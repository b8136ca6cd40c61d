"""KITTI: layout, calibration, projection by its own rules, poses from oxts, damaged files."""

import os
from pathlib import Path

import made_folders
import numpy as np
import pytest
from made_folders import BASELINE, K_KITTI, SIZE, STEP, WALL

from ude.data.folders import kitti as kitti_module
from ude.data.folders.kitti import KittiFrames
from ude.data.folders.oxts import T_world_imu, read_oxts
from ude.data.folders.velodyne import kitti_projection, read_velodyne
from ude.files import DataError, read_arrays, write_arrays

DATE, DRIVE = "2011_09_26", "2011_09_26_drive_0001_sync"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made_folders.write_kitti(tmp_path_factory.mktemp("kitti"))


@pytest.fixture
def own(tmp_path):
    return made_folders.write_kitti(tmp_path, frames=3, cameras=("02",))


def split_file(folder: Path, *lines: str) -> str:
    path = folder / "split.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_both_cameras_of_a_drive_are_frames_of_one_scene(root):
    frames = KittiFrames(root)
    assert len(frames) == 12
    assert frames.frame_id(0) == f"{DRIVE}_02_0000000000"
    assert frames.frame_id(11) == f"{DRIVE}_03_0000000005"
    assert {frames.scene(index) for index in range(12)} == {DRIVE}
    assert {frames.condition(index) for index in range(12)} == {"day-clear"}


def test_a_split_file_chooses_frames_in_its_order(root, tmp_path):
    ids = [f"{DRIVE}_03_0000000004", f"{DRIVE}_02_0000000001"]
    frames = KittiFrames(root, split=split_file(tmp_path, *(f"{name} day-clear" for name in ids)), offsets=(-1, 1))
    assert [frames.frame_id(index) for index in range(2)] == ids
    assert frames.image_path(0, 1).name == "0000000005.png"
    assert frames.image_path(0, 1).parts[-3] == "image_03"


def test_a_frame_that_is_not_there_is_named_with_its_line(root, tmp_path):
    with pytest.raises(DataError, match=r"split\.txt:1: .*_02_0000000099 is no frame of"):
        KittiFrames(root, split=split_file(tmp_path, f"{DRIVE}_02_0000000099 day-clear"))


def test_a_drive_that_does_not_start_with_its_date_gets_it_in_front(own):
    (own / DATE / DRIVE).rename(own / DATE / "drive")
    assert KittiFrames(own).frame_id(0) == "2011_09_26_drive_02_0000000000"


def test_the_ends_of_a_drive_and_gaps_lack_neighbours(own):
    frames = KittiFrames(own, offsets=(-1, 1))
    assert len(frames) == 1
    assert frames.left_out["no neighbour"] == 2
    images = own / DATE / DRIVE / "image_02" / "data"
    (images / "0000000001.png").rename(images / "0000000007.png")
    with pytest.raises(DataError, match=r"no frame is left: 3 frames of split all .* 3 lack a neighbour"):
        KittiFrames(own, offsets=(-1, 1))


def test_jpeg_images_are_taken_like_png(own):
    images = own / DATE / DRIVE / "image_02" / "data"
    for path in sorted(images.iterdir()):
        made_folders.write_picture(path.with_suffix(".jpg"), 1)
        path.unlink()
    frames = KittiFrames(own)
    assert len(frames) == 3
    assert frames.image_path(0).suffix == ".jpg"
    assert frames.lidar_path(0).name == "0000000000.bin"


@pytest.mark.parametrize(("camera", "index"), [("02", 2), ("03", 8)])
def test_a_wall_lies_where_closed_form_puts_it(root, camera, index):
    frames = KittiFrames(root)
    number = int(frames.frame_id(index)[-10:])
    assert frames.frame_id(index).endswith(f"_{camera}_{number:010d}")
    pixel, depth = frames.sparse_lidar(index)
    z = WALL + number - 0.27
    np.testing.assert_allclose(depth, z, rtol=1e-6)
    y, height = made_folders.wall_points(number)[:720, 1:].astype(np.float32).T.astype(float)
    u = K_KITTI[0, 0] * (-y + BASELINE[camera]) / z + K_KITTI[0, 2]
    v = K_KITTI[1, 1] * (-height - 0.08) / z + K_KITTI[1, 2]
    column, row = np.rint(u).astype(int) - 1, np.rint(v).astype(int) - 1
    inside = (column >= 0) & (column < SIZE[1]) & (row >= 0) & (row < SIZE[0])
    assert set(pixel.tolist()) == set((row * SIZE[1] + column)[inside].tolist())


def test_the_nearest_of_several_points_of_a_pixel_wins_and_points_behind_count_nothing():
    points = np.array([[20.0, 0, 0], [10, 0, 0], [30, 0, 0], [-10, 0, 0], [0.1, 0, 0]], np.float32)
    T = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, -0.27], [0, 0, 0, 1]])
    pixel, depth = kitti_projection(points, T, K_KITTI, SIZE)
    assert pixel.tolist() == [(round(22.5) - 1) * SIZE[1] + round(79.25) - 1]
    assert depth == pytest.approx([9.73])


def test_the_rectification_turns_the_points(own):
    path = own / DATE / "calib_cam_to_cam.txt"
    angle = 0.05
    R = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    before = KittiFrames(own).sparse_lidar(0)[1]
    path.write_text(path.read_text().replace("1 0 0 0 1 0 0 0 1", made_folders.numbers(R)))
    after = KittiFrames(own).sparse_lidar(0)[1]
    assert np.ptp(before) < 1e-5
    assert np.ptp(after) > 0.3


def test_poses_lead_north_by_the_step_of_the_drive(root):
    frames = KittiFrames(root, offsets=(-1, 1, 2))
    for offset in (-1, 1, 2):
        assert frames.distance(1, offset) == pytest.approx(abs(offset) * STEP, rel=1e-5)
        np.testing.assert_allclose(
            frames.T_source_target(1, offset)[:3], np.c_[np.eye(3), [0, 0, -offset * STEP]], atol=1e-5
        )


def test_a_turning_unit_moves_the_camera_by_its_lever(own):
    oxts = own / DATE / DRIVE / "oxts" / "data"
    for number, yaw in ((0, 0.0), (1, 0.1)):
        values = made_folders.oxts_line(0).split()
        values[5] = str(yaw)
        (oxts / f"{number:010d}.txt").write_text(" ".join(values))
    T = KittiFrames(own, offsets=(1,)).T_source_target(0, 1)
    # the camera of the made calibration: 1.07 m ahead of the unit and 0.24 m right of it, 0.06 m left of camera 0
    lever = np.hypot(0.27 + 0.8, -0.3 + 0.06)
    assert np.linalg.norm(T[:3, 3]) == pytest.approx(2 * lever * np.sin(0.05), rel=1e-7)
    assert np.arccos((np.trace(T[:3, :3]) - 1) / 2) == pytest.approx(0.1)


def test_a_degree_east_on_the_equator_is_the_length_of_the_equator_by_360():
    rows = np.zeros((2, 30))
    rows[1, 1] = 1.0
    T = [T_world_imu(row, 0.0) for row in rows]
    assert T[1][0, 3] - T[0][0, 3] == pytest.approx(2 * np.pi * 6378137 / 360)


def test_the_order_of_roll_pitch_and_yaw_is_that_of_the_development_kit():
    row = np.zeros(30)
    row[3:6] = 0.1, 0.2, 0.3
    from scipy.spatial.transform import Rotation

    expected = Rotation.from_euler("ZYX", [0.3, 0.2, 0.1]).as_matrix()
    np.testing.assert_allclose(T_world_imu(row, 0.0)[:3, :3], expected, atol=1e-12)


def test_slow_frames_are_left_out_by_the_measured_speed(root):
    assert KittiFrames(root, min_speed=0.5).left_out["slow"] == 2  # the first frame of either camera
    assert len(KittiFrames(root, min_speed=0.5)) == 10
    with pytest.raises(DataError, match=r"all 12 frames of split all .* slower than 20 m/s"):
        KittiFrames(root, min_speed=20.0)


def test_a_speed_without_oxts_is_an_error_with_the_remedy(tmp_path):
    root = made_folders.write_kitti(tmp_path, oxts=False)
    with pytest.raises(DataError, match=r"0000000000\.txt: no such oxts file.*DATA\.MIN_SPEED 0"):
        KittiFrames(root, min_speed=0.5)
    assert len(KittiFrames(root)) == 12


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Names of the oxts files that are read, in turn."""
    found = []

    def counted(path):
        found.append(path.name)
        return read_oxts(path)

    monkeypatch.setattr(kitti_module, "read_oxts", counted)
    return found


def test_oxts_files_are_read_once_for_both_cameras_and_not_again(tmp_path, opened):
    root = made_folders.write_kitti(tmp_path / "kitti", frames=4)
    options = {"min_speed": 0.5, "index_root": tmp_path / "index"}
    assert len(KittiFrames(root, **options)) == 6
    assert sorted(opened) == [f"{number:010d}.txt" for number in range(4)]
    opened.clear()
    again = KittiFrames(root, **options)
    assert not opened
    assert (len(again), again.left_out["slow"]) == (6, 2)
    assert KittiFrames(root, min_speed=13.0 / 2, index_root=tmp_path / "index").left_out["slow"] == 2
    assert not opened
    assert not list(root.rglob("*.npz"))


def test_of_a_split_file_only_the_frames_that_it_names_are_read(tmp_path, opened):
    root = made_folders.write_kitti(tmp_path / "kitti", frames=4)
    options = {"min_speed": 0.5, "index_root": tmp_path / "index"}
    KittiFrames(root, split=split_file(tmp_path, f"{DRIVE}_03_0000000002 day-clear"), **options)
    assert opened == ["0000000002.txt"]
    KittiFrames(root, **options)
    assert sorted(opened) == [f"{number:010d}.txt" for number in (0, 1, 2, 3)]


def test_speeds_of_a_folder_that_has_changed_are_read_again(tmp_path, opened):
    root = made_folders.write_kitti(tmp_path / "kitti", frames=3, cameras=("02",))
    oxts, options = root / DATE / DRIVE / "oxts" / "data", {"min_speed": 0.5, "index_root": tmp_path / "index"}
    KittiFrames(root, **options)
    (oxts / "0000000001.txt").unlink()
    with pytest.raises(DataError, match=r"0000000001\.txt: no such oxts file.*DATA\.MIN_SPEED 0"):
        KittiFrames(root, **options)
    (oxts / "0000000001.txt").write_text(made_folders.oxts_line(0))
    os.utime(oxts, ns=(0, 1))
    assert KittiFrames(root, **options).left_out["slow"] == 2


@pytest.mark.parametrize("damage", [b"", b"PK", "cut", "not finite"])
def test_damaged_speeds_are_read_again(tmp_path, opened, damage, caplog):
    root = made_folders.write_kitti(tmp_path / "kitti", frames=3, cameras=("02",))
    options = {"min_speed": 0.5, "index_root": tmp_path / "index"}
    KittiFrames(root, **options)
    (path,) = (tmp_path / "index").rglob("*.npz")
    if damage == "not finite":
        write_arrays(path, {**read_arrays(path), "speeds": np.full(3, np.nan)})
    else:
        path.write_bytes(path.read_bytes()[:-40] if damage == "cut" else damage)
    for count in (3, 0):
        opened.clear()
        assert KittiFrames(root, **options).left_out["slow"] == 1
        assert len(opened) == count
    assert f"{path} is damaged and is written again" in caplog.text


@pytest.mark.parametrize("place", ["kitti/index", "file/index"])
def test_where_speeds_cannot_be_kept_they_are_read_at_every_start(tmp_path, opened, place, caplog):
    root = made_folders.write_kitti(tmp_path / "kitti", frames=3, cameras=("02",))
    (tmp_path / "file").write_text("")
    for _ in range(2):
        opened.clear()
        assert KittiFrames(root, min_speed=0.5, index_root=tmp_path / place).left_out["slow"] == 1
        assert len(opened) == 3
    assert "DATA.INDEX_ROOT" in caplog.text
    assert not (root / "index").exists()


def test_a_missing_sweep_is_no_lidar_and_named(own):
    (own / DATE / DRIVE / "velodyne_points" / "data" / "0000000001.bin").unlink()
    frames = KittiFrames(own)
    assert frames.lidar_path(1) is None
    with pytest.raises(DataError, match=r"0000000001\.bin: no such LiDAR file"):
        frames.sparse_lidar(1)


@pytest.mark.parametrize("cut", [0, -1, -4, -15])
def test_a_cut_sweep_is_refused_by_name(own, cut):
    path = own / DATE / DRIVE / "velodyne_points" / "data" / "0000000001.bin"
    data = path.read_bytes()
    path.write_bytes(data[:cut] if cut else b"")
    with pytest.raises(DataError, match=r"0000000001\.bin: \d+ bytes are not a positive multiple of 16"):
        read_velodyne(path)


def test_points_that_are_not_finite_are_refused_by_name(own):
    path = own / DATE / DRIVE / "velodyne_points" / "data" / "0000000001.bin"
    values = np.fromfile(path, np.float32)
    values[17] = np.nan
    values.tofile(path)
    with pytest.raises(DataError, match=r"0000000001\.bin: holds LiDAR points that are not finite"):
        read_velodyne(path)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("calib_cam_to_cam.txt", "P_rect_02:", "P_rect_07:", "P_rect_02 must be 12 numbers, got nothing"),
        ("calib_cam_to_cam.txt", "S_rect_02:", "S_rect_02: 1", "S_rect_02 must be 2 numbers"),
        ("calib_cam_to_cam.txt", "1.200000000000e+02", "-1.2e+02", "are no intrinsics of an image of 48 x 160"),
        ("calib_cam_to_cam.txt", "1.200000000000e+02", "nan", "P_rect_02 must be 12 numbers"),
        ("calib_velo_to_cam.txt", "-1.000000000000e+00", "-1.5", "is no rotation"),
        ("calib_velo_to_cam.txt", "T:", "X:", "T must be 3 numbers, got nothing"),
    ],
)
def test_damaged_calibration_is_refused_by_name(own, file, old, new, message):
    path = own / DATE / file
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        KittiFrames(own).sparse_lidar(0)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_refused_by_name(own):
    made_folders.write_picture(own / DATE / DRIVE / "image_02" / "data" / "0000000001.png", 1, (24, 80))
    with pytest.raises(DataError, match=r"0000000001\.png is 24 x 80, but .* 48 x 160"):
        KittiFrames(own).image(1)


@pytest.mark.parametrize("text", ["1 2 3", "a b c", "nan " * 30])
def test_damaged_oxts_are_refused_by_name(tmp_path, text):
    path = tmp_path / "0000000001.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=r"0000000001\.txt: "):
        read_oxts(path)


def test_a_folder_that_is_not_kitti_is_refused(tmp_path):
    with pytest.raises(DataError, match="must be raw KITTI"):
        KittiFrames(tmp_path)
    with pytest.raises(DataError, match="must be raw KITTI"):
        KittiFrames(tmp_path / "nowhere")


def test_unknown_conditions_and_offsets_are_refused(root):
    with pytest.raises(ValueError, match="conditions must be among"):
        KittiFrames(root, conditions=["dusk"])
    for offsets in ((0, 1), (1, 1)):
        with pytest.raises(ValueError, match="offsets must be non-zero and differ"):
            KittiFrames(root, offsets=offsets)
    with pytest.raises(DataError, match=r"no frame is left: 0 frames of split all \(night-clear\)"):
        KittiFrames(root, conditions=["night-clear"])


@pytest.mark.skipif(not os.environ.get("UDE_REAL_SAMPLES"), reason="needs the real samples")
def test_the_real_sequence_projects_as_many_points_as_known():
    frames = KittiFrames(Path(os.environ["UDE_REAL_SAMPLES"]) / "kitti_sequence")
    assert len(frames) == 24
    pixel, depth = frames.sparse_lidar(6)
    assert len(pixel) == 15189  # as by monodepth2's code
    assert depth.min() == pytest.approx(3.01926, abs=1e-4)
    assert depth.max() == pytest.approx(78.63099, abs=1e-4)
