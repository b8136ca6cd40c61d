"""Training stages on made-up batches: what is trained, what stays frozen, what stops a run."""

import copy
import dataclasses
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from made_batches import SOLVER, H, W, batch, network, teacher_module

from ude.engine import StudentModule, StudentWeights, images
from ude.engine.base import mirror_back
from ude.engine.datamodule import EpochSampler
from ude.engine.images import image_grid
from ude.models import PoseNet


def student_module(teacher, **weights):
    return StudentModule(network(), teacher=teacher, weights=StudentWeights(**weights), offsets=(-1, 1), solver=SOLVER)


def test_mirrored_samples_are_mirrored_back():
    maps = torch.arange(8.0).view(2, 1, 1, 4)
    back = mirror_back(maps, torch.tensor([False, True]))
    assert back[0].flatten().tolist() == [0, 1, 2, 3]
    assert back[1].flatten().tolist() == [7, 6, 5, 4]


def test_flipped_input_of_a_symmetric_scene_gives_the_same_loss():
    module, data = teacher_module().eval(), batch()
    plain, _ = module.losses(data)
    mirrored = data | {"depth_input": data["depth_input"].flip(-1), "flipped": torch.ones(2, dtype=torch.bool)}
    prediction = module.predict_depth(mirrored).inverse_depths[0]
    direct = module.depth_net(data["depth_input"].flip(-1)).inverse_depths[0].flip(-1)
    assert torch.equal(prediction, direct)
    assert plain.keys() == {"photometric", "smoothness"}


def test_ego_poses_need_no_pose_net_and_learned_ones_add_the_velocity_term():
    terms, maps = teacher_module(PoseNet(), velocity=0.5).losses(batch())
    assert terms.keys() == {"photometric", "smoothness", "velocity"}
    assert maps["automask"].dtype == torch.bool
    assert "velocity" not in teacher_module().losses(batch())[0]


def test_teacher_stays_frozen_hidden_and_bit_identical_through_training():
    teacher = network()
    before = copy.deepcopy(teacher.state_dict())
    module = student_module(teacher).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        sum(module.losses(batch())[0].values()).backward()
        optimizer.step()
    assert not teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any("teacher" in name for name in module.state_dict())
    assert sum(1 for _ in module.parameters()) == sum(1 for _ in module.depth_net.parameters())


@pytest.mark.parametrize(("keep", "kept"), [("teacher_better", True), ("as_printed", False)])
def test_student_equal_to_its_teacher_has_no_distillation_loss(keep, kept):
    teacher = network(num_scales=1).eval()
    module = StudentModule(
        copy.deepcopy(teacher),
        teacher=teacher,
        weights=StudentWeights(reliability=keep),
        offsets=(-1, 1),
        solver=SOLVER,
    ).eval()
    terms, maps = module.losses(batch())
    assert maps["reliable"].all() if kept else not maps["reliable"].any()
    assert terms["distillation"].item() == 0
    assert terms["semantic"].item() == pytest.approx(0, abs=1e-6)


def test_reliability_off_needs_no_neighbour_frames():
    data = batch()
    for key in ("sources", "T_source_target", "distance", "pose_input"):
        del data[key]
    terms, maps = student_module(network(), reliability="off").losses(data)
    assert terms["distillation"].item() >= 0
    assert "reliable" not in maps


def test_optimiser_has_one_rate_per_part_and_decays_linearly_after_the_warm_up():
    module = teacher_module(PoseNet())
    module._trainer = SimpleNamespace(estimated_stepping_batches=100)
    made = module.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1e-3, 2e-3, 3e-3]
    counted = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
    assert counted == sum(p.numel() for p in module.parameters())
    assert all(group["fused"] and group["weight_decay"] == 0.01 for group in optimizer.param_groups)
    rate = schedule.lr_lambdas[0]
    assert [rate(step) for step in (0, 3, 50, 100)] == pytest.approx([0.25, 0.97, 0.5, 0.0])


def test_a_constant_schedule_stays_after_the_warm_up():
    solver = dataclasses.replace(SOLVER, schedule="constant")
    assert [solver.rate(step, 100) for step in (0, 1, 3, 99)] == [0.25, 0.5, 1, 1]


def test_order_of_frames_depends_on_seed_and_epoch_alone():
    first, second = EpochSampler(20, seed=1), EpochSampler(20, seed=1)
    assert list(first) == list(second)
    second.set_epoch(1)
    assert list(first) != list(second)
    assert sorted(second) == list(range(20))


def test_a_resumed_epoch_begins_behind_what_was_seen():
    whole, resumed = EpochSampler(20, seed=1), EpochSampler(20, seed=1)
    resumed.skip = 6
    order = list(whole)
    assert list(resumed) == order[6:] + order[:6]  # Lightning ends the epoch by its count, a wrapper needs the length
    assert list(resumed) == list(whole)  # only once


def test_poses_stay_float32_under_autocast():
    torch.manual_seed(0)
    pose_net, frames = PoseNet().eval(), batch()["pose_input"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        T = pose_net.source_poses(frames, (-1, 1))
    assert T.dtype == torch.float32
    rotation = T[:, 0, :3, :3]
    assert (rotation @ rotation.mT - torch.eye(3)).abs().max() < 1e-6


def test_image_grid_shows_input_target_and_every_map():
    module, data = teacher_module(), batch()
    _, maps = module.losses(data)
    grid = image_grid(data, maps)
    assert grid.shape == (3, 2 * H, (2 + len(maps)) * W)
    assert grid.min() >= 0
    assert grid.max() <= 1


@pytest.mark.parametrize(("rank", "grids"), [(0, 1), (1, 0)])
def test_only_the_first_process_draws_the_image_grid(rank, grids, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(rank_zero_only, "rank", rank)
    monkeypatch.setattr(images, "image_grid", lambda *_: drawn.append(1) or torch.zeros(3, 4, 4))
    images.log_images([TensorBoardLogger(tmp_path)], batch(), {}, 0)
    assert len(drawn) == grids
