"""Which key frames a split, its conditions, the neighbours and the speed leave."""

import logging
from pathlib import Path
from typing import Any

import pytest
from nuscenes import NuScenes
from nuscenes.utils.splits import create_splits_scenes
from world_edits import VERSION, camera_row, edit_table, frame_ids

from ude.data.nuscenes import NuScenesFrames
from ude.data.nuscenes.rules import scene_condition
from ude.files import DataError, MissingFileError


def test_a_split_holds_the_key_frames_of_its_official_scenes(devkit, val):
    scenes = {scene["token"]: scene["name"] for scene in devkit.scene}
    names = set(create_splits_scenes()["val"])
    expected = {
        Path(devkit.get("sample_data", sample["data"]["CAM_FRONT"])["filename"]).stem
        for sample in devkit.sample
        if scenes[sample["scene_token"]] in names
    }
    assert set(frame_ids(val)) == expected
    assert len(val) == len(expected) > 0
    assert {val.scene(index) for index in range(len(val))} <= names


def test_conditions_choose_frames(world_root, devkit, val):
    descriptions = {scene["name"]: scene["description"] for scene in devkit.scene}
    for condition in ("day-clear", "day-rain", "night-clear", "night-rain"):
        chosen = NuScenesFrames(world_root, split="val", conditions=[condition])
        expected = [i for i in range(len(val)) if scene_condition(descriptions[val.scene(i)]) == condition]
        assert frame_ids(chosen) == [val.frame_id(index) for index in expected]
        assert {chosen.condition(index) for index in range(len(chosen))} == {condition}


def test_unknown_conditions_and_offsets_are_refused(world_root):
    with pytest.raises(ValueError, match=r"must be among day-clear, .* got foggy"):
        NuScenesFrames(world_root, conditions=["foggy"])
    with pytest.raises(ValueError, match="must be non-zero and differ"):
        NuScenesFrames(world_root, offsets=(0, 1))


