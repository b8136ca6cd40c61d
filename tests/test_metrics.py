"""The seven formulas: closed forms, hand counts, a loop over pixels, and padded batches."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional import mean_absolute_percentage_error

from ude.evaluation.metrics import METRICS, depth_metrics, lidar_metrics

BOUNDS = {"min_depth": 0.1, "max_depth": 80.0}


def random_case(seed: int) -> tuple[Tensor, Tensor]:
    """A prediction and a sparse LiDAR map (H, W), both float64, with returns beyond both bounds."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 40, size=2))
    lidar = np.exp(rng.uniform(np.log(0.05), np.log(120), shape)) * (rng.random(shape) < rng.uniform(0.2, 1))
    lidar.flat[0] = 10.0
    prediction = (
        np.exp(rng.uniform(np.log(0.02), np.log(200), shape)) if seed % 2 else lidar + rng.uniform(0.1, 3, shape)
    )
    return torch.from_numpy(prediction), torch.from_numpy(lidar)


def oracle(prediction: np.ndarray, lidar: np.ndarray, *, median_scaling: bool) -> dict[str, float]:
    """The protocol written as a loop over pixels."""
    pairs = [(p, g) for p, g in zip(prediction.ravel(), lidar.ravel(), strict=True) if 0.1 < g < 80]
    if median_scaling:
        middle = (len(pairs) - 1) // 2
        scale = sorted(g for _, g in pairs)[middle] / sorted(p for p, _ in pairs)[middle]
        pairs = [(p * scale, g) for p, g in pairs]
    pairs = [(min(max(p, 0.1), 80.0), g) for p, g in pairs]
    n = len(pairs)
    values = {
        "abs_rel": sum(abs(p - g) / g for p, g in pairs) / n,
        "sq_rel": sum((p - g) ** 2 / g for p, g in pairs) / n,
        "rmse": (sum((p - g) ** 2 for p, g in pairs) / n) ** 0.5,
        "rmse_log": (sum((np.log(p) - np.log(g)) ** 2 for p, g in pairs) / n) ** 0.5,
    }
    for power in (1, 2, 3):
        values[f"delta_{power}"] = sum(max(p / g, g / p) < 1.25**power for p, g in pairs) / n
    return values


@pytest.mark.parametrize("median_scaling", [False, True])
def test_two_hundred_random_cases_agree_with_a_loop_over_pixels(median_scaling):
    for seed in range(200):
        prediction, lidar = random_case(seed)
        values = depth_metrics(prediction, lidar, median_scaling=median_scaling, **BOUNDS)
        expected = oracle(prediction.numpy(), lidar.numpy(), median_scaling=median_scaling)
        assert {name: value.item() for name, value in values.items()} == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_hand_counted_numbers():
    prediction, lidar = torch.tensor([[2.0, 4.0, 9.0]]), torch.tensor([[4.0, 4.0, 0.0]])
    values = depth_metrics(prediction, lidar, **BOUNDS)
    expected = [0.25, 0.5, 2**0.5, np.log(2) / 2**0.5, 0.5, 0.5, 0.5]  # errors 2 m at 4 m and 0; ratios 2 and 1
    assert [values[name].item() for name in METRICS] == pytest.approx(expected, abs=1e-6)


def test_abs_rel_is_torchmetrics_mean_absolute_percentage_error():
    prediction, lidar = random_case(1)
    valid = (lidar > 0.1) & (lidar < 80)
    expected = mean_absolute_percentage_error(prediction[valid].clamp(0.1, 80), lidar[valid])
    torch.testing.assert_close(depth_metrics(prediction, lidar, **BOUNDS)["abs_rel"], expected)


def test_the_ground_truth_itself_has_no_error():
    _, lidar = random_case(3)
    values = depth_metrics(lidar.clamp(min=0.1), lidar, **BOUNDS)
    assert [values[name].item() for name in METRICS] == [0, 0, 0, 0, 1, 1, 1]


