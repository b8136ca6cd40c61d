"""The third stage: weights of pseudo-labels, the daytime distribution of depth, what is frozen, what is labelled."""

import copy
import dataclasses
import os

import numpy as np
import pytest
import torch
from made_batches import SOLVER, H, W, batch, network
from test_distillation import value_and_gradient
from tiny_run import in_processes

from ude.engine.adapt import AdaptModule, AdaptOptions
from ude.engine.teacher_cache import TeacherCache
from ude.losses.adaptation import (
    BINS,
    FARTHEST,
    NEAREST,
    agreement_weights,
    depth_counts,
    depth_histogram,
    disagreement,
    histogram_loss,
    weighted_distillation_loss,
)


def maps(count=3, size=(2, 1, 6, 8)):
    """Inverse depths, float64."""
    torch.manual_seed(0)
    return [0.02 + torch.rand(size, dtype=torch.float64) for _ in range(count)]


def varied(seed):
    """A network whose prediction is no plane."""
    made = network()
    torch.manual_seed(seed)
    for head in made.heads:
        torch.nn.init.normal_(head[-1].weight, std=0.3)
    return made


def module(cache=None, day_frames=(), **options):
    student = varied(1)
    return AdaptModule(
        copy.deepcopy(student),
        student=student,
        day=varied(2),
        options=AdaptOptions(**options),
        day_frames=day_frames,
        cache=cache,
        solver=SOLVER,
    )


# --- the weighted difference


@pytest.mark.parametrize(("beta", "eps"), [(1.0, 1.0), (3.0, 0.25), (0.0, 0.0)])
def test_the_loss_is_the_weighted_relative_difference_over_all_pixels(beta, eps):
    prediction, label, day = maps()
    weights = agreement_weights(disagreement(label, day), beta=beta, eps=eps)
    loss = weighted_distillation_loss(prediction, label, weights)
    p, t, d = (each.numpy() for each in (prediction, label, day))
    expected = np.mean((np.exp(-beta * np.abs(t - d) / t) + eps) * np.abs(p - t) / p)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_weights_run_from_one_more_than_eps_down_to_eps():
    label = torch.full((1, 1, 1, 3), 0.1)
    weights = agreement_weights(disagreement(label, torch.tensor([0.1, 0.2, 1e3]).view(1, 1, 1, 3)))
    assert weights.flatten().tolist() == pytest.approx([2, 1 + np.exp(-1), 1])


def test_gradients_are_those_of_finite_differences():
    prediction, label, day = maps()
    weights = agreement_weights(disagreement(label, day))
    assert torch.autograd.gradcheck(
        lambda each: weighted_distillation_loss(each, label, weights), prediction.requires_grad_()
    )


def test_labels_get_no_gradient_and_pixels_of_weight_zero_give_exactly_none():
    prediction, label, day = (each.requires_grad_() for each in maps())
    disagreed = torch.rand(label.shape) < 0.5
    far = torch.where(disagreed, 1e4 * label, day)
    weights = agreement_weights(disagreement(label, far), eps=0.0)
    assert (weights[disagreed] == 0).all()
    loss, gradient = value_and_gradient(weighted_distillation_loss(prediction, label, weights), prediction)
    assert loss > 0
    assert gradient[disagreed].abs().max() == 0
    assert gradient[~disagreed].abs().min() > 0
    assert not weights.requires_grad


# --- the distribution of depth


def histogram_in_numpy(inverse_depth):
    depth, centres = 1 / inverse_depth.detach().numpy().ravel(), np.linspace(NEAREST, FARTHEST, BINS)
    depth = depth[(depth >= NEAREST) & (depth <= FARTHEST)]
    width = centres[1] - centres[0]
    return np.clip(1 - np.abs(depth[:, None] - centres) / width, 0, None).sum(0) / len(depth)


