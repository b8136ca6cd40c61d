"""Corrupted frames of a data set, and the tool that measures a network on them."""

import numpy as np
import pytest
import torch
from corruption_runs import call, count_batches, document, error_of, save_runs

from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.data.seeds import derived_seed
from ude.evaluation.corruptions import corrupt
from ude.evaluation.corruptions.frames import CorruptedFrames


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return save_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def counted(monkeypatch):
    return count_batches(monkeypatch)


def test_frames_are_corrupted_at_the_input_size_by_their_own_seed(val):
    frames = EvaluationFrames(val, size=(64, 96))
    taken = CorruptedFrames(frames, [3, 1], corruption="gaussian_noise", severity=2, seed=7)
    (batch,) = EvaluationLoader(taken, 4)
    assert batch["frame_id"] == [val.frame_id(3), val.frame_id(1)]
    for place, index in enumerate((3, 1)):
        clean = frames[index]
        pixels = clean["input"].permute(1, 2, 0).numpy().copy()
        seed = derived_seed(7, val.frame_id(index), "gaussian_noise", 2)
        expected = corrupt(pixels, "gaussian_noise", 2, seed=seed)
        assert np.array_equal(batch["input"][place].permute(1, 2, 0).numpy(), expected)
        assert torch.equal(taken[place]["lidar_value"], clean["lidar_value"])
    noise = [batch["input"][place].int() - frames[index]["input"].int() for place, index in enumerate((3, 1))]
    assert not torch.equal(noise[0], noise[1])
    (as_they_are,) = EvaluationLoader(CorruptedFrames(frames, [3], corruption=None, severity=0, seed=7), 1)
    assert torch.equal(as_they_are["input"][0], frames[3]["input"])


def test_the_tool_measures_scores_and_writes(runs, world_root, capsys):
    assert call(world_root, runs / "first", "--baseline", str(runs / "second")) == 0
    folder = runs / "first" / "eval" / "corruptions_val"
    found = document(folder)
    assert found["frames"] == 2  # day-clear frames only
    assert [(row["corruption"], row["severity"]) for row in found["rows"]][:3] == [
        ("clean", 0),
        ("gaussian_noise", 1),
        ("gaussian_noise", 5),
    ]
    assert len(found["rows"]) == 7
    plain = found["scores"]["plain"]
    row = next(row for row in found["rows"] if (row["corruption"], row["severity"]) == ("fog", 5))["values"]
    assert plain["corruptions"]["fog"]["errors"]["5"] == pytest.approx((row["abs_rel"] - row["delta_1"] + 1) / 2)
    shares = [score["corruption_error"] for score in plain["corruptions"].values()]
    assert plain["mce"] == pytest.approx(sum(shares) / 3)
    assert plain["mce"] != pytest.approx(1, abs=1e-3)
    text = (folder / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert f"mCE {100 * plain['mce']:.2f} %" in text


def test_what_is_measured_once_is_not_measured_again(runs, world_root, tmp_path, counted):
    out = ("--output", str(tmp_path))
    counted["stop"] = 3
    assert call(world_root, runs / "first", *out) == 130
    rows = (tmp_path / "corruptions.jsonl").read_text().splitlines()
    assert len(rows) == 3
    assert not (tmp_path / "corruptions.json").exists()
    counted["stop"] = None
    assert call(world_root, runs / "first", *out) == 0
    assert counted["batches"] == 7  # the clean frames and six passes, none of them twice
    cut = document(tmp_path)
    assert call(world_root, runs / "first", *out) == 0
    assert (counted["batches"], counted["loaded"]) == (7, 2)  # nor is the network loaded
    assert call(world_root, runs / "first", "--output", str(tmp_path / "whole")) == 0
    assert cut["rows"] == document(tmp_path / "whole")["rows"]
    before = counted["batches"]
    for other in (("SEED", "3"), ("EVAL.MAX_DEPTH", "40.0")):
        assert call(world_root, runs / "first", *out, "--frames", "2", *other) == 0
    assert call(world_root, runs / "second", *out) == 0
    assert counted["batches"] == before + 3 * 7  # another seed, protocol or network is measured anew


def test_a_network_against_itself_has_100_percent_and_one_that_sees_nothing_loses_nothing(
    runs, world_root, tmp_path, counted
):
    counted["constant"] = True
    run = str(runs / "first")
    assert call(world_root, run, "--baseline", run, "--output", str(tmp_path)) == 0
    found = document(tmp_path)
    assert counted["batches"] == 14  # both in one file; the second is prepared before the first is measured
    for mode in found["scores"].values():
        assert mode["mce"] == pytest.approx(1, abs=1e-12)
        assert mode["mrr"] == pytest.approx(1, abs=1e-12)
    saved = str(tmp_path / "corruptions.json")
    assert call(world_root, run, "--baseline", saved, "--output", str(tmp_path)) == 0
    assert document(tmp_path)["scores"]["plain"]["mce"] == pytest.approx(1, abs=1e-12)


def test_settings_without_a_meaning_are_named(runs, world_root, tmp_path, capsys):
    def refused(*extra, code=2):
        return error_of(capsys, code, world_root, runs / "first", "--output", str(tmp_path / "out"), *extra)

    assert "--corruptions: must be of gaussian_noise" in refused("--corruptions", "rain")
    assert "--severities: must be of 1, 2, 3, 4, 5, got 6" in refused("--severities", "6")
    assert "--conditions: must be of day-clear" in refused("--conditions", "dusk")
    assert "--frames 0: must be at least 1" in refused("--frames", "0")
    assert "x: no such folder; set DATA.ROOT" in refused("--severities", "1", "DATA.ROOT", "x", code=4)
    nowhere = str(tmp_path / "nowhere")
    assert "--baseline: no trained model in" in refused("--baseline", nowhere, code=4)
    assert "--baseline: there is no file" in refused("--baseline", f"{nowhere}.json", code=4)
    (tmp_path / "x.json").write_text("{}")
    assert "is no corruptions.json" in refused("--baseline", str(tmp_path / "x.json"), code=4)
    assert "--weights: no trained model" in error_of(capsys, 4, world_root, tmp_path / "none")
    assert not (tmp_path / "out").exists()


def test_a_split_without_a_frame_of_the_condition_is_refused(runs, world_root, val, tmp_path, capsys):
    nights = [val.frame_id(index) for index in range(len(val)) if val.condition(index) == "night-clear"]
    no_day = tmp_path / "night.txt"
    no_day.write_text("".join(f"{name} night-clear\n" for name in nights))
    refused = error_of(capsys, 4, world_root, runs / "first", "--split", str(no_day))
    assert f"split {no_day} has no day-clear frame; choose with --split or --conditions" in refused
