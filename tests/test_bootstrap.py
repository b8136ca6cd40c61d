"""Scene bootstrap and gap closed: closed forms, and that scenes and not frames are resampled."""

import numpy as np
import pytest

from ude.evaluation.bootstrap import bounds, gap_closed, gap_closed_bounds, resampled_means, two_sided_p

SCENES = [f"scene-{number:04d}" for number in range(20) for _ in range(30)]


def values_with_scene_effect() -> np.ndarray:
    """600 values whose scenes differ far more than the frames of a scene."""
    rng = np.random.default_rng(7)
    return np.repeat(rng.normal(0.2, 0.05, 20), 30) + rng.normal(0, 0.005, 600)


def interval(values: np.ndarray, scenes: list[str], seed: int, resamples: int = 1000) -> list[float]:
    means = resampled_means(np.asarray(values)[:, None], scenes, seed=seed, resamples=resamples)
    return bounds(means, len(set(scenes)))[:, 0].tolist()


def test_constant_values_have_an_interval_of_zero_width():
    assert interval(np.full(600, 0.25), SCENES, seed=0) == [0.25, 0.25]


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    values = values_with_scene_effect()
    assert interval(values, SCENES, seed=1) == interval(values, SCENES, seed=1)
    assert interval(values, SCENES, seed=1) != interval(values, SCENES, seed=2)


def test_the_order_of_frames_does_not_matter():
    values, order = values_with_scene_effect(), np.random.default_rng(0).permutation(600)
    shuffled = interval(values[order], [SCENES[index] for index in order], seed=3)
    assert shuffled == pytest.approx(interval(values, SCENES, seed=3), abs=1e-12)


def test_scenes_that_differ_widen_the_interval():
    values = values_with_scene_effect()
    low, high = interval(values, SCENES, seed=0)
    by_frame = interval(values, [str(index) for index in range(600)], seed=0)
    assert low < values.mean() < high
    assert high - low > 3 * (by_frame[1] - by_frame[0])


def test_the_width_is_that_of_a_mean_of_independent_scenes():
    values = np.repeat(np.random.default_rng(1).normal(size=400), 2)
    scenes = [str(index // 2) for index in range(800)]
    low, high = interval(values, scenes, seed=0, resamples=4000)
    expected = 2 * 1.96 * values[::2].std() / 400**0.5
    assert high - low == pytest.approx(expected, rel=0.05)


def test_scenes_weigh_as_much_as_they_have_frames():
    means = resampled_means(np.array([[0.0], [0.0], [0.0], [4.0]]), ["a", "a", "a", "b"], seed=0, resamples=200)
    assert set(means.ravel()) == {0.0, 1.0, 4.0}  # scene a twice, each once (mean over its four frames), b twice


def test_every_frame_needs_a_scene():
    with pytest.raises(ValueError, match="3 frames, 2 scenes"):
        resampled_means(np.zeros((3, 1)), ["a", "b"], seed=0)


def test_the_draws_do_not_depend_on_how_many_are_made_at_once():
    values = values_with_scene_effect()[:, None]
    few = resampled_means(values, SCENES, seed=4, resamples=300)
    many = resampled_means(values, SCENES, seed=4, resamples=2500)
    assert np.array_equal(few, many[:300])
    assert len(np.unique(many)) == 2500


def test_differences_that_agree_in_every_scene_are_as_certain_as_scenes_and_resamples_allow():
    means = resampled_means(np.linspace(1, 2, 40)[:, None], [str(n) for n in range(40)], seed=0, resamples=1000)
    (p,) = two_sided_p(means, 40)
    assert 2 / 1001 < p < 0.005  # the smallest that 1,000 resamples can say
    assert two_sided_p(-means, 40) == pytest.approx(p)
    for scenes, least in ((2, 0.5), (3, 0.25), (4, 0.125)):
        means = resampled_means(np.full((scenes, 1), 0.1), [str(n) for n in range(scenes)], seed=0)
        assert two_sided_p(means, scenes)[0] >= least


def test_no_difference_at_all_has_p_1():
    assert two_sided_p(np.zeros((1000, 1)), 8) == pytest.approx(1)
    assert two_sided_p(np.array([[-1.0], [1.0]] * 500), 8) == pytest.approx(1)


def test_the_p_value_and_the_interval_agree():
    generator = np.random.default_rng(3)
    agree = []
    for shift in np.linspace(0, 1.2, 40):
        scenes = [str(number) for number in range(12)]
        means = resampled_means(generator.normal(shift, 1, (12, 1)), scenes, seed=0, resamples=4000)
        low, high = bounds(means, 12)[:, 0]
        agree.append((two_sided_p(means, 12)[0] < 0.05) == (not low <= 0 <= high))
    assert np.mean(agree) > 0.95


def simulated(trials: int, scenes: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Whether intervals cover a mean of 0, and p values, of frames with normal scene effects, unequally many."""
    covered, p_values = [], []
    for trial in range(trials):
        frames = generator.integers(5, 30, scenes)
        names = np.repeat(np.arange(scenes), frames).astype(str)
        values = np.repeat(generator.normal(0, 1, scenes), frames) + generator.normal(0, 1, frames.sum())
        means = resampled_means(values[:, None], names, seed=trial)
        low, high = bounds(means, scenes)[:, 0]
        covered.append(low <= 0 <= high)
        p_values.append(two_sided_p(means, scenes)[0])
    return np.array(covered), np.array(p_values)


def test_intervals_cover_the_truth_and_p_values_are_uniform_without_a_difference():
    covered, p_values = simulated(400, 15, np.random.default_rng(0))
    assert 0.91 < covered.mean() < 0.98  # 95 % +- 3 standard errors, less what the resampling of 15 scenes lacks
    quantiles = np.quantile(p_values, [0.1, 0.25, 0.5, 0.75, 0.9])
    assert quantiles == pytest.approx([0.1, 0.25, 0.5, 0.75, 0.9], abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize(("scenes", "least"), [(4, 0.84), (6, 0.90), (10, 0.92), (20, 0.93), (40, 0.93)])
def test_coverage_by_number_of_scenes(scenes, least):
    covered, p_values = simulated(1000, scenes, np.random.default_rng(scenes))
    assert least < covered.mean() < 0.97
    assert (p_values < 0.05).mean() < 1.01 - least
    if scenes >= 10:
        assert (p_values < 0.05).mean() == pytest.approx(0.05, abs=0.025)
        assert (p_values < 0.5).mean() == pytest.approx(0.5, abs=0.05)


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
