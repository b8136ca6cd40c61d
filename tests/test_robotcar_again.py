"""Preparing RobotCar traverses again after the raw data have changed, and several of which one is unfit."""

import hashlib
import json
import shutil
from collections import Counter
from itertools import chain

import numpy as np
import prepare_robotcar
import pytest
from PIL import Image
from robotcar_oracles import DAY, NIGHT

from ude.data.robotcar import RobotCarFrames, columns, scans
from ude.data.robotcar.parallel import consecutive_parts
from ude.files import read_json, read_jsonl

FRAMES = 6


@pytest.fixture
def raw(robotcar_raw, tmp_path):
    """A copy of the raw day traverse."""
    for name in ("models", "extrinsics", DAY):
        shutil.copytree(robotcar_raw / name, tmp_path / "raw" / name, ignore=shutil.ignore_patterns("dense_depth"))
    return tmp_path / "raw"


def run(raw, output, *options, limit=FRAMES):
    return prepare_robotcar.main(["--raw", str(raw), "--output", str(output), "--limit", str(limit), *options])


def tree(folder):
    """SHA-256 of every file below a folder, by path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def changes(folder):
    """When each image and each depth file was written, by path."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*/*")}


def changed(folder, before):
    return sorted(f"{path.parent.name}/{path.stem}" for path, time in changes(folder).items() if time != before[path])


def test_a_raw_image_that_is_replaced_is_prepared_again_alone(raw, tmp_path):
    output, images = tmp_path / "out", sorted((raw / DAY / "stereo/left").iterdir())
    assert run(raw, output) == 0
    before, row = changes(output), read_jsonl(output / DAY / "frames.jsonl")[2]
    mosaic = np.array(Image.open(images[2]))
    Image.fromarray(255 - mosaic).save(images[2])
    assert run(raw, output) == 0
    assert changed(output, before) == [f"images/{images[2].stem}", f"lidar/{images[2].stem}"]
    again = read_jsonl(output / DAY / "frames.jsonl")[2]
    assert again["image"]["sha256"] != row["image"]["sha256"]
    assert abs(again["brightness"] + row["brightness"] - 1) < 0.05
    assert again["lidar"] == row["lidar"]
    shutil.rmtree(raw / DAY / "stereo")  # what is prepared needs no raw image
    before = changes(output)
    assert run(raw, output) == 0
    assert changed(output, before) == []


@pytest.mark.parametrize(("lines", "without"), [(20, FRAMES), (130, 0)])
def test_a_list_of_scans_that_was_cut_gives_way_to_the_whole_one(raw, tmp_path, lines, without):
    output, scan_list = tmp_path / "out", raw / DAY / "lms_front.timestamps"
    assert run(raw, tmp_path / "whole") == 0
    whole = scan_list.read_text()
    scan_list.write_text("".join(whole.splitlines(keepends=True)[:lines]))
    assert run(raw, output) == 0
    assert read_json(output / DAY / "traverse.json")["without_lidar"] == (
        {"no point in view": without} if without else {}
    )
    before = {path: time for path, time in changes(output).items() if path.parent.name == "images"}
    scan_list.write_text(whole)
    assert run(raw, output) == 0
    assert {path: changes(output)[path] for path in before} == before
    assert tree(output) == tree(tmp_path / "whole")


def test_other_odometry_changes_depth_and_poses_but_no_image(raw, tmp_path):
    output, odometry = tmp_path / "out", raw / DAY / "vo/vo.csv"
    whole = odometry.read_text()
    lines = whole.splitlines(keepends=True)
    assert run(raw, tmp_path / "whole") == 0
    odometry.write_text("".join([lines[0], *lines[20:]]))
    assert run(raw, output) == 0
    before = changes(output)
    odometry.write_text(whole)
    shutil.rmtree(raw / DAY / "stereo")
    assert run(raw, output) == 0
    assert [path for path in changed(output, before) if path.startswith("images/")] == []
    assert tree(output) == tree(tmp_path / "whole")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_damaged_odometry_is_named_by_any_number_of_processes(raw, tmp_path, capsys, workers):
    with open(raw / DAY / "vo/vo.csv", "a") as file:
        file.write("1,2\n")
    assert run(raw, tmp_path / "out", "--workers", workers) == 4
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"{raw / DAY / 'vo/vo.csv'}:" in line
    assert "memory" not in line