def test_a_histogram_divides_each_pixel_between_the_bins_around_its_depth():
    inverse_depth = 1 / (1 + 99 * torch.rand(2, 1, 20, 30, dtype=torch.float64))
    histogram = depth_histogram(inverse_depth)
    assert np.abs(histogram.numpy() - histogram_in_numpy(inverse_depth)).max() < 1e-9
    assert histogram.sum().item() == pytest.approx(1)
    ends = depth_histogram(1 / torch.tensor([NEAREST, FARTHEST], dtype=torch.float64).view(1, 1, 1, 2))
    assert ends[[0, -1]].tolist() == pytest.approx([0.5, 0.5])


def test_depths_outside_of_the_bins_do_not_count():
    inverse_depth = (1 / torch.tensor([1.0, 3.0, 81, 500])).view(1, 1, 2, 2).requires_grad_()
    histogram, gradient = value_and_gradient(depth_histogram(inverse_depth).sum(), inverse_depth)
    assert histogram == 0
    assert gradient.abs().max() == 0


def test_the_divergence_is_that_of_the_textbook_and_none_between_equals():
    own, day = (depth_histogram(1 / (4 + 70 * torch.rand(1, 1, 300, 300) ** power)) for power in (1, 2))
    p, t = (each.double().numpy() for each in (own, day))
    filled = t > 0
    assert (p[filled] > 0).all()
    expected = np.sum(t[filled] * np.log(t[filled] / p[filled])) / BINS
    assert histogram_loss(own, day).item() == pytest.approx(expected, rel=1e-3)
    assert histogram_loss(day, day).item() == pytest.approx(0, abs=1e-6)
    assert histogram_loss(torch.zeros(BINS), day).isfinite()


def test_the_gradient_of_the_divergence_is_that_of_finite_differences():
    depth = 5.1 + 60 * torch.rand(1, 1, 3, 4, dtype=torch.float64)
    day = depth_histogram(1 / (5 + 60 * torch.rand(1, 1, 50, 50, dtype=torch.float64)))
    inverse_depth = (1 / depth).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: histogram_loss(depth_histogram(each), day), inverse_depth, eps=1e-9)


# --- the stage


def test_the_frozen_networks_stay_bit_identical_in_evaluation_mode_and_out_of_the_state():
    one = module(histogram=1.0).train()
    one._by_day = torch.full((BINS,), 1 / BINS)
    before = {name: copy.deepcopy(frozen.state_dict()) for name, frozen in one.frozen.items()}
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
    for seed in range(2):
        terms, _ = one.losses(batch(seed=seed))
        assert terms.keys() == {"distillation", "histogram"}
        sum(terms.values()).backward()
        optimizer.step()
    for name, frozen in one.frozen.items():
        assert not any(part.training for part in frozen.modules())
        assert not any(parameter.requires_grad for parameter in frozen.parameters())
        assert all(torch.equal(value, before[name][key]) for key, value in frozen.state_dict().items())
    start = before["student"]
    assert any(not torch.equal(value, start[name]) for name, value in one.depth_net.state_dict().items())
    assert all(name.startswith("depth_net.") for name in one.state_dict())
    assert sum(1 for _ in one.parameters()) == sum(1 for _ in one.depth_net.parameters())


def test_labels_are_of_the_clean_frame_and_an_unchanged_student_has_no_loss_on_it():
    one, data = module().eval(), batch()
    one.depth_net.heads = one.depth_net.heads[:1]
    terms, found = one.losses(data)
    assert terms["distillation"].item() == 0
    dark = one.losses(data | {"depth_input": data["depth_input"] / 4})
    assert dark[0]["distillation"].item() > 0
    assert torch.equal(dark[1]["label_inverse_depth"], found["label_inverse_depth"])
    assert torch.equal(found["label_inverse_depth"], one.frozen["student"](data["target"]).inverse_depths[0])
    assert found["disagreement"].mean() > 0.01


def test_predictions_on_mirrored_inputs_are_mirrored_back():
    one, data = module().eval(), batch()
    flipped = torch.tensor([False, True])
    inputs = torch.where(flipped[:, None, None, None], data["target"].flip(-1), data["target"])
    _, found = one.losses(data | {"depth_input": inputs, "flipped": flipped})
    direct = one.depth_net(inputs).inverse_depths[0]
    assert torch.equal(found["inverse_depth"], torch.stack([direct[0], direct[1].flip(-1)]))


