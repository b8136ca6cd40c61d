import json
import os
import signal
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from ude.files import DataError, read_image, read_jsonl, sha256, write_image
from ude.translation import CONDITIONS, seed_of
from ude.translation.jobs import Frame, job_of
from ude.translation.references import References
from ude.translation.run import Summary, objection, translate_frames
from ude.translation.simulated import SimulatedTranslator

SIZE = (48, 64)
NIGHT, RAIN = CONDITIONS["night"], CONDITIONS["rain"]


class Frames:
    """A source of random frames, larger than the translator's size; only what the translation uses."""

    def __init__(self, count=5):
        self.ids = [f"frame-{i}" for i in range(count)]
        self.pixels = {
            frame_id: np.random.default_rng(i).integers(0, 256, (96, 128, 3), np.uint8)
            for i, frame_id in enumerate(self.ids)
        }

    def __len__(self):
        return len(self.ids)

    def frame_id(self, index):
        return self.ids[index]

    def image(self, index, offset=0, *, min_size=None):
        return self.pixels[self.ids[index]]


class Recorder:
    """A translator that inverts the frames with noise of each seed, and notes how it was called."""

    def __init__(self, before_call=None):
        self.calls = []
        self.before_call = before_call or (lambda number: None)

    def __call__(self, images, *, condition, seeds, depth=None, prompts=None, references=None):
        self.before_call(len(self.calls))
        self.calls.append(
            {
                "images": images,
                "condition": condition.name,
                "depth": depth,
                "prompts": prompts,
                "references": references,
            }
        )
        noise = [torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return (1 - images + 0.2 * torch.stack(noise)) / 1.2


def run(output, source=None, translator=None, **kwargs):
    arguments = {
        "conditions": (NIGHT, RAIN),
        "output": output,
        "size": SIZE,
        "depth": None,
        "seed": 0,
        "batch_size": 2,
        "config_hash": "abc",
        "progress": False,
    }
    return translate_frames(source or Frames(), translator or Recorder(), **{**arguments, **kwargs})


def images_of(output):
    """Bytes of all images by their path below the output folder."""
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.jpg")}


def rows_of(output):
    return {(row["frame_id"], row["condition"]): row for row in read_jsonl(output / "manifest.jsonl")}


def no_temporary_files(output):
    return not [path for path in output.rglob("*") if "tmp" in path.name]


def test_every_frame_and_condition_gets_an_image_and_a_row(tmp_path):
    source = Frames()
    assert run(tmp_path, source) == Summary(done=10, skipped=0, failed=0)
    assert set(images_of(tmp_path)) == {f"{c}/frame-{i}.jpg" for c in ("night", "rain") for i in range(5)}
    rows = rows_of(tmp_path)
    assert len(read_jsonl(tmp_path / "manifest.jsonl")) == len(rows) == 10
    row = rows["frame-3", "rain"]
    assert row["seed"] == seed_of(0, "frame-3", "rain")
    assert row["prompt"] in RAIN.phrases
    assert row["reference"] is None
    assert row["size"] == list(SIZE)
    assert row["config_hash"] == "abc"
    assert row["result_sha256"] == sha256(tmp_path / "rain" / "frame-3.jpg")
    assert len(row["source_sha256"]) == 64
    assert no_temporary_files(tmp_path)


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
    assert run(tmp_path, translator=recorder) == Summary(done=0, skipped=10, failed=0)
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
    assert len(images_of(cut)) == len(rows_of(cut)) == 6  # the third batch was finished
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert run(cut) == Summary(done=4, skipped=6, failed=0)
    assert images_of(cut) == images_of(whole)
    assert rows_of(cut) == rows_of(whole)
    assert no_temporary_files(cut)


def test_a_crash_between_image_and_row_only_repeats_that_image(tmp_path):
    run(tmp_path)
    whole = images_of(tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(lines[:-2]) + lines[-2][:30])  # one row lost, one half written
    assert run(tmp_path) == Summary(done=2, skipped=8, failed=0)
    assert images_of(tmp_path) == whole
    assert len(rows_of(tmp_path)) == 10


def test_a_killed_run_leaves_nothing_that_stays(tmp_path):
    code = (
        "import os, sys; sys.path[:0] = [{tests!r}, {root!r}]\n"
        "from pathlib import Path\n"
        "from test_translation_run import Recorder, run\n"
        "from ude.files import atomic\n"
        "def die(*args): os.kill(os.getpid(), 9)\n"
        "def crash(call):\n"
        "    if call == 1: atomic.os.replace = die\n"
        "run(Path({output!r}), translator=Recorder(crash))\n"
    )
    here = os.path.dirname(__file__)
    code = code.format(tests=here, root=os.path.dirname(here), output=str(tmp_path / "killed"))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not no_temporary_files(tmp_path / "killed")
    run(tmp_path / "killed")
    run(tmp_path / "whole")
    assert images_of(tmp_path / "killed") == images_of(tmp_path / "whole")
    assert no_temporary_files(tmp_path / "killed")


def test_only_a_changed_source_is_translated_again(tmp_path):
    source = Frames()
    run(tmp_path, source)
    before = images_of(tmp_path)
    source.pixels["frame-3"] = 255 - source.pixels["frame-3"]
    assert run(tmp_path, source) == Summary(done=2, skipped=8, failed=0)
    after = images_of(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"night/frame-3.jpg", "rain/frame-3.jpg"}


def test_a_lost_or_damaged_result_is_made_again(tmp_path):
    run(tmp_path)
    whole = images_of(tmp_path)
    (tmp_path / "night" / "frame-1.jpg").unlink()
    (tmp_path / "rain" / "frame-4.jpg").write_bytes(whole["rain/frame-4.jpg"][:100])
    assert run(tmp_path) == Summary(done=2, skipped=8, failed=0)
    assert images_of(tmp_path) == whole


def test_another_condition_can_be_added_later(tmp_path):
    run(tmp_path, conditions=[NIGHT])
    assert run(tmp_path, conditions=[NIGHT, RAIN]) == Summary(done=5, skipped=5, failed=0)


def test_the_folder_of_another_config_is_refused_in_one_line(tmp_path):
    run(tmp_path)
    with pytest.raises(DataError, match="holds frames translated with config abc, not xyz; choose another") as caught:
        run(tmp_path, config_hash="xyz")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert json.loads((tmp_path / "translation.json").read_text())["config_hash"] == "abc"


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


def test_depth_is_computed_once_per_batch_of_frames(tmp_path):
    seen = []

    def depth(images):
        seen.append(images.shape)
        return images.mean(1, keepdim=True)

    recorder = Recorder()
    run(tmp_path, translator=recorder, depth=depth)
    assert seen == [(2, 3, *SIZE)] * 3
    for call in recorder.calls:
        assert torch.allclose(call["depth"], call["images"].mean(1, keepdim=True))


@pytest.fixture
def references(tmp_path):
    root = tmp_path / "references"
    for condition, level in (("night", 20), ("rain", 120)):
        for i in range(3):
            write_image(root / condition / f"{i}.png", np.full((30, 50, 3), level + i, np.uint8))
    return root


def test_references_are_drawn_by_the_seed_and_noted(tmp_path, references):
    recorder = Recorder()
    run(tmp_path / "out", translator=recorder, references=references, batch_size=5)
    rows = rows_of(tmp_path / "out")
    names = {row["reference"] for row in rows.values()}
    assert names <= {f"{c}/{i}.png" for c in ("night", "rain") for i in range(3)}
    assert len(names) > 2
    for call in recorder.calls:
        assert call["references"].shape == (5, 3, 224, 224)
        drawn = [rows[f"frame-{i}", call["condition"]]["reference"] for i in range(5)]
        levels = [read_image(references / name)[0, 0, 0] / 255 for name in drawn]
        assert torch.allclose(call["references"].mean((1, 2, 3)), torch.tensor(levels).float(), atol=1e-4)


def test_prompts_and_references_are_drawn_independently(tmp_path):
    root = tmp_path / "references"
    for i in range(len(RAIN.phrases)):
        write_image(root / "rain" / f"{i}.png", np.full((30, 50, 3), 100 + i, np.uint8))
    drawn = References(root, ["rain"])
    frames = [Frame(f"frame-{i}", torch.zeros(3, 8, 8, dtype=torch.uint8), "") for i in range(200)]
    jobs = [job_of(frame, RAIN, seed=0, references=drawn) for frame in frames]
    assert len({(job.prompt, job.reference) for job in jobs}) == len(RAIN.phrases) ** 2


def test_missing_references_are_named(tmp_path, references):
    (references / "rain").rename(references / "drizzle")
    with pytest.raises(DataError, match=r"there is no folder .*rain; put reference images of 'rain' there"):
        run(tmp_path / "out", references=references)
    assert not (tmp_path / "out").exists()  # not claimed: the corrected folder gives the run another config_hash
    (references / "rain").mkdir()
    with pytest.raises(DataError, match=r"there is no image in .*rain; put reference images of 'rain' there"):
        run(tmp_path / "out", references=references)


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "not finite"), (0.0, "black"), (0.5, "constant")], ids=str
)
def test_an_empty_image_is_refused_and_tried_again(tmp_path, value, reason):
    recorder = Recorder()

    def spoilt(images, *, condition, **kwargs):
        result = recorder(images, condition=condition, **kwargs)
        if condition.name == "night":
            result[0] = value
        return result

    assert run(tmp_path, translator=spoilt) == Summary(done=7, skipped=0, failed=3)
    failed = read_jsonl(tmp_path / "failed.jsonl")
    assert [row["frame_id"] for row in failed] == ["frame-0", "frame-2", "frame-4"]
    assert {row["reason"] for row in failed} == {reason}
    assert ("frame-2", "night") not in rows_of(tmp_path)
    assert not (tmp_path / "night" / "frame-2.jpg").exists()
    assert run(tmp_path) == Summary(done=3, skipped=7, failed=0)
    assert not (tmp_path / "failed.jsonl").exists()


def test_a_refused_image_leaves_no_outdated_one_behind(tmp_path):
    source = Frames(1)
    run(tmp_path, source)
    source.pixels["frame-0"] = 255 - source.pixels["frame-0"]
    run(tmp_path, source, translator=lambda images, **_: torch.zeros_like(images))
    assert images_of(tmp_path) == {}


def test_a_dark_but_real_night_is_no_objection():
    assert objection(0.03 * torch.rand(3, 20, 20)) is None


def test_a_frame_name_cannot_lead_out_of_the_folder(tmp_path):
    source = Frames(1)
    source.pixels["../../evil"] = source.pixels.pop("frame-0")
    source.ids = ["../../evil"]
    with pytest.raises(DataError, match=r"unsafe path .*\.\."):
        run(tmp_path / "out", source)


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
    assert {NIGHT.prompt(seed) for seed in range(50)} == set(NIGHT.phrases)
    with pytest.raises(FrozenInstanceError):
        NIGHT.name = "day"
    with pytest.raises(TypeError):
        CONDITIONS["night"] = RAIN
