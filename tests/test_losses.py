"""Losses against closed forms, a slow NumPy reference and exact-zero gradients."""

import shutil

import numpy as np
import photometric_reference as reference
import pytest
import torch

from ude import losses
from ude.geometry import transform_from_axis_angle, view_synthesis
from ude.losses.dssim import dssim
from ude.losses.windows import window_sums, window_sums_adjoint

H, W = 24, 40
K = torch.tensor([[[40.0, 0, 19.5], [0, 40.0, 11.5], [0, 0, 1]]])


def triplet(static=False):
    torch.manual_seed(3)
    target = torch.rand(1, 3, H, W)
    sources = target[:, None].repeat(1, 2, 1, 1, 1) if static else torch.rand(1, 2, 3, H, W)
    T = torch.eye(4).repeat(1, 2, 1, 1)
    T[0, 0, 2, 3], T[0, 1, 2, 3] = 0.5, -0.5
    return target, sources, T


def test_photometric_error_equals_the_plain_reference():
    a, b = torch.rand(3, 7, 9), torch.rand(3, 7, 9)
    ours = losses.photometric_error(a[None].double(), b[None].double(), 0.85)[0, 0].numpy()
    np.testing.assert_allclose(ours, reference.photometric_error(a.numpy(), b.numpy()), atol=1e-12)


def test_dssim_of_equal_images_is_zero_and_of_inverted_noise_large():
    image = torch.rand(1, 3, H, W)
    assert dssim(image, image).abs().max() == 0
    assert dssim(image, 1 - image).mean() > 0.5


def test_static_triplet_gives_no_gradient():
    target, sources, T = triplet(static=True)
    inverse_depth = torch.full((1, 1, H, W), 0.2, requires_grad=True)
    loss, maps = losses.reprojection_loss([inverse_depth], target, sources, K, T)
    loss.backward()
    assert loss.item() == 0
    assert inverse_depth.grad.abs().max() == 0
    assert not maps["automask"].any()


