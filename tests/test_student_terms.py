"""Feature consistency and ordinal guidance: closed forms, what is compared with what, and what stays untouched."""

import math

import pytest
import torch
from made_batches import SOLVER, H, W, batch, network

from ude import losses
from ude.build.stages.student import models_of_student, upstream_of_student
from ude.config.defaults import defaults
from ude.engine import StudentModule, StudentWeights
from ude.losses.ordinal import ordinal_pairs, pair_order


def student_module(**weights):
    teacher = network()
    torch.manual_seed(7)
    for head in teacher.heads:
        torch.nn.init.normal_(head[-1].weight, std=3.0)
    return StudentModule(
        network(), teacher=teacher, weights=StudentWeights(**weights), offsets=(-1, 1), solver=SOLVER, seed=3
    )


# --- feature consistency


def test_feature_consistency_is_the_difference_to_the_own_features_and_half_of_that_to_the_teachers():
    features = torch.zeros(2, 3, 4, 5, requires_grad=True)
    own, teacher = torch.full((2, 3, 4, 5), 0.5, requires_grad=True), torch.full((2, 3, 4, 5), -3.0, requires_grad=True)
    loss = losses.feature_consistency_loss(features, own, teacher)
    assert loss.item() == 2.0
    loss.backward()
    assert own.grad is None
    assert teacher.grad is None
    with pytest.raises(ValueError, match=r"features \(2, 3, 4, 5\) and teacher \(2, 3, 4, 4\)"):
        losses.feature_consistency_loss(features, own, teacher[..., 1:])


def test_the_pass_over_the_clean_frames_leaves_the_statistics_and_the_gradient_of_the_inputs_pass():
    moved, plain = student_module(features=0.5).train(), student_module().train()
    data = batch() | {"depth_input": 0.2 * batch()["target"]}
    terms, _ = moved.losses(data)
    alone, _ = plain.losses(data)
    for name, value in plain.depth_net.state_dict().items():
        assert torch.equal(value, moved.depth_net.state_dict()[name]), name
    assert {name: terms[name] for name in alone} == alone
    assert terms.keys() - alone.keys() == {"features"}
    assert terms["features"].item() > 0
    terms["features"].backward()


def test_equal_inputs_and_networks_have_equal_features():
    module = student_module(features=1.0).eval()
    terms, _ = module.losses(batch())  # the input is the clean frame, the teacher's encoder the student's
    assert terms["features"].item() == 0


# --- ordinal guidance


def test_pairs_join_an_unreliable_pixel_with_a_reliable_one_and_any_two():
    disagreement = torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    draws = torch.rand(2, 4, 500, generator=torch.Generator().manual_seed(1))
    pairs = ordinal_pairs(disagreement, draws)
    assert pairs.shape == (2, 2, 1000)
    for frame, (first, second) in zip(disagreement.flatten(1), pairs, strict=True):
        worst = frame.topk(20).indices  # 5 % of 400
        assert torch.isin(first[:500], worst).all()
        assert not torch.isin(second[:500], worst).any()
        assert len(first[:500].unique()) == 20
        assert 200 < len(second[500:].unique()) <= 400
    least = ordinal_pairs(disagreement, torch.full((2, 4, 1), 0.99999994))
    assert least.max() < 400


def test_order_follows_the_ratio_of_relative_inverse_depths_and_needs_no_positive_ones():
    guide = torch.tensor([1.0, 1.1, 1.2, 0.0, 0.0]).view(1, 1, 1, 5)
    pairs = torch.tensor([[[0, 0, 2, 0, 3, 3], [1, 2, 0, 3, 4, 0]]])
    assert pair_order(guide, pairs).flatten().tolist() == [0, -1, 1, 1, 0, -1]


def test_ranking_loss_is_its_closed_form_and_pulls_the_pair_apart():
    depth = torch.tensor([4.0, 6.0, 5.0]).view(1, 1, 1, 3)
    inverse_depth = (1 / depth).requires_grad_()
    pairs = torch.tensor([[[0, 0, 1], [1, 2, 2]]])
    order = torch.tensor([[1.0, 0.0, 1.0]])
    loss = losses.ordinal_loss(inverse_depth, pairs, order)
    assert loss.item() == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2, rel=1e-6)
    loss.backward()
    slope = (inverse_depth.grad * -inverse_depth.detach().square()).flatten()  # of the depths
    assert slope[1] > 0.3  # to come nearer than the third pixel outweighs to stay behind the first
    assert slope[2] < -0.3
    nothing = losses.ordinal_loss(inverse_depth, pairs, torch.zeros(1, 3))
    assert nothing.item() == 0
    assert torch.autograd.grad(nothing, inverse_depth)[0].abs().max().item() == 0


