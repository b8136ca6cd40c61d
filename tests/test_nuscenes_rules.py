"""md4all's rules, against its procedure told again with the devkit, and the corrected ones beside them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes import NuScenes, NuScenesExplorer
from nuscenes.utils.splits import create_splits_scenes
from world_edits import VERSION, camera_row, camera_stream, edit_table, frame_ids, remove_sweeps, rename_version
from world_edits import stand_still as keep_still

from ude.data.nuscenes import NuScenesFrames
from ude.data.nuscenes.rules import file_condition, md4all_condition, scene_condition


@pytest.mark.parametrize(
    ("description", "corrected", "md4all"),
    [
        ("Parked cars, pedestrians", "day-clear", "day-clear"),
        ("Rain, wet street", "day-rain", "day-rain"),
        ("Night, lots of pedestrians", "night-clear", "night-clear"),
        ("NIGHT, heavy RAIN", "night-rain", "night-rain"),
        ("light rain/rainy, raining", "day-rain", "day-rain"),
        ("After rain, parked cars", "day-rain", "day-rain"),
        ("nighttime, drizzle", "night-rain", "night-clear"),
        ("Waiting for a train, terrain", "day-clear", "day-rain"),
        ("Knight street, fortnight", "day-clear", "night-clear"),
        ("no rain, not raining", "day-clear", "day-rain"),
        ("", "day-clear", "day-clear"),
    ],
)
def test_the_condition_comes_from_whole_words_and_by_md4all_from_any(description, corrected, md4all):
    assert scene_condition(description) == corrected
    assert md4all_condition(description) == md4all


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("n008-2018-09-18-14-18-33-0400__CAM_FRONT__1537294719112404", "day-rain"),
        ("n008-2018-09-18-14-18-33-0400__CAM_FRONT__1537295445612404", "day-rain"),
        ("n008-2018-09-18-14-18-33-0400__CAM_FRONT__1537295445612405", "day-clear"),
        ("n008-2018-09-18-14-18-33-0400__CAM_FRONT__1537294719112403", "day-clear"),
        ("n015-2018-11-14-19-21-41+0800__CAM_FRONT__1542194502662460", "night-clear"),
        ("n015-2018-11-14-19-45-36+0800__CAM_FRONT__1542195999999999", "night-clear"),
        ("n015-2018-11-14-19-52-02+0800__CAM_FRONT__1542196694912461", "day-clear"),
    ],
)
def test_the_test_versions_conditions_come_from_ranges_of_file_names(name, condition):
    assert file_condition(f"samples/CAM_FRONT/{name}.jpg") == condition


def conditions(frames: NuScenesFrames) -> Counter[str]:
    return Counter(frames.condition(index) for index in range(len(frames)))


def test_descriptions_of_a_test_version_count_where_there_are_any(broken_root):
    rename_version(broken_root, "v1.0-test", create_splits_scenes()["test"][:10])
    options = {"version": "v1.0-test", "split": "test"}
    corrected = NuScenesFrames(broken_root, **options)
    assert len(conditions(corrected)) == 4
    assert set(conditions(NuScenesFrames(broken_root, **options, rules="md4all"))) == {"day-clear"}
    edit_table(broken_root, "scene", lambda rows: [row.update(description="") for row in rows] and None, "v1.0-test")
    assert conditions(NuScenesFrames(broken_root, **options)) == {"day-clear": len(corrected)}


def test_mini_has_the_official_scenes_and_by_md4all_the_second_and_tenth(broken_root):
    official = create_splits_scenes()
    names = official["mini_train"] + official["mini_val"]
    rename_version(broken_root, "v1.0-mini", names)

    def scenes(split: str, rules: str) -> set[str]:
        frames = NuScenesFrames(broken_root, version="v1.0-mini", split=split, rules=rules)
        return {frames.scene(index) for index in range(len(frames))}

    everything = NuScenesFrames(broken_root, version="v1.0-mini", split="train", offsets=(-1, 1), rules="md4all")
    options = {"version": "v1.0-mini", "split": "train", "offsets": (-1, 1), "min_speed": 1000.0, "rules": "md4all"}
    assert len(NuScenesFrames(broken_root, **options)) == len(everything), "md4all filters no speed in mini"
    assert scenes("train", "corrected") == scenes("mini_train", "md4all") == set(official["mini_train"])
    assert scenes("val", "corrected") == scenes("mini_val", "corrected") == set(official["mini_val"])
    assert scenes("val", "md4all") == {names[1], names[9]}
    assert scenes("train", "md4all") == set(names) - {names[1], names[9]}


@pytest.fixture
def uneven_root(broken_root, devkit) -> Path:
    """A world where scenes lack sweeps at their ends, the car stands still here and there, and names are unordered."""
    official = create_splits_scenes()
    first, second = (camera_stream(devkit, scene) for scene in devkit.scene if scene["name"] in official["train"])
    held_out = next(camera_stream(devkit, scene) for scene in devkit.scene if scene["name"] in official["val"])
    remove_sweeps(broken_root, {first[0]["token"], second[-1]["token"]})
    keep_still(broken_root, second[:6])  # its first and second key frame
    keep_still(broken_root, held_out)

    def exchange(rows: list[dict[str, Any]]) -> None:
        one, other = (row for row in rows if row["name"] in official["train"])
        one["name"], other["name"] = other["name"], one["name"]

    edit_table(broken_root, "scene", exchange)
    return broken_root


def told_again(tables: NuScenes, split: str, min_speed: float | None) -> list[tuple[str, ...]]:
    """Files (frame, before, after) of md4all's triplets, one record at a time; a minimal speed filters training."""
    names = set(create_splits_scenes()["train"])
    scene = {row["token"]: row for row in tables.scene}
    samples = tables.sample
    if min_speed is not None:
        samples = [row for row in samples if scene[row["scene_token"]]["name"] not in names or moves(tables, row)]
    triplets = []
    for number, sample in enumerate(samples):
        if (scene[sample["scene_token"]]["name"] in names) != (split == "train"):
            continue
        shifted = samples[number + 1 if not sample["prev"] else number - 1 if not sample["next"] else number]
        row = tables.get("sample_data", shifted["data"]["CAM_FRONT"])
        if row["prev"] and row["next"]:  # md4all stops with an error here
            rows = (row, tables.get("sample_data", row["prev"]), tables.get("sample_data", row["next"]))
            triplets.append(tuple(each["filename"] for each in rows))
    return triplets


