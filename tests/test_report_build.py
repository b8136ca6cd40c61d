"""The report of an evaluation on the tiny world: what is collected, pictured and tested."""

import dataclasses
import re
from pathlib import Path

import made_folders
import numpy as np
import pytest
import torch
from evaluation_calls import CONFIG
from tiny_networks import depth_net
from yacs.config import CfgNode

from ude.build.comparison import compare
from ude.build.predictors import NamedPredictor, predictor
from ude.build.report import evaluation_report
from ude.config import load_config
from ude.evaluation.figures import depth_image
from ude.evaluation.report import render_report
from ude.models.checkpoint import save_model


def constant(name: str, depth: float, **options: object) -> NamedPredictor:
    """A predictor of one depth [m] everywhere."""
    return NamedPredictor(
        name=name,
        what=name,
        kind=options.pop("kind", "depth_net"),
        predict=lambda images: images.new_full((len(images), 1, *images.shape[-2:]), 1 / depth),
        **options,
    )


def settings(root: Path, *extra: str) -> CfgNode:
    """A config of a data set at a small size."""
    return load_config(CONFIG, ["DATA.ROOT", str(root), "DATA.SIZE", "[64, 96]", "EVAL.BATCH_SIZE", "4", *extra])


@pytest.fixture(scope="module")
def cfg(world_root):
    return settings(world_root)


@pytest.fixture(scope="module")
def measured(cfg):
    """Predictors and their results: two constants, one of them with two seeds, and a baseline."""
    predictors = {"ten": constant("ten", 10.0), "two": constant("two", 20.0)}
    predictors["mean"] = constant("mean", 15.0, kind="baseline")
    results = {name: [found] for name, found in compare(cfg, predictors, "val").items()}
    results["two"] += [compare(cfg, {"two": constant("two", 22.0)}, "val")["two"]]
    return predictors, results


@pytest.fixture(scope="module")
def report(cfg, measured):
    predictors, results = measured
    return evaluation_report(cfg, results, predictors, split="val", command="python tools/evaluate_nuscenes.py")


def test_the_header_says_what_was_evaluated_and_how(report):
    facts = report.facts
    assert facts["data"] == "nuscenes v1.0-trainval"
    assert facts["split"] == "val"
    assert facts["frames"] == "8"
    assert facts["scenes"] == "4"
    assert facts["input size"] == "64 x 96"
    assert (facts["protocol"], facts["alignment"], facts["LiDAR depth"]) == ("md4all", "median", "0.1 m to 80 m")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts["written"])
    assert "commit" in facts
    assert "commit" not in report.versions
    assert report.versions["torch"] == torch.__version__.partition("+")[0]


def test_baselines_are_in_the_tables_but_neither_pictured_nor_tested(report):
    assert [row.name for row in report.table.rows] == ["ten", "two", "mean"]
    assert [row.seeds for row in report.table.rows] == [1, 2, 1]
    assert {(row.name, row.reference) for row in report.paired} == {("two", "ten")}
    assert {name for row in report.gallery.rows for name in row.columns} == {"input", "ten", "two"}
    errors = next(iter(report.ranges.values()))
    assert [curve.name for curve in errors[0].curves] == ["ten", "two", "mean"]
    assert [(row.name, row.kind, row.frames_per_second > 0) for row in report.evaluated] == [
        ("ten", "depth_net", True),
        ("two", "depth_net", True),
        ("mean", "baseline", True),
    ]


def test_each_condition_has_its_best_and_worst_frame_by_the_mean_error(report, measured):
    results = [found[0] for name, found in measured[1].items() if name != "mean"]
    for condition in ("day-clear", "night-clear", "day-rain", "night-rain"):
        rows = [row for row in report.gallery.rows if row.condition == condition]
        assert [row.note.partition(" · ")[0] for row in rows] == ["best", "worst"]  # two frames a condition
        errors = {
            frame.frame_id: np.mean(
                [next(f for f in r.frames if f.frame_id == frame.frame_id).values["abs_rel"] for r in results]
            )
            for frame in results[0].members(condition)
        }
        assert [row.frame_id for row in rows] == sorted(errors, key=errors.get)
        assert rows[0].note == f"best · mean absRel {min(errors.values()):.3f}"
        of_ten = next(f for f in results[0].frames if f.frame_id == rows[0].frame_id).values
        note = rows[0].columns["ten"][1].note
        assert note == f"absRel {of_ten['abs_rel']:.3f} · d1 {100 * of_ten['delta_1']:.1f} %"
    assert "mean absRel of the pictured predictors. Depths are as predicted" in report.gallery.text
    assert report.gallery.text.endswith(" Pictures: seed 1 of 2 (two).")


