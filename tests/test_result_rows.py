"""Rows and columns of results by protocol: conditions, subsets, classes within a frame, and what is not available."""

import numpy as np
import pytest
import torch
from evaluation_frames import BOUNDS, NATIVE, frame, measure

from ude.evaluation.accumulate import GROUPS, condition_means
from ude.evaluation.collect import results_of_table
from ude.evaluation.protocols import METRICS, PROTOCOLS
from ude.evaluation.results import FrameRow, results_of_frames

CLASSED = ("booster", "cleargrasp")


def classed(name: str, classes: list[int], **options: object) -> dict:
    """A frame whose returns are of the classes in turn, measured at two depths."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    item = frame(name, depth=torch.rand(NATIVE, generator=generator) * 5 + 1, **options)
    numbers = torch.tensor(classes, dtype=torch.int8)
    return {**item, "lidar_class": numbers[torch.arange(len(item["lidar_index"])) % len(classes)]}


def table(values: dict[str, list[list[float]]], **rules: object):
    """Results of the columns of frames, without errors by range, by frame_id."""
    protocol, alignment = PROTOCOLS[rules["protocol"]], rules["alignment"]
    bins = len(protocol.parts) * (len(protocol.edges(80.0)) - 1) * (3 if alignment == "none" else 5)
    names = [(name, "day-clear", f"scene-{name}") for name in values]
    lines = [[number for part in parts for number in part] + [0.0] * bins for parts in values.values()]
    return results_of_table(names, lines, flip=False, **BOUNDS, **rules)


def test_the_frame_weighted_conditions_are_the_row_of_all_frames():
    frames = [frame(f"f{number}", [*GROUPS][number % 3], depth=4.0 + number) for number in range(10)]
    results = measure(frames)
    parts = [row for row in GROUPS if len(GROUPS[row]) == 1]
    for column in (metric + mode for mode in results.modes for metric in results.metrics):
        total = sum(results.means[row]["frames"] * (results.means[row][column] or 0) for row in parts)
        assert results.means["all"][column] == pytest.approx(total / 10, rel=1e-12)
        assert results.means["night-rain"][column] is None
    assert (results.metrics, results.rows, results.count) == (METRICS, GROUPS, 10)


def test_weather_subsets_have_rows_of_their_own():
    names = {"sunny_1": "day-clear", "rainy_1": "day-rain", "rainy_2": "day-rain", "2018-07-09_1": "day-clear"}
    frames = [frame(name, condition, depth=5.0 + len(name)) for name, condition in names.items()]
    results = measure(frames, protocol="drivingstereo")
    assert {row: means["frames"] for row, means in results.means.items()} == {
        "sunny": 1,
        "cloudy": 0,
        "foggy": 0,
        "rainy": 2,
        "all": 4,
    }
    plain = measure(frames, protocol="ude")
    assert results.means["all"] == pytest.approx(plain.means["all"], rel=1e-12)
    assert results.means["rainy"]["rmse"] == pytest.approx(plain.means["day-rain"]["rmse"])
    assert results.means["foggy"]["rmse"] is None


@pytest.mark.parametrize("protocol", CLASSED)
def test_a_frame_has_a_line_for_each_class_and_a_class_without_pixels_counts_nowhere(protocol):
    frames = [classed("mixed", [0, 1]), classed("plain", [0]), classed("none", [-1])]
    if protocol == "booster":
        frames[0]["lidar_class"] *= 2
    results = evaluated(frames, protocol)
    assert [(row.frame_id, row.condition, row.valid) for row in results.frames] == [
        *(("mixed", "all", 40), ("mixed", "tom", 20), ("mixed", "other", 20)),
        *(("none", "all", 40), ("none", "tom", 0), ("none", "other", 0)),
        *(("plain", "all", 40), ("plain", "tom", 0), ("plain", "other", 40)),
    ]
    assert {row: means["frames"] for row, means in results.means.items()} == {"tom": 1, "other": 2, "all": 3}
    assert (results.count, results.skipped) == (3, ())
    values = {(row.frame_id, row.condition): row.values for row in results.frames}
    assert values["plain", "other"] == values["plain", "all"]
    for name in ("mae", "abs_rel", "delta_1.05"):
        both = (values["mixed", "tom"][name] + values["mixed", "other"][name]) / 2
        assert values["mixed", "all"][name] == pytest.approx(both, rel=1e-12)
    assert results.means["tom"]["rmse"] == values["mixed", "tom"]["rmse"]
    assert "| tom " in results.table()
    assert results.ranges.returns["tom"] == tuple(
        np.histogram(frames[0]["lidar_value"][frames[0]["lidar_class"] > 0], results.ranges.edges)[0]
    )
    nothing = evaluated([classed("plain", [0])], protocol)
    assert nothing.means["tom"] == {"frames": 0, **dict.fromkeys(nothing.means["other"].keys() - {"frames"})}
    assert nothing.intervals("tom") == {}


def evaluated(frames: list[dict], protocol: str):
    """Results by a protocol with classes."""
    from evaluation_frames import batches, from_brightness

    from ude.evaluation.evaluate import evaluate

    loader = list(batches(frames, len(frames)))
    pad = torch.nn.utils.rnn.pad_sequence
    loader[0]["lidar_class"] = pad([item["lidar_class"] for item in frames], batch_first=True, padding_value=-1)
    rules = {"protocol": protocol, "alignment": "least_squares", "min_depth": 0.001, "max_depth": 10.0}
    return evaluate(from_brightness, loader, progress=False, **rules)


def test_nothing_is_aligned_where_the_alignment_is_none():
    results, median = (measure([frame("a"), frame("b", depth=30.0)], alignment=name) for name in ("none", "median"))
    assert (results.modes, results.alignment) == (("", "_flip"), "")
    assert results.rules["alignment"] == "none"
    columns = [metric + mode for mode in results.modes for metric in METRICS]
    assert list(results.means["all"]) == ["frames", *columns]
    assert {name: median.means["all"][name] for name in columns} == {
        name: results.means["all"][name] for name in columns
    }


def test_a_relative_prediction_has_no_plain_numbers():
    results = measure([frame("a"), frame("b", depth=30.0)], alignment="least_squares", metric=False)
    assert results.modes == ("", "_flip", "_least_squares", "_flip_least_squares")
    for metric in METRICS:
        assert results.means["all"][metric] is results.means["all"][metric + "_flip"] is None
        assert results.means["all"][metric + "_least_squares"] is not None
    assert set(results.frames[0].values) == {metric + mode for metric in METRICS for mode in results.modes[2:]}
    assert "n/a" in results.table()
    assert "n/a" not in results.table("_least_squares").splitlines()[-1]


def test_the_columns_of_a_table_become_the_values_of_frames():
    numbers = [[5.0, *range(14)]]
    results = table({"a": numbers, "b": [[0.0, *[float("nan")] * 14]]}, protocol="md4all", alignment="median")
    first, second = results.frames
    assert first == FrameRow(
        frame_id="a",
        condition="day-clear",
        scene="scene-a",
        valid=5,
        values=dict(zip([*METRICS, *(f"{name}_median" for name in METRICS)], range(14), strict=True)),
    )
    assert (second.valid, second.values, results.skipped) == (0, {}, ("b",))
    assert results.means["all"]["frames"] == 1


def test_speed_is_frames_by_seconds():
    rows = tuple(FrameRow(frame_id=str(n), condition="day-clear", scene="", valid=0, values={}) for n in range(6))
    results = results_of_frames(rows, modes=("",), **BOUNDS, protocol="md4all", seconds=2.0, network_seconds=0.5)
    assert (results.frames_per_second, results.network_frames_per_second) == (3, 12)
    unknown = results_of_frames(rows, modes=("",), **BOUNDS, protocol="md4all")
    assert unknown.frames_per_second is unknown.network_frames_per_second is unknown.ranges is None
    assert unknown.means["all"]["abs_rel"] is None


def test_a_condition_of_no_row_is_refused():
    values = torch.zeros(1, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="condition must be one of tom, other, all, got day-clear"):
        condition_means(values, ["day-clear"], ["x"], PROTOCOLS["booster"].rows)
    with pytest.raises(ValueError, match="got snow"):
        condition_means(values, ["snow"], ["x"])
