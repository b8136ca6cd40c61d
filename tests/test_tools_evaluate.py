"""The evaluation tools: every option, what they print and write, and what they refuse."""

import re
import statistics
from dataclasses import replace
from shutil import copytree

import evaluate
import evaluate_nuscenes
import evaluate_robotcar
import made_folders
import numpy as np
import pytest
from evaluation_calls import CONFIG, document, error_of, means, per_frame, save_runs, words

from ude.build import evaluation_run
from ude.evaluation.published import rows_of
from ude.evaluation.published_tables import TABLES

METRICS = ("abs_rel", "rmse", "delta_1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder of run folders."""
    return save_runs(tmp_path_factory.mktemp("runs"), "first", "second", "third")


@pytest.fixture(scope="module")
def compared(runs, world_root, tmp_path_factory):
    """Output folder of a comparison of one network with two seeds of another."""
    output = tmp_path_factory.mktemp("compared")
    args = words(world_root, output, "--weights", f"ours={runs / 'first'}", runs / "third", f"ours={runs / 'second'}")
    assert evaluate_nuscenes.main([*args, "--gallery", "1"]) == 0
    return output


def test_one_predictor_gets_tables_files_and_a_report_in_its_run(runs, world_root, tmp_path, capsys):
    assert evaluate_nuscenes.main(words(world_root, tmp_path, "--weights", runs / "first", "--gallery", 1)) == 0
    folder, out = runs / "first" / "eval" / "val", capsys.readouterr().out
    names = ["metrics.json", "per_frame.csv", "report.html", "table.md", "table.tex"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "table.md").read_text().strip() in out
    assert "Protocol md4all, alignment median, LiDAR depths from 0.1 m to 80 m" in out
    assert f"results: {folder}\n" in out
    assert f"report: {folder / 'report.html'}\n" in out
    speed = float(out.partition("first: ")[2].partition(" frames per second")[0])
    assert 0 < speed < 1e5
    found = document(folder / "metrics.json")
    assert found["run"]["weights"] == str(runs / "first")
    assert found["conditions"]["all"]["frames"] == 8
    assert (folder / "report.html").read_text().count("<img") > 4
    assert list(tmp_path.iterdir()) == []  # nothing elsewhere


def test_several_predictors_give_one_table_with_the_cells_of_each(runs, compared):
    found = document(compared / "eval" / "nuscenes-val" / "comparison.json")
    first, second, third = (means(runs / name / "eval" / "val") for name in ("first", "second", "third"))
    rows = {row["name"]: row for row in found["predictors"]}
    assert [(name, row["seeds"]) for name, row in rows.items()] == [("ours", 2), ("third", 1)]
    for condition in ("day-clear", "night-clear", "day-rain", "night-rain"):
        cells, several = (rows[name]["conditions"][condition] for name in ("third", "ours"))
        assert set(cells) == {*METRICS, "abs_rel_median"}
        for metric, cell in cells.items():
            assert cell["value"] == pytest.approx(third[condition][metric], rel=1e-12)
            assert cell["spread"] is None
            seeds = [first[condition][metric], second[condition][metric]]
            assert several[metric]["value"] == pytest.approx(statistics.mean(seeds), rel=1e-12)
            assert several[metric]["spread"] == pytest.approx(statistics.stdev(seeds), rel=1e-12)
    assert {(row["predictor"], row["reference"]) for row in found["paired"]} == {("third", "ours")}
    assert found["run"]["weights"] == {
        "ours": [str(runs / "first"), str(runs / "second")],
        "third": [str(runs / "third")],
    }


def test_the_comparison_has_its_own_folder_and_is_printed(runs, world_root, compared, tmp_path, capsys):
    args = words(world_root, tmp_path, "--weights", runs / "first", f"b={runs / 'third'}", "--no-report")
    folder = tmp_path / "table"
    assert evaluate.main([*args, "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.json", "table.md", "table.tex"]
    out = capsys.readouterr().out
    assert (folder / "table.md").read_text().strip() in out
    assert out.count("Protocol md4all, alignment median") == 1
    places = [line.split(":")[0] for line in out.splitlines() if not line.startswith("note: ")]
    assert places[-3:] == ["first", "b", "comparison"]
    assert f"results: {runs / 'third' / 'eval' / 'val'}" in out
    assert "b & " in (folder / "table.tex").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    usual = compared / "eval" / "nuscenes-val"
    names = ["comparison.json", "report.html", "table.md", "table.tex"]
    assert sorted(path.name for path in usual.iterdir()) == names
    report = (usual / "report.html").read_text()
    assert "ours" in report
    assert report.count("<img") > 4


def test_the_results_of_one_predictor_go_where_output_says(runs, world_root, tmp_path, monkeypatch):
    args = words(world_root, tmp_path / "out", "--weights", runs / "first", "--gallery", 0, "--split", "test")
    monkeypatch.chdir(tmp_path)
    assert evaluate_nuscenes.main([*args, "--output", "here", "EVAL.PROTOCOL", "ude"]) == 0
    assert document(tmp_path / "here" / "metrics.json")["rules"]["protocol"] == "ude"
    assert "<img" not in (tmp_path / "here" / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert evaluate_nuscenes.main([*args, "--no-report", "EVAL.PROTOCOL", "ude"]) == 0
    assert not (runs / "first" / "eval" / "test-ude" / "report.html").exists()
    assert means(runs / "first" / "eval" / "test-ude") == means(tmp_path / "here")


def test_saved_predictions_are_made_once_and_give_the_same_numbers(runs, world_root, tmp_path, monkeypatch, capsys):
    seen, original = {"frames": 0, "stop": 3}, evaluation_run.predictor

    def counted(*args, **options):
        loaded = original(*args, **options)

        def predict(images):
            if seen["frames"] >= seen["stop"]:
                raise KeyboardInterrupt
            seen["frames"] += len(images)
            return loaded.predict(images)

        return replace(loaded, predict=predict)

    monkeypatch.setattr(evaluation_run, "predictor", counted)
    kept = tmp_path / "kept"
    args = words(world_root, tmp_path, "--weights", runs / "first", "--no-report", "--save-predictions", kept)
    args += ["EVAL.FLIP", "False"]
    assert evaluate_nuscenes.main(args) == 130
    assert len(list(kept.glob("*.npz"))) == 3  # a batch
    seen["stop"] = 100
    assert evaluate_nuscenes.main(args) == 0
    assert seen["frames"] == 8  # none of them twice
    assert evaluate_nuscenes.main(args) == 0
    assert seen["frames"] == 8
    monkeypatch.undo()
    plain = words(world_root, tmp_path, "--weights", runs / "first", f"from files={kept}", "--no-report")
    assert evaluate_nuscenes.main([*plain, "EVAL.FLIP", "False"]) == 0
    rows = {
        row["name"]: row["conditions"] for row in document(tmp_path / "eval/nuscenes-val/comparison.json")["predictors"]
    }
    for condition, cells in rows["first"].items():
        for metric, cell in cells.items():
            assert rows["from files"][condition][metric]["value"] == pytest.approx(cell["value"], rel=1e-6)
    assert means(tmp_path / "eval" / "nuscenes-val" / "from files")["all"]["frames"] == 8
    capsys.readouterr()
    other = words(world_root, tmp_path, "--weights", runs / "second", "--no-report", "--save-predictions", kept)
    error = error_of(capsys, evaluate_nuscenes, 4, [*other, "EVAL.FLIP", "False"])
    assert f"--save-predictions: {kept} holds predictions with another made_by" in error


def test_kept_predictions_of_another_folder_of_images_are_refused(runs, world_root, tmp_path, capsys):
    kept, copy = tmp_path / "kept", tmp_path / "copy"  # frames of the same names, which may look otherwise
    copytree(world_root, copy)
    options = ("--weights", runs / "first", "--no-report", "--output", tmp_path / "out", "--save-predictions", kept)
    assert evaluate_nuscenes.main(words(world_root, tmp_path, *options)) == 0
    error = error_of(capsys, evaluate_nuscenes, 4, words(copy, tmp_path, *options))
    assert f"with another made_by (root: {world_root.resolve()}, here {copy.resolve()})" in error


@pytest.mark.parametrize(("trained", "told"), [((64, 96), False), ((96, 160), True), (None, False)])
def test_images_of_another_size_than_the_run_was_trained_on_are_told(runs, world_root, tmp_path, capsys, trained, told):
    run = copytree(runs / "first" / "depth_net", tmp_path / "run" / "depth_net").parent  # its network sees 96 x 160
    if trained:
        (run / "config.yaml").write_text(f"DATA:\n  SIZE: {[*trained]}\n")
    options = ("--weights", run, "--no-report", "--output", tmp_path / "out")
    assert evaluate_nuscenes.main(words(world_root, tmp_path, *options)) == 0
    out = capsys.readouterr().out
    note = "note: images are read at 64 x 96, but it was trained on 96 x 160; set DATA.SIZE [96,160]"
    assert (note in out) == ("note: " in out) == told


def test_predictions_of_several_are_kept_apart(runs, world_root, tmp_path):
    args = words(world_root, tmp_path, "--weights", f"x={runs / 'first'}", f"x={runs / 'second'}", "--no-report")
    assert evaluate_nuscenes.main([*args, "--save-predictions", str(tmp_path / "kept"), "EVAL.FLIP", "False"]) == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["x-1", "x-2"]


def test_a_condition_without_frames_is_not_available_in_any_file(runs, world_root, val, tmp_path):
    days = [val.frame_id(index) for index in range(len(val)) if val.condition(index) == "day-clear"]
    split = tmp_path / "days.txt"
    split.write_text("".join(f"{name} day-clear\n" for name in days))
    args = words(world_root, tmp_path, "--weights", runs / "first", runs / "third", "--split", split, "--gallery", 1)
    assert evaluate_nuscenes.main(args) == 0
    own, common = runs / "third" / "eval" / "days", tmp_path / "eval" / "nuscenes-days"
    night = means(own)["night-clear"]
    assert night.pop("frames") == 0
    assert set(night.values()) == {None}
    assert [row["condition"] for row in per_frame(own)] == ["day-clear"] * len(days)
    for line in (own / "table.md").read_text().splitlines():
        if line.startswith(("| night", "| day-rain")):
            assert line.count("n/a") == 7
    for row in document(common / "comparison.json")["predictors"]:
        assert row["conditions"]["day-clear"]["abs_rel"]["value"] is not None
        for condition in ("night-clear", "day-rain", "night-rain"):
            assert all(set(cell.values()) == {None} for cell in row["conditions"][condition].values())
    for path in (
        own / "table.tex",
        common / "table.tex",
        common / "table.md",
        common / "report.html",
        own / "table.md",
    ):
        text = path.read_text()
        assert "n/a" in text, path
        assert "nan" not in re.findall(r"[a-z]+", text.lower()), path


def test_published_rows_stand_beside_or_the_reason_why_not_is_printed(runs, world_root, tmp_path, capsys, monkeypatch):
    args = words(world_root, tmp_path, "--weights", runs / "first", "--published", "--gallery", "0")
    assert evaluate_nuscenes.main(args) == 0
    out = capsys.readouterr().out
    assert "the published rows of nuscenes cannot be compared: they are over" in out  # this world has 8 frames
    common = tmp_path / "eval" / "nuscenes-val"
    assert not common.parent.exists()  # nothing to compare with
    assert (runs / "first" / "eval" / "val" / "report.html").is_file()
    here = tmp_path / "here"
    assert evaluate_nuscenes.main([*args, "--output", str(here), "--no-report"]) == 0
    assert sorted(path.name for path in here.iterdir()) == ["metrics.json", "per_frame.csv", "table.md", "table.tex"]
    rows = rows_of(TABLES["nuscenes"])
    monkeypatch.setattr(evaluation_run, "published_rows", lambda source, results: (rows, ""))
    assert evaluate_nuscenes.main(args) == 0
    found = [row for row in document(common / "comparison.json")["predictors"] if row["published"]]
    assert {row.method for row in rows} == {row["name"] for row in found}
    assert all(row["source"] for row in found)
    assert found[0]["name"] in (common / "report.html").read_text()


def test_robotcar_has_its_bounds_and_a_tool_of_its_own(runs, robotcar_prepared, tmp_path, capsys):
    data = ("DATA.ROOT", robotcar_prepared, "DATA.SIZE", "[64, 96]", "DATA.CROP", "[0, 0, 192, 320]")
    args = ["--cfg", CONFIG.with_name("robotcar.yaml"), *data, "--weights", runs / "first", "--split", "all"]
    args = [str(word) for word in (*args, "--output", tmp_path, "--gallery", 1, "RUN.NUM_WORKERS", 0)]
    assert evaluate_robotcar.main(args) == 0
    found = document(tmp_path / "metrics.json")
    assert (found["rules"]["min_depth"], found["rules"]["max_depth"]) == (0.1, 50.0)
    assert found["conditions"]["night-clear"]["frames"] > 0
    assert found["conditions"]["day-clear"]["frames"] > 0
    refused = error_of(capsys, evaluate_nuscenes, 2, args)
    assert (
        "DATA.SOURCE is robotcar, and this tool evaluates on nuscenes; run: python tools/evaluate_robotcar.py"
        in refused
    )
    refused = error_of(capsys, evaluate_robotcar, 2, words("x", tmp_path, "--weights", runs / "first"))
    assert (
        "DATA.SOURCE is nuscenes, and this tool evaluates on robotcar; run: python tools/evaluate_nuscenes.py"
        in refused
    )


@pytest.mark.parametrize(
    ("source", "split", "protocol"),
    [
        ("kitti", "all", "kitti_garg"),
        ("drivingstereo", "foggy", "drivingstereo"),
        ("booster", "train", "booster"),
        ("cleargrasp", "real", "cleargrasp"),
        ("image_folder", "val", "ude"),
    ],
)
def test_any_source_with_depth_is_evaluated(source, split, protocol, runs, tmp_path):
    write = made_folders.write_own_images if source == "image_folder" else getattr(made_folders, f"write_{source}")
    root = write(tmp_path / "data")
    args = words(root, tmp_path / "out", "--weights", runs / "first", "--split", split, "--gallery", 1)
    args += ["DATA.SOURCE", source, "EVAL.PROTOCOL", protocol, "--output", str(tmp_path / "results")]
    assert evaluate.main(args) == 0
    found = document(tmp_path / "results" / "metrics.json")
    assert found["rules"]["protocol"] == protocol
    assert found["conditions"]["all"]["frames"] > 0
    assert ("tom" in found["conditions"]) == (source in ("booster", "cleargrasp"))
    assert (tmp_path / "results" / "report.html").is_file()


def test_predictors_that_cannot_be_measured_are_refused_before_the_first_is(runs, world_root, tmp_path, capsys):
    seen = tmp_path / "relative"
    seen.mkdir()
    (seen / "predictions.json").write_text('{"schema_version": 1, "kind": "relative_inverse_depth"}')
    args = words(world_root, tmp_path, "--weights", runs / "second", f"relative={seen}", "--split", "test")
    assert "relative: EVAL.ALIGNMENT is median" in error_of(capsys, evaluate_nuscenes, 4, args)
    args += ["EVAL.ALIGNMENT", "least_squares"]
    assert "has no prediction for 8 of 8 frames" in error_of(capsys, evaluate_nuscenes, 4, args)
    assert not (runs / "second" / "eval" / "test").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["relative"]


def test_what_has_no_meaning_is_one_line(runs, world_root, tmp_path, capsys):
    def refused(code, *extra, root=world_root):
        args = words(root, tmp_path / "out", "--weights", runs / "first", *extra)
        return error_of(capsys, evaluate_nuscenes, code, args)

    file, empty = tmp_path / "file", tmp_path / "empty.txt"
    file.write_text("")
    empty.write_text("")
    assert "--weights: " in refused(4, "--weights", f"x={tmp_path / 'nowhere'}")
    assert "'<script>' is no predictor's name" in refused(2, "--weights", "<script>=x")
    assert "'a/b' is no predictor's name" in refused(2, "--weights", "a/b=x")
    assert "would be called first; write NAME=" in refused(2, "--weights", tmp_path / "first")
    assert "--gallery -1: must be 0 or more" in refused(2, "--gallery", "-1")
    assert "command line: EVAL.PROTOCOL booster is for DATA.SOURCE booster only; nuscenes takes md4all, ude, " in (
        refused(2, "EVAL.PROTOCOL", "booster")
    )
    assert "--kind depth: says what saved predictions are, but --weights names no" in refused(2, "--kind", "depth")
    assert f"cannot write {file}/x/.lock" in refused(4, "--output", file / "x")
    assert f"{file} is a file; choose a folder" in refused(4, "--output", file)
    assert "cannot make /proc/self/nothing: " in refused(4, "--output", "/proc/self/nothing")
    assert f"cannot write {file}/kept" in refused(4, "--save-predictions", file / "kept")
    assert str(empty) in refused(4, "--split", empty)
    assert "--split: vall: neither a split of nuscenes" in refused(4, "--split", "vall")
    assert "nowhere" in refused(4, root=tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "file"]
    with pytest.raises(SystemExit):
        evaluate_nuscenes.main(words(world_root, tmp_path, "--weights", "x", "--kind", "disparity"))
    assert "argument --kind: invalid choice: 'disparity'" in capsys.readouterr().err


def test_saved_predictions_without_a_description_need_their_kind(runs, world_root, val, tmp_path, capsys):
    folder = tmp_path / "depth"
    folder.mkdir()
    for index in range(len(val)):
        np.save(folder / f"{val.frame_id(index)}.npy", np.full((9, 16), 12.0, np.float32))
    args = words(world_root, tmp_path, "--weights", folder, "--no-report")
    assert "depth" in error_of(capsys, evaluate_nuscenes, 4, args)
    assert evaluate_nuscenes.main([*args, "--kind", "depth"]) == 0
    found = means(tmp_path / "eval" / "nuscenes-val" / "depth")["all"]
    assert found["abs_rel"] > 0
    assert "abs_rel_flip" not in found  # there are no mirrored maps
    assert "rmse: 12" not in capsys.readouterr().out


@pytest.mark.parametrize("tool", [evaluate, evaluate_nuscenes, evaluate_robotcar], ids=lambda tool: tool.__name__)
def test_help_names_every_option_and_complete_commands(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(["--help"])
    out = capsys.readouterr().out
    options = ("weights", "kind", "split", "output", "published", "no-report", "gallery", "save-predictions")
    assert all(f"--{option}" in out for option in options)
    assert f"python tools/{tool.__name__}.py --cfg configs/" in out
