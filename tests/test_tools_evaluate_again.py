"""Evaluations of one predictor after each other: what stays beside new results, what they replace, and what is told."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree

import evaluate
import evaluate_nuscenes
import made_folders
import pytest
from evaluation_calls import CONFIG, document, error_of, save_runs, words

from ude.build import evaluation_run
from ude.evaluation.published import rows_of
from ude.evaluation.published_tables import TABLES

TOOLS = Path(__file__).parents[1] / "tools"
RESULTS = ["metrics.json", "per_frame.csv", "table.md", "table.tex"]


@pytest.fixture
def run(tmp_path):
    """A run folder of its own."""
    return save_runs(tmp_path, "run", "other") / "run"


@pytest.fixture
def evaluated(run, world_root, tmp_path, capsys):
    """Evaluates the run with further arguments; returns what is printed."""

    def call(*extra: object, weights=(run,), tool=evaluate_nuscenes, root=world_root) -> str:
        capsys.readouterr()
        args = words(root, tmp_path / "out", "--weights", *weights, "--gallery", 0)
        assert tool.main([*args, *map(str, extra)]) == 0
        return capsys.readouterr().out

    return call


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_no_report_or_comparison_of_an_earlier_evaluation_stays_beside_new_results(run, evaluated, tmp_path):
    both, folder = (run, tmp_path / "other"), run / "eval" / "val"
    evaluated()
    assert names(folder) == sorted([*RESULTS, "report.html"])
    evaluated("--no-report")
    assert names(folder) == RESULTS
    evaluated()
    evaluated(weights=both)  # its report is that of both
    assert names(folder) == RESULTS
    common = tmp_path / "out" / "eval" / "nuscenes-val"
    assert "report.html" in names(common)
    evaluated("--no-report", weights=both)
    assert names(common) == ["comparison.json", "table.md", "table.tex"]


def test_a_folder_holds_either_results_or_a_comparison(run, evaluated, tmp_path):
    here = tmp_path / "here"
    evaluated("--output", here)
    evaluated("--output", here, "--no-report", weights=(run, tmp_path / "other"))
    assert names(here) == ["comparison.json", "table.md", "table.tex"]
    evaluated("--output", here, "--no-report")
    assert names(here) == RESULTS


def test_a_comparison_does_not_go_where_the_results_of_a_predictor_do(run, evaluated, world_root, tmp_path, capsys):
    evaluated("--no-report")
    folder = run / "eval" / "val"
    args = words(world_root, tmp_path, "--weights", run, tmp_path / "other", "--output", folder)
    assert f"--output {folder}: the results of run go there; choose another folder" in (
        error_of(capsys, evaluate_nuscenes, 2, args)
    )
    assert names(folder) == RESULTS


def test_evaluations_by_other_rules_have_folders_of_their_own(run, evaluated):
    for extra in ((), ("EVAL.ALIGNMENT", "none"), ("EVAL.PROTOCOL", "ude", "EVAL.ALIGNMENT", "least_squares")):
        assert "replaces" not in evaluated("--no-report", *extra)
    assert names(run / "eval") == ["val", "val-none", "val-ude-least_squares"]
    assert document(run / "eval" / "val" / "metrics.json")["rules"]["alignment"] == "median"


def test_results_that_are_replaced_by_those_of_other_rules_are_told(evaluated, run, tmp_path):
    output = ("--no-report", "--output", tmp_path / "here")
    assert "replaces" not in evaluated(*output)
    assert "replaces" not in evaluated(*output)  # by the same ones
    rules = "Protocol md4all, alignment median, LiDAR depths from 0.1 m to 80 m"
    line = f"note: {tmp_path / 'here'}: replaces the results of nuscenes, split val: {rules}\n"
    assert line in evaluated(*output, "EVAL.MAX_DEPTH", 60)
    assert line.replace("80", "60") in evaluated(*output, "--split", "test", "EVAL.MAX_DEPTH", 60)
    assert "split test: " in evaluated(*output, weights=(run, tmp_path / "other"))
    assert "replaces" not in evaluated(*output, weights=(run, tmp_path / "other"))
    assert line in evaluated(*output, "EVAL.MAX_DEPTH", 60, weights=(run, tmp_path / "other"))  # a comparison


def test_results_on_another_source_than_that_of_the_training_are_kept_apart(run, evaluated, tmp_path):
    (run / "config.yaml").write_text("DATA:\n  SOURCE: nuscenes\n")
    root = made_folders.write_own_images(tmp_path / "images")
    evaluated("--no-report")
    evaluated("--no-report", "DATA.SOURCE", "image_folder", tool=evaluate, root=root)
    assert names(run / "eval") == ["image_folder-val", "val"]


def test_published_rows_that_can_be_compared_make_a_comparison_of_one(run, evaluated, tmp_path, monkeypatch):
    rows = rows_of(TABLES["nuscenes"])
    monkeypatch.setattr(evaluation_run, "published_rows", lambda source, results: (rows, ""))
    assert "comparison: " in evaluated("--published", "--no-report")
    assert "comparison.json" in names(tmp_path / "out" / "eval" / "nuscenes-val")
    assert names(run / "eval" / "val") == RESULTS


def test_a_resumed_evaluation_says_how_many_frames_were_predicted_before(run, evaluated, tmp_path, caplog):
    caplog.set_level("INFO")
    kept = tmp_path / "kept"
    evaluated("--no-report", "--save-predictions", kept)
    assert "predicted before" not in caplog.text
    sorted(kept.glob("*.npz"))[0].unlink()
    evaluated("--no-report", "--save-predictions", kept)
    assert f"{kept}: 7 of 8 frames were predicted before" in caplog.text


@pytest.mark.parametrize("extra", [("--weights", "nowhere"), ("--weights", "a/b=x"), ("--weights", "run", "x/run"), ()])
def test_mistakes_in_weights_are_found_before_torch_is_loaded(run, tmp_path, extra):
    code = "import sys; import evaluate; code = evaluate.main(sys.argv[1:]); print(code, 'torch' in sys.modules)"
    args = ["--cfg", str(CONFIG), *(extra or ("--weights", "run", "--kind", "depth"))]
    result = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=copytree(tmp_path, tmp_path / "here"),
        env={"PYTHONPATH": f"{TOOLS}:{TOOLS.parent}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.split()[-2:] in (["2", "False"], ["4", "False"]), result.stderr
    assert result.stderr.startswith("error: --")
    assert result.stderr.count("\n") == 1