def test_kept_labels_are_those_that_are_computed(tmp_path):
    cache = TeacherCache(tmp_path / "cache")
    one, data = module(cache), batch()
    cache.begin(data["frame_id"], one.frozen.values())
    computed = one.pseudo_labels(data)
    one.frozen = None  # are not asked again
    kept = one.pseudo_labels(data)
    assert kept.keys() == computed.keys()
    assert all(torch.equal(value, kept[name]) for name, value in computed.items())


def test_labels_and_loss_are_float32_whatever_autocast_says():
    one, data = module(histogram=1.0).eval(), batch()
    one._by_day = torch.full((BINS,), 1 / BINS)
    labels = one.pseudo_labels(data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(torch.equal(value, labels[name]) for name, value in one.pseudo_labels(data).items())
        terms, _ = one.losses(data)
    assert {term.dtype for term in terms.values()} == {torch.float32}


def test_the_daytime_distribution_is_the_mean_over_the_day_frames_whatever_their_batches():
    images = [(255 * batch(size, seed=size)["target"]).byte() for size in (3, 1)]
    one = module(day_frames=[{"target": each} for each in images], histogram=1.0)
    with torch.no_grad():
        singles = [depth_histogram(one.frozen["day"](each[None] / 255).inverse_depths[0]) for each in torch.cat(images)]
    assert (one.day_histogram() - torch.stack(singles).mean(0)).abs().max() < 1e-5
    assert one.day_histogram().sum().item() == pytest.approx(1, abs=1e-5)


def halves_of_a_batch():
    """A module, two batches which differ in what lies within the bins, and both as one."""
    one = module(histogram=1.0).eval()
    one.options = dataclasses.replace(one.options, distillation=0.0)
    one._by_day = torch.full((BINS,), 1 / BINS)
    with torch.no_grad():
        one.depth_net.heads[0][-1].weight *= 60  # depths from one end of the range to the other
    halves = [batch(seed=seed) for seed in (0, 1)]
    halves[1]["depth_input"][:, :, :, W // 2 :] = 0
    joined = {name: torch.cat([half[name] for half in halves]) for name in ("depth_input", "target", "flipped")}
    return one, halves, joined | {"frame_id": [f"frame-{index}" for index in range(4)]}


def histogram_term(one, data):
    """The term and its gradient."""
    return value_and_gradient(one.losses(data)[0]["histogram"], one.depth_net.heads[0][-1].weight)


def assert_processes_learn_the_whole(parts, whole):
    """Each has the term of the whole batch, and the mean of their gradients is its own."""
    assert parts[0][0] == parts[1][0]
    assert parts[0][0].item() == pytest.approx(whole[0].item(), rel=1e-5)
    mean = (parts[0][1] + parts[1][1]) / 2
    assert (mean - whole[1]).abs().max() < 1e-4 * whole[1].abs().max()


def test_processes_share_one_histogram_and_their_mean_gradient_is_its_own(monkeypatch):
    one, halves, joined = halves_of_a_batch()
    whole = histogram_term(one, joined)
    own = [depth_counts(one.depth_net(half["depth_input"]).inverse_depths[0]).detach() for half in halves]
    assert own[1].sum() > 1.1 * own[0].sum()
    monkeypatch.setattr("ude.engine.adapt.mean_over_processes", lambda value: sum(own) / 2)
    assert_processes_learn_the_whole([histogram_term(one, half) for half in halves], whole)


@pytest.mark.slow
def test_two_processes_learn_the_histogram_of_one_with_twice_the_batch(tmp_path):
    one, halves, joined = halves_of_a_batch()

    def learn(rank):
        torch.distributed.init_process_group("gloo", rank=rank)
        torch.save(histogram_term(one, halves[rank]), tmp_path / f"{rank}.pt")
        torch.distributed.destroy_process_group()

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in in_processes(learn)] == [0, 0]
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert_processes_learn_the_whole(parts, histogram_term(one, joined))


def test_the_maps_of_a_step_have_one_size():
    _, found = module().losses(batch())
    assert {name: tuple(value.shape) for name, value in found.items()} == dict.fromkeys(found, (2, 1, H, W))