def moves(tables: NuScenes, sample: dict[str, Any]) -> bool:
    row = tables.get("sample_data", sample["data"]["CAM_FRONT"])
    if not row["prev"] or not row["next"]:
        return False
    speeds = []
    for other in (tables.get("sample_data", row[side]) for side in ("prev", "next")):
        here, there = (np.array(tables.get("ego_pose", each["ego_pose_token"])["translation"]) for each in (row, other))
        speeds.append(np.linalg.norm(here - there) / abs(row["timestamp"] - other["timestamp"]) * 1e6)
    return sum(speeds) / 2 >= 0.5


@pytest.mark.parametrize("min_speed", [None, 0.5])
@pytest.mark.parametrize("split", ["train", "val"])
def test_triplets_by_md4alls_rules_are_those_of_its_procedure(uneven_root, split, min_speed):
    tables = NuScenes(VERSION, str(uneven_root), verbose=False)
    tables.scene = [row for row in tables.scene if row["name"] not in create_splits_scenes()["test"]]
    tested = {row["token"] for row in tables.scene}
    tables.sample = [row for row in tables.sample if row["scene_token"] in tested]
    expected = told_again(tables, split, min_speed)
    frames = NuScenesFrames(uneven_root, split=split, offsets=(-1, 1), min_speed=min_speed or 0.0, rules="md4all")
    found = [
        tuple(str(frames.image_path(index, offset).relative_to(uneven_root)) for offset in (0, -1, 1))
        for index in range(len(frames))
    ]
    assert found == expected
    if split == "train" and min_speed is None:
        assert len(set(frame_ids(frames))) < len(frames), "ends of scenes stand twice"
    elif split == "train":
        assert (frames.left_out["no neighbour"], frames.left_out["slow"]) == (2, 2)


def test_evaluation_by_md4alls_rules_moves_no_frame(world_root, val):
    frames = NuScenesFrames(world_root, split="val", rules="md4all")
    assert sorted(frame_ids(frames)) == sorted(frame_ids(val))


