"""Robustness: what is compared and kept together was measured alike."""

import json
import shutil

import demo_report
import evaluate_nuscenes
import numpy as np
import pytest
from corruption_runs import CONFIG, call, count_batches, document, error_of, save_runs
from evaluation_frames import frame, measure

from ude.build.evaluation import evenly_spread
from ude.build.predictor_kinds import weights_hash
from ude.evaluation.corruptions.frames import CorruptedFrames
from ude.evaluation.result_files import read_results


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return save_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def counted(monkeypatch):
    return count_batches(monkeypatch)


def test_a_baseline_of_other_frames_or_severities_is_refused(runs, world_root, tmp_path, capsys):
    out = ("--output", str(tmp_path))
    assert call(world_root, runs / "first", *out) == 0
    saved = str(tmp_path / "corruptions.json")
    other = error_of(capsys, 4, world_root, runs / "first", *out, "--baseline", saved, "--frames", "1")
    assert "measured with another frames_hash" in other
    other = error_of(capsys, 4, world_root, runs / "first", *out, "--baseline", saved, "--severities", "2")
    assert "lacks gaussian_noise at severity 2" in other


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("EVAL.PROTOCOL", "ude", "another protocol (md4all, here ude)"),
        ("EVAL.ALIGNMENT", "least_squares", "another alignment (median, here least_squares)"),
        ("EVAL.MIN_DEPTH", "1.0", "another min_depth (0.1, here 1.0)"),
        ("EVAL.MAX_DEPTH", "40.0", "another max_depth (80.0, here 40.0)"),
    ],
)
def test_a_baseline_measured_by_other_rules_is_refused_before_any_pass(
    runs, world_root, tmp_path, capsys, counted, key, value, message
):
    assert call(world_root, runs / "first", "--output", str(tmp_path / "saved")) == 0
    before, saved = counted["batches"], str(tmp_path / "saved" / "corruptions.json")
    out = ("--output", str(tmp_path / "out"), key, value)
    assert f"measured with {message}" in error_of(capsys, 4, world_root, runs / "first", "--baseline", saved, *out)
    assert counted["batches"] == before


def test_the_settings_of_a_network_tell_it_from_another_of_the_same_weights(runs, tmp_path):
    run = shutil.copytree(runs / "first", tmp_path / "run")
    before = weights_hash(str(run))
    assert before == weights_hash(str(runs / "first")) == weights_hash(str(run / "depth_net"))
    settings = json.loads((run / "depth_net" / "config.json").read_text())
    (run / "depth_net" / "config.json").write_text(json.dumps(settings | {"max_depth": 55.0}))
    assert weights_hash(str(run)) != before


def test_frames_are_spread_evenly_and_none_is_taken_twice():
    for total in range(1, 41):
        for count in range(1, total + 3):
            places = evenly_spread(range(total), count)
            assert len(places) == len(set(places)) == min(count, total)
            assert places == sorted(places)
            gaps = np.diff([-1 - places[0], *places, 2 * total - places[-1]])
            assert gaps.max() - gaps.min() <= 2
            assert set(places) <= set(range(total))


def test_a_quick_look_and_another_protocol_have_folders_of_their_own(runs, world_root, tmp_path):
    run = shutil.copytree(runs / "first", tmp_path / "run")
    few = ("--corruptions", "contrast", "--severities", "1")
    for extra in ((), ("--frames", "1"), ("--frames", "9", "EVAL.PROTOCOL", "ude")):
        assert call(world_root, run, *few, *extra) == 0
    names = {"corruptions_val": 2, "corruptions_val-1": 1, "corruptions_val-ude-9": 2}
    assert {path.name: document(path)["frames"] for path in (run / "eval").iterdir()} == names
    texts = {name: (run / "eval" / name / "table.md").read_text().splitlines()[0] for name in names}
    assert texts["corruptions_val"] == "Protocol md4all, alignment median, LiDAR depths from 0.1 m to 80 m"
    assert texts["corruptions_val-ude-9"].startswith("Protocol ude,")


def test_metrics_of_another_protocol_have_a_folder_of_their_own(runs, world_root, tmp_path):
    run = shutil.copytree(runs / "first", tmp_path / "run")
    options = ["--cfg", str(CONFIG), "--weights", str(run), "DATA.ROOT", str(world_root), "DATA.SIZE", "[64, 96]"]
    assert evaluate_nuscenes.main([*options, "--split", "val"]) == 0
    assert evaluate_nuscenes.main([*options, "--split", "val", "EVAL.PROTOCOL", "ude"]) == 0
    found = {path.name: read_results(path).protocol for path in (run / "eval").iterdir()}
    assert found == {"val": "md4all", "val-ude": "ude"}


def test_the_demo_prints_the_tables_of_its_alignment():
    results = measure([frame("a")], alignment="least_squares")
    text = demo_report._tables("student", results)
    assert "student, aligned by scale and shift\n" in text
    assert results.table("_least_squares") in text


def test_a_pass_that_lost_a_frame_is_refused_and_not_kept(runs, world_root, tmp_path, capsys, monkeypatch):
    original = CorruptedFrames.__getitems__

    def without_first(self, indices):
        samples = original(self, indices)
        return samples[1:] if self.corruption == "fog" else samples

    monkeypatch.setattr(CorruptedFrames, "__getitems__", without_first)
    found = error_of(capsys, 4, world_root, runs / "first", "--output", str(tmp_path))
    assert "fog at severity 1 was measured on 1 frames, the clean pass on 2: some could not be read" in found
    rows = [json.loads(line) for line in (tmp_path / "corruptions.jsonl").read_text().splitlines()]
    assert [row["corruption"] for row in rows] == ["clean", "gaussian_noise", "gaussian_noise"]
    assert not (tmp_path / "corruptions.json").exists()
