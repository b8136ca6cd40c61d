"""The training step: it stops on the first number that is not finite, and leaves what was there before as it was."""

import copy
import json
import math

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from made_batches import batches, checkpoint, loader, teacher_module, trainer
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ude.engine import guard
from ude.engine.base import NonFiniteLossError

BAD = 2
"""The step that something is done to."""


class Watch(Callback):
    """Counts the steps that began, and keeps the weights as they were before one."""

    def __init__(self, step=BAD):
        self.step = step
        self.begun = 0
        self.before = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.begun += 1
        if trainer.global_step == self.step:
            self.before = copy.deepcopy(pl_module.state_dict())


def spoil_input(key):
    def spoil(module, data):
        data[BAD][key].view(-1)[0] = math.nan

    return spoil


def spoil_prediction(module, data):
    def hook(network, inputs, output):
        return output * math.nan if module.global_step == BAD else output

    module.depth_net.heads[0].register_forward_hook(hook)


def spoil_term(module, data):
    losses = module.losses

    def spoilt(batch):
        terms, maps = losses(batch)
        if module.global_step == BAD:
            terms["smoothness"] = terms["smoothness"] * math.inf
        return terms, maps

    module.losses = spoilt


def spoil_gradient(module, data, value=math.nan, steps=(BAD,)):
    def hook(gradient):
        return gradient * value if module.global_step in steps else gradient

    next(module.depth_net.heads.parameters()).register_hook(hook)


INJECTIONS = {
    "depth_input": (spoil_input("depth_input"), "input depth_input"),
    "sources": (spoil_input("sources"), "input sources"),
    "K": (spoil_input("K"), "input K"),
    "pose": (spoil_input("T_source_target"), "input T_source_target"),
    "prediction": (spoil_prediction, "prediction depth"),
    "loss": (spoil_term, "loss smoothness"),
    "gradient": (spoil_gradient, "gradient decoder"),
}


@pytest.fixture
def grid_sample_as_on_a_gpu(monkeypatch):
    """On the CPU the backward pass crashes on NaN; a guard that judges afterwards can only be tried without it."""
    sample = F.grid_sample
    monkeypatch.setattr(F, "grid_sample", lambda image, grid, **kw: sample(image, grid.nan_to_num(), **kw))


@pytest.mark.parametrize("deferred", [False, True], ids=["cpu", "as_on_a_gpu"])
@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.usefixtures("grid_sample_as_on_a_gpu")
def test_a_number_that_is_not_finite_stops_the_run_and_changes_nothing(tmp_path, injection, deferred):
    spoil, culprit = INJECTIONS[injection]
    module, data, watch = teacher_module(), batches(6), Watch()
    spoil(module, data)
    module.guard.deferred = deferred
    run = trainer(tmp_path, steps=6, save_every=2, log_every=100)
    run.callbacks.append(watch)
    with pytest.raises(NonFiniteLossError, match=f"^not finite at step 2: {culprit}[ ;]") as stop:
        run.fit(module, loader(data))
    assert stop.value.exit_code == 5
    message = str(stop.value)
    remedy = "check these frames" if culprit.startswith("input") else "lower SOLVER.LR_ENCODER"
    assert all(words in message for words in ("frames: step-2-0, step-2-1", remedy, "non_finite.json"))
    assert "\n" not in message
    assert watch.begun == BAD + (2 if deferred else 1)
    assert all(torch.equal(value, watch.before[name]) for name, value in module.state_dict().items())
    (report,) = json.loads((tmp_path / "non_finite.json").read_text())["processes"]
    assert (report["step"], report["frames"]) == (2, ["step-2-0", "step-2-1"])
    assert any(report["not_finite"].values())
    assert not deferred or report["loss"].keys() == {"photometric", "smoothness"}
    last = checkpoint(tmp_path)
    assert last["global_step"] == 2
    assert all(value.isfinite().all() for value in last["state_dict"].values())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("injection", ["depth_input", "K", "loss", "gradient"])
def test_a_gpu_stops_one_step_later_and_changes_nothing_either(tmp_path, injection, precision):
    if (injection, precision) == ("gradient", "16-mixed"):
        pytest.skip("the gradient scaler leaves out such a step")
    spoil, culprit = INJECTIONS[injection]
    module, data, watch = teacher_module(), batches(6), Watch()
    spoil(module, data)
    run = trainer(tmp_path, steps=6, save_every=2, log_every=100, accelerator="gpu", precision=precision)
    run.callbacks.append(watch)
    with pytest.raises(NonFiniteLossError, match=f"^not finite at step 2: {culprit}[ ;]"):
        run.fit(module, loader(data))
    assert watch.begun == BAD + 2
    assert all(torch.equal(value.cpu(), watch.before[name].cpu()) for name, value in module.state_dict().items())
    assert checkpoint(tmp_path)["global_step"] == 2


def test_the_last_step_is_judged_before_it_becomes_a_checkpoint(tmp_path):
    module = teacher_module()
    spoil_gradient(module, None)
    module.guard.deferred = True
    run = trainer(tmp_path, steps=BAD + 1, log_every=100)
    with pytest.raises(NonFiniteLossError, match="at step 2"):
        run.fit(module, loader(batches(3)))
    assert checkpoint(tmp_path)["global_step"] == 2


