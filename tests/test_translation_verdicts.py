"""What becomes of images that the gate rejects: other seeds, quarantine, and the threshold that a run calibrates."""

import json
from itertools import pairwise

import pytest
import torch
from translation_runs import NIGHT, RAIN, Frames, Recorder, counts, grey, images_of, rows_of, run

from ude.files import DataError, read_image
from ude.translation import seed_of
from ude.translation.quality import Verdict
from ude.translation.quality.statistics import NO_PAIRS
from ude.translation.run import judging
from ude.translation.run.judging import QualityOptions, calibrated_threshold, calibration_positions, objection


class Spoiling(Recorder):
    """A translator whose first attempts at some frames fail.

    Args:
        spoilt: how many attempts fail, by (frame id, condition).
        value: what the failing images are filled with.
    """

    def __init__(self, spoilt, value=0.0):
        super().__init__()
        self.value = value
        self.bad = {
            seed_of(0, *name, *([attempt] if attempt else []))
            for name, attempts in spoilt.items()
            for attempt in range(attempts)
        }

    def __call__(self, images, *, condition, seeds, **kwargs):
        result = super().__call__(images, condition=condition, seeds=seeds, **kwargs)
        for i, seed in enumerate(seeds):
            if seed in self.bad:
                result[i] = self.value
        return result


def checked(attempts=3):
    return QualityOptions(enabled=False, attempts=attempts)


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "not finite"), (0.0, "black"), (0.5, "constant")], ids=str
)
def test_an_empty_image_goes_into_quarantine_with_its_reason_and_is_not_tried_again(tmp_path, value, reason):
    translator = Spoiling({("frame-2", "night"): 3}, value)
    assert counts(run(tmp_path, translator=translator, quality=checked())) == (9, 0, 1)
    assert set(images_of(tmp_path)) == {
        *(f"{c}/frame-{i}.jpg" for c in ("night", "rain") for i in range(5) if (c, i) != ("night", 2)),
        "rejected/night/frame-2.jpg",
    }
    row = rows_of(tmp_path)["frame-2", "night"]
    assert (row["verdict"], row["reason"], row["attempt"]) == ("rejected", reason, 2)
    assert row["seed"] == seed_of(0, "frame-2", "night", 2)
    tried = [seed for call in translator.calls for seed in dict.fromkeys(call["seeds"]) if seed in translator.bad]
    assert tried == [seed_of(0, "frame-2", "night"), *(seed_of(0, "frame-2", "night", n) for n in (1, 2))]
    recorder = Recorder()
    assert counts(run(tmp_path, translator=recorder, quality=checked())) == (0, 10, 1)
    assert recorder.calls == []


def test_the_next_seed_may_do(tmp_path):
    spoilt = {("frame-0", "night"): 1, ("frame-3", "night"): 2, ("frame-3", "rain"): 1}
    assert counts(run(tmp_path, translator=Spoiling(spoilt), quality=checked())) == (10, 0, 0)
    rows = rows_of(tmp_path)
    assert {name: row["attempt"] for name, row in rows.items() if row["attempt"]} == spoilt
    assert rows["frame-3", "night"]["seed"] == seed_of(0, "frame-3", "night", 2)
    assert not (tmp_path / "rejected").exists()


def test_new_attempts_share_full_batches_of_one_condition(tmp_path):
    spoilt = {(f"frame-{i}", "night"): 1 for i in range(4)}
    translator = Spoiling(spoilt)
    run(tmp_path, Frames(4), translator, quality=checked(), conditions=[NIGHT])
    assert len(translator.calls) == 4  # two batches of first attempts, two of second ones
    assert {len(set(call["seeds"])) for call in translator.calls} == {2}


def test_a_source_that_changed_for_the_worse_leaves_no_outdated_image_behind(tmp_path):
    source = Frames(1)
    run(tmp_path, source, quality=checked(1))
    source.pixels["frame-0"] = 255 - source.pixels["frame-0"]
    bad = Spoiling({("frame-0", "night"): 1, ("frame-0", "rain"): 1})
    run(tmp_path, source, bad, quality=checked(1))
    assert set(images_of(tmp_path)) == {"rejected/night/frame-0.jpg", "rejected/rain/frame-0.jpg"}
    source.pixels["frame-0"] = 255 - source.pixels["frame-0"]
    run(tmp_path, source, quality=checked(1))
    assert set(images_of(tmp_path)) == {"night/frame-0.jpg", "rain/frame-0.jpg"}


def test_an_image_that_is_not_finite_lies_in_quarantine_as_a_picture(tmp_path):
    run(tmp_path, translator=Spoiling({("frame-0", "rain"): 1}, float("inf")), quality=checked(1))
    assert read_image(tmp_path / "rejected" / "rain" / "frame-0.jpg").shape == (48, 64, 3)


def test_a_dark_but_real_night_is_no_objection():
    assert objection(0.03 * torch.rand(3, 20, 20)) == ""


