"""Translation of a data set: what is written, what is resumed, and what changes nothing."""

import json
import os
import signal
from dataclasses import FrozenInstanceError

import pytest
import torch
from translation_runs import (
    NIGHT,
    RAIN,
    SIZE,
    Frames,
    Recorder,
    counts,
    grey,
    images_of,
    leftovers,
    rows_of,
    run,
    tree_of,
)

from ude.files import DataError, read_image, read_jsonl, sha256
from ude.translation import CONDITIONS, seed_of
from ude.translation.simulated import SimulatedTranslator


def test_every_frame_and_condition_gets_an_image_and_a_row(tmp_path):
    source = Frames()
    summary = run(tmp_path, source)
    assert counts(summary) == (10, 0, 0)
    assert summary.total == 10
    assert summary.gallery == tmp_path / "index.html"
    assert summary.gallery.is_file()
    assert set(images_of(tmp_path)) == {f"{c}/frame-{i}.jpg" for c in ("night", "rain") for i in range(5)}
    rows = rows_of(tmp_path)
    assert len(read_jsonl(tmp_path / "manifest.jsonl")) == len(rows) == 10
    row = rows["frame-3", "rain"]
    assert row["verdict"] == "accepted"
    assert row["attempt"] == 0
    assert row["seed"] == seed_of(0, "frame-3", "rain")
    assert row["prompt"] in RAIN.phrases
    assert row["reference"] is None
    assert row["size"] == list(SIZE)
    assert row["config_hash"] == "abc"
    assert row["result_sha256"] == sha256(tmp_path / "rain" / "frame-3.jpg")
    assert len(row["source_sha256"]) == 64
    assert leftovers(tmp_path) == []


def test_the_manifest_is_in_the_order_of_the_frames(tmp_path):
    source = Frames()
    source.ids = ["frame-3", "frame-0", "frame-4"]
    run(tmp_path, source, conditions=[RAIN, NIGHT])
    rows = [(row["frame_id"], row["condition"]) for row in read_jsonl(tmp_path / "manifest.jsonl")]
    assert rows == [(name, condition) for name in source.ids for condition in ("night", "rain")]


def test_the_image_is_the_frame_at_the_translators_size(tmp_path):
    recorder = Recorder()
    run(tmp_path, translator=recorder)
    assert read_image(tmp_path / "night" / "frame-0.jpg").shape == (*SIZE, 3)
    assert recorder.calls[0]["images"].shape == (2, 3, *SIZE)
    mean = torch.from_numpy(Frames().pixels["frame-0"]).float().mean() / 255
    assert float(recorder.calls[0]["images"][0].mean()) == pytest.approx(float(mean), abs=0.01)


def test_resuming_a_finished_run_does_nothing(tmp_path):
    run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    recorder = Recorder()
    assert counts(run(tmp_path, translator=recorder)) == (0, 10, 0)
    assert recorder.calls == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")} == before


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_lets_the_batch_finish_and_the_resumed_files_are_those_of_an_uninterrupted_run(
    tmp_path, number, raised
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole)
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    def interrupt(call):
        if call == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(raised) as caught:
        run(cut, translator=Recorder(interrupt))
    assert number == signal.SIGINT or caught.value.code == 143
    assert len(images_of(cut)) == len(rows_of(cut)) == 6  # the third batch was finished, and what waited was written
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert leftovers(cut) == []
    assert counts(run(cut)) == (4, 6, 0)
    assert tree_of(cut) == tree_of(whole)


def test_a_signal_during_the_control_depth_lets_its_batch_finish(tmp_path):
    def depth(images):
        os.kill(os.getpid(), signal.SIGTERM)
        return grey(images)

    with pytest.raises(SystemExit) as caught:
        run(tmp_path, depth=depth)
    assert caught.value.code == 143
    assert len(list((tmp_path / "control").iterdir())) == 2
    seen = []
    assert counts(run(tmp_path, depth=lambda images: seen.append(len(images)) or grey(images))) == (10, 0, 0)
    assert seen == [2, 2]  # three frames


def test_a_crash_between_image_and_row_only_repeats_that_image(tmp_path):
    run(tmp_path)
    whole = tree_of(tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(lines[:-2]) + lines[-2][:30])  # one row lost, one half written
    assert counts(run(tmp_path)) == (2, 8, 0)
    assert tree_of(tmp_path) == whole


def test_only_a_changed_source_is_translated_again(tmp_path):
    source = Frames()
    run(tmp_path, source, depth=grey)
    before = images_of(tmp_path)
    source.pixels["frame-3"] = 255 - source.pixels["frame-3"]
    assert counts(run(tmp_path, source, depth=grey)) == (2, 8, 0)
    after = images_of(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"night/frame-3.jpg", "rain/frame-3.jpg"}
    assert len(read_jsonl(tmp_path / "manifest.jsonl")) == 10
    run(tmp_path / "anew", source, depth=grey)
    assert tree_of(tmp_path / "anew") == {n: data for n, data in tree_of(tmp_path).items() if not n.startswith("anew")}