def test_a_logged_step_is_judged_before_its_row_is_written(tmp_path):
    module, data = teacher_module(), batches(6)
    spoil_term(module, data)
    module.guard.deferred = True
    with pytest.raises(NonFiniteLossError, match="at step 2"):
        trainer(tmp_path, steps=6, save_every=100).fit(module, loader(data))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1]


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    module = teacher_module()
    run = trainer(tmp_path, steps=1)
    run.fit(module, loader(batches(1)))
    with torch.no_grad():
        module.depth_net.trunk.encoder[0][1].running_var[3] = math.inf
    with pytest.raises(NonFiniteLossError, match=r"state after step 1 is not finite \(depth_net.trunk.*running_var\)"):
        run.save_checkpoint(tmp_path / "last.ckpt")
    assert checkpoint(tmp_path)["global_step"] == 1


def test_an_error_that_a_bad_input_causes_names_the_input(tmp_path):
    module, data = teacher_module(), batches(4)
    spoil_input("K")(module, data)
    module.guard.deferred = True
    losses = module.losses

    def inverting(batch):
        if not batch["K"].isfinite().all():
            raise torch.linalg.LinAlgError("the input matrix is singular")
        return losses(batch)

    module.losses = inverting
    with pytest.raises(NonFiniteLossError, match=r"at step 2: input K; .*step-2-0"):
        trainer(tmp_path, steps=4).fit(module, loader(data))
    module.losses = lambda batch: torch.linalg.inv(torch.zeros(2, 2))
    with pytest.raises(torch.linalg.LinAlgError):  # a bug stays a bug
        trainer(tmp_path, steps=4).fit(module, loader(batches(1)))


def test_an_error_after_which_the_device_cannot_be_read_is_not_hidden(tmp_path):
    module = teacher_module()

    def faulty(batch):
        module.guard._record.add("input", "lost", torch.empty((), device="meta"))
        raise RuntimeError("CUDA error: the first")

    module.losses = faulty
    with pytest.raises(RuntimeError, match="CUDA error: the first"):
        trainer(tmp_path, steps=1).fit(module, loader(batches(1)))


@pytest.mark.parametrize(("rank", "written"), [("0", True), ("1", False)])
def test_of_processes_that_share_a_verdict_the_first_writes_it(rank, written, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", rank)
    watch = guard.FiniteGuard({})
    watch.folder = tmp_path
    with pytest.raises(NonFiniteLossError, match=r"not finite at step 0: input K; frames: a; check"):
        watch.begin(0, {"frame_id": ["a"], "K": torch.tensor([math.nan])})
    assert (tmp_path / "non_finite.json").exists() is written


class Reads(TorchDispatchMode):
    """Counts the numbers that Python reads from tensors; each is a wait for the device."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_a_step_that_is_not_logged_reads_only_the_verdict_of_the_step_before(tmp_path):
    module = teacher_module()
    module.guard.deferred = True
    run = trainer(tmp_path, steps=3, save_every=100, log_every=100, gradient_clip_val=1.0)
    reads, counts = Reads(), []

    class Counting(Callback):
        def on_train_batch_start(self, *_):
            self.before = reads.count

        def on_train_batch_end(self, *_):
            counts.append(reads.count - self.before)

    run.callbacks.append(Counting())
    with reads:
        run.fit(module, loader(batches(3)))
    assert counts == [0, 1, 1]


def in_float16(tmp_path, steps, initial_scale=2.0**10):
    scaler = torch.amp.GradScaler("cpu", init_scale=initial_scale)
    run = trainer(tmp_path, steps=steps, gradient_clip_val=1.0, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    return run, scaler


def test_a_gradient_that_overflows_in_float16_only_leaves_its_step_out(tmp_path):
    module, watch = teacher_module(), Watch(step=BAD + 1)
    spoil_gradient(module, None, math.inf)
    run, scaler = in_float16(tmp_path, steps=5)
    run.callbacks.append(watch)
    before = Watch()
    run.callbacks.append(before)
    run.fit(module, loader(batches(5)))
    assert run.global_step == 5
    assert scaler.get_scale() == 2.0**9
    parameters = dict(module.named_parameters())
    assert all(torch.equal(before.before[name], watch.before[name]) for name in parameters)
    assert any(not torch.equal(watch.before[name], value) for name, value in parameters.items())
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert ["grad/norm" in row for row in rows] == [True, True, False, True, True]
    trainer(tmp_path / "float32", steps=1).fit(teacher_module(), loader(batches(1)))
    (plain,) = (json.loads(line) for line in (tmp_path / "float32" / "metrics.jsonl").read_text().splitlines())
    assert rows[0]["grad/norm"] == pytest.approx(plain["grad/norm"], rel=0.05)  # without the scale of 1024


def test_float16_that_overflows_without_end_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "SKIPPED_IN_A_ROW", 3)
    module = teacher_module()
    spoil_gradient(module, None, math.inf, steps=(0, 1, 3, 4, 5))
    run, _ = in_float16(tmp_path, steps=8)
    with pytest.raises(NonFiniteLossError, match=r"at step 5: gradient decoder "):
        run.fit(module, loader(batches(8)))


def test_a_loss_that_is_not_finite_stops_float16_at_once(tmp_path):
    module, data = teacher_module(), batches(4)
    spoil_term(module, data)
    run, _ = in_float16(tmp_path, steps=4)
    with pytest.raises(NonFiniteLossError, match="at step 2"):
        run.fit(module, loader(data))
