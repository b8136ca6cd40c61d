"""DrivingStereo and Cityscapes: their layouts, splits, calibrations, depth and what is refused."""

import json
import shutil

import made_folders
import numpy as np
import pytest
from made_folders import SIZE

from ude.data.folders.cityscapes import CityscapesFrames
from ude.data.folders.drivingstereo import SPLITS, DrivingStereoFrames
from ude.files import DataError


@pytest.fixture
def stereo(tmp_path):
    return made_folders.write_drivingstereo(tmp_path / "drivingstereo")


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return made_folders.write_cityscapes(tmp_path_factory.mktemp("cityscapes"))


# --- DrivingStereo


def test_each_split_of_drivingstereo_has_its_own_frames(stereo):
    assert len(DrivingStereoFrames(stereo, split="train")) == 8
    assert len(DrivingStereoFrames(stereo, split="test")) == 4
    fog = DrivingStereoFrames(stereo, split="foggy")
    assert fog.frame_id(0).startswith("foggy_2018-10-25-07-37-26_")
    assert fog.scene(0) == "foggy_2018-10-25-07-37-26"
    with pytest.raises(DataError, match="holds no left images of split sunny"):
        DrivingStereoFrames(stereo, split="sunny")


def test_a_split_file_of_drivingstereo_may_name_frames_of_all_splits(stereo, tmp_path):
    ids = [DrivingStereoFrames(stereo, split=split).frame_id(1) for split in ("foggy", "train", "test")]
    path = tmp_path / "split.txt"
    path.write_text("".join(f"{name} day-rain\n" for name in ids))
    frames = DrivingStereoFrames(stereo, split=str(path))
    assert [frames.frame_id(index) for index in range(3)] == ids
    assert frames.condition(1) == "day-rain"


def test_a_weather_folder_may_hold_itself_once_more(stereo):
    (stereo / "foggy").rename(stereo / "inner")
    (stereo / "foggy").mkdir()
    (stereo / "inner").rename(stereo / "foggy" / "foggy")
    fog = DrivingStereoFrames(stereo, split="foggy")
    assert len(fog) == 4
    assert fog.lidar_path(0).is_file()


def test_full_and_half_size_have_their_own_calibration(stereo):
    assert DrivingStereoFrames(stereo, split="train").intrinsics(0)[0, 0] == 130
    fog = DrivingStereoFrames(stereo, split="foggy")
    assert fog.native_size(0) == (2 * SIZE[0], 2 * SIZE[1])
    assert fog.intrinsics(0)[0, 0] == 260


def test_depth_of_drivingstereo_is_stored_at_256_to_the_metre(stereo):
    for split in ("train", "test", "foggy"):
        index, depth = DrivingStereoFrames(stereo, split=split).sparse_lidar(1)
        assert depth[:3].tolist() == [6, 7, 8]
        assert index[:3].tolist() == [0, 8, 16]


def test_images_far_apart_in_time_are_no_neighbours(stereo):
    frames = DrivingStereoFrames(stereo, offsets=(-1, 1))
    assert len(frames) == 4
    for index in range(4):
        assert len({frames.image_path(index, offset).parent for offset in (-1, 0, 1)}) == 1
    folder = stereo / "train-left-image" / "2018-07-09-16-11-56"
    sequence = "2018-07-09-16-11-56"
    (folder / f"{sequence}_2018-07-09-16-11-56-600.jpg").rename(folder / f"{sequence}_2018-07-09-16-11-57-600.jpg")
    assert len(DrivingStereoFrames(stereo, offsets=(-1, 1))) == 3


