"""Distillation over several processes: masked means of the parts average to the masked mean of the whole batch."""

import multiprocessing

import pytest
import torch
import torch.distributed

from ude.engine.distributed import mean_over_processes
from ude.losses import distillation_loss, semantic_loss
from ude.losses.semantic import inconsistent_cells

BATCH = (4, 1, 6, 10)


def distillation_case():
    """Student, teacher and a mask that is almost full in the first half and almost empty in the second."""
    torch.manual_seed(0)
    student, teacher = 0.5 + torch.rand(BATCH), 0.5 + torch.rand(BATCH)
    mask = torch.rand(BATCH) < torch.tensor([0.9, 0.8, 0.02, 0.0])[:, None, None, None]
    return student, teacher, mask


def halves(*tensors):
    return [[tensor[:2] for tensor in tensors], [tensor[2:] for tensor in tensors]]


def value_and_gradient(loss, leaf):
    return loss.detach(), *torch.autograd.grad(loss, leaf)


def test_halves_with_a_shared_count_average_to_the_distillation_of_the_whole_batch():
    student, teacher, mask = distillation_case()
    student.requires_grad_()
    whole, gradient = value_and_gradient(distillation_loss(student, teacher, mask), student)
    counts = [mask[:2].sum(), mask[2:].sum()]
    assert counts[0] > 20 * counts[1] > 0

    def mean_of_halves(count):
        parts = [distillation_loss(*half, count) for half in halves(student, teacher, mask)]
        return value_and_gradient(sum(parts) / 2, student)

    value, shared_gradient = mean_of_halves(sum(counts) / 2)
    assert abs(value - whole) < 1e-7
    assert (shared_gradient - gradient).abs().max() < 1e-7
    assert abs(mean_of_halves(None)[0] - whole) > 1e-3  # each half by its own count is another loss


def test_halves_with_a_shared_count_average_to_the_semantic_loss_of_the_whole_batch():
    torch.manual_seed(0)
    target = torch.randn(4, 8, 3, 5)
    features = target + torch.tensor([0.3, 0.3, 0.9, 2])[:, None, None, None] * torch.randn(target.shape)
    features.requires_grad_()
    whole, gradient = value_and_gradient(semantic_loss(features, target, 0.85), features)
    counts = [inconsistent_cells(f, t, 0.85).sum() for f, t in halves(features, target)]
    assert 0 < counts[0] < counts[1] / 2
    parts = [semantic_loss(f, t, 0.85, sum(counts) / 2) for f, t in halves(features, target)]
    value, shared_gradient = value_and_gradient(sum(parts) / 2, features)
    assert abs(value - whole) < 1e-7
    assert (shared_gradient - gradient).abs().max() < 1e-7


def test_a_mean_count_below_one_is_not_rounded_up():
    student, teacher = torch.full((1, 1, 1, 2), 2.0), torch.ones(1, 1, 1, 2)
    mask = torch.tensor([[[[True, False]]]])
    assert distillation_loss(student, teacher, mask, torch.tensor(0.5)).item() == 1  # 0.5 / 0.5


@pytest.mark.parametrize("count", [None, torch.tensor(0), torch.tensor(0.0), torch.tensor(7.5)])
def test_an_empty_mask_gives_zero_and_a_zero_gradient_whatever_the_count(count):
    student = torch.full(BATCH, 0.5, requires_grad=True)
    empty = torch.zeros(BATCH, dtype=torch.bool)
    value, gradient = value_and_gradient(distillation_loss(student, torch.ones(BATCH), empty, count), student)
    assert value.item() == 0
    assert gradient.abs().max().item() == 0
    features = torch.ones(2, 3, 4, 4, requires_grad=True)
    value, gradient = value_and_gradient(semantic_loss(features, 2 * features.detach(), 0.85, count), features)
    assert value.item() == 0
    assert gradient.abs().max().item() == 0


def test_one_process_alone_has_its_own_value_without_gradient():
    value = torch.tensor(3.0, requires_grad=True)
    assert mean_over_processes(value).item() == 3
    assert not mean_over_processes(value).requires_grad
    assert mean_over_processes(torch.tensor(5)).item() == 5


def half_of_the_batch(rank, store, results):
    """One of two processes: the loss and gradient of its half, averaged as distributed training does."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    student, teacher, mask = halves(*distillation_case())[rank]
    student.requires_grad_()
    count = mean_over_processes(mask.sum())
    loss, gradient = value_and_gradient(distillation_loss(student, teacher, mask, count), student)
    results.put((rank, mean_over_processes(loss).item(), (gradient / 2).tolist()))
    torch.distributed.destroy_process_group()


def test_two_processes_find_the_loss_and_gradient_of_one(tmp_path):
    student, teacher, mask = distillation_case()
    whole, gradient = value_and_gradient(distillation_loss(student.requires_grad_(), teacher, mask), student)
    context = multiprocessing.get_context("fork")  # a fresh process would import torch and lightning for seconds
    results = context.SimpleQueue()
    processes = [context.Process(target=half_of_the_batch, args=(r, tmp_path / "store", results)) for r in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    (_, first, of_first), (_, second, of_second) = sorted(results.get() for _ in processes)
    assert first == second
    assert abs(first - whole.item()) < 1e-7
    assert (torch.cat([torch.tensor(of_first), torch.tensor(of_second)]) - gradient).abs().max() < 1e-7
