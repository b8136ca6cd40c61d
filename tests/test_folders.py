"""Folders of one's own images: sequences, intrinsics, conditions, splits, depth, and what is refused."""

import json
import shutil
from pathlib import Path

import made_folders
import numpy as np
import pytest
from made_folders import K_OWN, SIZE
from PIL import Image

from ude.data.datasets import EvaluationFrames
from ude.data.folders.image_folder import ImageFolderFrames
from ude.data.folders.listing import natural_order
from ude.files import DataError


@pytest.fixture
def root(tmp_path):
    return made_folders.write_own_images(tmp_path / "own")


def describe(root: Path, content: object) -> None:
    (root / "intrinsics.json").write_text(json.dumps(content))


def flat(folder: Path, *names: str, content: object = K_OWN) -> Path:
    for seed, name in enumerate(names):
        made_folders.write_picture(folder / name, seed)
    describe(folder, content)
    return folder


def test_sequences_and_images_come_in_natural_order(root):
    frames = ImageFolderFrames(root)
    ids = [frames.frame_id(index) for index in range(len(frames))]
    assert ids[:5] == [f"drive-2_frame{number}" for number in (8, 9, 10, 11, 12)]
    assert ids[5:] == [f"drive-10_frame{number}" for number in (8, 9, 10, 11, 12)]
    assert frames.scene(0) == "drive-2"


def test_natural_order_takes_digits_for_numbers():
    names = ["b1", "a10", "a9", "A9b", "a09", "10", "9", "a"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "a09", "a9", "A9b", "a10", "b1"]


def test_neighbours_stay_inside_of_a_sequence(root):
    frames = ImageFolderFrames(root, offsets=(-1, 1))
    assert len(frames) == 6
    assert frames.left_out["no neighbour"] == 4
    assert [frames.image_path(3, offset).name for offset in (-1, 0, 1)] == ["frame8.jpg", "frame9.jpg", "frame10.jpg"]
    assert {frames.image_path(3, offset).parent.name for offset in (-1, 0, 1)} == {"drive-10"}


def test_images_in_the_root_are_a_sequence_of_its_name(tmp_path):
    frames = ImageFolderFrames(flat(tmp_path / "walk", "2.jpg", "10.png", "notes.txt.jpg"))
    assert [frames.frame_id(index) for index in range(3)] == ["2", "10", "notes.txt"]
    assert frames.scene(0) == "walk"
    assert frames.image_path(1) == tmp_path / "walk" / "10.png"


def test_what_is_no_image_is_passed_over(tmp_path):
    root = flat(tmp_path / "walk", "1.jpg")
    (root / "2.jpg").mkdir()
    (root / ".3.jpg").write_bytes(b"")
    (root / "readme.txt").write_text("")
    (root / "empty").mkdir()
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    assert len(ImageFolderFrames(root)) == 1


def test_conditions_are_per_sequence_and_can_be_chosen(root):
    frames = ImageFolderFrames(root)
    assert [frames.condition(index) for index in (0, 5)] == ["day-clear", "night-clear"]
    night = ImageFolderFrames(root, conditions=["night-clear"])
    assert {night.scene(index) for index in range(len(night))} == {"drive-10"}


def test_splits_are_those_of_the_file(root, tmp_path):
    assert ImageFolderFrames(root, split="train").scene(0) == "drive-2"
    assert ImageFolderFrames(root, split="val").scene(0) == "drive-10"
    with pytest.raises(DataError, match=r"intrinsics\.json: names no split test; add \"splits\""):
        ImageFolderFrames(root, split="test")
    split = tmp_path / "split.txt"
    split.write_text("drive-10_frame9 night-rain\ndrive-2_frame8 day-clear\n")
    listed = ImageFolderFrames(root, split=str(split))
    assert [listed.frame_id(index) for index in range(2)] == ["drive-10_frame9", "drive-2_frame8"]
    assert listed.condition(0) == "night-rain"  # a file names its own conditions


def test_a_split_that_is_neither_known_nor_a_file_is_refused_with_what_there_is(root):
    with pytest.raises(DataError, match="trian: neither a file nor a split of this data set, which has all, train"):
        ImageFolderFrames(root, split="trian")


def test_a_split_that_names_no_sequence_is_refused(root):
    describe(root, {**K_OWN, "splits": {"train": ["drive-3"]}})
    with pytest.raises(DataError, match="split train names drive-3, which is no sequence"):
        ImageFolderFrames(root, split="train")


def test_intrinsics_follow_the_size_of_the_images(root):
    K = np.array([[200.0, 0, 159.5], [0, 200, 47.5], [0, 0, 1]])
    describe(root, {"K": K.tolist(), "size": [96, 320]})
    expected = [[100, 0, 79.5], [0, 100, 23.5], [0, 0, 1]]  # the middle stays in the middle
    np.testing.assert_allclose(ImageFolderFrames(root).intrinsics(0), expected)
    describe(root, {"K": expected})
    np.testing.assert_allclose(ImageFolderFrames(root).intrinsics(0), expected)


def test_intrinsics_resize_as_in_the_geometry(root):
    import torch

    from ude.geometry import resize_intrinsics

    K = torch.tensor([[200.0, 0, 150.0], [0, 210, 40], [0, 0, 1]], dtype=torch.float64)
    describe(root, {"K": K.tolist(), "size": [97, 322]})
    np.testing.assert_allclose(ImageFolderFrames(root).intrinsics(0), resize_intrinsics(K, (97, 322), SIZE))


