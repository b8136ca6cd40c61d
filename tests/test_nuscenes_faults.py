"""nuScenes that is missing, incomplete or damaged: one line that names the place."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes import NuScenes
from PIL import Image
from world_edits import VERSION, camera_row, edit_table, frame_ids, remove_sweeps

from ude.data.nuscenes import NuScenesFrames
from ude.files import DataError, MissingFileError


def refusal(root: Path, kind: type[DataError] = DataError, **options: Any) -> str:
    """The one line of the error that opening a root gives."""
    with pytest.raises(kind) as caught:
        NuScenesFrames(root, **({"split": "train"} | options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_root_is_named_with_what_to_do(tmp_path):
    message = refusal(tmp_path / "nowhere", MissingFileError)
    assert f"{tmp_path / 'nowhere'}: no such folder; set DATA.ROOT" in message


def test_a_missing_version_is_named_with_those_present(world_root):
    message = refusal(world_root, MissingFileError, version="v1.0-mini")
    assert f"{world_root / 'v1.0-mini'}: no such folder" in message
    assert VERSION in message


@pytest.mark.parametrize("table", ["ego_pose", "sample_data", "map", "calibrated_sensor"])
def test_a_missing_table_is_named(broken_root, table):
    (broken_root / VERSION / f"{table}.json").unlink()
    assert f"{table}.json: no such table; unpack the metadata" in refusal(broken_root, MissingFileError)


@pytest.mark.parametrize("content", ["", "[{", "{}", "[1]", "[]", "[null]"])
def test_a_damaged_table_is_refused_in_one_line(broken_root, content):
    (broken_root / VERSION / "map.json").write_text(content)
    assert str(broken_root / VERSION) in refusal(broken_root)


def test_a_token_that_leads_nowhere_is_named(broken_root):
    def lose_a_pose(rows: list[dict[str, Any]]) -> None:
        rows[:] = rows[:1]

    edit_table(broken_root, "ego_pose", lose_a_pose)
    message = refusal(broken_root, offsets=(-1, 1))
    assert str(broken_root / VERSION) in message
    assert "unpack the metadata" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda K: [[K[0][2], 0, K[0][0]], K[1], K[2]],
        lambda K: [[0, 0, 0]] * 3,
        lambda K: [[float("nan"), *K[0][1:]], *K[1:]],
        lambda K: [[*row, 0] for row in K],
        lambda K: [[value / 2 for value in row] for row in K[:2]] + [K[2]],
        lambda K: "[[1, 0, 0]]",
        lambda K: [],
    ],
    ids=["fx and cx swapped", "zero", "nan", "3 x 4", "of half the size", "text", "empty"],
)
def test_intrinsics_that_fit_no_image_of_this_size_are_refused(broken_root, change):
    def spoil(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["camera_intrinsic"]:
                row["camera_intrinsic"] = change(row["camera_intrinsic"])

    edit_table(broken_root, "calibrated_sensor", spoil)
    assert "are no intrinsics of an image of" in refusal(broken_root)


@pytest.mark.parametrize(
    "pose", [{"rotation": [0, 0, 0, 0]}, {"translation": [float("nan"), 0, 0]}, {"rotation": [float("nan"), 0, 0, 1]}]
)
def test_poses_that_are_no_rigid_motion_are_refused(broken_root, pose):
    edit_table(broken_root, "ego_pose", lambda rows: [row.update(pose) for row in rows] and None)
    assert "are no rigid motion" in refusal(broken_root)


def path_of(devkit: NuScenes, frame_id: str, side: str | None = None) -> str:
    row = camera_row(devkit, frame_id)
    return (devkit.get("sample_data", row[side]) if side else row)["filename"]


@pytest.mark.parametrize("side", [None, "prev", "next"])
def test_a_missing_image_is_named_when_it_is_needed(broken_root, devkit, train, side):
    name = path_of(devkit, train.frame_id(0), side)
    (broken_root / name).unlink()
    frames = NuScenesFrames(broken_root, split="train", offsets=(-1, 1))
    offset = {None: 0, "prev": -1, "next": 1}[side]
    with pytest.raises(MissingFileError, match=Path(name).stem.replace("+", r"\+")):
        frames.image(0, offset)
    assert frames.image(0, 1 if offset != 1 else -1).any()


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_a_truncated_image_is_refused_by_name(broken_root, devkit, val, percent):
    path = broken_root / path_of(devkit, val.frame_id(0))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(DataError) as caught:
        NuScenesFrames(broken_root, split="val").image(0)
    assert str(path) in str(caught.value)


def test_an_image_of_another_size_than_its_intrinsics_is_refused(broken_root, devkit, val):
    path = broken_root / path_of(devkit, val.frame_id(0))
    height, width = val.native_size(0)
    Image.new("RGB", (width // 2, height // 2)).save(path)
    frames = NuScenesFrames(broken_root, split="val")
    with pytest.raises(DataError, match=f"is {height // 2} x {width // 2}, but the tables say {height} x {width}"):
        frames.image(0)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "no such LiDAR file"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "not a positive multiple of 20"),
        (lambda path: path.write_bytes(np.float32("nan").tobytes() + path.read_bytes()[4:]), "not finite"),
    ],
    ids=["missing", "0 bytes", "minus 3 bytes", "nan"],
)
def test_a_damaged_lidar_file_is_refused_by_name(broken_root, devkit, val, damage, words):
    sample = devkit.get("sample", camera_row(devkit, val.frame_id(0))["sample_token"])
    path = broken_root / devkit.get("sample_data", sample["data"]["LIDAR_TOP"])["filename"]
    damage(path)
    frames = NuScenesFrames(broken_root, split="val")
    with pytest.raises(DataError, match=words) as caught:
        frames.lidar_depth(0)
    assert str(path) in str(caught.value)


HOSTILE = {
    "up": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "drive": "C:\\x.jpg",
    "backslashes": "..\\..\\x.jpg",
    "NUL": "samples/CAM_FRONT/x.jpg\0",
    "long": f"samples/CAM_FRONT/{'x' * 300}.jpg",
    "surrogate": "samples/\ud800.jpg",
    "number": 7,
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("sensor", ["CAM_FRONT", "LIDAR_TOP"])
def test_a_hostile_path_in_the_tables_is_refused_before_anything_is_read(broken_root, sensor, name):
    def escape(rows: list[dict[str, Any]]) -> None:
        next(row for row in rows if sensor in row["filename"])["filename"] = name

    edit_table(broken_root, "sample_data", escape)
    message = refusal(broken_root)
    assert "unsafe path" in message or "damaged" in message


def test_file_names_of_other_scripts_work(broken_root, devkit, val):
    old = path_of(devkit, val.frame_id(0))
    new = str(Path(old).with_name("n000-夜-été__CAM_FRONT__1.jpg"))
    (broken_root / old).rename(broken_root / new)

    def rename(rows: list[dict[str, Any]]) -> None:
        next(row for row in rows if row["filename"] == old)["filename"] = new

    edit_table(broken_root, "sample_data", rename)
    frames = NuScenesFrames(broken_root, split="val")
    index = frame_ids(frames).index(Path(new).stem)
    assert frames.image_path(index) == broken_root / new
    np.testing.assert_array_equal(frames.image(index), val.image(0))
    (broken_root / "split.txt").write_text(f"{Path(new).stem} day-clear\n", encoding="utf-8")
    assert frame_ids(NuScenesFrames(broken_root, split=str(broken_root / "split.txt"))) == [Path(new).stem]


@pytest.mark.parametrize("mend", [True, False], ids=["links closed", "links left"])
@pytest.mark.parametrize("rules", ["corrected", "md4all"])
def test_without_a_sweep_in_the_tables_its_key_frame_is_left_out(
    world_root, broken_root, devkit, train, mend, rules, caplog
):
    row = camera_row(devkit, train.frame_id(1))
    remove_sweeps(broken_root, {row["prev"]}, mend=mend)
    options = {"split": "train", "offsets": (-1, 1), "min_speed": 0.5, "rules": rules}
    frames = NuScenesFrames(broken_root, **options)
    lost = Counter(frame_ids(NuScenesFrames(world_root, **options))) - Counter(frame_ids(frames))
    assert lost == {train.frame_id(1): 1 if rules == "corrected" else 2}  # md4all has it in place of the first one, too
    assert frames.left_out["no neighbour"] == 1
    assert len(NuScenesFrames(broken_root, split="train", rules=rules)) == len(train)
    named = [record.getMessage() for record in caplog.records if train.frame_id(1) in record.getMessage()]
    assert bool(named) != mend, "a row that the table names but lacks is said"


def test_a_key_frame_that_the_tables_lack_is_named(broken_root, devkit, train):
    row = camera_row(devkit, train.frame_id(0))
    remove_sweeps(broken_root, {row["token"]})
    assert f"lacks the CAM_FRONT key frame of sample {row['sample_token']}" in refusal(broken_root)


def test_without_the_lidar_folder_every_sweep_is_named_and_images_stay(broken_root, val):
    (broken_root / "samples" / "LIDAR_TOP").rename(broken_root / "samples" / "elsewhere")
    frames = NuScenesFrames(broken_root, split="val")
    for index in range(len(frames)):
        with pytest.raises(MissingFileError) as caught:
            frames.sparse_lidar(index)
        assert str(frames.lidar_path(index)) in str(caught.value)
    assert frames.image(0).any()


@pytest.mark.parametrize("table", ["sample_data", "ego_pose", "sample", "scene"])
def test_a_token_that_stands_twice_is_named(broken_root, table):
    edit_table(broken_root, table, lambda rows: rows.append(dict(rows[0])))
    message = refusal(broken_root)
    assert f"{table}.json: " in message
    assert "stands there 2 times" in message


def test_a_scene_that_stands_twice_is_named(broken_root):
    edit_table(broken_root, "scene", lambda rows: rows[1].update(name=rows[0]["name"]))
    assert "scene.json: 'scene-" in refusal(broken_root)


def test_key_frames_with_one_file_name_are_refused(broken_root, devkit, train):
    names = [path_of(devkit, train.frame_id(index)) for index in (0, 1)]

    def repeat(rows: list[dict[str, Any]]) -> None:
        next(row for row in rows if row["filename"] == names[1])["filename"] = names[0]

    edit_table(broken_root, "sample_data", repeat)
    assert f"{train.frame_id(0)!r} stands there 2 times" in refusal(broken_root)
