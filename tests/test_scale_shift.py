"""Losses without scale and shift: closed forms, a NumPy oracle in float64, invariances, masks, maps without depth."""

import numpy as np
import pytest
import torch

from ude.losses.scale_shift import aligned_residual, gradient_matching_loss, scale_shift_loss

ALIGNMENTS = ("median", "least_squares")
each_alignment = pytest.mark.parametrize("alignment", ALIGNMENTS)


def maps(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=dtype), torch.rand(shape, generator=generator, dtype=dtype)


def oracle_residual(prediction, target, valid, alignment):
    """Residual of one image (H, W) in float64 at the pixels that count, by sorting or by solving for two unknowns."""
    d, d_star = (values[valid].astype(np.float64) for values in (prediction, target))

    def normalised(x):
        median = np.sort(x)[(len(x) - 1) // 2]  # the lower of two
        return (x - median) / np.abs(x - median).mean()

    if alignment == "median":
        return normalised(d) - normalised(d_star)
    wanted = (d_star - d_star.mean()) / d_star.std()
    (scale, shift), *_ = np.linalg.lstsq(np.stack([d, np.ones_like(d)], 1), wanted, rcond=None)
    return scale * d + shift - wanted


@each_alignment
@pytest.mark.parametrize("shape", [(3, 1, 5, 7), (3, 1, 4, 6)])
def test_the_loss_is_that_of_a_float64_oracle(alignment, shape):
    prediction, target = maps(*shape)
    valid = torch.rand(shape, generator=torch.Generator().manual_seed(3)) < 0.7
    expected = []
    for image in range(len(prediction)):
        arrays = (t[image, 0].numpy() for t in (prediction, target, valid))
        residual = oracle_residual(*arrays, alignment)
        expected.append(0.5 * np.mean(np.abs(residual) if alignment == "median" else residual**2))
    found = scale_shift_loss(prediction, target, valid, alignment=alignment)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-12)
    in_float32 = scale_shift_loss(prediction.float(), target.float(), valid, alignment=alignment)
    assert float(in_float32) == pytest.approx(np.mean(expected), rel=1e-5)


def test_median_and_mean_deviation_by_hand():
    prediction = torch.tensor([0.0, 1.0, 2.0, 3.0, 9.0]).view(1, 1, 1, 5)  # median 2, deviations 2 1 0 1 7: mean 2.2
    target = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 5)  # median 2, deviations 2 1 0 1 2: mean 1.2
    ours, theirs = np.array([-2, -1, 0, 1, 7]) / 2.2, np.array([-2, -1, 0, 1, 2]) / 1.2
    assert aligned_residual(prediction, target).flatten().tolist() == pytest.approx(ours - theirs, abs=1e-6)
    assert float(scale_shift_loss(prediction, target)) == pytest.approx(np.abs(ours - theirs).mean() / 2, abs=1e-6)


def test_least_squares_leaves_what_the_correlation_does_not_explain():
    prediction, target = maps(2, 1, 6, 8)
    correlations = [np.corrcoef(prediction[i].flatten(), target[i].flatten())[0, 1] for i in range(2)]
    found = scale_shift_loss(prediction, target, alignment="least_squares")
    assert float(found) == pytest.approx(np.mean([(1 - r**2) / 2 for r in correlations]), rel=1e-12)


@each_alignment
def test_scale_and_shift_of_either_map_change_nothing(alignment):
    prediction, target = maps(2, 1, 6, 8)
    before = scale_shift_loss(prediction, target, alignment=alignment)
    scale, shift = torch.tensor([3.0, 0.01]).view(2, 1, 1, 1), torch.tensor([-5.0, 40.0]).view(2, 1, 1, 1)
    assert float(scale_shift_loss(scale * prediction + shift, target, alignment=alignment)) == pytest.approx(
        float(before), rel=1e-9
    )
    assert float(scale_shift_loss(prediction, scale * target + shift, alignment=alignment)) == pytest.approx(
        float(before), rel=1e-9
    )
    assert float(scale_shift_loss(scale * target + shift, target, alignment=alignment)) == pytest.approx(0, abs=1e-9)