def test_the_corrected_rules_leave_ends_out_and_use_no_frame_twice(uneven_root):
    frames = NuScenesFrames(uneven_root, split="train", offsets=(-1, 1))
    assert len(set(frame_ids(frames))) == len(frames) == 6
    assert (frames.left_out["no neighbour"], frames.left_out["slow"]) == (2, 0)


@pytest.fixture
def wide_root(broken_root, devkit) -> tuple[Path, set[str]]:
    """A world where the table's first camera has a focal length that is 20 % longer, and the scenes with it."""
    sensor = devkit.field2token("sensor", "channel", "CAM_FRONT")[0]
    token = devkit.field2token("calibrated_sensor", "sensor_token", sensor)[0]

    def widen(rows: list[dict[str, Any]]) -> None:
        K = next(row for row in rows if row["token"] == token)["camera_intrinsic"]
        K[0][0], K[1][1] = 1.2 * K[0][0], 1.2 * K[1][1]

    edit_table(broken_root, "calibrated_sensor", widen)
    scenes = {
        scene["name"] for scene in devkit.scene if camera_stream(devkit, scene)[0]["calibrated_sensor_token"] == token
    }
    return broken_root, scenes


@pytest.mark.parametrize("rules", ["corrected", "md4all"])
def test_lidar_is_projected_with_the_frames_own_intrinsics(wide_root, rules):
    root, _ = wide_root
    frames = NuScenesFrames(root, split="train", rules=rules)
    tables = NuScenes(VERSION, str(root), verbose=False)
    explorer = NuScenesExplorer(tables)
    for index in range(len(frames)):
        sample = tables.get("sample", camera_row(tables, frames.frame_id(index))["sample_token"])
        points, depths, _ = explorer.map_pointcloud_to_image(sample["data"]["LIDAR_TOP"], sample["data"]["CAM_FRONT"])
        theirs = np.zeros(frames.native_size(index), np.float32)
        theirs[points[1].astype(int), points[0].astype(int)] = depths
        ours = frames.lidar_depth(index)
        both = (ours > 0) & (theirs > 0)
        assert both.sum() >= 0.99 * (theirs > 0).sum() > 50
        assert (np.abs(ours - theirs)[both] <= 1e-4).mean() > 0.99  # another point may win a pixel


def test_intrinsics_are_the_frames_own_and_by_md4all_the_first_row_of_the_table(wide_root, train):
    root, wide = wide_root
    own, first = (
        NuScenesFrames(root, split="train", offsets=(-1, 1), rules=rules) for rules in ("corrected", "md4all")
    )
    assert frame_ids(own) == frame_ids(train)
    stretch = [own.intrinsics(index)[0, 0] / train.intrinsics(index)[0, 0] for index in range(len(own))]
    np.testing.assert_allclose(stretch, [1.2 if own.scene(index) in wide else 1.0 for index in range(len(own))])
    assert {round(factor, 6) for factor in stretch} == {1.0, 1.2}
    everywhere = next(own.intrinsics(index) for index in range(len(own)) if own.scene(index) in wide)
    for index in range(len(first)):
        np.testing.assert_array_equal(first.intrinsics(index), everywhere)


def test_lidar_by_md4alls_rules_is_the_devkits_to_the_bit(world_root, devkit):
    frames, explorer = NuScenesFrames(world_root, split="val", rules="md4all"), NuScenesExplorer(devkit)
    for index in range(len(frames)):
        sample = devkit.get("sample", camera_row(devkit, frames.frame_id(index))["sample_token"])
        points, depths, _ = explorer.map_pointcloud_to_image(sample["data"]["LIDAR_TOP"], sample["data"]["CAM_FRONT"])
        theirs = np.zeros(frames.native_size(index), np.float32)
        theirs[points[1].astype(int), points[0].astype(int)] = depths
        np.testing.assert_array_equal(frames.lidar_depth(index), theirs)


def test_other_rules_are_refused(world_root):
    with pytest.raises(ValueError, match="rules must be corrected or md4all, got md5all"):
        NuScenesFrames(world_root, rules="md5all")
