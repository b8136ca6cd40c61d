"""Corruption errors and resilience rates: hand-made numbers, and the published ones."""

import pytest

from ude.evaluation.corruptions.report import scores_json, scores_text
from ude.evaluation.corruptions.scores import CLEAN, depth_estimation_error, scores

# depth estimation errors on KITTI-C, clean and 18 corruptions, with mCE and mRR [%]
# Source: the README of RoboDepth, https://github.com/ldkong1205/RoboDepth
PUBLISHED = {
    "MonoDepth2 R18": (
        *(0.119, 0.130, 0.280, 0.155, 0.277, 0.511, 0.187, 0.244, 0.242, 0.216),
        *(0.201, 0.129, 0.193, 0.384, 0.389, 0.340, 0.388, 0.145, 0.196),
    ),
    "MonoDepth2 R18 HR": (
        *(0.114, 0.129, 0.376, 0.155, 0.271, 0.582, 0.214, 0.393, 0.257, 0.230),
        *(0.232, 0.123, 0.215, 0.326, 0.352, 0.317, 0.344, 0.138, 0.198),
    ),
    "DIFFNet": (
        *(0.102, 0.111, 0.222, 0.131, 0.199, 0.352, 0.161, 0.513, 0.330, 0.280),
        *(0.197, 0.114, 0.165, 0.292, 0.266, 0.255, 0.270, 0.135, 0.202),
    ),
}


def published(name):
    clean, *others = PUBLISHED[name]
    return {CLEAN: clean} | {(f"corruption {number}", 1): error for number, error in enumerate(others)}


def test_depth_estimation_error_by_hand():
    assert depth_estimation_error(0, 1) == 0
    assert depth_estimation_error(0.101, 0.897) == pytest.approx(0.102, abs=1e-9)  # published so for Lite-Mono
    assert depth_estimation_error(1, 0) == 1


@pytest.mark.parametrize(
    ("name", "mce", "mrr"),
    [("MonoDepth2 R18", 100, 84.46), ("MonoDepth2 R18 HR", 106.06, 82.44), ("DIFFNet", 94.96, 85.41)],
)
def test_published_errors_give_the_published_scores(name, mce, mrr):
    found = scores(published(name), published("MonoDepth2 R18"))
    assert 100 * found.mce == pytest.approx(mce, abs=0.006)
    assert 100 * found.mrr == pytest.approx(mrr, abs=0.006)


def test_scores_by_hand():
    own = {CLEAN: 0.2, ("fog", 1): 0.3, ("fog", 5): 0.5, ("snow", 1): 0.2, ("snow", 5): 0.4}
    other = {CLEAN: 0.1, ("fog", 1): 0.2, ("fog", 5): 0.3, ("snow", 1): 0.6, ("snow", 5): 0.6}
    found = scores(own, other)
    assert found.corruptions["fog"].corruption_error == pytest.approx(0.8 / 0.5)
    assert found.corruptions["snow"].corruption_error == pytest.approx(0.6 / 1.2)
    assert found.mce == pytest.approx((1.6 + 0.5) / 2)
    assert found.corruptions["fog"].resilience == pytest.approx((0.7 + 0.5) / (2 * 0.8))
    assert found.mrr == pytest.approx((0.75 + 0.875) / 2)
    assert found.corruptions["fog"].errors == {1: 0.3, 5: 0.5}


def test_without_a_baseline_or_a_share_to_divide_by_there_is_no_score():
    found = scores({CLEAN: 1.0, ("fog", 1): 1.0})
    assert (found.mce, found.mrr) == (None, None)
    assert scores({CLEAN: 0.0, ("fog", 1): 0.1}, {CLEAN: 0.0, ("fog", 1): 0.0}).mce is None
    text = scores_text({"": found}, frames=3, baseline=None)
    assert "mCE n/a, mRR n/a (3 frames; no CE without --baseline)" in text
    assert scores_json(found)["corruptions"]["fog"] == {
        "errors": {"1": 1.0},
        "mean_error": 1.0,
        "corruption_error": None,
        "resilience": None,
    }


def test_a_baseline_without_a_severity_is_refused():
    own = {CLEAN: 0.2, ("fog", 1): 0.3}
    with pytest.raises(ValueError, match="the baseline lack fog at severity 1"):
        scores(own, {CLEAN: 0.2})
    with pytest.raises(ValueError, match="errors lack clean"):
        scores({("fog", 1): 0.3})
