"""What training and evaluation share, and splits that are none, are reported; what is excluded is left out."""

import json
import logging
import re
from pathlib import Path

import check_data
import numpy as np
import pytest
from checked_frames import Frame, MadeUpFrames, encoded, picture

from ude.data.check import examine_image, frame_files, leaks, missing_files
from ude.data.excluded import WithoutFrames, without_excluded
from ude.data.nuscenes import NuScenesFrames
from ude.files import DataError, MissingFileError

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"


@pytest.fixture(scope="module")
def names(world_root):
    """Names of the frames of each split of the tiny world."""
    sources = {split: NuScenesFrames(world_root, split=split) for split in ("train", "val")}
    return {split: [s.frame_id(index) for index in range(len(s))] for split, s in sources.items()}


def check(root, output, *options):
    """Exit code of the tool."""
    arguments = ["--cfg", str(CONFIG), "--workers", "0", "--output", str(output), "DATA.ROOT", str(root), *options]
    return check_data.main(arguments)


def split_file(path, frame_ids, condition="day-clear"):
    path.write_text("".join(f"{name} {condition}\n" for name in frame_ids))
    return str(path)


def leaked(output):
    found = json.loads((output / "report.json").read_text())["leaks"]
    return {leak["what"]: leak["names"] for leak in found}


def test_the_official_splits_do_not_leak(world_root, tmp_path):
    assert check(world_root, tmp_path, "--deep", "--split", "train", "val", "test") == 0
    assert leaked(tmp_path) == {}


def test_a_scene_in_training_and_validation_is_reported(world_root, names, tmp_path, capsys):
    train = split_file(tmp_path / "train.txt", names["train"][:2])  # another two frames of this scene are in val.txt
    val = split_file(tmp_path / "val.txt", [*names["train"][2:4], *names["val"]])
    assert check(world_root, tmp_path / "out", "DATA.SPLIT_TRAIN", train, "DATA.SPLIT_VAL", val) == 4
    found = leaked(tmp_path / "out")
    assert len(found["scenes"]) == 1
    assert "frames" not in found
    out = capsys.readouterr().out
    assert f"leak: {train} and {val} share 1 scene: {found['scenes'][0]}" in out
    assert json.loads((tmp_path / "out" / "broken.json").read_text())["frames"] == []


def test_a_frame_in_training_and_validation_is_reported(world_root, names, tmp_path):
    train = split_file(tmp_path / "train.txt", names["train"])
    val = split_file(tmp_path / "val.txt", [names["train"][2], *names["val"]])
    assert check(world_root, tmp_path / "out", "DATA.SPLIT_TRAIN", train, "DATA.SPLIT_VAL", val) == 4
    found = leaked(tmp_path / "out")
    assert found["frames"] == [names["train"][2]]
    assert [Path(path).stem for path in found["images"]] == [names["train"][2]]


def test_one_split_for_both_is_a_warning(world_root, tmp_path, capsys):
    assert check(world_root, tmp_path, "DATA.SPLIT_VAL", "train") == 0
    assert leaked(tmp_path) == {}
    assert "warning: train: trained and evaluated on the same frames; write two" in capsys.readouterr().out


def test_a_picture_under_another_name_is_found_in_the_other_split(broken_root, tmp_path):
    train, val = (
        NuScenesFrames(broken_root, split="train", offsets=(-1, 1)),
        NuScenesFrames(broken_root, split="val"),
    )
    copy = val.image_path(3)
    copy.write_bytes(train.image_path(5).read_bytes())
    assert check(broken_root, tmp_path) == 0  # it takes a look into the files
    assert check(broken_root, tmp_path, "--deep") == 4
    assert leaked(tmp_path) == {"images": [str(train.image_path(5))]}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["", "  "], "no frame is left"),
        (["{0} day-clear", "{1} dusk"], "dusk"),
        (["{0} day-clear", "{1} day-clear", "{0} day-clear"], "stands in line 1 already"),
    ],
    ids=["empty", "unknown condition", "frame twice"],
)
def test_a_split_file_that_is_none_is_named_and_the_others_are_checked_still(
    world_root, names, tmp_path, capsys, lines, words
):
    path = tmp_path / "val.txt"
    path.write_text("\n".join(line.format(*names["val"]) for line in lines))
    assert check(world_root, tmp_path / "out", "DATA.SPLIT_VAL", str(path)) == 4
    out = capsys.readouterr().out
    (error,) = (line for line in out.splitlines() if line.startswith("error: "))
    assert words in error
    assert re.search(r"^train +day-clear +8 ", out, re.MULTILINE)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [bool(split["error"]) for split in report["splits"]] == [False, True]