def test_parts_of_a_batch_with_a_shared_count_average_to_the_ordinal_loss_of_the_whole():
    generator = torch.Generator().manual_seed(0)
    inverse_depth = 0.05 + torch.rand(4, 1, 10, 10, generator=generator)
    guide = torch.rand(4, 1, 10, 10, generator=generator)
    guide[:2] = 1 + 0.2 * guide[:2]  # hardly any order
    pairs = ordinal_pairs(guide, torch.rand(4, 4, 50, generator=generator))
    order = pair_order(guide, pairs)
    counts = [(half != 0).sum() for half in order.split(2)]
    assert 0 < counts[0] < counts[1] / 2
    whole = losses.ordinal_loss(inverse_depth, pairs, order)
    halves = zip(inverse_depth.split(2), pairs.split(2), order.split(2), strict=True)
    mean = sum(losses.ordinal_loss(*half, sum(counts) / 2) for half in halves) / 2
    assert mean.item() == pytest.approx(whole.item(), rel=1e-6)


def test_pairs_of_a_frame_depend_on_seed_epoch_and_frame_and_not_on_its_batch(monkeypatch):
    module = student_module(ordinal=1.0, semantic=0.0).eval()
    seen = []

    def noted(disagreement, draws):
        seen.append(draws)
        return ordinal_pairs(disagreement, draws)

    monkeypatch.setattr("ude.engine.student.ordinal_pairs", noted)
    both = batch()
    module.losses(both)
    module.losses({key: value[1:] for key, value in both.items()})
    assert torch.equal(seen[0][1:], seen[1])
    assert seen[0].shape == (2, 4, H * W // 100)
    assert not torch.equal(seen[0][0], seen[0][1])
    module.seed = 4
    module.losses(both)
    assert not torch.equal(seen[0], seen[2])
    monkeypatch.setattr(type(module), "current_epoch", 1)
    module.losses(both)
    assert not torch.equal(seen[2], seen[3])


def test_disagreement_is_that_of_student_and_teacher_at_the_same_pixel(monkeypatch):
    module, seen = student_module(ordinal=1.0, semantic=0.0).eval(), []
    monkeypatch.setattr(
        "ude.engine.student.ordinal_pairs", lambda differ, draws: seen.append(differ) or ordinal_pairs(differ, draws)
    )
    maps = module.losses(batch())[1]
    depth, of_teacher = 1 / maps["inverse_depth"], 1 / maps["teacher_inverse_depth"]
    torch.testing.assert_close(seen[0], (depth - of_teacher).abs() / (depth + of_teacher), rtol=1e-4, atol=1e-6)
    assert seen[0].std() > 0.01


def test_terms_with_no_weight_are_left_out():
    terms, _ = student_module(semantic=0.0).losses(batch())
    assert terms.keys() == {"distillation"}
    terms, _ = student_module(features=0.1, ordinal=0.1).losses(batch())
    assert terms.keys() == {"distillation", "semantic", "features", "ordinal"}
    assert terms["ordinal"].item() > 0


def test_a_student_builds_on_the_run_that_guides_it_and_not_on_a_folder_called_teacher():
    cfg = defaults()
    cfg.MODEL.TEACHER, cfg.LOSS.ORDINAL = "runs/day", 0.1
    assert [path.parent.as_posix() for path in upstream_of_student(cfg)] == [".", "runs/day"]
    assert models_of_student(cfg) == [cfg.MODEL.SEMANTIC]
    cfg.MODEL.ORDINAL = "runs/guide"
    assert models_of_student(cfg) == [cfg.MODEL.SEMANTIC, "runs/guide"]
    assert [path.parent.as_posix() for path in upstream_of_student(cfg)] == [".", "runs/day", "runs/guide"]
