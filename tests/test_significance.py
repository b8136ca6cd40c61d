"""Paired tests of predictors and several seeds of one."""

from dataclasses import replace

import numpy as np
import pytest
from made_report import with_ranges
from made_results import made_results

from ude.evaluation.seeds import mean_of_seeds, spread
from ude.evaluation.significance import PairedRow, holm, paired_rows, smallest_p_line


def row(rows: list[PairedRow], condition: str, label: str) -> PairedRow:
    return next(row for row in rows if (row.condition, row.column.label) == (condition, label))


def test_a_predictor_that_is_better_everywhere_is_found_better():
    old, new = [made_results(scenes=20)], [made_results(-0.01, seed=1, scenes=20)]
    rows = paired_rows({"old": old, "new": new}, "old")
    found = row(rows, "night-clear", "absRel")
    assert found.difference == pytest.approx(-0.01, abs=1e-3)
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.p < 0.002
    assert found.p_adjusted == pytest.approx(12 * found.p)  # three conditions with frames, four columns, all as certain
    assert found.scenes == 20
    assert row(rows, "night-clear", "d1 [%]").difference == pytest.approx(0.01, abs=1e-3)
    back = row(paired_rows({"old": old, "new": new}, "new"), "night-clear", "absRel")
    assert (back.name, back.reference, back.difference) == ("old", "new", -found.difference)
    assert back.p == pytest.approx(found.p)


def test_the_pairs_cancel_what_makes_a_scene_hard():
    alone = made_results().intervals("day-clear")["abs_rel"]
    paired = row(paired_rows({"a": [made_results()], "b": [made_results(seed=1)]}, "a"), "day-clear", "absRel").interval
    assert alone[1] - alone[0] > 10 * (paired[1] - paired[0])


def test_equal_predictors_do_not_differ():
    rows = paired_rows({"a": [made_results()], "b": [made_results()]}, "a")
    found = row(rows, "day-clear", "absRel")
    assert (found.difference, found.interval, found.p, found.p_adjusted) == (
        0,
        (0, 0),
        pytest.approx(1),
        pytest.approx(1),
    )


def test_without_frames_or_with_one_scene_there_is_no_test():
    rows = paired_rows({"a": [made_results(scenes=1)], "b": [made_results(0.1, scenes=1)]}, "a")
    alone, empty = row(rows, "day-clear", "absRel"), row(rows, "night-rain", "absRel")
    assert alone.difference == pytest.approx(0.1, abs=0.01)
    assert (alone.interval, alone.p, alone.p_adjusted, alone.scenes) == (None, None, None, 1)
    assert (empty.difference, empty.interval, empty.p, empty.p_adjusted, empty.scenes) == (None, None, None, None, 0)


def test_a_relative_predictor_is_compared_where_both_are_aligned():
    metric, relative = (
        made_results(alignment="_least_squares"),
        made_results(0.1, alignment="_least_squares", plain=False),
    )
    rows = paired_rows({"metric": [metric], "relative": [relative]}, "metric")
    assert row(rows, "day-clear", "absRel").difference is None
    assert row(rows, "day-clear", "absRel scaled").difference == pytest.approx(0.1, abs=0.01)


def test_an_unknown_reference_and_other_frames_are_refused():
    with pytest.raises(ValueError, match="the reference must be one of a, b, got 'c'"):
        paired_rows({"a": [made_results()], "b": [made_results()]}, "c")
    with pytest.raises(ValueError, match="'b' and 'a' were evaluated on different frames"):
        paired_rows({"a": [made_results()], "b": [made_results(frames=4)]}, "a")