def test_a_lost_or_damaged_result_is_made_again(tmp_path):
    run(tmp_path)
    whole = images_of(tmp_path)
    (tmp_path / "night" / "frame-1.jpg").unlink()
    (tmp_path / "rain" / "frame-4.jpg").write_bytes(whole["rain/frame-4.jpg"][:100])
    assert counts(run(tmp_path)) == (2, 8, 0)
    assert images_of(tmp_path) == whole


def test_another_condition_can_be_added_later(tmp_path):
    run(tmp_path / "a", conditions=[NIGHT])
    assert counts(run(tmp_path / "a", conditions=[NIGHT, RAIN])) == (5, 5, 0)
    run(tmp_path / "b")
    assert images_of(tmp_path / "a") == images_of(tmp_path / "b")
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b")


def test_the_folder_of_another_config_is_refused_in_one_line(tmp_path):
    run(tmp_path)
    with pytest.raises(DataError, match="holds frames translated with config abc, not xyz; choose another") as caught:
        run(tmp_path, config_hash="xyz")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert json.loads((tmp_path / "translation.json").read_text())["config_hash"] == "abc"


def test_a_condition_may_come_later_but_not_change(tmp_path):
    first = {"night": "a"}
    run(tmp_path, conditions=[NIGHT], condition_hashes=first)
    assert counts(run(tmp_path, condition_hashes={**first, "rain": "b"})) == (5, 5, 0)
    assert json.loads((tmp_path / "translation.json").read_text())["conditions"] == {"night": "a", "rain": "b"}
    with pytest.raises(DataError, match="translated with other phrases, limits or references of 'night'; choose"):
        run(tmp_path, condition_hashes={"night": "c", "rain": "b"})
    assert counts(run(tmp_path, conditions=[RAIN], condition_hashes={"rain": "b"})) == (0, 5, 0)


def test_the_batch_is_constant_and_its_size_does_not_matter(tmp_path):
    recorder = Recorder()
    run(tmp_path / "2", translator=recorder)
    assert {len(call["images"]) for call in recorder.calls} == {2}
    run(tmp_path / "1", batch_size=1)
    run(tmp_path / "8", batch_size=8)
    assert images_of(tmp_path / "1") == images_of(tmp_path / "2") == images_of(tmp_path / "8")


def test_the_order_of_the_frames_does_not_matter(tmp_path):
    reversed_frames = Frames()
    reversed_frames.ids.reverse()
    run(tmp_path / "a")
    run(tmp_path / "b", reversed_frames)
    assert images_of(tmp_path / "a") == images_of(tmp_path / "b")


def test_the_simulated_translator_gives_the_same_files_in_any_batch(tmp_path):
    def depth(images):
        return torch.linspace(0.01, 0.3, SIZE[0]).view(1, 1, -1, 1).expand(len(images), 1, *SIZE)

    run(tmp_path / "a", translator=SimulatedTranslator(), depth=depth)
    run(tmp_path / "b", translator=SimulatedTranslator(), depth=depth, batch_size=3)
    assert images_of(tmp_path / "a") == images_of(tmp_path / "b")
    assert len(set(images_of(tmp_path / "a").values())) == 10


def test_the_seed_changes_every_image(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b", seed=1)
    first, second = images_of(tmp_path / "a"), images_of(tmp_path / "b")
    assert all(first[name] != second[name] for name in first)


def test_a_frame_name_cannot_lead_out_of_the_folder(tmp_path):
    source = Frames(1)
    source.pixels["../../evil"] = source.pixels.pop("frame-0")
    source.ids = ["../../evil"]
    with pytest.raises(DataError, match=r"unsafe path .*\.\."):
        run(tmp_path / "out", source)


def test_a_full_disk_ends_the_run_with_its_own_error(tmp_path, monkeypatch):
    from ude.files import DiskFullError
    from ude.translation.run import images

    def full(path, pixels):
        raise DiskFullError(f"no space left to write {path}")

    monkeypatch.setattr(images, "write_image", full)
    with pytest.raises(DiskFullError, match=r"no space left to write .*night"):
        run(tmp_path)
    monkeypatch.undo()
    assert counts(run(tmp_path)) == (10, 0, 0)


def test_seeds_are_63_bits_and_depend_on_every_part():
    seeds = {seed_of(0, "a", "night"), seed_of(1, "a", "night"), seed_of(0, "b", "night"), seed_of(0, "a", "rain")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_conditions_begin_with_the_papers_phrases_and_are_constant():
    assert [CONDITIONS[name].phrases[0] for name in ("night", "rain", "snow", "fog")] == [
        "At night",
        "In a rainy day",
        "In a snowy day",
        "In a foggy day",
    ]
    assert NIGHT.prompt(7, "a man crossing the street") == "At night, a man crossing the street"
    assert {NIGHT.prompt(seed) for seed in range(500)} == set(NIGHT.phrases)
    with pytest.raises(FrozenInstanceError):
        NIGHT.name = "day"
    with pytest.raises(TypeError):
        CONDITIONS["night"] = RAIN
