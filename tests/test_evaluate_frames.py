"""Predictors that have to know which frames they are asked for, and how long predictions take."""

from collections.abc import Iterator
from time import sleep

import pytest
import torch
from evaluation_frames import BOUNDS, NATIVE, batches, frame, from_brightness, measure
from torch import Tensor

from ude.evaluation.evaluate import evaluate
from ude.evaluation.predictor import Frame, FramePredictor, Maps


class Known(FramePredictor):
    """The frames' own depths, found by their names; each map has its own size."""

    def __init__(self, sizes: dict[str, tuple[int, int]], *, mirrors: bool = True) -> None:
        self.sizes, self.mirrors, self.asked = sizes, mirrors, []

    def of_frames(self, images, frames, *, flip):
        self.asked += frames
        maps = [torch.full((1, *self.sizes[frame.frame_id]), 0.1) for frame in frames]
        return [Maps(each, each if flip else None) for each in maps]


def test_a_predictor_of_frames_is_asked_by_name_and_its_maps_may_differ_in_size():
    sizes = {"a": (4, 6), "b": (4, 6), "c": (3, 5), "d": (4, 6), "e": NATIVE}
    frames = [frame(name, depth=depth) for name, depth in zip("abcde", (10.0, 20.0, 10.0, 5.0, 10.0), strict=True)]
    known = Known(sizes)
    results = measure(frames, known, size=5)
    assert known.asked == [Frame(name, "day-clear") for name in "abcde"]
    errors = [row.values["abs_rel_flip"] for row in results.frames]
    assert errors == pytest.approx([0, 0.5, 0, 1, 0], abs=1e-6)


def test_a_predictor_without_mirrored_maps_gives_the_other_modes():
    results = measure([frame("a")], Known({"a": (4, 6)}, mirrors=False))
    assert results.modes == ("", "_median")


def test_the_time_of_the_pass_and_of_the_network_are_measured():
    def predict(images: Tensor) -> Tensor:
        sleep(0.02)
        return from_brightness(images)

    def slow_frames() -> Iterator[dict]:
        for batch in batches([frame(name) for name in "abcd"]):
            sleep(0.05)
            yield batch

    results = evaluate(predict, slow_frames(), progress=False, **BOUNDS)
    assert results.network_seconds >= 4 * 0.02  # two batches, twice each
    assert results.seconds >= results.network_seconds + 2 * 0.05
    assert results.frames_per_second == pytest.approx(4 / results.seconds)
    files = Known({"a": (4, 6)})
    files.uses_files = True
    assert measure([frame("a")], files).network_seconds is None
