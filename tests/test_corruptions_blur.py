"""Blur through glass and by zooming against the published draws and numbers."""

import numpy as np
import pytest

from ude.evaluation.corruptions.blur import _half_width, _mean_square, _swap_neighbours, _zooms


def test_glass_blur_moves_pixels_as_far_as_a_sequential_shuffle_with_the_published_draws():
    side, delta = 64, 2
    rng = np.random.default_rng(0)
    places = np.arange(side * side).reshape(side, side)
    slow = places.copy()
    for row in range(side - 1, -1, -1):
        for column in range(side - 1, -1, -1):
            shift = rng.integers(-delta, delta, 2)  # published: without the upper bound
            other = min(max(row + shift[0], 0), side - 1), min(max(column + shift[1], 0), side - 1)
            slow[row, column], slow[other] = slow[other], slow[row, column]
    fast = places.copy()
    _swap_neighbours(fast, _half_width(_mean_square(delta)), np.random.default_rng(1))

    def distance(shuffled):
        here, there = np.divmod(places, side), np.divmod(shuffled, side)
        return np.sqrt(np.mean([(a - b) ** 2 for a, b in zip(here, there, strict=True)]))

    assert np.array_equal(np.sort(fast.ravel()), places.ravel())  # no pixel is lost
    assert distance(fast) == pytest.approx(distance(slow), rel=0.06)
    assert (fast != places).mean() == pytest.approx((slow != places).mean(), abs=0.05)


@pytest.mark.parametrize("delta", [1, 2, 3, 4])
def test_neighbours_in_glass_are_as_far_as_the_published_draws_along_an_axis(delta):
    published = np.arange(-delta, delta)
    assert _mean_square(delta) == pytest.approx(np.mean(published**2))
    width = _half_width(_mean_square(delta))
    distance = np.abs(np.rint(np.random.default_rng(0).uniform(-width, width, 100_000))).astype(int)
    expected = np.bincount(np.abs(published)) / (2 * delta)
    assert np.bincount(distance) / 100_000 == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("severity", "end", "step"), [(1, 1.11, 0.01), (2, 1.16, 0.01), (3, 1.21, 0.02), (4, 1.26, 0.02), (5, 1.31, 0.03)]
)
def test_zooms_are_the_published_ones(severity, end, step):
    assert _zooms(severity) == pytest.approx(np.arange(1, end, step), abs=1e-9)


@pytest.mark.parametrize("variance", [0.1, 2 / 3, 1.2, 2.0, 5.1, 20 / 3])
def test_rounded_draws_have_the_variance_that_is_asked_for(variance):
    width = _half_width(variance)
    whole = np.arange(-20, 21)
    share = np.clip(np.minimum(whole + 0.5, width) - np.maximum(whole - 0.5, -width), 0, None) / (2 * width)
    assert (share * whole**2).sum() == pytest.approx(variance)
