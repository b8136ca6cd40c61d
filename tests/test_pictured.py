"""Which frames a report pictures, and depth on the scale of the LiDAR."""

import numpy as np
import pytest
import torch
from made_results import made_results

from ude.evaluation.pictured import chosen_frames, depth_map, lidar_map
from ude.evaluation.results import FrameRow, Results, results_of_frames


def results(errors: dict[str, float], *, condition: str = "night-clear", alignment: str = "_median") -> Results:
    """Results of frames with these errors, by name."""
    names = [metric + mode for mode in ("", alignment) for metric in made_results().metrics]
    rows = [
        FrameRow(frame_id=name, condition=condition, scene="", valid=9, values=dict.fromkeys(names, error))
        for name, error in errors.items()
    ]
    rows.append(FrameRow(frame_id="skipped", condition=condition, scene="", valid=0, values={}))
    return results_of_frames(tuple(rows), modes=("", alignment), min_depth=0.1, max_depth=80.0, protocol="md4all")


FIVE = {"a": 0.3, "b": 0.1, "c": 0.5, "d": 0.2, "e": 0.4}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (1, [("a", "median")]),
        (2, [("b", "best"), ("c", "worst")]),
        (3, [("b", "best"), ("a", "median"), ("c", "worst")]),
        (9, [("b", "best"), ("d", "rank 2"), ("a", "median"), ("e", "rank 4"), ("c", "worst")]),
    ],
)
def test_frames_are_chosen_from_the_best_to_the_worst(count, expected):
    found = chosen_frames([results(FIVE)], "night-clear", "abs_rel", count)
    assert [(frame.frame_id, frame.rank) for frame in found] == expected
    assert [frame.error for frame in found] == [FIVE[frame.frame_id] for frame in found]


def test_frames_are_ordered_by_the_mean_over_the_predictors():
    other = results({name: 0.6 - error for name, error in FIVE.items()} | {"d": 0.9})
    found = chosen_frames([results(FIVE), other], "night-clear", "abs_rel", 3)
    assert found[-1][:2] == ("d", "worst")
    assert found[-1].error == pytest.approx(0.55)


def test_a_condition_without_frames_has_none_and_a_single_one_is_the_median():
    assert chosen_frames([results(FIVE)], "day-clear", "abs_rel", 3) == []
    assert [frame.rank for frame in chosen_frames([results({"a": 0.1})], "all", "abs_rel", 3)] == ["median"]
    assert [frame.rank for frame in chosen_frames([results({"a": 0.1, "b": 0.2})], "all", "abs_rel", 3)] == [
        "best",
        "worst",
    ]


def test_the_lidar_map_has_the_returns_between_the_bounds():
    index, value = torch.tensor([0, 5, 7, -1]), torch.tensor([2.0, 90.0, 8.0, 5.0])
    depth = lidar_map(index, value, torch.tensor([2, 4]), min_depth=0.1, max_depth=80.0)
    assert depth.tolist() == [[2, 0, 0, 0], [0, 0, 0, 8]]


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Depth (6, 8) [m] and LiDAR that sees every third pixel of it."""
    depth = np.geomspace(2, 60, 48).reshape(6, 8)
    return depth, np.where(np.arange(48).reshape(6, 8) % 3 == 0, depth, 0)


def test_a_metric_depth_is_shown_as_it_is_within_the_bounds():
    depth, lidar = scene()
    shown = depth_map(torch.from_numpy(1.5 / depth)[None], lidar, results(FIVE), mode="")
    assert shown == pytest.approx(depth / 1.5, rel=1e-6)
    assert depth_map(torch.zeros(1, 2, 2), lidar, results(FIVE), mode="").tolist() == [[80.0, 80.0]] * 2


def test_an_aligned_depth_is_on_the_scale_of_the_lidar():
    depth, lidar = scene()
    scaled = depth_map(torch.from_numpy(7 / depth)[None], lidar, results(FIVE), mode="_median")
    assert scaled == pytest.approx(depth, rel=1e-6)
    relative = torch.from_numpy(-3 + 20 / depth)[None]
    fitted = depth_map(relative, lidar, results(FIVE, alignment="_least_squares"), mode="_least_squares")
    assert fitted == pytest.approx(depth, rel=1e-6)