@pytest.mark.parametrize("wrapped", [False, True])
def test_normalised_intrinsics_are_multiplied_by_width_and_height(root, wrapped):
    K = [[0.58, 0, 0.5], [0, 1.92, 0.5], [0, 0, 1.0]]
    describe(root, {"K": K, "normalised": True} if wrapped else K)
    expected = [[0.58 * 160, 0, 80], [0, 1.92 * 48, 24], [0, 0, 1]]
    np.testing.assert_allclose(ImageFolderFrames(root).intrinsics(0), expected)


def test_a_sequence_may_have_its_own_camera(root):
    own = {"K": [[150.0, 0, 80], [0, 150, 24], [0, 0, 1]]}
    describe(root, {**K_OWN, "sequences": {"drive-10": own}})
    frames = ImageFolderFrames(root)
    assert [frames.intrinsics(index)[0, 0] for index in (0, 5)] == [100, 150]


def test_depth_is_read_at_256_to_the_metre(root):
    frames = ImageFolderFrames(root, split="val")
    index, depth = frames.sparse_lidar(1)
    assert depth[:3].tolist() == [6, 7, 8]
    assert index[:3].tolist() == [0, 8, 16]
    assert frames.lidar_path(1) == root / "depth" / "drive-10" / "frame9.png"
    sample = EvaluationFrames(frames, size=(32, 96))[1]
    assert sample["lidar_value"].max() == 25


def test_depth_of_images_in_the_root_lies_in_the_folder_itself(tmp_path):
    root = flat(tmp_path / "walk", "1.jpg")
    made_folders.write_png16(root / "depth" / "1.png", made_folders.depth_steps(SIZE, 0))
    frames = ImageFolderFrames(root)
    assert len(frames) == 1
    assert frames.sparse_lidar(0)[1].min() == 5


def test_a_frame_without_depth_is_named(root):
    frames = ImageFolderFrames(root)
    assert frames.lidar_path(0) is None
    with pytest.raises(DataError, match=r"drive-2/frame8\.png: no such depth map"):
        frames.sparse_lidar(0)
    shutil.rmtree(root / "depth")
    with pytest.raises(DataError, match=r"drive-2_frame8 of .* has no depth"):
        ImageFolderFrames(root).sparse_lidar(0)


def bad_png(path: Path, kind: str) -> None:
    if kind == "8 bit":
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(path)
    elif kind == "colour":
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
    elif kind == "small":
        made_folders.write_png16(path, np.zeros((24, 80)))
    else:
        data = path.read_bytes()
        path.write_bytes(b"depth" if kind == "text" else data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["8 bit", "colour", "small", "text", "cut"])
def test_an_unfit_depth_map_is_refused_by_name(root, kind):
    bad_png(root / "depth" / "drive-10" / "frame9.png", kind)
    with pytest.raises(DataError, match=r"frame9\.png") as caught:
        ImageFolderFrames(root, split="val").sparse_lidar(1)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_in_a_sequence_is_refused_by_name(root):
    made_folders.write_picture(root / "drive-2" / "frame9.jpg", 1, (50, 160))
    with pytest.raises(DataError, match=r"frame9\.jpg is 50 x 160, .*give it a folder of its own"):
        ImageFolderFrames(root).image(1)


def test_two_files_of_one_frame_are_refused(root):
    made_folders.write_picture(root / "drive-2" / "frame9.png", 1)
    with pytest.raises(DataError, match=r"frame9\.jpg and .*frame9\.png would both be frame drive-2_frame9"):
        ImageFolderFrames(root)


def test_a_folder_without_the_file_is_refused_with_what_to_write(root):
    (root / "intrinsics.json").unlink()
    with pytest.raises(DataError, match=r'intrinsics\.json: no such file; write it there as {"K": \[\[fx, 0, cx\]'):
        ImageFolderFrames(root)


def test_an_empty_folder_is_refused(tmp_path):
    describe(tmp_path, K_OWN)
    with pytest.raises(DataError, match="holds no images"):
        ImageFolderFrames(tmp_path)
    with pytest.raises(DataError, match=r"intrinsics\.json: no such file"):
        ImageFolderFrames(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "K must be 3 rows of 3 numbers, got None"),
        (3, "must be an object"),
        ([[1, 0, 0], [0, 1, 0]], "K must be 3 rows"),
        ({"K": "100"}, "K must be 3 rows"),
        ({**K_OWN, "k": 3}, "unknown key k; known are K, size"),
        ({**K_OWN, "size": [160, 48]}, "size is 160 x 48, but the images are 48 x 160"),
        ({**K_OWN, "size": [48.0, 160]}, r"size must be \[height, width\]"),
        ({**K_OWN, "size": "48 x 160"}, r"size must be \[height, width\]"),
        ({"K": [[0, 0, 79.5], [0, 100, 23.5], [0, 0, 1]]}, "are no intrinsics of an image of 48 x 160"),
        ({"K": [[100, 0, 23.5], [0, 100, 79.5], [0, 0, 1]]}, "are no intrinsics of an image of 48 x 160"),
        ({"K": [[100, 0, 79.5], [0, 100, 23.5], [0, 0, 2]]}, "are no intrinsics of an image of 48 x 160"),
        ({**K_OWN, "condition": "dusk"}, "condition must be one of day-clear"),
        ({**K_OWN, "sequences": []}, "sequences must be an object"),
        ({**K_OWN, "sequences": {"drive-2": {"kk": 1}}}, r"unknown key kk of sequences\.drive-2"),
        ({**K_OWN, "sequences": {"drive-2": 7}}, r"of sequences\.drive-2 must be an object"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(root, content, message):
    describe(root, content)
    with pytest.raises(DataError, match=message) as caught:
        ImageFolderFrames(root)
    assert str(root / "intrinsics.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_json_is_refused(root):
    (root / "intrinsics.json").write_text("{")
    with pytest.raises(DataError, match=r"intrinsics\.json is not valid JSON"):
        ImageFolderFrames(root)