def test_reprojection_loss_is_lowest_at_the_true_depth():
    torch.manual_seed(0)
    coarse = torch.rand(1, 3, H // 4, W // 4)
    source = torch.nn.functional.interpolate(coarse, (H, W), mode="bicubic", align_corners=True).clamp(0, 1)
    T = torch.eye(4).repeat(1, 1, 1, 1)
    T[0, 0, 0, 3] = 0.5
    target, _ = view_synthesis(source, torch.full((1, 1, H, W), 5.0), K, T[:, 0])
    errors = {
        depth: losses.reprojection_loss(
            [torch.full((1, 1, H, W), 1 / depth)], target, source[:, None], K, T, automask=False
        )[0].item()
        for depth in (2.5, 4.0, 5.0, 6.5, 10.0)
    }
    assert min(errors, key=errors.get) == 5.0
    assert errors[5.0] < 1e-5


def test_minimum_over_sources_ignores_the_occluded_one():
    target, sources, _ = triplet()
    sources[:, 1] = target[:]
    T = torch.eye(4).repeat(1, 2, 1, 1)
    error = losses.reprojection_error(torch.full((1, 1, H, W), 0.1), target, sources, K, T)
    assert error.abs().max() < 1e-4


def test_coarse_scales_are_enlarged_and_averaged():
    target, sources, T = triplet()
    fine, coarse = torch.full((1, 1, H, W), 0.2), torch.full((1, 1, H // 2, W // 2), 0.1)
    both, _ = losses.reprojection_loss([fine, coarse], target, sources, K, T)
    one, _ = losses.reprojection_loss([fine], target, sources, K, T)
    two, _ = losses.reprojection_loss([coarse], target, sources, K, T)
    assert both.item() == pytest.approx((one.item() + two.item()) / 2, abs=1e-7)


def scene(batch=1, size=(20, 28), dtype=torch.float64):
    """Textured images, smooth inverse depths of four scales, intrinsics and two general motions."""
    generator = torch.Generator().manual_seed(7)

    def smooth(channels, height, width, knots=(4, 5)):
        coarse = torch.rand(batch, channels, *knots, generator=generator, dtype=dtype)
        return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)

    height, width = size
    images = smooth(9, *size, knots=(9, 12))
    inverse_depths = [0.05 + 0.1 * smooth(1, height >> s, width >> s) for s in range(4)]
    K = torch.tensor([[0.6 * width, 0, 0.47 * width], [0, 0.62 * width, 0.53 * height], [0, 0, 1]], dtype=dtype)
    T = transform_from_axis_angle(
        torch.tensor([[0.01, 0.02, -0.01], [-0.01, -0.02, 0.01]]), torch.tensor([[0.2, -0.1, -0.5], [-0.3, 0.1, 0.6]])
    ).to(dtype)
    return (
        inverse_depths,
        images[:, :3],
        images[:, 3:].unflatten(1, (2, 3)),
        K.expand(batch, 3, 3),
        T.expand(batch, 2, 4, 4),
    )


@pytest.mark.parametrize("automask", [True, False])
def test_reprojection_loss_equals_the_plain_reference(automask):
    inverse_depths, target, sources, K, T = scene()
    ours, maps = losses.reprojection_loss(inverse_depths, target, sources, K, T, automask=automask)
    planes = [inverse_depth[0, 0].numpy() for inverse_depth in inverse_depths]
    golden = reference.reprojection_loss(
        planes, target[0].numpy(), sources[0].numpy(), K[0].numpy(), T[0].numpy(), automask
    )
    assert ours.item() == pytest.approx(golden, abs=1e-12)
    assert 0.05 < maps["automask"].double().mean() < 0.95 or not automask


def test_smoothness_equals_the_plain_reference():
    inverse_depths, target, *_ = scene(size=(24, 32))
    images = [target[0].unflatten(1, (-1, k)).unflatten(3, (-1, k)).mean((2, 4)).numpy() for k in (1, 2, 4, 8)]
    planes = [inverse_depth[0, 0].numpy() for inverse_depth in inverse_depths]
    ours = losses.smoothness_loss(inverse_depths, target)
    assert ours.item() == pytest.approx(reference.smoothness_loss(planes, images), rel=1e-6)


def test_gradient_of_the_reprojection_loss_equals_finite_differences():
    inverse_depths, target, sources, K, T = scene(size=(8, 10))
    inverse_depths = [inverse_depth.requires_grad_() for inverse_depth in inverse_depths[:2]]
    T = T.clone().requires_grad_()

    def loss(fine, coarse, T):
        return losses.reprojection_loss([fine, coarse], target, sources, K, T)[0]

    assert torch.autograd.gradcheck(loss, (*inverse_depths, T), eps=1e-7, atol=1e-6, rtol=1e-4)


def test_window_sums_and_their_adjoint_are_those_of_the_reflected_pool():
    image = torch.rand(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="reflect")
    pooled = torch.nn.functional.avg_pool2d(padded, 3, 1, divisor_override=1)
    weights = torch.rand_like(pooled)
    (expected,) = torch.autograd.grad((pooled * weights).sum(), image)
    assert (window_sums(image.detach()) - pooled).abs().max() < 1e-14
    assert (window_sums_adjoint(weights) - expected).abs().max() < 1e-14


@pytest.mark.parametrize("size", [(2, 2), (2, 5), (3, 3), (4, 6)])
def test_gradient_of_dssim_equals_finite_differences(size):
    prediction = torch.rand(1, 2, *size, dtype=torch.float64, requires_grad=True)
    target = torch.rand(1, 2, *size, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda image: dssim(image, target), prediction)


def test_no_gradient_flows_into_the_target():
    prediction, target = (torch.rand(1, 3, 6, 8, requires_grad=True) for _ in range(2))
    losses.photometric_error(prediction, target).sum().backward()
    assert target.grad is None
    assert prediction.grad.abs().sum() > 0


def test_a_tie_between_two_sources_has_one_winner():
    inverse_depths, target, sources, K, T = scene()
    both = sources[:, :1].expand(-1, 2, -1, -1, -1)
    same = T[:, :1].repeat(1, 2, 1, 1).requires_grad_()
    losses.reprojection_loss(inverse_depths[:1], target, both, K, same)[0].backward()
    assert same.grad[:, 0].abs().max() > 0
    assert same.grad[:, 1].abs().max() == 0


def test_losses_run_in_float32_under_autocast():
    inverse_depths, target, sources, K, T = scene(dtype=torch.float32)
    plain, _ = losses.reprojection_loss(inverse_depths, target, sources, K, T)
    with torch.autocast("cpu", torch.bfloat16):
        loss, maps = losses.reprojection_loss([i.bfloat16() for i in inverse_depths], target, sources, K, T)
        exact, _ = losses.reprojection_loss(inverse_depths, target, sources, K, T)
    assert loss.dtype == maps["error"].dtype == torch.float32
    assert exact == plain


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_compiled_loss_is_the_eager_one():
    arguments = scene(batch=2)
    compiled = torch.compile(losses.reprojection_loss, dynamic=False)
    results = []
    for function in (losses.reprojection_loss, compiled):
        leaves = [x.clone().requires_grad_() for x in (*arguments[0], arguments[4])]
        loss, maps = function(leaves[:4], *arguments[1:4], leaves[4])
        loss.backward()
        results.append([loss, *maps.values(), *(leaf.grad for leaf in leaves)])
    for eager, fast in zip(*results, strict=True):
        assert (eager.double() - fast.double()).abs().max() < 1e-12


def test_smoothness_of_a_ramp_has_a_closed_form_and_ignores_scale():
    ramp = torch.arange(1.0, W + 1).expand(1, 1, H, W).clone()
    flat = torch.full((1, 3, H, W), 0.3)
    loss = losses.smoothness_loss([ramp], flat)
    assert loss.item() == pytest.approx(1 / ramp.mean().item(), rel=1e-5)
    assert losses.smoothness_loss([5 * ramp], flat).item() == pytest.approx(loss.item(), rel=1e-5)
    assert losses.smoothness_loss([ramp], flat + torch.rand(1, 3, H, W)).item() < loss.item()


def test_smoothness_halves_at_every_coarser_scale():
    flat, ramp = torch.zeros(1, 3, H, W), torch.arange(1.0, W + 1).expand(1, 1, H, W)
    constant = torch.ones(1, 1, H, W)
    expected = 0.5 * losses.smoothness_loss([ramp], flat) / 2  # mean over two scales, the second halved
    assert losses.smoothness_loss([constant, ramp], flat).item() == pytest.approx(expected.item(), rel=1e-5)


def test_velocity_loss_is_the_difference_of_the_distances():
    T = torch.eye(4).repeat(1, 2, 1, 1)
    T[0, 0, :3, 3], T[0, 1, :3, 3] = torch.tensor([0.0, 3, 4]), torch.tensor([1.0, 0, 0])
    assert losses.velocity_loss(T, torch.tensor([[4.0, 2.0]])).item() == pytest.approx(1.0)


def test_distillation_on_inverse_depth_is_relative_depth_error_to_the_teacher():
    student, teacher = torch.rand(1, 1, H, W) + 0.1, torch.rand(1, 1, H, W) + 0.1
    depth_error = ((1 / student - 1 / teacher).abs() * teacher).mean()
    assert losses.distillation_loss(student, teacher).item() == pytest.approx(depth_error.item(), rel=1e-5)


def test_unreliable_pixels_get_exactly_no_gradient():
    student = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    mask = torch.tensor([[[[True, False], [False, False]]]])
    loss = losses.distillation_loss(student, torch.full((1, 1, 2, 2), 0.25), mask)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert (student.grad != 0).flatten().tolist() == [True, False, False, False]


def test_empty_mask_gives_zero_with_a_graph():
    student = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    loss = losses.distillation_loss(student, torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().max() == 0


def test_reliability_mask_truth_table():
    teacher, student = torch.tensor([[[[0.1, 0.2, 0.3]]]]), torch.tensor([[[[0.2, 0.2, 0.1]]]])
    assert losses.reliability_mask(teacher, student).flatten().tolist() == [True, True, False]
    printed = losses.reliability_mask(teacher, student, keep="as_printed")
    assert printed.flatten().tolist() == [False, False, True]
    with pytest.raises(ValueError, match="teacher_better or as_printed, got 'both'"):
        losses.reliability_mask(teacher, student, keep="both")


def test_semantic_loss_of_equal_opposite_and_orthogonal_features():
    features = torch.tensor([1.0, 0.0])[None, :, None, None]
    assert losses.semantic_loss(features, 3 * features).item() == pytest.approx(0)
    assert losses.semantic_loss(features, -features).item() == pytest.approx(2)
    assert losses.semantic_loss(features, features.flip(1)).item() == pytest.approx(1)


def test_semantic_margin_drops_cells_that_are_already_consistent():
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).T[None, :, None]  # two cells, both (1, 0)
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).T[None, :, None].clone().requires_grad_()
    loss = losses.semantic_loss(features, target, margin=0.85)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert features.grad[..., 0].abs().max() == 0
    with pytest.raises(ValueError, match="same shape"):
        losses.semantic_loss(features, target[:, :1])
