"""The conventions of ude.geometry: closed forms, invariances and kornia as an oracle."""

import math

import pytest
import torch
from kornia.geometry.depth import warp_frame_depth

from ude import geometry

K = torch.tensor([[[80.0, 0, 39.0], [0, 82.0, 23.0], [0, 0, 1]]])
SIZE = (48, 80)


def wave_image(channels=3, size=SIZE):
    """A smooth image with structure in both directions, (1, C, H, W)."""
    v, u = torch.meshgrid(torch.arange(size[0]).float(), torch.arange(size[1]).float(), indexing="ij")
    return torch.stack([0.5 + 0.4 * torch.sin(0.3 * u + c) * torch.cos(0.2 * v - c) for c in range(channels)])[None]


def translation(x=0.0, y=0.0, z=0.0):
    T = torch.eye(4)[None].clone()
    T[0, :3, 3] = torch.tensor([x, y, z])
    return T


def test_identity_pose_returns_the_image():
    image = torch.rand(2, 3, *SIZE)
    depth = torch.rand(2, 1, *SIZE) * 20 + 1
    warped, valid = geometry.view_synthesis(image, depth, K.expand(2, 3, 3), torch.eye(4).expand(2, 4, 4))
    assert (warped - image).abs().max() < 1e-4  # noise: a shift of 1e-5 px, float32's resolution here, shows in full
    double = [x.double() for x in (image, depth, K.expand(2, 3, 3), torch.eye(4).expand(2, 4, 4))]
    assert (geometry.view_synthesis(*double)[0] - double[0]).abs().max() < 1e-10
    smooth, _ = geometry.view_synthesis(wave_image(), depth[:1], K, torch.eye(4)[None])
    assert (smooth - wave_image()).abs().max() < 1e-5
    assert valid[..., 1:-1, 1:-1].all()


def test_sideways_motion_of_a_wall_shifts_by_f_t_over_z():
    depth, shift = 8.0, 3.0
    u, v, z = geometry.project_depth(torch.full((1, 1, *SIZE), depth), K, translation(x=shift * depth / 80.0))
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    assert torch.allclose(u - columns, torch.full_like(u, shift), atol=1e-4)
    assert torch.allclose(v - rows, torch.zeros_like(v), atol=1e-4)
    assert torch.allclose(z, torch.full_like(z, depth))
    warped, valid = geometry.view_synthesis(
        wave_image(), torch.full((1, 1, *SIZE), depth), K, translation(x=shift * depth / 80.0)
    )
    assert torch.allclose(warped[..., :-3], wave_image()[..., 3:], atol=1e-5)
    assert valid[..., :-4].all()
    assert not valid[..., -3:].any()


def test_agrees_with_kornia_where_both_are_valid():
    torch.manual_seed(1)
    depth = 5 + 10 * torch.rand(1, 1, *SIZE)
    T = geometry.transform_from_axis_angle(torch.tensor([[0.01, -0.02, 0.005]]), torch.tensor([[0.3, -0.1, 0.5]]))
    warped, valid = geometry.view_synthesis(wave_image(), depth, K, T)
    oracle = warp_frame_depth(wave_image(), depth, T, K)
    valid = valid.expand_as(oracle)
    assert valid.float().mean() > 0.8
    assert (warped - oracle)[valid].abs().max() < 5e-5


def test_points_behind_the_source_camera_are_invalid():
    depth = torch.full((1, 1, *SIZE), 2.0)
    _, valid = geometry.view_synthesis(wave_image(), depth, K, translation(z=-5.0))
    assert not valid.any()


def test_resized_and_cropped_intrinsics_project_the_same_points():
    point = torch.tensor([1.3, -0.4, 7.0])
    u, v, _ = (K[0] @ point / point[2]).tolist()
    resized = geometry.resize_intrinsics(K[0], SIZE, (24, 160))
    cropped = geometry.crop_intrinsics(resized, 5, 11)
    cu, cv, _ = (cropped @ point / point[2]).tolist()
    assert cu == pytest.approx((u + 0.5) * 2 - 0.5 - 11, abs=1e-4)
    assert cv == pytest.approx((v + 0.5) * 0.5 - 0.5 - 5, abs=1e-4)


def test_intrinsics_after_crop_use_the_cropped_size():
    # RobotCar's 960 rows cropped to 768, then resized to 320: fy is 409.6, not 327.7
    K = torch.tensor([[983.0, 0, 643.6], [0, 983.04, 493.4], [0, 0, 1]])
    resized = geometry.resize_intrinsics(geometry.crop_intrinsics(K, 0, 0), (768, 1280), (320, 544))
    assert resized[1, 1].item() == pytest.approx(409.6, abs=1e-3)


def test_resizing_there_and_back_is_the_identity():
    there = geometry.resize_intrinsics(K, SIZE, (320, 576))
    assert torch.allclose(geometry.resize_intrinsics(there, (320, 576), SIZE), K, atol=1e-4)


def test_axis_angle_of_a_quarter_turn_about_y_moves_z_to_x():
    T = geometry.transform_from_axis_angle(torch.tensor([[0, math.pi / 2, 0]]), torch.tensor([[1.0, 2, 3]]))
    assert torch.allclose(T[0] @ torch.tensor([0.0, 0, 1, 1]), torch.tensor([2.0, 2, 3, 1]), atol=1e-6)


def test_axis_angle_has_a_finite_gradient_at_zero():
    axis_angle = torch.zeros(1, 3, requires_grad=True)
    geometry.transform_from_axis_angle(axis_angle, torch.zeros(1, 3)).sum().backward()
    assert torch.isfinite(axis_angle.grad).all()


def test_disparity_and_depth_are_inverse_to_each_other():
    disparity = torch.tensor(geometry.disparity_from_depth(10.0, min_depth=0.1, max_depth=80.0))
    inverse_depth = geometry.inverse_depth_from_disparity(disparity, min_depth=0.1, max_depth=80.0)
    assert 1 / inverse_depth.item() == pytest.approx(10.0, rel=1e-5)
    ends = geometry.inverse_depth_from_disparity(torch.tensor([0.0, 1.0]), min_depth=0.1, max_depth=80.0)
    assert ends.tolist() == pytest.approx([1 / 80, 10.0], rel=1e-6)


def test_a_wrong_shape_is_named():
    with pytest.raises(Exception, match=r"Shape mismatch|shape"):
        geometry.project_depth(torch.ones(1, 3, 4, 4), K, torch.eye(4)[None])
