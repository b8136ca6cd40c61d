"""The supervised stage's losses: LiDAR pixels read exactly, closed forms, what has no gradient, several processes."""

import multiprocessing

import numpy as np
import pytest
import torch
from made_batches import SOLVER, H, W, batch, network
from test_distillation import value_and_gradient

from ude.engine.distributed import mean_over_processes
from ude.engine.supervised import SupervisedModule, SupervisedOptions
from ude.evaluation.sampling import lidar_neighbours
from ude.losses.supervised import inverse_depth_at, supervised_loss, usable_returns

KINDS = ("silog", "l1")
each_kind = pytest.mark.parametrize("kind", KINDS)


def returns(count=40, batch_size=2, native=(90, 160)):
    """Native pixels and depths of as many returns per image, of which the last quarter of the first is padding."""
    torch.manual_seed(3)
    index = torch.randint(0, native[0] * native[1], (batch_size, count))
    value = 2 + 50 * torch.rand(batch_size, count)
    index[0, -count // 4 :], value[0, -count // 4 :] = -1, 0
    return {"lidar_index": index, "lidar_value": value, "native_size": torch.tensor([native] * batch_size)}


def case(batch_size=4, count=30):
    """Inverse depth at the returns, their depths and which count: most, few, one and none of an image."""
    torch.manual_seed(0)
    inverse_depth, lidar = 0.02 + torch.rand(batch_size, count), 1 + 60 * torch.rand(batch_size, count)
    valid = torch.rand(batch_size, count) < torch.tensor([0.9, 0.1, 0.0, 0.0])[:, None]
    valid[2, 5] = True
    return inverse_depth, lidar, valid


def module(**options):
    depth_net = network()
    for head in depth_net.heads:
        torch.nn.init.normal_(head[-1].weight, std=0.3)  # an untrained network predicts a plane
    return SupervisedModule(depth_net, options=SupervisedOptions(**options), solver=SOLVER)


# --- reading a prediction at the LiDAR pixels


def bilinear(image, row, column):
    """Value of a float64 image between its pixel centres; beyond the outermost ones, theirs."""
    row, column = (min(max(at, 0), size - 1) for at, size in zip((row, column), image.shape, strict=True))
    top, left = int(row), int(column)
    bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
    down, across = row - top, column - left
    upper = (1 - across) * image[top, left] + across * image[top, right]
    return (1 - down) * upper + down * ((1 - across) * image[bottom, left] + across * image[bottom, right])


@pytest.mark.parametrize("native", [(90, 160), (13, 17), (7, 9), (75, 20)])
def test_a_prediction_is_read_at_the_centres_of_the_native_pixels(native):
    inverse_depth, (height, width) = torch.rand(2, 1, 13, 17, dtype=torch.float64), native
    index = torch.arange(height * width).expand(2, -1)
    found = inverse_depth_at(inverse_depth, index, torch.tensor([native, native])).numpy()
    for image, row in zip(inverse_depth[:, 0].numpy(), found, strict=True):
        expected = [
            bilinear(image, (y + 0.5) * 13 / height - 0.5, (x + 0.5) * 17 / width - 0.5)
            for y in range(height)
            for x in range(width)
        ]
        assert np.abs(row - expected).max() < 1e-12


def test_images_of_different_native_sizes_are_read_as_the_half_pixel_protocol_reads_them():
    inverse_depth, native = torch.rand(3, 1, 32, 64), torch.tensor([[90, 160], [900, 1600], [32, 64]])
    index = torch.stack([torch.randint(0, int(height * width), (300,)) for height, width in native])
    neighbours = lidar_neighbours(index, native, (32, 64), align_corners=False)
    found = inverse_depth_at(inverse_depth, index, native)
    assert (found - neighbours.mean(neighbours.values(inverse_depth))).abs().max() < 2e-5
    assert (found[2] - inverse_depth[2].flatten()[index[2]]).abs().max() < 1e-5


# --- the errors


def in_numpy(kind, inverse_depth, lidar, valid, variance_weight=0.5):
    """Mean over the images with returns, in float64."""
    errors = []
    for inverse, value, counts in zip(*(each.detach().numpy() for each in (inverse_depth, lidar, valid)), strict=True):
        if counts.any():
            depth, value = 1 / inverse[counts].astype(np.float64), value[counts].astype(np.float64)
            log = np.log(depth) - np.log(value)
            silog = np.mean(log**2) - variance_weight * np.mean(log) ** 2
            errors.append(silog if kind == "silog" else np.mean(np.abs(depth - value)))
    return np.mean(errors)


@each_kind
@pytest.mark.parametrize("variance_weight", [0.0, 0.5, 0.85])
def test_the_error_is_the_mean_over_the_images_that_have_returns(kind, variance_weight):
    inverse_depth, lidar, valid = case()
    assert valid.sum(1).tolist()[2:] == [1, 0]
    loss = supervised_loss(inverse_depth, lidar, valid, kind=kind, variance_weight=variance_weight)
    assert loss.item() == pytest.approx(in_numpy(kind, inverse_depth, lidar, valid, variance_weight), rel=2e-6)


def test_silog_of_one_image_that_is_twice_too_far_has_a_closed_form():
    lidar = torch.tensor([[3.0, 10, 40]])
    valid = torch.ones(1, 3, dtype=torch.bool)
    for variance_weight in (0.0, 0.5, 1.0):
        loss = supervised_loss(0.5 / lidar, lidar, valid, kind="silog", variance_weight=variance_weight)
        assert loss.item() == pytest.approx((1 - variance_weight) * np.log(2) ** 2, abs=1e-6)
    assert supervised_loss(0.5 / lidar, lidar, valid, kind="l1").item() == pytest.approx(53 / 3)
    for kind in KINDS:
        assert supervised_loss(1 / lidar, lidar, valid, kind=kind).item() == pytest.approx(0, abs=1e-5)


@each_kind
def test_gradients_are_those_of_finite_differences(kind):
    torch.manual_seed(1)
    places = returns(12)
    native = places["native_size"]
    valid = usable_returns(places["lidar_index"], places["lidar_value"], min_depth=0.1, max_depth=40)
    assert 0 < valid.sum() < valid.numel()
    maps = (0.05 + torch.rand(2, 1, 4, 6, dtype=torch.float64)).requires_grad_()

    def loss(inverse_depth):
        read = inverse_depth_at(inverse_depth, places["lidar_index"], native)
        return supervised_loss(read, places["lidar_value"].double(), valid, kind=kind)

    assert torch.autograd.gradcheck(loss, maps)


@each_kind
def test_what_does_not_count_has_a_gradient_of_exactly_zero(kind):
    inverse_depth, lidar, valid = case()
    lidar[~valid] = torch.tensor([torch.nan, torch.inf, 0.0, -1.0]).repeat(100)[: int((~valid).sum())]
    inverse_depth.requires_grad_()
    value, gradient = value_and_gradient(supervised_loss(inverse_depth, lidar, valid, kind=kind), inverse_depth)
    assert value.isfinite()
    assert gradient[valid].abs().min() > 0
    assert gradient[~valid].abs().max() == 0


@each_kind
@pytest.mark.parametrize("count", [None, torch.tensor(0), torch.tensor(1.5)])
def test_no_return_at_all_gives_zero_and_a_zero_gradient(kind, count):
    inverse_depth, lidar, _ = case()
    inverse_depth.requires_grad_()
    none = torch.zeros_like(lidar, dtype=torch.bool)
    for values in (lidar, lidar[:, :0]):  # no column, where no frame of the batch has a return
        part = slice(values.shape[1])
        loss = supervised_loss(inverse_depth[:, part], values, none[:, part], kind=kind, count=count)
        value, gradient = value_and_gradient(loss, inverse_depth)
        assert value.item() == 0
        assert gradient.abs().max().item() == 0


def test_returns_count_strictly_within_the_bounds_and_never_where_they_are_padding():
    value = torch.tensor([[0.1, 0.11, 79.9, 80.0, 200.0, torch.nan, 5.0]])
    index = torch.tensor([[0, 1, 2, 3, 4, 5, -1]])
    usable = usable_returns(index, value, min_depth=0.1, max_depth=80.0)
    assert usable.tolist() == [[False, True, True, False, False, False, False]]


def test_an_unknown_error_is_refused():
    with pytest.raises(ValueError, match="kind must be silog or l1, got 'l2'"):
        supervised_loss(*case(), kind="l2")


# --- several processes


@each_kind
def test_halves_with_a_shared_count_average_to_the_error_of_the_whole_batch(kind):
    inverse_depth, lidar, valid = case()
    inverse_depth.requires_grad_()
    whole, gradient = value_and_gradient(supervised_loss(inverse_depth, lidar, valid, kind=kind), inverse_depth)
    halves = [[tensor[part] for tensor in (inverse_depth, lidar, valid)] for part in (slice(2), slice(2, 4))]

    def mean_of_halves(count):
        parts = [supervised_loss(*half, kind=kind, count=count) for half in halves]
        return value_and_gradient(sum(parts) / 2, inverse_depth)

    counts = [half[2].any(1).sum() for half in halves]
    assert counts == [2, 1]
    value, shared_gradient = mean_of_halves(sum(counts) / 2)
    assert value.item() == pytest.approx(whole.item(), rel=1e-6)
    assert (shared_gradient - gradient).abs().max() < 1e-6 * gradient.abs().max()
    assert abs(mean_of_halves(None)[0] - whole) > 1e-3 * whole


def half_of_the_losses(rank, store, results):
    """One of two processes: the stage's loss on its half of the batch, averaged as distributed training does."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    data = whole_batch()
    half = {key: value[2 * rank : 2 * rank + 2] for key, value in data.items()}
    one = module().eval()
    (loss,) = one.losses(half)[0].values()
    loss.backward()
    gradient = mean_over_processes(one.depth_net.heads[0][-1].weight.grad)
    results.put((rank, mean_over_processes(loss).item(), gradient.flatten().tolist()))
    torch.distributed.destroy_process_group()


def whole_batch():
    """Four frames, the last of which has no return."""
    data = batch(4) | returns(batch_size=4)
    data["lidar_index"][3] = -1
    return data


def test_two_processes_find_the_loss_and_gradient_of_one(tmp_path):
    one = module().eval()
    (loss,) = one.losses(whole_batch())[0].values()
    loss.backward()
    expected = one.depth_net.heads[0][-1].weight.grad.flatten()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [context.Process(target=half_of_the_losses, args=(r, tmp_path / "store", results)) for r in (0, 1)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    for _, value, gradient in found:
        assert value == pytest.approx(loss.item(), rel=1e-5)
        assert gradient == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-6)


# --- the stage


def test_predictions_on_mirrored_inputs_are_mirrored_back_before_the_lidar_is_compared():
    one, data = module().eval(), batch() | returns()
    flipped = torch.tensor([False, True])
    inputs = torch.where(flipped[:, None, None, None], data["target"].flip(-1), data["target"])
    (loss,) = one.losses(data | {"depth_input": inputs, "flipped": flipped})[0].values()
    expected = []
    for maps in one.depth_net(inputs).inverse_depths:
        maps = torch.stack([maps[0], maps[1].flip(-1)])
        read = inverse_depth_at(maps, data["lidar_index"], data["native_size"])
        valid = usable_returns(data["lidar_index"], data["lidar_value"], min_depth=0.1, max_depth=80)
        expected.append(in_numpy("silog", read, data["lidar_value"], valid))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    assert len(expected) == 2  # every predicted scale


def test_returns_beyond_the_range_of_the_network_do_not_count():
    data = batch() | returns()
    near = data | {"lidar_value": torch.where(data["lidar_value"] > 30, 0, data["lidar_value"])}
    far = data | {"lidar_value": torch.where(data["lidar_value"] > 30, 500, data["lidar_value"])}
    one = module(kind="l1").eval()
    assert one.losses(near)[0] == one.losses(far)[0]
    assert one.losses(near)[0] != one.losses(data)[0]


@each_kind
def test_the_loss_is_float32_whatever_autocast_says(kind):
    one, data = module(kind=kind), batch() | returns()
    plain = one.eval().losses(data)[0]["supervised"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms, maps = one.losses(data)
    assert terms["supervised"].dtype == maps["inverse_depth"].dtype == torch.float32
    assert terms["supervised"].item() == pytest.approx(plain.item(), rel=0.02)


def test_a_few_steps_bring_the_prediction_nearer_to_the_lidar():
    one, data = module().train(), batch() | returns()
    data["lidar_value"] = torch.where(data["lidar_index"] >= 0, 25.0, 0.0)
    optimizer = torch.optim.Adam(one.parameters(), lr=5e-3)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = one.losses(data)[0]["supervised"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert one.losses(data)[1]["inverse_depth"].shape == (2, 1, H, W)
