"""The check of data that is trained and evaluated on at once, of a second time, and of a config that is wrong."""

import json
import os
from pathlib import Path

import check_data
import made_folders
import pytest
from test_check_data import CONFIG, check, images
from world_edits import VERSION


@pytest.fixture
def kitti(tmp_path):
    """A KITTI world with a config that trains and evaluates on all of it."""
    root = made_folders.write_kitti(tmp_path / "kitti")
    data = {"SOURCE": "kitti", "ROOT": str(root), "SPLIT_TRAIN": "all", "SPLIT_VAL": "all"}
    (tmp_path / "kitti.yaml").write_text(json.dumps({"DATA": data}))
    return root


def check_kitti(root, *options, code):
    folder = root.parent
    arguments = ["--cfg", str(folder / "kitti.yaml"), "--workers", "0", "--output", str(folder / "out"), *options]
    assert check_data.main(arguments) == code
    return [json.loads((folder / "out" / name).read_text()) for name in ("broken.json", "report.json")]


def test_a_split_of_both_uses_is_checked_for_both_and_its_double_use_is_a_warning(kitti, capsys):
    broken, report = check_kitti(kitti, "--deep", code=0)
    assert [(row["split"], row["training"]) for row in report["splits"]] == [("all", True), ("all", False)]
    assert (broken["files"], report["leaks"], report["overlaps"]) == ([], [], [["all", "all"]])
    out = capsys.readouterr().out
    assert "warning: all: trained and evaluated on the same frames; write two split files" in out
    assert "all, trained " in out
    assert "all, evaluated " in out
    sweep, *_ = sorted(kitti.rglob("velodyne_points/data/*.bin"))
    sweep.write_bytes(sweep.read_bytes()[:-7])
    broken, report = check_kitti(kitti, "--deep", code=4)
    assert {row["path"] for row in broken["files"]} == {str(sweep)}
    trained, evaluated = (split["conditions"][-1] for split in report["splits"])
    assert (trained["broken"], evaluated["broken"]) == (0, 2)  # both cameras have the sweep


def test_a_picture_of_a_split_of_both_uses_is_named_once(kitti, capsys):
    picture = sorted(kitti.rglob("image_02/data/*.png"))[3]
    picture.write_bytes(picture.read_bytes()[:-30])
    check_kitti(kitti, "--deep", code=4)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"broken: {picture}")]
    assert len(lines) == 2  # as a frame's own in both uses, and as a neighbour


def test_all_beside_a_split_that_it_holds_is_a_warning(robotcar_prepared, tmp_path, capsys):
    arguments = ["--cfg", str(CONFIG.with_name("robotcar.yaml")), "--workers", "0", "--output", str(tmp_path)]
    arguments += ["DATA.ROOT", str(robotcar_prepared), "DATA.CROP", "[0, 0, 192, 320]", "DATA.SPLIT_VAL", "all"]
    assert check_data.main(arguments) == 0
    assert "warning: train and all: trained and evaluated on the same frames" in capsys.readouterr().out


def test_configs_of_two_sources_do_not_overwrite_each_other(kitti, world_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nuscenes = str(CONFIG.with_name("nuscenes.yaml"))
    assert check_data.main(["--cfg", nuscenes, "DATA.VERSION", VERSION, "DATA.ROOT", str(world_root)]) == 0
    assert check_data.main(["--cfg", "kitti.yaml"]) == 0
    folders = {path.parent.name: json.loads(path.read_text())["root"] for path in Path("outputs").rglob("broken.json")}
    assert folders == {"nuscenes-experiment": str(world_root), "kitti-experiment": str(kitti)}


def test_a_shallow_check_keeps_what_a_deep_one_has_found_in_unchanged_files(broken_root, tmp_path, capsys):
    out = tmp_path / "out"
    check(broken_root, out)
    assert "nothing is broken (files were not decoded: --deep)" in capsys.readouterr().out
    whole = {
        path: path.read_bytes() for path in (*images(broken_root, "samples")[:3], images(broken_root, "sweeps")[1])
    }
    for path in whole:
        path.write_bytes(whole[path][:-100])
    deep, _ = check(broken_root, out, "--deep", "--split", "train", "val", "test", code=4)
    assert len(deep["files"]) == 4
    capsys.readouterr()
    shallow, report = check(broken_root, out, "--split", "train", "val", "test", code=4)
    assert sorted(shallow["files"], key=str) == sorted(deep["files"], key=str)
    assert shallow["frames"] == deep["frames"]
    assert report["kept"] == 4
    assert "4 findings of an earlier --deep check kept, of files unchanged since" in capsys.readouterr().out
    mended = images(broken_root, "samples")[0]
    mended.write_bytes(whole[mended])
    shallow, _ = check(broken_root, out, "--split", "train", "val", "test", code=4)
    assert {row["path"] for row in shallow["files"]} == {str(path) for path in whole} - {str(mended)}
    for path in whole:
        path.write_bytes(whole[path])
    check(broken_root, out, "--split", "train", "val", "test")


def test_a_deep_check_of_one_split_remembers_the_findings_in_the_other(broken_root, tmp_path, capsys):
    for path in images(broken_root, "samples"):
        os.truncate(path, path.stat().st_size - 50)
    both, _ = check(broken_root, tmp_path, "--deep", code=4)
    one, _ = check(broken_root, tmp_path, "--deep", "--split", "val", code=4)
    assert len(one["frames"]) == 8
    assert check(broken_root, tmp_path, code=4)[0]["frames"] == both["frames"]
    (tmp_path / "deep_findings.json").write_text('{"schema": 7}')
    arguments = ["--cfg", str(CONFIG), "--output", str(tmp_path), "DATA.ROOT", str(broken_root)]
    capsys.readouterr()
    assert check_data.main(arguments) == 4
    assert "remove it and check again with --deep" in capsys.readouterr().err