def test_frames_without_a_neighbour_are_left_out_and_counted(broken_root, train):
    first, last = train.frame_id(0), train.frame_id(len(train) - 1)

    def cut_the_chain(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["prev"] = "" if Path(row["filename"]).stem == first else row["prev"]
            row["next"] = "" if Path(row["filename"]).stem == last else row["next"]

    edit_table(broken_root, "sample_data", cut_the_chain)
    frames = NuScenesFrames(broken_root, split="train", offsets=(-1, 1))
    assert frame_ids(frames) == frame_ids(train)[1:-1]
    assert (frames.left_out["no neighbour"], frames.left_out["slow"]) == (train.left_out["no neighbour"] + 2, 0)
    complete = NuScenesFrames(broken_root, split="train")
    assert {first, last} < set(frame_ids(complete))
    assert complete.left_out["no neighbour"] == 0


def test_frames_of_a_standing_car_are_left_out_and_counted(broken_root, caplog):
    moving = NuScenesFrames(broken_root, split="train", offsets=(-1, 1), min_speed=0.5)
    standing = moving.scene(0)

    tables = NuScenes(VERSION, str(broken_root), verbose=False)
    scene = next(row for row in tables.scene if row["name"] == standing)
    samples = {row["token"] for row in tables.sample if row["scene_token"] == scene["token"]}
    poses = {row["ego_pose_token"] for row in tables.sample_data if row["sample_token"] in samples}

    def stop(rows: list[dict[str, Any]]) -> None:
        still = next(row for row in rows if row["token"] in poses)
        for row in rows:
            if row["token"] in poses:
                row["translation"], row["rotation"] = still["translation"], still["rotation"]

    edit_table(broken_root, "ego_pose", stop)
    stopped = sum(moving.scene(index) == standing for index in range(len(moving)))
    with caplog.at_level(logging.INFO, "ude.data.nuscenes"):
        frames = NuScenesFrames(broken_root, split="train", offsets=(-1, 1), min_speed=0.5)
    assert frames.left_out["slow"] == stopped > 0
    assert len(frames) == len(moving) - stopped
    assert standing not in {frames.scene(index) for index in range(len(frames))}
    assert f"{stopped} are slower than 0.5 m/s" in caplog.text
    assert len(NuScenesFrames(broken_root, split="train", offsets=(-1, 1))) == len(moving)  # 0 m/s keeps all


def test_the_speed_is_the_mean_over_the_neighbours_in_metres_per_second(broken_root, devkit, train):
    row = camera_row(devkit, train.frame_id(0))
    earlier, later = (devkit.get("sample_data", row[side]) for side in ("prev", "next"))
    step = later["timestamp"] - row["timestamp"]

    def delay(rows: list[dict[str, Any]]) -> None:
        next(other for other in rows if other["token"] == later["token"])["timestamp"] += step

    edit_table(broken_root, "sample_data", delay)  # the way to the later frame now takes twice as long
    split = broken_root / "one.txt"
    split.write_text(f"{train.frame_id(0)} day-clear\n")
    times = (row["timestamp"] - earlier["timestamp"], 2 * step)
    speed = sum(train.distance(0, offset) / time for offset, time in zip((-1, 1), times, strict=True)) / 2 * 1e6
    options = {"split": str(split), "offsets": (-1, 1)}
    assert len(NuScenesFrames(broken_root, **options, min_speed=0.99 * speed)) == 1
    with pytest.raises(DataError, match="1 are slower than"):
        NuScenesFrames(broken_root, **options, min_speed=1.01 * speed)


def test_a_split_file_gives_frames_order_and_conditions(world_root, val, tmp_path):
    chosen = frame_ids(val)[:3][::-1]
    path = tmp_path / "split.txt"
    path.write_text("".join(f"{frame_id} night-rain\n" for frame_id in chosen) + "\n")
    frames = NuScenesFrames(world_root, split=str(path))
    assert frame_ids(frames) == chosen
    assert {frames.condition(index) for index in range(3)} == {"night-rain"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("{0} day-clear\nn000__nowhere day-clear\n", r"split\.txt:2: n000__nowhere is no CAM_FRONT key frame"),
        ("{0} day-clear\n{1} day-clear\n{0} day-rain\n", r"split\.txt:3: .* stands in line 1 already"),
        ("{0}\n", r"split\.txt:1: expected 'frame_id condition'"),
        ("{0} day-clear extra\n", r"split\.txt:1: expected 'frame_id condition'"),
        ("{0} dusk\n", r"split\.txt:1: .*day-clear, day-rain, night-clear, night-rain, got '.* dusk'"),
        ("", "no frame is left"),
    ],
    ids=["unknown", "duplicate", "no condition", "three words", "other condition", "empty"],
)
def test_a_bad_split_file_is_refused_with_its_line(world_root, val, tmp_path, lines, message):
    path = tmp_path / "split.txt"
    path.write_text(lines.format(*frame_ids(val)[:2]))
    with pytest.raises(DataError, match=message):
        NuScenesFrames(world_root, split=str(path))


def test_a_binary_or_missing_split_file_is_refused(world_root, tmp_path):
    (tmp_path / "split.bin").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="not a text file"):
        NuScenesFrames(world_root, split=str(tmp_path / "split.bin"))
    with pytest.raises(MissingFileError, match="trian: neither the name of a split nor a file"):
        NuScenesFrames(world_root, split="trian")


def test_a_split_without_frames_in_this_version_is_refused(world_root):
    with pytest.raises(DataError, match=r"no frame is left: 0 frames of split mini_val .*choose another split"):
        NuScenesFrames(world_root, split="mini_val", conditions=["night-rain"])


def test_a_speed_that_nothing_reaches_is_refused(world_root):
    with pytest.raises(DataError, match=r"no frame is left: .* slower than 500 m/s"):
        NuScenesFrames(world_root, split="train", offsets=(-1, 1), min_speed=500)