def test_pictures_show_the_depth_that_was_predicted(report, cfg):
    scale = {"near": report.gallery.near, "far": report.gallery.far}
    for row in report.gallery.rows:
        for name, depth in (("ten", 10.0), ("two", 20.0)):
            expected = depth_image(np.array([[depth]]), **scale)[0, 0]
            assert (row.columns[name][0].image == expected).all()


def test_relative_predictors_are_pictured_and_ordered_aligned(world_root):
    aligned = settings(world_root, "EVAL.ALIGNMENT", "least_squares")
    predictors = {"ten": constant("ten", 10.0), "relative": constant("relative", 0.2, metric=False)}
    results = {name: [found] for name, found in compare(aligned, predictors, "val").items()}
    report = evaluation_report(aligned, results, predictors, split="val", gallery=1)
    assert len(report.gallery.rows) == 4
    assert all(row.note.startswith("median · mean absRel scaled") for row in report.gallery.rows)
    for row in report.gallery.rows:  # constants fit the same depth, whatever they are
        ten, relative = (row.columns[name][0].image.astype(int) for name in ("ten", "relative"))
        assert np.abs(ten - relative).max() <= 1
    assert "aligned to the LiDAR" in report.gallery.text
    assert report.evaluated[1].kind == "depth_net, relative"
    assert "n/a" in render_report(report)


def test_parts_of_frames_are_conditions_like_others(tmp_path):
    root = made_folders.write_booster(tmp_path / "booster")
    options = [*("DATA.SOURCE", "booster", "EVAL.PROTOCOL", "booster", "EVAL.ALIGNMENT", "least_squares")]
    tom = settings(root, *options, "EVAL.MIN_DEPTH", "0.001", "EVAL.MAX_DEPTH", "10.0")
    predictors = {"relative": constant("relative", 2.0, metric=False)}
    results = {"relative": [compare(tom, predictors, "train")["relative"]]}
    report = evaluation_report(tom, results, predictors, split="train", gallery=1)
    assert [row.condition for row in report.gallery.rows] == ["tom", "other", "all"]
    assert report.gallery.far <= 10
    assert {row.note.partition(" 0.")[0] for row in report.gallery.rows} == {"median · absRel scaled"}  # no mean of one
    assert "all predictors" not in report.gallery.text
    assert "seed" not in report.gallery.text
    assert "d1.05" in render_report(report)


def test_curves_over_range_are_those_of_all_seeds(report, measured):
    curve = next(iter(report.ranges.values()))[0].curves[1]
    first, second = (found.ranges.curves["day-clear"][""].abs_rel for found in measured[1]["two"])
    known = [(one + other) / 2 for one, other in zip(first, second, strict=True) if one is not None]
    assert [value for _, value in curve.points] == pytest.approx(known)
    assert first != second


def test_predictions_out_of_files_have_no_speed(cfg, measured):
    results = {"kept": measured[1]["ten"]}
    predictors = {"kept": constant("kept", 10.0, kind="saved")}
    report = evaluation_report(cfg, results, predictors, split="val", gallery=0)
    assert report.evaluated[0].from_files
    assert "<td>read from files</td>" in render_report(report)


def test_weights_are_named_with_their_checksums(cfg, measured, tmp_path):
    save_model(depth_net(), tmp_path / "run" / "depth_net")
    found = predictor(tmp_path / "run", "cpu", name="run")
    results = {"run": [compare(cfg, {"run": found}, "val")["run"]]}
    weights = {"run": [str(tmp_path / "run")]}
    report = evaluation_report(cfg, results, {"run": found}, split="val", gallery=0, weights=weights)
    assert report.evaluated[0].weights == weights["run"][0]
    assert re.fullmatch(r"[0-9a-f]{16}", report.evaluated[0].sha256)
    assert report.gallery is None
    assert report.paired == ()
    assert weights["run"][0] in render_report(report)


def test_a_report_of_four_conditions_and_three_predictors_is_small(report, measured):
    page = render_report(report)
    assert page.count("<img") == 4 * 2 * 2 * 3
    assert len(page) < 1_000_000
    assert dataclasses.replace(report, title="x").title == "x"
