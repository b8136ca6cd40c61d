"""The tool that checks data: what it counts, what it names, what it writes, and how it ends."""

import json
import re
import shutil
from pathlib import Path

import check_data
import pytest
from checked_frames import cuts
from world_edits import VERSION, edit_table

from ude.files import read_image, write_image

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"


def check(root, output, *options, code=0):
    """Runs the tool in this process; returns its broken.json and report.json."""
    arguments = ["--cfg", str(CONFIG), "--workers", "0", "--output", str(output), "DATA.ROOT", str(root), *options]
    assert check_data.main(arguments) == code
    return [json.loads((output / name).read_text()) for name in ("broken.json", "report.json")]


def files(root):
    """Contents and times of all files below a folder."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


def images(root, folder="*"):
    return sorted(root.glob(f"{folder}/CAM_FRONT/*.jpg"))


def counts(report, split, condition):
    conditions = next(row["conditions"] for row in report["splits"] if row["split"] == split)
    return next(row for row in conditions if row["condition"] == condition)


def test_a_good_world_is_clean_counted_and_left_as_it_is(world_root, tmp_path, capsys):
    before = files(world_root)
    broken, report = check(world_root, tmp_path / "out", "--deep")
    assert broken == {"schema": 1, "root": str(world_root), "frames": [], "files": []}
    assert files(world_root) == before
    row = {"frames": 8, "scenes": 4, "expected": None, "with_lidar": 8, "lidar_missing": 0, "broken": 0}
    assert row.items() <= counts(report, "val", "all").items()
    assert counts(report, "val", "night")["frames"] == 4
    assert counts(report, "val", "night-rain")["scenes"] == 1
    assert (counts(report, "train", "all")["frames"], counts(report, "train", "all")["scenes"]) == (8, 2)
    assert report["images"]["decoded"] == 8 * 3 + 8
    out = capsys.readouterr().out
    assert "nothing is broken" in out
    assert re.search(r"^val +day-clear +2 +n/a +1 +2 +0 +0 +0 +0$", out, re.MULTILINE)


def test_all_15_cut_images_are_named_with_their_frames_and_nothing_else(broken_root, tmp_path, capsys):
    pairs = [*zip(images(broken_root, "samples"), cuts(b""), strict=False)]
    assert len(pairs) == 15
    for path, way in pairs:
        path.write_bytes(cuts(path.read_bytes())[way])
    damaged = {str(path) for path, _ in pairs}
    broken, report = check(broken_root, tmp_path / "out", "--deep", "--split", "train", "val", "test", code=4)
    assert {row["path"] for row in broken["files"]} == damaged
    assert len(broken["files"]) == 15
    assert broken["frames"] == sorted(Path(path).stem for path in damaged)
    assert all(row["frame_ids"] == [Path(row["path"]).stem] for row in broken["files"])
    assert sum(counts(report, split, "all")["broken"] for split in ("train", "val", "test")) == 15
    out = capsys.readouterr().out
    assert all(path in out for path in damaged)
    assert f"DATA.EXCLUDE {tmp_path / 'out' / 'broken.json'}" in out


def test_frames_are_as_many_without_what_is_excluded_and_the_rest_is_clean(broken_root, tmp_path):
    from ude.data.excluded import without_excluded
    from ude.data.nuscenes import NuScenesFrames

    cut = images(broken_root, "sweeps")[1]
    cut.write_bytes(cut.read_bytes()[:-100])
    check(broken_root, tmp_path / "out", "--deep", code=4)
    frames = NuScenesFrames(broken_root, version=VERSION, split="train", offsets=(-1, 1))
    kept = without_excluded(frames, tmp_path / "out" / "broken.json", root=broken_root)
    used = {kept.image_path(index, offset) for index in range(len(kept)) for offset in (0, -1, 1)}
    assert 0 < kept.num_excluded <= 2  # a sweep lies between two key frames
    assert cut not in used


def test_missing_files_are_counted_by_split_and_condition(broken_root, tmp_path):
    (lost, *_), (sweep, *_) = images(broken_root, "samples"), images(broken_root, "sweeps")
    lost.unlink()
    sweep.unlink()
    shutil.rmtree(broken_root / "samples" / "LIDAR_TOP")
    broken, report = check(broken_root, tmp_path / "out", code=4)
    train, val = counts(report, "train", "all"), counts(report, "val", "all")
    assert (train["images_missing"], train["neighbours_missing"]) == (1, 1)
    assert (train["with_lidar"], val["with_lidar"], val["lidar_missing"]) == (0, 0, 8)
    assert train["broken"] == val["broken"] == 0  # of what is there
    lidar = [row for row in broken["files"] if row["path"].endswith(".pcd.bin")]
    assert len(lidar) == 8  # of validation; training needs none
    assert {row["problem"] for row in broken["files"]} == {"no such file"}


def test_a_cut_lidar_file_is_named_by_a_deep_check_only(broken_root, tmp_path):
    sweeps = sorted((broken_root / "samples" / "LIDAR_TOP").glob("*"))
    for path in sweeps:
        path.write_bytes(path.read_bytes()[:-20])
    assert check(broken_root, tmp_path / "out")[0]["files"] == []
    broken, _ = check(broken_root, tmp_path / "out", "--deep", code=4)
    assert len(broken["frames"]) == 8
    assert {row["path"] for row in broken["files"]} < {str(path) for path in sweeps}


def test_intrinsics_that_the_reader_refuses_end_the_check_in_one_line(broken_root, tmp_path, capsys):
    def swap(rows):
        for row in rows:
            if row["camera_intrinsic"]:
                K = row["camera_intrinsic"]
                K[0][0], K[0][2] = K[0][2], K[0][0]

    edit_table(broken_root, "calibrated_sensor", swap)
    arguments = ["--cfg", str(CONFIG), "--output", str(tmp_path / "out"), "DATA.ROOT", str(broken_root)]
    assert check_data.main(arguments) == 4
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "no intrinsics" in error


def test_nothing_is_written_into_the_folder_of_the_data(world_root, capsys):
    arguments = ["--cfg", str(CONFIG), "--output", str(world_root / "check"), "DATA.ROOT", str(world_root)]
    assert check_data.main(arguments) == 4
    assert "choose a folder outside" in capsys.readouterr().err
    assert not (world_root / "check").exists()


def test_translations_are_checked_with_the_training_frames(world_root, tmp_path):
    names = [path.stem for path in images(world_root, "samples")]
    good = read_image(images(world_root, "samples")[0])
    for condition in ("night", "rain"):
        for n, name in enumerate(names):
            write_image(tmp_path / "made" / condition / f"{name}.jpg", good[:, ::-1] // (1 + n))
    _, report = check(world_root, tmp_path / "out", "--deep", "DATA.TRANSLATED.ROOT", str(tmp_path / "made"))
    assert counts(report, "train", "all")["broken"] == 0
    night = sorted((tmp_path / "made" / "night").glob("*.jpg"))
    frames = _train_names(world_root)
    cut, tiny, gone = (path for path in night if path.stem in frames[:3])
    cut.write_bytes(cut.read_bytes()[:-9])
    write_image(tiny, good[:3, :5])
    gone.unlink()
    quarantined = tmp_path / "made" / "night" / f"{frames[3]}.jpg"
    (tmp_path / "made" / "rejected" / "night").mkdir(parents=True)
    quarantined.rename(tmp_path / "made" / "rejected" / "night" / quarantined.name)
    broken, _ = check(world_root, tmp_path / "out", "--deep", "DATA.TRANSLATED.ROOT", str(tmp_path / "made"), code=4)
    found = {Path(row["path"]): row["problem"] for row in broken["files"]}
    assert found.keys() == {cut, tiny, gone}
    assert "does not fit a frame of 96 x 160" in found[tiny]
    assert found[gone] == "no such file"


def _train_names(root):
    from ude.data.nuscenes import NuScenesFrames

    frames = NuScenesFrames(root, version=VERSION, split="train", offsets=(-1, 1))
    return sorted(frames.frame_id(index) for index in range(len(frames)))


@pytest.fixture
def check_robotcar(robotcar_prepared, tmp_path):
    """Runs the tool on the small RobotCar world with a crop."""

    def run(crop, *, code):
        arguments = ["--cfg", str(CONFIG.with_name("robotcar.yaml")), "--workers", "0", "--split", "train"]
        arguments += ["--output", str(tmp_path)]
        assert check_data.main([*arguments, "DATA.ROOT", str(robotcar_prepared), "DATA.CROP", crop]) == code
        return [json.loads((tmp_path / name).read_text()) for name in ("broken.json", "report.json")]

    return run


def test_what_a_source_leaves_out_is_shown_and_reported_by_its_own_reasons(check_robotcar, capsys):
    _, report = check_robotcar("[0, 0, 192, 320]", code=0)
    (left_out,) = (row["left_out"] for row in report["splits"])
    assert left_out == {"no neighbour": 2, "static": 5, "over-exposed": 4}  # of 28 frames, of which 17 stay
    assert counts(report, "train", "all")["frames"] == 17
    assert "train: 5 frames left out, static" in capsys.readouterr().out


def test_a_crop_that_leaves_the_frames_is_named_and_no_frame_is_broken_by_it(check_robotcar, capsys):
    broken, report = check_robotcar("[0, 0, 768, 1280]", code=4)
    frames = sum(counts(report, row["split"], "all")["frames"] for row in report["splits"])
    assert (broken["frames"], broken["files"]) == ([], [])
    words = f"DATA.CROP [0, 0, 768, 1280] leaves {frames} frames of 240 x 320 (height x width); correct DATA.CROP"
    assert [row["error"] for row in report["splits"]] == [words]
    errors = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("error", "broken"))]
    assert errors == [f"error: train: {words}"]


def test_a_second_deep_check_decodes_nothing_again(world_root, tmp_path):
    _, first = check(world_root, tmp_path / "out", "--deep")
    _, second = check(world_root, tmp_path / "out", "--deep")
    assert first["images"]["decoded"] == second["images"]["known_good"] > 0
    assert second["images"]["decoded"] == 0


def test_numbers_other_than_the_expected_ones_are_a_warning_and_with_strict_an_error(
    world_root, tmp_path, capsys, monkeypatch
):
    row = {"source": "nuscenes", "version": VERSION, "split": "val", "rules": "any", "from": "here"}
    rows = [
        row | {"condition": "all", "count": 6019, "what": "frames"},
        row | {"condition": "all", "count": 4, "what": "scenes"},
        row | {"condition": "night", "count": 4, "what": "frames"},
        row | {"condition": "night-rain", "count": 7, "what": "frames", "version": "v1.0-mini"},
        row | {"condition": "day-clear", "count": 9, "what": "training frames", "split": "train"},
    ]
    (tmp_path / "counts.json").write_text(json.dumps(rows))
    monkeypatch.setattr(check_data, "COUNTS", tmp_path / "counts.json")
    monkeypatch.setattr("ude.build.checks.SAMPLE_WORLD", "none")
    _, report = check(world_root, tmp_path / "out")
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: train, day-clear: 8 frames, 9 expected",
        "warning: train, all: 8 frames, 9 expected",
        "warning: val, all: 8 frames, 6019 expected",
    ]
    assert counts(report, "val", "night")["expected"] == 4
    assert counts(report, "val", "night-rain")["expected"] is None
    check(world_root, tmp_path / "out", "--strict", code=4)


def test_the_published_counts_are_of_a_form_that_the_check_reads():
    from ude.data.check import expected_counts

    assert expected_counts(check_data.COUNTS, source="nuscenes", version=VERSION, rules="corrected").rows


@pytest.mark.slow
def test_several_processes_find_the_same(broken_root, tmp_path):
    cut = images(broken_root, "samples")[0]
    cut.write_bytes(cut.read_bytes()[:-9])
    one, _ = check(broken_root, tmp_path / "one", "--deep", code=4)
    two, _ = check(broken_root, tmp_path / "two", "--deep", "--workers", "2", code=4)
    assert one == two
    assert len(one["files"]) == 1
