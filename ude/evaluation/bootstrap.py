"""Uncertainty of means over frames, from resampling scenes: the frames of one scene are far from independent."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 95
"""Share of the resampled means that lies inside an interval [%]."""


class Interval(NamedTuple):
    """A mean and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def resampled_means(values: np.ndarray, scenes: Sequence[str], *, seed: int, resamples: int = 1000) -> np.ndarray:
    """Means over the frames of scenes drawn with replacement, (resamples, K).

    Equal scenes, seed and resamples give the same draws, so that results of two predictors can be compared in pairs.

    Args:
        values: one row per frame, (N, K).
        scenes: the scene of each frame, N names.
        seed: seed of the draws.
        resamples: number of draws.
    """
    names, index = np.unique(np.asarray(scenes, dtype=str), return_inverse=True)
    if len(index) != len(values):
        raise ValueError(f"every frame must have a scene: {len(values)} frames, {len(index)} scenes")
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return (draws @ sums) / (draws @ np.bincount(index))[:, None]


def scene_bootstrap(
    values: Sequence[float] | np.ndarray, scenes: Sequence[str], *, seed: int, resamples: int = 1000
) -> Interval | None:
    """Mean over frames with its 95 % interval; None with fewer than two scenes, which say nothing about others.

    Args:
        values: a metric of each frame, (N,).
        scenes: the scene of each frame, N names.
        seed: seed of the draws.
        resamples: number of draws.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(set(scenes)) < 2:
        return None
    low, high = bounds(resampled_means(values[:, None], scenes, seed=seed, resamples=resamples))[:, 0]
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    scenes: Sequence[str],
    *,
    seed: int,
    resamples: int = 1000,
) -> Interval | None:
    """Mean of `first - second` over the same frames with its 95 % interval; see scene_bootstrap.

    Args:
        first: a metric of each frame from one predictor, (N,).
        second: the same metric of the same frames from another, (N,).
        scenes: the scene of each frame, N names.
        seed: seed of the draws.
        resamples: number of draws.
    """
    if len(first) != len(second):
        raise ValueError(f"both predictors must have the same frames, got {len(first)} and {len(second)}")
    return scene_bootstrap(np.subtract(first, second), scenes, seed=seed, resamples=resamples)


def gap_closed(
    teacher_day: float | None,
    teacher_night: float | None,
    student_night: float | None,
    *,
    higher_is_better: bool = False,
) -> float | None:
    """Share of the teacher's loss from day to night that the student wins back; None where the teacher loses nothing.

    Args:
        teacher_day: mean of a metric for the teacher by day.
        teacher_night: the same at night (or in rain).
        student_night: the same for the student.
        higher_is_better: the metric is a share of good pixels (delta_1) and not an error.
    """
    if teacher_day is None or teacher_night is None or student_night is None:
        return None
    gap = teacher_night - teacher_day
    if gap == 0 or (gap < 0) != higher_is_better:
        return None
    return (teacher_night - student_night) / gap


def gap_closed_bounds(
    teacher_day: np.ndarray,
    teacher_night: np.ndarray,
    student_night: np.ndarray,
    *,
    day_scenes: Sequence[str],
    night_scenes: Sequence[str],
    seed: int,
    higher_is_better: bool = False,
    resamples: int = 1000,
) -> tuple[float, float] | None:
    """95 % interval of gap_closed; None with too few scenes or where the gap itself is not certain.

    Args:
        teacher_day: metric of each day frame for the teacher, (N,).
        teacher_night: metric of each night frame for the teacher, (M,).
        student_night: metric of the same night frames for the student, (M,).
        day_scenes: the scene of each day frame, N names.
        night_scenes: the scene of each night frame, M names.
        seed: seed of the draws.
        higher_is_better: the metric is a share of good pixels and not an error.
        resamples: number of draws.
    """
    if min(len(set(day_scenes)), len(set(night_scenes))) < 2:
        return None
    day = resampled_means(np.asarray(teacher_day)[:, None], day_scenes, seed=seed, resamples=resamples)[:, 0]
    night = np.stack([teacher_night, student_night], axis=1)  # one draw of scenes serves both predictors
    teacher, student = resampled_means(night, night_scenes, seed=seed + 1, resamples=resamples).T
    gap = teacher - day
    certain = (gap < 0) if higher_is_better else (gap > 0)
    if certain.mean() < LEVEL / 100:
        return None
    low, high = bounds(((teacher - student)[certain] / gap[certain])[:, None])[:, 0]
    return float(low), float(high)


def bounds(means: np.ndarray) -> np.ndarray:
    """Lower and upper bound (2, K) of the middle 95 % of resampled means (resamples, K)."""
    tail = (100 - LEVEL) / 2
    return np.percentile(means, [tail, 100 - tail], axis=0)