def test_median_scaling_undoes_any_scale():
    lidar = random_case(5)[1].clamp(0, 30)
    prediction = 2 * lidar.clamp(min=0.1)
    assert depth_metrics(prediction, lidar, **BOUNDS)["abs_rel"] > 0.5
    scaled = depth_metrics(prediction, lidar, median_scaling=True, **BOUNDS)
    assert scaled["abs_rel"].item() == pytest.approx(0, abs=1e-12)
    assert scaled["delta_1"] == 1


def test_the_prediction_is_clamped_after_the_scaling():
    prediction, lidar = torch.tensor([[40.0, 40.0, 90.0]]), torch.tensor([[20.0, 20.0, 45.0]])
    assert depth_metrics(prediction, lidar, median_scaling=True, **BOUNDS)["rmse"] == 0  # clamped before: 5 m off
    far = depth_metrics(torch.tensor([[500.0]]), torch.tensor([[40.0]]), **BOUNDS)
    assert far["abs_rel"] == 1  # 80 m against 40 m


def test_bounds_and_thresholds_are_strict():
    lidar = torch.tensor([[0.125, 80.0, 8.0]])
    values = depth_metrics(torch.tensor([[1.0, 1.0, 10.0]]), lidar, min_depth=0.125, max_depth=80.0)
    assert values["abs_rel"] == 0.25  # only the return at 8 m counts
    assert values["delta_1"] == 0  # a ratio of exactly 1.25 is not below it
    assert values["delta_2"] == 1


def test_one_return_is_enough():
    lidar = torch.zeros(4, 5)
    lidar[2, 3] = 10.0
    assert depth_metrics(torch.full((4, 5), 9.0), lidar, **BOUNDS)["abs_rel"].item() == pytest.approx(0.1, abs=1e-7)


def test_a_frame_without_valid_returns_is_refused():
    with pytest.raises(ValueError, match=r"no LiDAR return between 0\.1 m and 80 m"):
        depth_metrics(torch.ones(2, 2), torch.tensor([[0.0, 100.0], [0.05, 80.0]]), **BOUNDS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_an_unusable_prediction_is_refused(bad):
    with pytest.raises(ValueError, match="finite and positive"):
        depth_metrics(torch.tensor([[bad, 1.0]]), torch.tensor([[5.0, 5.0]]), **BOUNDS)


def test_maps_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 2\) and lidar_depth \(2, 3\) must match"):
        depth_metrics(torch.ones(2, 2), torch.ones(2, 3), **BOUNDS)


def test_a_padded_batch_in_several_modes_agrees_with_the_dense_maps():
    cases = [random_case(seed) for seed in range(6)]
    size = max(lidar.numel() for _, lidar in cases)
    prediction = torch.stack([F.pad(p.flatten(), (0, size - p.numel()), value=1.0) for p, _ in cases])
    lidar = torch.stack([F.pad(g.flatten(), (0, size - g.numel())) for _, g in cases])
    batched = lidar_metrics(torch.stack([prediction, 3 * prediction]), lidar, **BOUNDS)
    assert batched.shape == (7, 2, 6)
    for row, (depth, returns) in enumerate(cases):
        for mode, factor in enumerate((1, 3)):
            dense = depth_metrics(factor * depth, returns, **BOUNDS)
            expected = torch.stack([dense[name] for name in METRICS])
            torch.testing.assert_close(batched[:, mode, row], expected, rtol=1e-12, atol=1e-12)


def test_only_the_frame_without_valid_returns_is_nan():
    lidar = torch.tensor([[5.0, 0.0, 0.0], [0.0, 90.0, 80.0]])
    values = lidar_metrics(torch.full((2, 3), 5.0), lidar, **BOUNDS)
    assert values[:, 0].isfinite().all()
    assert values[:, 1].isnan().all()
    empty = lidar_metrics(torch.ones(3, 0), torch.ones(3, 0), **BOUNDS)
    assert empty.shape == (7, 3)
    assert empty.isnan().all()