@pytest.fixture
def gates(monkeypatch):
    """Gates that note what they were made with and shown, and reject nothing; the calibration gives 0.25."""
    made = []

    class Noting:
        def __init__(self, condition, **kwargs):
            self.condition, self.arguments, self.shown = condition, kwargs, []
            made.append(self)

        def __call__(self, sources, translated, inverse_depth=None):
            self.shown.append((sources, translated, inverse_depth))
            return [Verdict(True, "", {"luminance": float(image.mean()), "nothing": float("nan")}) for image in sources]

    monkeypatch.setattr(judging, "FEWEST", 2)
    monkeypatch.setattr(judging, "QualityGate", Noting)
    monkeypatch.setattr(judging, "mismatched_threshold", lambda sources, translated: 0.123456)
    return made


def test_the_threshold_is_calibrated_once_on_images_that_are_not_made_again(tmp_path, gates):
    recorder = Recorder()
    run(tmp_path, translator=recorder, quality=QualityOptions(), depth=grey)
    seeds = [seed for call in recorder.calls for seed in dict.fromkeys(call["seeds"])]
    assert len(seeds) == len(set(seeds)) == 10
    thresholds = {"night": {"least_structure": 0.1235}, "rain": {"least_structure": 0.1235}}
    assert json.loads((tmp_path / "quality.json").read_text()) == thresholds
    assert [(gate.condition.name, gate.arguments["least_structure"]) for gate in gates] == [
        ("night", 0.1235),
        ("rain", 0.1235),
    ]
    assert sum(len(shown[0]) for gate in gates for shown in gate.shown) == 10  # every image once, no copies
    assert all(shown[2].shape[1:] == (1, 48, 64) for gate in gates for shown in gate.shown)
    figures = rows_of(tmp_path)["frame-1", "night"]["figures"]
    assert figures["nothing"] is None
    assert round(figures["luminance"], 4) == figures["luminance"]
    (tmp_path / "night" / "frame-1.jpg").unlink()
    assert counts(run(tmp_path, quality=QualityOptions(), depth=grey)) == (1, 9, 0)
    assert gates[2].arguments["least_structure"] == 0.1235


def test_images_of_the_calibration_are_those_of_a_run_without_it(tmp_path, gates):
    run(tmp_path / "a", quality=QualityOptions())
    run(tmp_path / "b", quality=QualityOptions(structure=0.1235))
    assert images_of(tmp_path / "a") == images_of(tmp_path / "b")
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b")
    assert not (tmp_path / "b" / "quality.json").exists()


def test_a_fixed_least_structure_and_the_depth_reach_the_gate(tmp_path, gates):
    run(tmp_path, quality=QualityOptions(structure=0.4, depth=0.2), depth=grey)
    assert {gate.arguments["least_structure"] for gate in gates} == {0.4}
    assert {gate.arguments["largest_depth_difference"] for gate in gates} == {0.2}
    images = torch.rand(1, 3, 8, 8)
    assert torch.equal(gates[0].arguments["depth"](images), grey(images))


def test_a_condition_that_is_added_later_is_calibrated_then(tmp_path, gates):
    run(tmp_path, quality=QualityOptions(), conditions=[NIGHT])
    assert list(json.loads((tmp_path / "quality.json").read_text())) == ["night"]
    run(tmp_path, quality=QualityOptions(), conditions=[NIGHT, RAIN])
    assert list(json.loads((tmp_path / "quality.json").read_text())) == ["night", "rain"]


def test_calibration_frames_are_spread_and_the_same_in_any_order():
    names = [f"{i:04d}" for i in range(1000)]
    chosen = calibration_positions(names)
    assert len(chosen) == 24
    assert chosen[0] == 0
    assert chosen[-1] == 999
    steps = [second - first for first, second in pairwise(chosen)]
    assert set(steps) <= {43, 44}
    assert [names[::-1][i] for i in calibration_positions(names[::-1])] == [names[i] for i in chosen]
    assert calibration_positions(names[:12]) == list(range(12))
    assert calibration_positions(names[:11]) == []


def test_too_few_images_calibrate_nothing():
    images = list(torch.rand(12, 3, 32, 48, generator=torch.Generator().manual_seed(0)))
    assert calibrated_threshold(images[:3], images[:3]) == NO_PAIRS
    empty = [*images[:11], torch.zeros(3, 32, 48)]
    assert calibrated_threshold(images, empty) == NO_PAIRS
    assert calibrated_threshold(images, images) != NO_PAIRS


def test_frames_of_one_place_do_not_ask_for_more_than_translations_have(monkeypatch):
    monkeypatch.setattr(judging, "mismatched_threshold", lambda sources, translated: 0.9)
    images = list(torch.rand(12, 3, 32, 48))
    assert calibrated_threshold(images, images) == judging.GREATEST


def test_a_damaged_threshold_file_is_named(tmp_path, gates):
    run(tmp_path, quality=QualityOptions())
    (tmp_path / "quality.json").write_text("[]")
    (tmp_path / "night" / "frame-1.jpg").unlink()
    with pytest.raises(DataError, match=r"quality\.json holds no thresholds; remove it"):
        run(tmp_path, quality=QualityOptions())
