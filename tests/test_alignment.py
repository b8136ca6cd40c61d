"""Median scaling, and scale and shift of inverse depth by least squares."""

import numpy as np
import pytest
import torch

from ude.config import ConfigError, load_config
from ude.config.validate import CHOICES
from ude.evaluation.alignment import ALIGNMENTS, least_squares_depth, masked_median, median_scaled, mode_suffixes
from ude.evaluation.protocols import PROTOCOLS

BOUNDS = {"min_depth": 0.1, "max_depth": 80.0}


def lidar(seed: int, count: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    """Depths from 1 to 70 m, float64 (N,), and a random half of them as valid."""
    generator = torch.Generator().manual_seed(seed)
    depth = torch.rand(count, generator=generator, dtype=torch.float64) * 69 + 1
    return depth, torch.rand(count, generator=generator) < 0.5


def test_the_median_is_the_lower_of_the_two_in_the_middle_or_their_mean():
    values = torch.tensor([[5.0, 1.0, 3.0, 2.0, 99.0]])
    valid = torch.tensor([[True, True, True, True, False]])
    assert masked_median(values, valid).item() == torch.median(values[valid]).item() == 2
    assert masked_median(values, valid, lower=False).item() == np.median(values[valid].numpy()) == 2.5


@pytest.mark.parametrize("lower", [True, False])
def test_both_medians_agree_with_torch_and_numpy_on_padded_batches(lower):
    for seed in range(50):
        values, valid = lidar(seed, 1 + seed)
        valid[seed // 2] = True
        expected = torch.median(values[valid]).item() if lower else np.median(values[valid].numpy())
        assert masked_median(values[None], valid[None], lower=lower).item() == pytest.approx(expected, rel=1e-15)
    assert masked_median(torch.ones(2, 0), torch.ones(2, 0, dtype=torch.bool), lower=lower).isnan().all()


@pytest.mark.parametrize("lower", [True, False])
def test_twice_the_depth_is_scaled_back(lower):
    depth, valid = lidar(0)
    torch.testing.assert_close(median_scaled(2 * depth, depth, valid, lower=lower), depth, rtol=1e-15, atol=0)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (2, 0), (0.01, 3), (-5, 7), (1e6, -1e6)])
def test_any_affine_change_of_inverse_depth_is_undone(scale, shift):
    depth, valid = lidar(1)
    aligned = least_squares_depth(scale / depth + shift, depth, valid, **BOUNDS)
    torch.testing.assert_close(aligned, depth, rtol=1e-7, atol=0)  # of 1e6 and more only 16 digits are kept


def test_the_fit_is_that_of_numpy_and_ignores_returns_that_do_not_count():
    for seed in range(50):
        depth, valid = lidar(seed)
        generator = torch.Generator().manual_seed(100 + seed)
        prediction = 1 / depth + 0.1 * torch.rand(len(depth), generator=generator, dtype=torch.float64)
        system = np.stack([prediction[valid].numpy(), np.ones(int(valid.sum()))], 1)
        scale, shift = np.linalg.lstsq(system, 1 / depth[valid].numpy(), rcond=None)[0]
        expected = 1 / (scale * prediction + shift).clamp(1 / 80, 1 / 0.1)
        aligned = least_squares_depth(prediction, depth.where(valid, 0), valid, **BOUNDS)
        torch.testing.assert_close(aligned[valid], expected[valid], rtol=1e-9, atol=0)


def test_one_return_or_a_constant_prediction_becomes_the_mean_inverse_depth():
    depth, everywhere = torch.tensor([2.0, 4.0, 4.0], dtype=torch.float64), torch.ones(3, dtype=torch.bool)
    constant = least_squares_depth(torch.full_like(depth, 0.7), depth, everywhere, **BOUNDS)
    torch.testing.assert_close(
        constant, torch.full_like(depth, 3.0), rtol=1e-12, atol=0
    )  # 1/3 is the mean of 1/2, 1/4, 1/4
    zero = least_squares_depth(torch.zeros_like(depth), depth, everywhere, **BOUNDS)
    torch.testing.assert_close(zero, torch.full_like(depth, 3.0), rtol=1e-12, atol=0)
    one = least_squares_depth(torch.rand(3, dtype=torch.float64), depth, torch.tensor([True, False, False]), **BOUNDS)
    assert one[0].item() == pytest.approx(2.0, rel=1e-12)


def test_inverse_depths_outside_the_bounds_are_clamped():
    inverse = torch.tensor([1.0, 0.5, 0.0, -9.0, 1000.0], dtype=torch.float64)
    valid = torch.tensor([True, True, False, False, False])
    aligned = least_squares_depth(inverse, 1 / inverse, valid, **BOUNDS)
    assert aligned.tolist() == pytest.approx([1, 2, 80, 80, 0.1], rel=1e-12)


def test_no_valid_return_gives_nan():
    nothing = torch.zeros(4, dtype=torch.bool)
    assert least_squares_depth(torch.rand(4), torch.ones(4), nothing, **BOUNDS).isnan().all()


def test_modes_are_named_after_their_alignment():
    assert mode_suffixes("median", flip=True) == ("", "_flip", "_median", "_flip_median")
    assert mode_suffixes("least_squares", flip=False) == ("", "_least_squares")
    assert mode_suffixes("none", flip=True) == ("", "_flip")
    assert mode_suffixes("none", flip=False) == ("",)


def test_the_config_knows_every_protocol_and_alignment():
    assert CHOICES["EVAL.PROTOCOL"] == tuple(PROTOCOLS)
    assert CHOICES["EVAL.ALIGNMENT"] == ALIGNMENTS


@pytest.mark.parametrize("protocol", ["drivingstereo", "booster", "cleargrasp"])
def test_a_protocol_for_one_source_is_refused_with_another(protocol, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"EVAL: {{PROTOCOL: {protocol}}}\n")
    assert protocol == load_config(path, ["DATA.SOURCE", protocol]).EVAL.PROTOCOL
    said = rf"EVAL\.PROTOCOL {protocol} is for DATA\.SOURCE {protocol} only; nuscenes takes"
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path, [])
    assert "\n" not in str(caught.value)
