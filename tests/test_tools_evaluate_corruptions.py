"""The kinds of predictors that the tool for corruptions takes, and what it prints of them."""

import torch
from corruption_runs import call, document, error_of, save_runs
from foreign_weights import save_monodepth2
from tiny_foundation import save_depth_anything


def test_the_speed_is_printed_of_what_was_measured_now(world_root, tmp_path, capsys):
    save_runs(tmp_path)
    args = ("--baseline", str(tmp_path / "second"), "--output", str(tmp_path / "out"))
    assert call(world_root, tmp_path / "first", *args) == 0
    out = capsys.readouterr().out
    for name in ("first", "second"):
        speed = out.partition(f"{tmp_path / name}: ")[2].partition(" frames per second")[0]
        assert 0 < float(speed) < 1e5
    assert call(world_root, tmp_path / "first", *args) == 0
    assert "frames per second" not in capsys.readouterr().out


def test_checkpoints_of_others_are_measured_below_the_output_folder(world_root, tmp_path):
    monodepth2 = tmp_path / "mono_640x192"
    monodepth2.mkdir()
    save_monodepth2(monodepth2, torch.Generator().manual_seed(0))
    before = sorted(path.name for path in monodepth2.iterdir())
    assert call(world_root, monodepth2, "OUTPUT_DIR", str(tmp_path / "out")) == 0
    assert sorted(path.name for path in monodepth2.iterdir()) == before
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name.endswith("--mono_640x192")
    found = document(folder / "eval" / "corruptions_val")
    assert set(found["scores"]) == {"plain", "_median"}


def test_a_relative_network_has_aligned_scores_only(world_root, tmp_path, capsys):
    relative = tmp_path / "relative"
    save_depth_anything(relative)
    wrong = error_of(capsys, 4, world_root, relative, "OUTPUT_DIR", str(tmp_path / "out"))
    assert "--weights: EVAL.ALIGNMENT is median" in wrong
    args = ("EVAL.ALIGNMENT", "least_squares", "--output", str(tmp_path / "results"))
    assert call(world_root, relative, "--baseline", str(relative), *args) == 0
    scores = document(tmp_path / "results")["scores"]
    assert set(scores) == {"_least_squares"}
    assert scores["_least_squares"]["mce"] == 1
    run = save_runs(tmp_path) / "first"
    assert call(world_root, run, "--baseline", str(relative), *args) == 0
    scores = document(tmp_path / "results")["scores"]
    assert set(scores) == {"_least_squares"}  # the baseline has no other
    assert scores["_least_squares"]["mce"] != 1


def test_saved_predictions_are_refused(world_root, tmp_path, capsys):
    (tmp_path / "predictions.json").write_text('{"schema_version": 1, "kind": "depth"}')
    wrong = error_of(capsys, 4, world_root, tmp_path)
    assert f"--weights: {tmp_path} holds predictions for clean frames only; name the network that made them" in wrong


def test_a_baseline_of_other_image_sizes_is_refused(world_root, tmp_path, capsys):
    run = save_runs(tmp_path) / "first"
    few = ("--corruptions", "contrast", "--severities", "1", "--output", str(tmp_path / "results"))
    assert call(world_root, run, *few) == 0
    saved = ("--baseline", str(tmp_path / "results" / "corruptions.json"), *few)
    assert call(world_root, run, *saved) == 0
    wrong = error_of(capsys, 4, world_root, run, *saved, "DATA.SIZE", "[64, 128]")
    assert "was measured with another size ([64, 96], here [64, 128]); name the run, to measure it alike" in wrong
