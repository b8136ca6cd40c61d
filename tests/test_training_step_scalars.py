"""What a run shows of its training steps: scalars, their closed forms, text, pictures and the bar."""

import json
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from made_batches import batches, loader, teacher_module, trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ude.engine import optimiser
from ude.engine.progress import StepProgress
from ude.engine.scalars import StepClock, depth_scalars, hole_share
from ude.models import PoseNet

NAMES = {
    *(f"loss/{name}" for name in ("photometric", "smoothness", "velocity", "total")),
    *("lr/encoder", "lr/decoder", "lr/pose", "grad/norm", "time/data", "time/step", "time/images_per_s"),
    *("mask/automask", "depth/min", "depth/median", "depth/max", "depth/holes"),
}


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_holes_are_the_share_of_the_lower_half_that_is_almost_as_far_as_the_decoder_can_see():
    depth = torch.full((2, 1, 4, 10), 10.0)
    depth[:, :, :2] = 80.0  # sky does not count
    depth[0, :, 2, :3] = 76.1
    depth[1, :, 3, 0] = 80.0
    depth[1, :, 3, 1] = 75.9
    assert hole_share(1 / depth, 80.0).item() == pytest.approx(4 / 40)
    odd = torch.full((1, 1, 3, 1), 10.0)
    odd[:, :, 1:] = 79.0
    assert hole_share(1 / odd, 80.0).item() == 1
    assert hole_share(1 / depth, 100.0).item() == 0


def test_masks_are_shares_and_depths_are_metres():
    mask = torch.tensor([True, True, True, False]).view(1, 1, 2, 2)
    maps = {
        "automask": mask,
        "error": torch.rand(1, 1, 2, 2),
        "inverse_depth": torch.tensor([[[[1.0, 0.5], [0.25, 0.1]]]]),
    }
    values = {name: value.item() for name, value in depth_scalars(maps, 80.0).items()}
    expected = {"mask/automask": 0.75, "depth/min": 1, "depth/median": 2, "depth/max": 10, "depth/holes": 0}
    assert values == pytest.approx(expected)


def test_clock_gives_means_since_it_was_read():
    now = SimpleNamespace(time=0.0)
    clock = StepClock(lambda: now.time)
    for wait, work in ((3.0, 1.0), (1.0, 1.0)):
        clock.wait()
        now.time += wait
        clock.arrived()
        now.time += work
        clock.step(4)
    assert clock.read(processes=2) == pytest.approx({"time/data": 2, "time/step": 3, "time/images_per_s": 16 / 6})
    clock.wait()
    now.time += 0.5
    clock.arrived()
    clock.step(4)
    assert clock.read() == pytest.approx({"time/data": 0.5, "time/step": 0.5, "time/images_per_s": 8})


def test_logged_steps_have_every_scalar_and_the_others_none(tmp_path):
    module = teacher_module(PoseNet())
    run = trainer(tmp_path, steps=4, log_every=2)
    run.loggers.append(TensorBoardLogger(tmp_path, name="", version="tensorboard"))
    (tmp_path / "config.yaml").write_text("NAME: x\n")
    module.images_every = 3
    run.fit(module, loader(batches(4)))
    rows = rows_of(tmp_path)
    assert [row["step"] for row in rows] == [1, 3]
    assert all(row.keys() == NAMES | {"step"} for row in rows)
    for row in rows:
        terms = (row[f"loss/{name}"] for name in ("photometric", "smoothness", "velocity"))
        assert row["loss/total"] == pytest.approx(sum(terms))
    # warm-up over 3 steps, then linear to 0 at the end of 4 steps
    assert [row["lr/decoder"] for row in rows] == pytest.approx([2e-3 * 2 / 4 * 3 / 4, 2e-3 * 4 / 4 * 1 / 4])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {*tags["scalars"]} == NAMES | {"epoch"}
    assert [event.value for event in events.Scalars("grad/norm")] == pytest.approx([row["grad/norm"] for row in rows])
    assert tags["images"] == ["vis/input | target | error | automask | inverse_depth"]
    assert [event.step for event in events.Images(tags["images"][0])] == [0, 3]
    assert tags["tensors"] == ["config/text_summary"]
    assert b"NAME: x" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_the_norm_is_calculated_once_and_logged_before_the_gradients_are_clipped(tmp_path, monkeypatch):
    calls, clipped = [], []
    measure = optimiser.get_total_norm
    monkeypatch.setattr(optimiser, "get_total_norm", lambda gradients: calls.append(1) or measure(gradients))

    def step(optimizer):
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        clipped.append(measure(gradients).item())

    for folder, clip in (("free", None), ("clipped", 0.01)):
        module = teacher_module()
        run = trainer(tmp_path / folder, steps=2, gradient_clip_val=clip)
        configure = module.configure_optimizers

        def configured(configure=configure):
            made = configure()
            made["optimizer"].register_step_post_hook(lambda optimizer, *_: step(optimizer))
            return made

        module.configure_optimizers = configured
        run.fit(module, loader(batches(2)))
    assert len(calls) == 2 * 2 * 2  # runs, steps, groups
    free, tight = rows_of(tmp_path / "free"), rows_of(tmp_path / "clipped")
    assert free[0]["grad/norm"] == tight[0]["grad/norm"] == pytest.approx(clipped[0], rel=1e-5)
    assert clipped[2:] == pytest.approx([0.01, 0.01], rel=1e-3)


def test_a_bar_that_is_not_shown_reads_no_loss():
    other = SimpleNamespace(estimated_stepping_batches=20, global_step=10, is_global_zero=False)
    bar = StepProgress()
    bar.on_train_start(other, None)
    bar.on_train_batch_end(other, None, {}, {}, 0)  # there is no loss to read


def test_the_bar_shows_images_per_second_and_reads_the_loss_every_tenth_step(tmp_path, capsys):
    run = trainer(tmp_path, steps=12, save_every=100)
    read = []

    class Loss:
        def item(self):
            read.append(run.global_step)
            return 0.5

    class Bar(StepProgress):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            super().on_train_batch_end(trainer, pl_module, {"loss": Loss()}, batch, batch_idx)

    run.callbacks.append(Bar())
    run.fit(teacher_module(), loader(batches(12)))
    assert read == [10]
    shown = capsys.readouterr().err
    assert "loss=0.5000" in shown
    assert "images/s" in shown