def test_a_reversed_map_is_wrong_for_the_median_and_right_for_least_squares():
    _, target = maps(1, 1, 6, 8)
    assert float(scale_shift_loss(-target, target)) > 0.5
    assert float(scale_shift_loss(-target, target, alignment="least_squares")) == pytest.approx(0, abs=1e-12)


@each_alignment
def test_pixels_that_do_not_count_are_never_looked_at(alignment):
    prediction, target = maps(2, 1, 6, 8)
    valid = torch.rand(prediction.shape, generator=torch.Generator().manual_seed(3)) < 0.6
    kept = scale_shift_loss(prediction, target, valid, alignment=alignment)
    damaged = torch.where(valid, prediction, torch.nan).requires_grad_()
    again = scale_shift_loss(damaged, torch.where(valid, target, torch.inf), valid, alignment=alignment)
    again.backward()
    assert float(again.detach()) == float(kept)
    assert damaged.grad.isfinite().all()
    assert (damaged.grad[~valid] == 0).all()
    assert (damaged.grad[valid] != 0).any()


@each_alignment
@pytest.mark.parametrize("loss", [scale_shift_loss, gradient_matching_loss])
def test_gradients_are_those_of_finite_differences(alignment, loss):
    prediction, target = maps(2, 1, 5, 6, seed=1)
    valid = torch.rand(prediction.shape, generator=torch.Generator().manual_seed(3)) < 0.8

    def of(values):
        return loss(values, target, valid, alignment=alignment)

    assert torch.autograd.gradcheck(of, prediction.requires_grad_(), eps=1e-7, atol=1e-5)


@each_alignment
@pytest.mark.parametrize("loss", [scale_shift_loss, gradient_matching_loss])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
@pytest.mark.parametrize("constant", ["prediction", "target", "mask"])
def test_an_image_without_depth_gives_zero_and_leaves_the_others_alone(alignment, loss, value, constant):
    prediction, target = maps(2, 1, 6, 8, dtype=torch.float32)
    alone = loss(prediction[:1], target[:1], alignment=alignment)
    valid = torch.ones_like(prediction, dtype=torch.bool)
    if constant == "mask":
        valid[1] = False
    else:
        {"prediction": prediction, "target": target}[constant][1] = value
    prediction.requires_grad_()
    both = loss(prediction, target, valid, alignment=alignment)
    both.backward()
    assert float(both.detach()) == pytest.approx(float(alone) / 2, rel=1e-5)
    assert (prediction.grad[1] == 0).all()
    assert prediction.grad.isfinite().all()
    assert (prediction.grad[0] != 0).any()


@each_alignment
def test_no_gradient_reaches_the_target_and_half_precision_is_computed_in_float32(alignment):
    prediction, target = maps(1, 1, 6, 8, dtype=torch.float32)
    target.requires_grad_()
    loss = scale_shift_loss(prediction.half().requires_grad_(), target, alignment=alignment)
    loss.backward()
    assert loss.dtype == torch.float32
    assert target.grad is None


def test_gradient_matching_counts_steps_at_four_scales_by_hand():
    ramp, step = np.arange(16.0), np.arange(16) + 8.0 * (np.arange(16) >= 8)  # both have the (lower) median 7
    target, edge = (torch.from_numpy(values).view(1, 1, 1, 16).expand(1, 1, 16, 16) for values in (ramp, step))
    residual = (step - 7) / np.abs(step - 7).mean() - (ramp - 7) / 4
    expected = sum(np.abs(np.diff(residual[:: 2**k])).mean() for k in range(4))  # nothing changes downwards
    assert float(gradient_matching_loss(edge, target)) == pytest.approx(expected, rel=1e-12)
    assert float(gradient_matching_loss(3 * target + 2, target)) == pytest.approx(0, abs=1e-12)


def test_another_alignment_is_refused():
    with pytest.raises(ValueError, match="alignment must be median or least_squares, got 'mean'"):
        scale_shift_loss(*maps(1, 1, 4, 4), alignment="mean")
