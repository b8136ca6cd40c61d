"""Numbers of the translator's training: what is drawn, in which precision, and what is not finite."""

from types import SimpleNamespace

import pytest
import torch
from finetune_runs import SIZE, tiny_config, training

from ude.build.finetune import train_translator
from ude.build.finetune_data import FiniteTraining
from ude.build.training import run_folder
from ude.engine.guard import SKIPPED_IN_A_ROW
from ude.engine.verdict import NonFiniteLossError
from ude.files import read_json
from ude.translation.finetune import pretrained
from ude.translation.finetune.autoencoder import autoencoder_losses
from ude.translation.finetune.draws import generator_for


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("finetune_numerics")


# --- draws


def test_generators_depend_on_seed_and_purpose():
    draws = [torch.randn(4, generator=generator_for(*row)) for row in [("a", 1), ("a", 1), ("b", 1), ("a", 2)]]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[3])


@pytest.fixture
def states(monkeypatch):
    """Before each draw from a generator: the name of the draw, and the generator's state."""
    found = []

    def recorded(name):
        draw = getattr(torch, name)

        def drawn(*args, generator=None, **options):
            if generator is not None:
                found.append((name, generator.get_state().numpy().tobytes()))
            return draw(*args, generator=generator, **options)

        return drawn

    for name in ("rand", "randn", "randint", "randperm"):
        monkeypatch.setattr(torch, name, recorded(name))
    return found


@pytest.mark.parametrize(
    ("kind", "step", "noises"),
    [
        ("lora", lambda module, batch: module.loss(batch), 2),  # of the latents, and on them
        ("scratch", lambda module, batch: module._denoising(batch), 1),
        ("scratch", lambda module, batch: autoencoder_losses(module.autoencoder, batch), 1),
    ],
    ids=["pretrained", "diffusion", "autoencoder"],
)
def test_no_two_draws_of_a_step_begin_at_the_same_state(root, states, kind, step, noises):
    module, batches = training(root, kind)
    states.clear()
    step(module, batches.batch(0))
    names, seen = zip(*states, strict=True)
    assert names.count("randn") == noises
    assert names.count("rand") >= 1
    assert len(set(seen)) == len(seen)


# --- precision


def test_latents_noise_and_target_are_float32_under_bfloat16(root, monkeypatch):
    module, batches = training(root, "lora")
    found = []

    def loss(noising, predict, latents, **options):
        found.append(latents)
        return latents.sum()

    monkeypatch.setattr(pretrained, "denoising_loss", loss)
    with torch.autocast("cpu", torch.bfloat16):
        assert module.autoencoder.encode(torch.zeros(1, 3, *SIZE)).latent_dist.mean.dtype == torch.bfloat16
        module.loss(batches.batch(0))
        module.autoencoder.encode = lambda images: SimpleNamespace(latents=images.bfloat16())
        module.loss(batches.batch(0))
    assert [latents.dtype for latents in found] == [torch.float32] * 2  # noise and target are of the latents' type


# --- not finite


def trainer(*, step=7, scaler=None):
    return SimpleNamespace(global_step=step, precision_plugin=SimpleNamespace(scaler=scaler))


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_frames():
    watch = FiniteTraining()
    watch.on_train_batch_start(None, None, {"frame_id": ["a.png", "b.png"]}, 0)
    watch.on_before_backward(trainer(), None, torch.tensor(1.0))
    with pytest.raises(NonFiniteLossError, match=r"step 7: loss; frames: a.png, b.png; lower FINETUNE.LR"):
        watch.on_before_backward(trainer(), None, torch.tensor(float("nan")))


def with_gradient(value):
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, value])
    return torch.optim.AdamW([weight])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_ends_the_run(value):
    watch = FiniteTraining()
    watch.on_train_batch_start(None, None, {"frame_id": ["a.png"]}, 0)
    watch.on_before_optimizer_step(trainer(), None, with_gradient(1.0))
    with pytest.raises(NonFiniteLossError, match=r"step 7: gradient; frames: a.png; lower FINETUNE.LR"):
        watch.on_before_optimizer_step(trainer(), None, with_gradient(value))


def test_steps_that_float16_leaves_out_end_the_run_only_where_they_do_not_end():
    watch, scaled = FiniteTraining(), trainer(scaler=object())
    for _ in range(2):
        for _ in range(SKIPPED_IN_A_ROW - 1):
            watch.on_before_optimizer_step(scaled, None, with_gradient(float("inf")))
        watch.on_before_optimizer_step(scaled, None, with_gradient(1.0))
    for _ in range(SKIPPED_IN_A_ROW - 1):
        watch.on_before_optimizer_step(scaled, None, with_gradient(float("inf")))
    with pytest.raises(NonFiniteLossError, match="step 7: gradient"):
        watch.on_before_optimizer_step(scaled, None, with_gradient(float("inf")))


def spoiled_gradient(patch):
    """From the second step on, the loss is finite and its gradient is not."""
    loss = pretrained.PretrainedTraining.loss

    def spoiled(self, batch):
        weight = next(p for p in self.parameters() if p.requires_grad)
        return loss(self, batch) + ((0 * weight.sum()).sqrt() if self.global_step else 0)

    patch.setattr(pretrained.PretrainedTraining, "loss", spoiled)


def spoiled_weight(patch):
    """Behind the last step, a weight is not finite."""

    def spoiled(self, *args):
        if self.global_step == self.solver.steps:
            next(p for p in self.parameters() if p.requires_grad).data[0] = float("nan")

    patch.setattr(pretrained.PretrainedTraining, "on_train_batch_end", spoiled)


@pytest.mark.parametrize(
    ("spoil", "message", "kept"),
    [
        (spoiled_gradient, r"not finite at step 1: gradient; frames: \d\d\.png, ", 1),
        (spoiled_weight, r"not finite behind step 3: unet\..*lora_.*; nothing of it is written; lower FINETUNE.LR", 3),
    ],
    ids=["gradient", "weight"],
)
def test_what_is_not_finite_is_never_a_result(root, monkeypatch, spoil, message, kept):
    cfg = tiny_config(root, "lora", "NAME", spoil.__name__, "RUN.CHECKPOINT_EVERY", 1)
    spoil(monkeypatch)
    with pytest.raises(NonFiniteLossError, match=message) as caught:
        train_translator(cfg)
    folder = run_folder(cfg)
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert not (folder / "lora").exists()
    assert not read_json(folder / "version.json")["finished"]
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == kept
    assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())
