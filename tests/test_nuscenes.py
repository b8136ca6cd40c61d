"""nuScenes through the unmodified devkit, whose own functions are the oracle."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes import NuScenes, NuScenesExplorer
from nuscenes.utils.splits import create_splits_scenes
from PIL import Image
from pyquaternion import Quaternion
from world_edits import camera_row, frame_ids

from ude.data.nuscenes import NuScenesFrames


def moved(point: np.ndarray, devkit: NuScenes, row: dict[str, Any], *, inverse: bool = False) -> np.ndarray:
    """A camera point in the global frame, step by step with the devkit's quaternions (or back again)."""
    steps = [
        devkit.get("calibrated_sensor", row["calibrated_sensor_token"]),
        devkit.get("ego_pose", row["ego_pose_token"]),
    ]
    for step in reversed(steps) if inverse else steps:
        rotation, translation = Quaternion(step["rotation"]).rotation_matrix, np.array(step["translation"])
        point = rotation.T @ (point - translation) if inverse else rotation @ point + translation
    return point


def test_every_frame_has_the_intrinsics_of_its_own_vehicle(devkit, train, val):
    found = set()
    for frames in (train, val):
        for index in range(len(frames)):
            row = camera_row(devkit, frames.frame_id(index))
            own = devkit.get("calibrated_sensor", row["calibrated_sensor_token"])["camera_intrinsic"]
            np.testing.assert_array_equal(frames.intrinsics(index), own)
            found.add(tuple(frames.intrinsics(index).ravel()))
    assert len(found) > 1, "the world must hold vehicles with different cameras"


def test_a_frame_is_called_by_the_stem_of_its_image(train, val):
    for frames in (train, val):
        assert frame_ids(frames) == [frames.image_path(index).stem for index in range(len(frames))]
        assert all(frames.frame_id(index) and "/" not in frames.frame_id(index) for index in range(len(frames)))


def test_images_are_the_key_frame_and_its_neighbouring_sweeps(world_root, devkit, train):
    for index in range(len(train)):
        row = camera_row(devkit, train.frame_id(index))
        names = {0: row["filename"]} | {
            offset: devkit.get("sample_data", row[side])["filename"] for offset, side in ((-1, "prev"), (1, "next"))
        }
        for offset, name in names.items():
            with Image.open(world_root / name) as image:
                theirs = np.asarray(image.convert("RGB"))
            pixels = train.image(index, offset)
            assert pixels.dtype == np.uint8
            assert pixels.shape[:2] == train.native_size(index)
            assert np.abs(pixels.astype(int) - theirs).max() <= 1
    with pytest.raises(ValueError, match=r"offset must be 0 or one of \(-1, 1\), got 2"):
        train.image(0, 2)


def test_transforms_follow_the_devkits_chain_of_poses(devkit, train):
    point = np.array([1.5, -0.7, 20.0])
    for index in range(len(train)):
        row = camera_row(devkit, train.frame_id(index))
        for offset, side in ((-1, "prev"), (1, "next")):
            source = devkit.get("sample_data", row[side])
            expected = moved(moved(point, devkit, row), devkit, source, inverse=True)
            T = train.T_source_target(index, offset)
            np.testing.assert_allclose(T[:3, :3] @ point + T[:3, 3], expected, atol=1e-8)
        np.testing.assert_allclose(train.T_source_target(index, 0), np.eye(4), atol=1e-12)


def test_the_way_there_and_back_is_the_identity(world_root, devkit):
    sample = next(sample for sample in devkit.sample if sample["next"])
    tokens = [devkit.get("sample", token)["data"]["CAM_FRONT"] for token in (sample["token"], sample["next"])]
    steps, token = 0, tokens[0]
    while token != tokens[1]:
        steps, token = steps + 1, devkit.get("sample_data", token)["next"]
    ids = [Path(devkit.get("sample_data", token)["filename"]).stem for token in tokens]
    there = NuScenesFrames(world_root, offsets=(steps,), split=_split_of(devkit, sample))
    back = NuScenesFrames(world_root, offsets=(-steps,), split=_split_of(devkit, sample))
    T_1_0 = there.T_source_target(frame_ids(there).index(ids[0]), steps)
    T_0_1 = back.T_source_target(frame_ids(back).index(ids[1]), -steps)
    np.testing.assert_allclose(T_0_1 @ T_1_0, np.eye(4), atol=1e-9)
    assert np.linalg.norm(T_1_0[:3, 3]) > 0.1


def _split_of(devkit: NuScenes, sample: dict[str, Any]) -> str:
    scene = devkit.get("scene", sample["scene_token"])["name"]
    return next(split for split in ("train", "val", "test") if scene in create_splits_scenes()[split])


def test_the_distance_is_the_length_of_the_transforms_translation(train):
    for index in range(len(train)):
        for offset in (-1, 1):
            T = train.T_source_target(index, offset)
            assert train.distance(index, offset) == pytest.approx(np.linalg.norm(T[:3, 3]), abs=1e-6)
            assert train.distance(index, offset) > 0


def test_the_car_drives_forward(train):
    for index in range(len(train)):  # camera points come nearer in the later frame
        assert train.T_source_target(index, 1)[2, 3] < 0 < train.T_source_target(index, -1)[2, 3]


def test_the_lidar_map_is_the_devkits_projection(devkit, train, val):
    explorer = NuScenesExplorer(devkit)
    same = total = 0
    for frames in (train, val):
        for index in range(len(frames)):
            sample = devkit.get("sample", camera_row(devkit, frames.frame_id(index))["sample_token"])
            points, depths, _ = explorer.map_pointcloud_to_image(
                sample["data"]["LIDAR_TOP"], sample["data"]["CAM_FRONT"]
            )
            theirs = np.zeros(frames.native_size(index), np.float32)
            theirs[points[1].astype(int), points[0].astype(int)] = depths
            ours = frames.lidar_depth(index)
            assert ours.dtype == np.float32
            either = (ours > 0) | (theirs > 0)
            same += (np.abs(ours - theirs)[either] < 2e-3).sum()
            total += either.sum()
    assert total > 1000
    assert same / total >= 0.995


def test_what_is_kept_is_small_and_can_be_sent_to_a_process(train):
    data = pickle.dumps(train)
    assert len(data) < 2000 * len(train) + 1000  # no tables: paths and a few matrices per frame
    copy = pickle.loads(data)
    np.testing.assert_array_equal(copy.image(0, 1), train.image(0, 1))
    np.testing.assert_array_equal(copy.lidar_depth(0), train.lidar_depth(0))


def test_reading_prints_nothing_and_leaves_pillows_guard_in_place(world_root, capsys):
    limit = Image.MAX_IMAGE_PIXELS
    NuScenesFrames(world_root, split="val")
    assert capsys.readouterr() == ("", "")
    assert limit == Image.MAX_IMAGE_PIXELS