def test_the_smallest_possible_p_is_named_with_the_number_of_scenes():
    column = paired_rows({"a": [made_results()], "b": [made_results()]}, "a")[0].column
    made = {"name": "b", "reference": "a", "column": column, "difference": 0.1, "p": 0.5}
    rows = [PairedRow(**made, condition=name, scenes=6) for name in ("day-clear", "all") for _ in range(8)]
    assert smallest_p_line(rows) == "6 scenes: p cannot fall below 0.031, adjusted for 16 tests not below 0.5."
    mixed = [*rows[:8], PairedRow(**made, condition="night", scenes=8)]
    assert smallest_p_line(mixed) == (
        "6 scenes (day-clear): p cannot fall below 0.031, adjusted for 9 tests not below 0.25; "
        "8 scenes (night): p cannot fall below 0.01, adjusted for 9 tests not below 0.093."
    )
    assert smallest_p_line([replace(rows[0], p=None, scenes=1)]) == ""


def test_no_test_falls_below_the_smallest_p_that_is_named():
    found = {"a": [made_results(scenes=6)], "b": [made_results(-0.05, seed=1, scenes=6)]}
    rows = [row for row in paired_rows(found, "a") if row.p is not None]
    assert min(row.p for row in rows) == pytest.approx(0.03125)
    assert min(row.p_adjusted for row in rows) == pytest.approx(0.03125 * 12)
    assert smallest_p_line(rows) == "6 scenes: p cannot fall below 0.031, adjusted for 12 tests not below 0.38."


def test_holm_multiplies_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # R: p.adjust(..., "holm")
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.slow
def test_a_family_without_differences_raises_one_false_alarm_in_twenty():
    alarms = []
    for seed in range(80):
        results = {name: [made_results(seed=10 * seed + place)] for place, name in enumerate("abc")}
        rows = [row for row in paired_rows(results, "a", seed=seed) if row.p is not None]
        alarms.append(min(row.p_adjusted for row in rows) < 0.05)
        assert len(rows) == 2 * 3 * 4
    assert np.mean(alarms) < 0.125  # 0.05 and three standard errors


def test_seeds_are_averaged_frame_by_frame():
    seeds = [made_results(shift, seed=place) for place, shift in enumerate((-0.01, 0.0, 0.04))]
    middle = mean_of_seeds(seeds)
    for condition in ("day-clear", "all"):
        values = [result.means[condition]["abs_rel"] for result in seeds]
        assert middle.means[condition]["abs_rel"] == pytest.approx(np.mean(values), rel=1e-12)
    assert middle.frames[3].values["rmse_median"] == pytest.approx(
        np.mean([result.frames[3].values["rmse_median"] for result in seeds]), rel=1e-12
    )
    assert middle.means["night-rain"]["abs_rel"] is None
    assert mean_of_seeds(seeds[:1]) is seeds[0]


def test_curves_over_range_are_means_over_the_seeds_weighted_by_returns():
    seeds = [with_ranges(made_results(seed=place), factor) for place, factor in enumerate((1.0, 4.0))]
    found = mean_of_seeds(seeds).ranges
    assert found.edges == seeds[0].ranges.edges
    for mode in ("", "_median"):
        assert found.curves["day-clear"][mode].abs_rel == (pytest.approx(0.25), pytest.approx(0.5), None)
        assert found.curves["day-clear"][mode].delta_1 == (pytest.approx(0.9), pytest.approx(0.8), None)
    other = replace(seeds[1].ranges, returns=dict.fromkeys(seeds[1].rows, (10, 0, 0)))
    weighted = mean_of_seeds([seeds[0], replace(seeds[1], ranges=other)]).ranges.curves["day-clear"][""]
    assert weighted.abs_rel == (pytest.approx((3 * 0.1 + 0.4) / 4), pytest.approx(0.2), None)
    assert mean_of_seeds([seeds[0], made_results()]).ranges is None  # of an older file


def test_seeds_of_other_frames_are_refused():
    with pytest.raises(
        ValueError, match=r"the seeds were evaluated on different frames \(day-clear-0-4, day-clear-1-0\)"
    ):
        mean_of_seeds([made_results(frames=5), made_results(frames=4, scenes=10)])


def test_the_spread_is_the_sample_standard_deviation_and_one_seed_has_none():
    assert spread([1.0, 2.0, 6.0]) == pytest.approx(7**0.5)
    assert spread([1.0]) is None
    assert spread([1.0, None]) is None
    assert spread([None, None]) is None
