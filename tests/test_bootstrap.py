"""Scene bootstrap and gap closed: closed forms, and that scenes and not frames are resampled."""

import numpy as np
import pytest

from ude.evaluation.bootstrap import (
    gap_closed,
    gap_closed_bounds,
    paired_difference,
    resampled_means,
    scene_bootstrap,
)

SCENES = [f"scene-{number:04d}" for number in range(20) for _ in range(30)]


def values_with_scene_effect() -> np.ndarray:
    """600 values whose scenes differ far more than the frames of a scene."""
    rng = np.random.default_rng(7)
    return np.repeat(rng.normal(0.2, 0.05, 20), 30) + rng.normal(0, 0.005, 600)


def test_constant_values_have_an_interval_of_zero_width():
    assert scene_bootstrap(np.full(600, 0.25), SCENES, seed=0) == (0.25, 0.25, 0.25)


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    values = values_with_scene_effect()
    assert scene_bootstrap(values, SCENES, seed=1) == scene_bootstrap(values, SCENES, seed=1)
    assert scene_bootstrap(values, SCENES, seed=1) != scene_bootstrap(values, SCENES, seed=2)


def test_the_order_of_frames_does_not_matter():
    values, order = values_with_scene_effect(), np.random.default_rng(0).permutation(600)
    shuffled = scene_bootstrap(values[order], [SCENES[index] for index in order], seed=3)
    assert shuffled == pytest.approx(scene_bootstrap(values, SCENES, seed=3), abs=1e-12)


def test_scenes_that_differ_widen_the_interval():
    values = values_with_scene_effect()
    by_scene = scene_bootstrap(values, SCENES, seed=0)
    by_frame = scene_bootstrap(values, [str(index) for index in range(600)], seed=0)
    assert by_scene.low < by_scene.mean < by_scene.high
    assert by_scene.high - by_scene.low > 3 * (by_frame.high - by_frame.low)


def test_the_width_is_that_of_a_mean_of_independent_scenes():
    values = np.repeat(np.random.default_rng(1).normal(size=400), 2)
    scenes = [str(index // 2) for index in range(800)]
    _, low, high = scene_bootstrap(values, scenes, seed=0, resamples=4000)
    expected = 2 * 1.96 * values[::2].std() / 400**0.5
    assert high - low == pytest.approx(expected, rel=0.05)


def test_scenes_weigh_as_much_as_they_have_frames():
    means = resampled_means(np.array([[0.0], [0.0], [0.0], [4.0]]), ["a", "a", "a", "b"], seed=0, resamples=200)
    assert set(means.ravel()) == {0.0, 1.0, 4.0}  # scene a twice, each once (mean over its four frames), b twice


def test_fewer_than_two_scenes_have_no_interval():
    assert scene_bootstrap([0.1, 0.2], ["a", "a"], seed=0) is None
    assert scene_bootstrap([], [], seed=0) is None


def test_a_paired_difference_is_narrower_than_its_parts():
    values = values_with_scene_effect()
    difference = paired_difference(values, values - 0.01, SCENES, seed=0)
    assert difference == pytest.approx((0.01, 0.01, 0.01), abs=1e-9)


def test_pairs_need_the_same_frames():
    with pytest.raises(ValueError, match="the same frames, got 2 and 3"):
        paired_difference([1, 2], [1, 2, 3], ["a", "b"], seed=0)
    with pytest.raises(ValueError, match="3 frames, 2 scenes"):
        resampled_means(np.zeros((3, 1)), ["a", "b"], seed=0)


@pytest.mark.parametrize(("student", "closed"), [(0.4, 0.0), (0.1, 1.0), (0.25, 0.5), (0.55, -0.5), (0.07, 1.1)])
def test_gap_closed_of_an_error(student, closed):
    assert gap_closed(0.1, 0.4, student) == pytest.approx(closed)


def test_gap_closed_of_a_share_of_good_pixels():
    assert gap_closed(0.9, 0.5, 0.7, higher_is_better=True) == pytest.approx(0.5)


def test_there_is_nothing_to_close_where_the_teacher_loses_nothing():
    assert gap_closed(0.4, 0.4, 0.3) is None
    assert gap_closed(0.4, 0.3, 0.2) is None
    assert gap_closed(0.5, 0.9, 0.9, higher_is_better=True) is None
    assert gap_closed(None, 0.4, 0.2) is None
    assert gap_closed(0.1, 0.4, None) is None


def test_the_bounds_of_the_gap_closed_contain_it():
    rng = np.random.default_rng(0)
    day, night = values_with_scene_effect(), values_with_scene_effect() + 0.3
    student = night - 0.15 + np.repeat(rng.normal(0, 0.05, 20), 30)
    low, high = gap_closed_bounds(day, night, student, day_scenes=SCENES, night_scenes=SCENES, seed=0)
    assert low < gap_closed(day.mean(), night.mean(), student.mean()) < high
    mirrored = gap_closed_bounds(
        1 - day, 1 - night, 1 - student, day_scenes=SCENES, night_scenes=SCENES, seed=0, higher_is_better=True
    )
    assert mirrored == pytest.approx((low, high))


def test_an_uncertain_gap_has_no_bounds():
    values = values_with_scene_effect()
    assert gap_closed_bounds(values, values, values, day_scenes=SCENES, night_scenes=SCENES, seed=0) is None
    one = ["a"] * 600
    assert gap_closed_bounds(values, values + 1, values, day_scenes=one, night_scenes=SCENES, seed=0) is None
