"""Networks and batches that do not fit into memory, and signals while networks are loaded."""

import logging
import os
import signal

import pytest
import torch
from translation_runs import NIGHT, RAIN, SIZE, Frames, Recorder, counts, grey, images_of, leftovers, rows_of, run

from ude.translation.quality import Verdict
from ude.translation.run import Networks, Options, QualityOptions, judging, translate_frames
from ude.translation.run.memory import ConstantBatch, OutOfMemoryError


def test_the_batch_is_filled_up_with_copies_of_its_last_row():
    seen = []
    results = ConstantBatch(4)(lambda rows: seen.append(list(rows)) or [2 * row for row in rows], [1, 2, 3, 4, 5])
    assert results == [2, 4, 6, 8, 10]
    assert seen == [[1, 2, 3, 4], [5, 5, 5, 5]]


class Small(Recorder):
    """A translator whose memory holds so many images."""

    def __init__(self, most):
        super().__init__()
        self.most, self.refused = most, 0

    def __call__(self, images, **kwargs):
        if len(images) > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().__call__(images, **kwargs)


def test_out_of_memory_halves_the_batch_for_the_rest_of_the_run(tmp_path, caplog):
    translator = Small(2)
    with caplog.at_level(logging.WARNING):
        assert counts(run(tmp_path / "small", Frames(9), translator, batch_size=8)) == (18, 0, 0)
    assert {len(call["images"]) for call in translator.calls} == {2}
    assert translator.refused == 2  # at 8 and at 4, then never again
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [f"out of memory (CUDA out of memory); from here on with batches of {n}" for n in (4, 2)]
    run(tmp_path / "whole", Frames(9), batch_size=8)
    assert images_of(tmp_path / "small") == images_of(tmp_path / "whole")


def test_every_network_may_run_out_of_memory(tmp_path):
    sizes = []

    def depth(images):
        sizes.append(len(images))
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return grey(images)

    assert counts(run(tmp_path, depth=depth)) == (10, 0, 0)
    assert sizes == [2, *[1] * 5]


def test_a_single_image_that_does_not_fit_ends_the_run_with_its_own_exit_code(tmp_path):
    with pytest.raises(OutOfMemoryError, match=r"out of memory with a single image .*choose a smaller size") as caught:
        run(tmp_path, translator=Small(0))
    assert caught.value.exit_code == 7
    assert leftovers(tmp_path) == []


def test_rows_that_a_function_treats_one_by_one_need_no_copies():
    seen = []
    batch = ConstantBatch(4, filled=False)
    assert batch(lambda rows: seen.append(list(rows)) or [2 * row for row in rows], [1, 2, 3, 4, 5]) == [2, 4, 6, 8, 10]
    assert seen == [[1, 2, 3, 4], [5]]


@pytest.fixture
def small_gate(monkeypatch):
    """A gate whose memory holds so many images: set its `most`."""

    class SmallGate:
        most = 1

        def __init__(self, condition, **_):
            pass

        def __call__(self, sources, translated, inverse_depth=None):
            if len(translated) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
            return [Verdict(True, "", {"mean": float(image.mean())}) for image in translated]

    monkeypatch.setattr(judging, "QualityGate", SmallGate)
    return SmallGate


def test_judging_in_halved_batches_gives_the_same_figures(tmp_path, small_gate):
    options = {"quality": QualityOptions(structure=0.1), "batch_size": 4}
    recorder = Recorder()
    assert counts(run(tmp_path / "small", translator=recorder, **options)) == (10, 0, 0)
    assert {len(call["images"]) for call in recorder.calls} == {4}  # the translator's batch stays
    small_gate.most = 4
    run(tmp_path / "whole", **options)
    assert rows_of(tmp_path / "small") == rows_of(tmp_path / "whole")


def test_a_single_image_that_cannot_be_judged_ends_the_run_with_the_same_exit_code(tmp_path, small_gate):
    small_gate.most = 0
    with pytest.raises(OutOfMemoryError, match="out of memory with a single image"):
        run(tmp_path, quality=QualityOptions(structure=0.1))
    assert leftovers(tmp_path) == []


def go(output, loaders, conditions=(NIGHT, RAIN), **options):
    """Translate with functions that load the translator, the depth network and the captioner."""
    networks = Networks(loaders["translator"], loaders["depth"], loaders["captioner"])
    options = Options(size=SIZE, seed=0, batch_size=8, progress=False, **options)
    return translate_frames(Frames(), networks, options, conditions=conditions, output=output, config_hash="abc")


def loaders_of(**others):
    captions = {"captioner": lambda: lambda images: ["a street"] * len(images)}
    return {"translator": Recorder, "depth": lambda: grey, **captions, **others}


@pytest.mark.parametrize(
    ("name", "purpose", "fitting"),
    [
        ("captioner", "captions", 0),
        ("depth", "control depth", 0),
        ("translator", "the translation", 0),
        ("depth", "the quality gate", 1),
    ],
)
def test_a_network_that_does_not_fit_is_loaded_once_and_ends_the_run_with_its_own_error(
    tmp_path, name, purpose, fitting
):
    calls = []

    def load():
        calls.append(name)
        if len(calls) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return grey

    text = rf"out of memory while loading what is needed for {purpose} \(CUDA out of memory\); free the device's memory"
    with pytest.raises(OutOfMemoryError, match=text) as caught:
        go(tmp_path, loaders_of(**{name: load}), quality=QualityOptions(structure=0.1, depth=0.1))
    assert caught.value.exit_code == 7
    assert "\n" not in str(caught.value)
    assert len(calls) == fitting + 1
    assert leftovers(tmp_path) == []


def test_the_gates_of_all_conditions_share_one_depth_network(tmp_path):
    calls = []
    loaders = loaders_of(depth=lambda: calls.append("depth") or grey)
    go(tmp_path, loaders, quality=QualityOptions(structure=0.1, depth=0.1, attempts=1))
    assert calls == ["depth", "depth"]  # the control pictures, the gates


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("name", ["captioner", "depth", "translator"])
def test_a_signal_while_a_network_is_loaded_ends_the_run_before_its_first_batch(
    tmp_path, monkeypatch, name, calibrated
):
    monkeypatch.setattr("ude.translation.run.judging.FEWEST", 3)
    used = []

    def network(*arguments, **named):
        used.append(name)
        raise AssertionError("a batch after the signal")

    def load():
        os.kill(os.getpid(), signal.SIGTERM)
        return network

    with pytest.raises(SystemExit) as caught:
        go(tmp_path, loaders_of(**{name: load}), quality=QualityOptions(structure=None if calibrated else 0.1))
    assert caught.value.code == 143
    assert used == []
    assert leftovers(tmp_path) == []