def test_when_no_split_can_be_read_the_error_is_one_line(world_root, tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n")
    assert check(world_root, tmp_path / "out", "--split", str(tmp_path / "empty.txt")) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert not (tmp_path / "out").exists()


def test_videos_leak_by_frame_and_scene_but_not_by_file(tmp_path):
    splits = {
        split: frame_files(MadeUpFrames([Frame(f"{split}_1", tmp_path / "drive.mp4", scene=f"part of {split}")]))
        for split in ("train", "val")
    }
    assert leaks(splits, "train", {}) == []
    assert {problem.kind for problem in missing_files(splits["val"])} == {"image"}


def test_two_evaluation_splits_may_share_frames(tmp_path):
    frames = frame_files(MadeUpFrames([Frame("a", tmp_path / "a.jpg")]))
    other = frame_files(MadeUpFrames([Frame("b", tmp_path / "b.jpg", scene="another")]))
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(encoded(picture(ord(name))))
    facts = {frame.image: examine_image(frame.image) for frame in (*frames, *other)}
    assert leaks({"train": other, "val": frames, "test": frames}, "train", facts) == []
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    facts = {frame.image: examine_image(frame.image) for frame in (*frames, *other)}
    assert [leak.what for leak in leaks({"train": other, "val": frames, "test": frames}, "train", facts)] == [
        "images",
        "images",
    ]


def made_up(count=5):
    frames = [
        Frame(
            f"frame_{n}",
            Path(f"{n}.jpg"),
            condition=("day-clear", "night-rain")[n % 2],
            scene=f"scene_{n // 2}",
            size=(n + 1, n + 2),
            K=np.eye(3) * n,
            neighbours=(Path(f"{n}_before.jpg"),),
            distance=float(n),
            T=np.eye(4) * n,
            lidar=Path(f"{n}.bin"),
            returns=lambda n=n: (np.array([n]), np.array([float(n)])),
        )
        for n in range(count)
    ]
    return MadeUpFrames(frames, (-1,))


def test_without_frames_everything_is_said_of_the_frames_that_stay(caplog):
    with caplog.at_level(logging.INFO):
        kept = WithoutFrames(made_up(), ["frame_0", "frame_3", "of another split"])
    assert (len(kept), kept.num_excluded, kept.num_unknown, kept.offsets) == (3, 2, 1, (-1,))
    assert "2 of 5 frames are left out by DATA.EXCLUDE (1 of its 3 names are not in this split)" in caplog.text
    for index, n in enumerate((1, 2, 4)):
        assert kept.frame_id(index) == f"frame_{n}"
        assert kept.condition(index) == ("day-clear", "night-rain")[n % 2]
        assert kept.scene(index) == f"scene_{n // 2}"
        assert kept.native_size(index) == (n + 1, n + 2)
        assert (kept.image_path(index), kept.image_path(index, -1)) == (Path(f"{n}.jpg"), Path(f"{n}_before.jpg"))
        assert kept.intrinsics(index)[0, 0] == kept.T_source_target(index, -1)[0, 0] == kept.distance(index, -1) == n
        assert kept.lidar_path(index) == Path(f"{n}.bin")
        assert kept.sparse_lidar(index)[0].tolist() == [n]


def test_without_frames_has_every_method_of_a_source_and_reads_the_right_pixels(train):
    kept = WithoutFrames(train, [train.frame_id(0), train.frame_id(2)])
    from ude.data.sample import FrameSource

    methods = [name for name in vars(FrameSource) if not name.startswith("_")]
    assert len(methods) > 10
    assert [name for name in methods if not hasattr(kept, name)] == []
    np.testing.assert_array_equal(kept.image(1, -1), train.image(3, -1))
    np.testing.assert_array_equal(kept.lidar_depth(1), train.lidar_depth(3))


def test_when_nothing_stays_that_is_an_error_with_a_remedy():
    with pytest.raises(DataError, match=r"no frame is left: all 5 .* set DATA\.EXCLUDE to ''"):
        WithoutFrames(made_up(), [f"frame_{n}" for n in range(5)])


def test_excluding_nothing_leaves_all(caplog):
    with caplog.at_level(logging.INFO):
        assert len(WithoutFrames(made_up(), [])) == 5
    assert caplog.text == ""


@pytest.mark.parametrize(
    "text", ["[]", '{"schema": 1}', '{"schema": 1, "frames": [1]}', '{"schema": 2, "frames": []}', "{", "null"]
)
def test_a_file_of_another_form_is_named_with_the_remedy(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(str(path))):
        without_excluded(made_up(), path, root=tmp_path)


def test_names_are_read_and_a_missing_file_is_named(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"schema": 1, "root": "x", "frames": ["frame_1", "frame_2"], "files": []}))
    kept = without_excluded(made_up(), path, root=tmp_path)
    assert [kept.frame_id(index) for index in range(len(kept))] == ["frame_0", "frame_3", "frame_4"]
    with pytest.raises(MissingFileError, match=r"none\.json"):
        without_excluded(made_up(), tmp_path / "none.json", root=tmp_path)