def test_half_past_midnight_follows_half_an_hour_before(stereo):
    folder = stereo / "train-left-image" / "2018-07-09-16-11-56"
    for path, time in zip(sorted(folder.iterdir()), ("09-23-59-59-900", "10-00-00-00-100"), strict=False):
        path.rename(folder / f"2018-07-09-16-11-56_2018-07-{time}.jpg")
    frames = DrivingStereoFrames(stereo, offsets=(1,))
    first = next(index for index in range(len(frames)) if frames.frame_id(index).endswith("59-900"))
    assert frames.image_path(first, 1).stem.endswith("00-100")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (None, None, r"no half-image-calib/2018-07-09-16-11-56\.txt in it; download the calibration"),
        ("S_rect_101: 160 48", "S_rect_101: 320 96", "belongs to images of 96 x 320, but .* has 48 x 160"),
        ("S_rect_101", "S_rect_103", "S_rect_101 must be 2 numbers, got nothing"),
        ("P_rect_101", "P_rect_103", "P_rect_101 must be 12 numbers, got nothing"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(stereo, old, new, message):
    path = stereo / "calib" / "half-image-calib" / "2018-07-09-16-11-56.txt"
    if old:
        path.write_text(path.read_text().replace(old, new))
    else:
        path.unlink()
    with pytest.raises(DataError, match=message) as caught:
        DrivingStereoFrames(stereo)
    assert "\n" not in str(caught.value)


def test_an_image_without_a_time_is_refused(stereo):
    made_folders.write_picture(stereo / "train-left-image" / "2018-07-09-16-11-56" / "2018-07-09-16-11-56_x.jpg", 1)
    with pytest.raises(DataError, match=r"_x\.jpg: the name must be <sequence>_<year-month"):
        DrivingStereoFrames(stereo)


def test_a_missing_depth_map_of_drivingstereo_is_named(stereo):
    shutil.rmtree(stereo / "train-depth-map")
    frames = DrivingStereoFrames(stereo)
    assert frames.lidar_path(0) is None
    with pytest.raises(DataError, match=r"train-depth-map/.*: no such depth map"):
        frames.lidar_depth(0)


def test_an_empty_folder_is_no_drivingstereo(tmp_path):
    for split in SPLITS:
        with pytest.raises(DataError, match=f"holds no left images of split {split}"):
            DrivingStereoFrames(tmp_path, split=split)


# --- Cityscapes


def test_each_split_of_cityscapes_has_its_cities(streets, tmp_path):
    train = CityscapesFrames(streets)
    assert len(train) == 12
    assert train.frame_id(0) == "aachen_000000_000017"
    assert {train.scene(index) for index in range(12)} == {"aachen_000000", "hamburg_000000"}
    assert CityscapesFrames(streets, split="val").frame_id(0) == "lindau_000003_000017"
    path = tmp_path / "split.txt"
    path.write_text("lindau_000003_000018 day-clear\nhamburg_000000_000117 day-clear\n")
    frames = CityscapesFrames(streets, split=str(path))
    assert [frames.frame_id(index) for index in range(2)] == ["lindau_000003_000018", "hamburg_000000_000117"]


def test_snippets_stay_apart(streets):
    frames = CityscapesFrames(streets, offsets=(-1, 1))
    assert len(frames) == 6
    assert [frames.frame_id(index)[-6:] for index in range(6)] == ["000018", "000019"] * 2 + ["000118", "000119"]


def test_a_frame_has_the_calibration_nearest_to_it(streets):
    frames = CityscapesFrames(streets)
    assert [frames.intrinsics(index)[0, 0] for index in (0, 4, 8)] == [2262.5, 2263.5, 2264.5]
    assert frames.intrinsics(0)[:2, 2].tolist() == [1096.98, 513.137]


def test_distances_are_speed_times_time(streets, tmp_path):
    frames = CityscapesFrames(streets, offsets=(1,))
    assert frames.distance(0, 1) == pytest.approx(10.2 / 17)
    stamps = streets / "timestamp_sequence" / "train" / "aachen"
    made_folders.write_text(stamps / "aachen_000000_000017_timestamp.txt", "1000000000\n")
    made_folders.write_text(stamps / "aachen_000000_000018_timestamp.txt", "1060000000\n")
    assert frames.distance(0, 1) == pytest.approx(10.2 * 0.06)
    made_folders.write_text(stamps / "aachen_000000_000018_timestamp.txt", "soon\n")
    with pytest.raises(DataError, match=r"000018_timestamp\.txt: expected one whole number"):
        frames.distance(0, 1)


def test_depth_is_baseline_times_focal_length_by_disparity(streets):
    frames = CityscapesFrames(streets)
    for index in (1, 2):  # in disparity_sequence/, in disparity/
        pixel, depth = frames.sparse_lidar(index)
        assert len(pixel) == 100  # without the pixel that is infinitely far
        assert pixel[0] == 100 * 2048 + 200
        np.testing.assert_allclose(depth, 0.209313 * 2262.5 / 20, rtol=1e-6)


def test_focal_length_and_baseline_come_from_one_file_that_is_read_once(streets, tmp_path, monkeypatch):
    shutil.copytree(streets / "leftImg8bit_sequence" / "train", tmp_path / "leftImg8bit_sequence" / "train")
    shutil.copytree(streets / "disparity_sequence", tmp_path / "disparity_sequence")
    shutil.copytree(streets / "camera" / "train", tmp_path / "camera" / "train")
    cameras = tmp_path / "camera" / "train" / "aachen"
    path = cameras / "aachen_000000_000019_camera.json"
    other = json.loads(path.read_text())
    other["extrinsic"]["baseline"], other["intrinsic"]["fx"] = 0.4, 3000.0
    (cameras / "aachen_000000_000017_camera.json").write_text(json.dumps(other))
    frames = CityscapesFrames(tmp_path)
    assert frames.frame_id(0).endswith("_000017")  # its snippet's middle is nearest to 000019
    shutil.rmtree(tmp_path / "camera")
    np.testing.assert_allclose(frames.sparse_lidar(0)[1], 0.209313 * 2262.5 / 20, rtol=1e-6)


def stand_still(root, split, name):
    path = next(root.glob(f"vehicle_sequence/{split}/*/{name}_vehicle.json"))
    made_folders.write_text(path, json.dumps({"speed": -0.1}))
    return path


def test_frames_at_which_the_car_stands_are_left_out_and_counted(city):
    stand_still(city, "val", "lindau_000003_000018")
    frames = CityscapesFrames(city, split="val", min_speed=0.5)
    assert frames.left_out["slow"] == 1
    assert [frames.frame_id(index)[-6:] for index in range(3)] == ["000017", "000019", "000020"]
    assert CityscapesFrames(city, split="val").left_out["slow"] == 0
    with pytest.raises(DataError, match=r"all 4 frames of split val .* slower than 20 m/s"):
        CityscapesFrames(city, split="val", min_speed=20.0)


def test_a_car_that_drives_backwards_is_fast_too(city):
    path = stand_still(city, "val", "lindau_000003_000018")
    path.write_text(json.dumps({"speed": -3.0}))
    frames = CityscapesFrames(city, split="val", offsets=(1,), min_speed=0.5)
    assert frames.left_out["slow"] == 0
    assert frames.distance(1, 1) == pytest.approx(3 / 17)


def test_the_speed_of_annotated_frames_may_lie_in_a_folder_of_its_own(city):
    path = stand_still(city, "val", "lindau_000003_000018")
    (city / "vehicle" / "val" / "lindau").mkdir(parents=True)
    path.rename(city / "vehicle" / "val" / "lindau" / path.name)
    assert CityscapesFrames(city, split="val", min_speed=0.05).left_out["slow"] == 0
    assert CityscapesFrames(city, split="val", min_speed=0.5).left_out["slow"] == 1


def test_a_smallest_speed_without_vehicle_files_is_an_error_with_the_remedy(city):
    stand_still(city, "val", "lindau_000003_000018").unlink()
    with pytest.raises(
        DataError, match=r"000018_vehicle\.json: no such file, so no speed .*DATA\.MIN_SPEED 0"
    ) as caught:
        CityscapesFrames(city, split="val", min_speed=0.5)
    assert "\n" not in str(caught.value)
    assert len(CityscapesFrames(city, split="val")) == 4


def test_the_single_images_serve_without_neighbours(streets, tmp_path):
    shutil.copytree(streets, tmp_path / "single")
    (tmp_path / "single" / "leftImg8bit_sequence").rename(tmp_path / "single" / "leftImg8bit")
    assert len(CityscapesFrames(tmp_path / "single")) == 12


@pytest.fixture
def city(streets, tmp_path):
    root = tmp_path / "city"
    for folder in ("leftImg8bit_sequence", "camera", "vehicle_sequence", "disparity"):
        shutil.copytree(streets / folder / "val", root / folder / "val")
    return root


def test_damaged_camera_files_are_refused_by_name(city):
    path = city / "camera" / "val" / "lindau" / "lindau_000003_000019_camera.json"
    whole = json.loads(path.read_text())
    for row, message in (
        ({**whole, "intrinsic": {}}, r"intrinsic\.fx must be a number, got None"),
        ({**whole, "intrinsic": {**whole["intrinsic"], "fx": -1}}, "are no intrinsics of an image of 1024 x 2048"),
        ([], r"intrinsic\.fx must be a number"),
        ({**whole, "extrinsic": {}}, r"extrinsic\.baseline must be a number, got None"),
        ({**whole, "extrinsic": {"baseline": -0.2}}, r"extrinsic\.baseline must be above 0 m, got -0\.2"),
    ):
        path.write_text(json.dumps(row))
        with pytest.raises(DataError, match=message) as caught:
            CityscapesFrames(city, split="val")
        assert path.name in str(caught.value)
    path.unlink()
    with pytest.raises(DataError, match="camera/val/lindau: no camera files in it; download camera_trainvaltest"):
        CityscapesFrames(city, split="val")


def test_a_recording_without_camera_files_is_named(city):
    folder = city / "camera" / "val" / "lindau"
    (folder / "lindau_000003_000019_camera.json").rename(folder / "lindau_000004_000019_camera.json")
    with pytest.raises(DataError, match=r"no lindau_000003_\*_camera\.json in it"):
        CityscapesFrames(city, split="val")


def test_missing_speed_is_an_error_with_the_remedy(city):
    shutil.rmtree(city / "vehicle_sequence")
    with pytest.raises(
        DataError, match=r"_vehicle\.json: no such file, so no speed and no distance; .*LOSS\.VELOCITY 0"
    ):
        CityscapesFrames(city, split="val", offsets=(1,)).distance(0, 1)


def test_a_name_of_another_form_is_refused(city):
    made_folders.write_picture(city / "leftImg8bit_sequence" / "val" / "lindau" / "cover.png", 1)
    with pytest.raises(DataError, match=r"cover\.png: the name must be <city>_<recording>_<frame>"):
        CityscapesFrames(city, split="val")


def test_an_empty_folder_is_no_cityscapes(tmp_path):
    with pytest.raises(DataError, match="holds no leftImg8bit_sequence/train/<city> with images"):
        CityscapesFrames(tmp_path)
