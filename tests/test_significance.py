"""Paired tests of predictors and several seeds of one."""

import numpy as np
import pytest
from made_results import made_results

from ude.evaluation.seeds import mean_of_seeds, spread
from ude.evaluation.significance import PairedRow, holm, paired_rows


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