def test_a_traverse_that_cannot_be_prepared_does_not_stop_the_others(raw, robotcar_raw, tmp_path, capsys, caplog):
    first, unlisted, unknown = "2014-01-01-00-00-00", "2014-02-01-00-00-00", "2016-01-01-00-00-00"
    (raw / first).mkdir()
    shutil.copy(raw / DAY / "stereo.timestamps", raw / first)
    (raw / unlisted).mkdir()
    (raw / unknown).mkdir()
    shutil.copytree(robotcar_raw / NIGHT, raw / NIGHT, ignore=shutil.ignore_patterns("dense_depth"))
    told = [f"{name}=day-clear" for name in (first, unlisted)]
    assert run(raw, tmp_path / "out", "--condition", *told) == 4
    said = capsys.readouterr()
    for name in (DAY, NIGHT):
        assert read_json(tmp_path / "out" / name / "traverse.json")["frames"] == FRAMES
        assert f"{name} (" in said.out
    (line,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert "3 of 5 traverses are not prepared; the first: " in line
    for name, reason in ((first, "has none of the images"), (unlisted, "stereo.timestamps"), (unknown, "--condition")):
        assert [text for text in caplog.messages if text.startswith(f"{name} is not prepared: ") and reason in text]
    assert run(raw, tmp_path / "none", "--traverse", unlisted, unknown, "--condition", *told) == 4
    assert not (tmp_path / "none").exists()


def test_scans_are_read_once_or_twice(robotcar_raw, tmp_path, monkeypatch):
    reads, read_scan = Counter(), scans.read_scan
    monkeypatch.setattr(scans, "read_scan", lambda path: (reads.update([path]), read_scan(path))[1])
    assert run(robotcar_raw, tmp_path / "out", "--traverse", DAY, limit=28) == 0
    assert set(reads.values()) == {1}
    times = [62_500 * n for n in range(2000)]
    parts = [*consecutive_parts(times, 8_000_000, 8)]
    margin_us = 4_000_000
    reads = Counter(t for p in parts for t in range(0, 10**8, 20_000) if p[0] - margin_us <= t <= p[-1] + margin_us)
    assert max(reads.values()) == 2
    assert [*chain(*parts)] == times
    assert [len(part) for part in consecutive_parts(times[:28], 8_000_000, 2)] == [14, 14]  # work for both


def test_columns_are_read_in_place_of_rows_as_long_as_they_belong_to_them(robotcar_prepared, tmp_path, monkeypatch):
    root = tmp_path / "copy"
    shutil.copytree(robotcar_prepared, root)
    rows = read_jsonl(root / DAY / "frames.jsonl")
    by_rows = RobotCarFrames(root, split="all", offsets=(-1, 1), min_speed=1.0)
    with monkeypatch.context() as context:
        context.setattr(columns, "read_jsonl", lambda path: pytest.fail("rows were read"))
        by_columns = RobotCarFrames(root, split="all", offsets=(-1, 1), min_speed=1.0)
    for name in (DAY, NIGHT):
        (root / name / "frames.npz").unlink()
    for source in (by_columns, RobotCarFrames(root, split="all", offsets=(-1, 1), min_speed=1.0)):
        assert [source.frame_id(n) for n in range(len(source))] == [by_rows.frame_id(n) for n in range(len(by_rows))]
        assert source.T_source_target(3, 1).tolist() == by_rows.T_source_target(3, 1).tolist()
    for damage in ("other rows", "columns"):
        shutil.copy(robotcar_prepared / DAY / "frames.npz", root / DAY / "frames.npz")
        (root / DAY / "frames.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:5]))
        if damage == "columns":
            (root / DAY / "frames.npz").write_bytes(b"cut")
        assert len(RobotCarFrames(root, split="all", conditions=["day-clear"])) == 5


def test_a_traverse_in_a_condition_that_is_not_asked_for_is_not_read(robotcar_prepared, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(robotcar_prepared, root)
    for name in ("frames.jsonl", "frames.npz"):
        (root / NIGHT / name).write_text("damaged\n")
    day = RobotCarFrames(root, split="all", conditions=["day-clear"])
    assert len(day) == 28
    split = tmp_path / "split.txt"
    split.write_text(f"{day.frame_id(3)} night-rain\n")  # a file has its own conditions
    assert len(RobotCarFrames(root, split=str(split), conditions=["night-rain"])) == 1
