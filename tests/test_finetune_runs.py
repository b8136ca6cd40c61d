"""Whole runs of the translator's training: what changes, what is written, resumed runs, bad input."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from finetune_runs import CONFIGS, SIZE, tiny_config, training
from safetensors.torch import load_file

from ude.build.finetune import train_translator
from ude.build.training import run_folder
from ude.config import ConfigError, dump_config, load_config
from ude.engine import records
from ude.files import DataError, read_json, read_jsonl
from ude.translation import CONDITIONS

ROOT = Path(__file__).parents[1]
TRAINED = {
    "lora": ["lora/pytorch_lora_weights.safetensors"],
    "controlnet": ["control/diffusion_pytorch_model.safetensors"],
    "both": ["lora/pytorch_lora_weights.safetensors", "control/diffusion_pytorch_model.safetensors"],
    "scratch": [
        *(f"base/{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")),
        "base/text_encoder/model.safetensors",
        "control/diffusion_pytorch_model.safetensors",
        "ip_adapter/models/image_encoder/model.safetensors",
        "ip_adapter/models/ip-adapter_small.safetensors",
    ],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("finetune")


@pytest.fixture(scope="module")
def finished(root):
    """Folders of finished runs by their kind."""
    folders = {}

    def run(kind):
        if kind not in folders:
            cfg = tiny_config(root, kind)
            assert train_translator(cfg)
            folders[kind] = run_folder(cfg)
        return folders[kind]

    return run


def weights(folder, kind):
    return {f"{name}:{key}": value for name in TRAINED[kind] for key, value in load_file(folder / name).items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


# --- what is written


@pytest.mark.parametrize(
    "kind", ["lora", "scratch", *(pytest.param(k, marks=pytest.mark.slow) for k in ("controlnet", "both"))]
)
def test_a_run_leaves_its_weights_its_config_and_a_row_per_step(finished, kind):
    folder = finished(kind)
    version = read_json(folder / "version.json")
    assert version["finished"]
    assert version["stage"] == "translator"
    assert (folder / "config.yaml").is_file()
    rows = read_jsonl(folder / "metrics.jsonl")
    steps = 6 if kind == "scratch" else 3
    assert [row["step"] for row in rows] == list(range(steps))
    terms = [{key for key in row if key.startswith("loss/")} for row in rows]
    autoencoder = [{"loss/reconstruction", "loss/spread"}] * (steps - 3)
    assert terms == [*autoencoder, *([{"loss/denoising"}] * 3)]
    assert weights(folder, kind)
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        *("checkpoints", "tensorboard"),
        *(name.split("/")[0] for name in TRAINED[kind]),
    }


def test_a_finished_run_is_left_alone(root, finished):
    finished("lora")
    cfg = tiny_config(root, "lora")
    assert not train_translator(cfg, resume=True)
    with pytest.raises(DataError, match="already holds this run; add --resume"):
        train_translator(cfg)


def test_other_frames_are_another_run(root, finished):
    finished("lora")
    with pytest.raises(DataError, match="another configuration"):
        train_translator(tiny_config(root, "lora", "FINETUNE.MAX_FRAMES", 3), resume=True)


def test_the_config_from_scratch_runs_at_its_own_precision_and_clipping(root):
    own = load_config(CONFIGS / "finetune_scratch.yaml", [])
    overrides = ("RUN.PRECISION", own.RUN.PRECISION, "FINETUNE.GRAD_CLIP", own.FINETUNE.GRAD_CLIP)
    steps = ("FINETUNE.AUTOENCODER_STEPS", 1, "FINETUNE.STEPS", 1)
    cfg = tiny_config(root, "scratch", "NAME", "own_precision", *overrides, *steps)
    assert (cfg.RUN.PRECISION, cfg.FINETUNE.GRAD_CLIP) == ("bf16-mixed", 1.0)
    assert train_translator(cfg)
    assert all(tensor.isfinite().all() for tensor in weights(run_folder(cfg), "scratch").values())


@pytest.mark.parametrize(
    ("kind", "most", "steps"), [("lora", -1, 3), ("lora", 2, 2), ("scratch", 5, 5), ("lora", 9, 3)]
)
def test_most_steps_of_a_run_end_it(root, kind, most, steps):
    from ude.build import finetune

    assert finetune._options(tiny_config(root, kind, "RUN.MAX_STEPS", most)).max_steps == steps


def test_a_run_that_ended_early_is_another_run(root, finished):
    """Not one that was finished already."""
    finished("lora")
    with pytest.raises(DataError, match="another configuration"):
        train_translator(tiny_config(root, "lora", "RUN.MAX_STEPS", 2), resume=True)


# --- what changes


@pytest.mark.parametrize(
    ("kind", "intended"),
    [
        ("lora", ("unet.",)),
        pytest.param("controlnet", ("control.",), marks=pytest.mark.slow),
        ("both", ("unet.", "control.")),
    ],
)
def test_only_the_intended_weights_change(root, kind, intended):
    module, batches = training(root, kind)
    before = {name: value.clone() for name, value in module.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-2)
    for step in range(3):
        loss = module.loss(batches.batch(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    changed = {name for name, value in module.named_parameters() if not torch.equal(value, before[name])}
    assert changed <= set(module.state_dict())
    for prefix in intended:
        own = {name for name in changed if name.startswith(prefix)}
        assert own
        assert all("lora_" in name for name in own) == (prefix == "unet.")
    assert all(name.startswith(intended) for name in changed)


@pytest.mark.parametrize("kind", ["lora", pytest.param("controlnet", marks=pytest.mark.slow)])
def test_the_loss_falls_on_a_handful_of_frames(root, kind):
    module, batches = training(root, kind, **{"FINETUNE.FLIP_PROB": 0})
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(12):
        loss = module.loss(batches.batch(0))  # the same frames, noise and prompts: it must be learnable
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0], (losses[0], losses[-1])


def test_captions_follow_the_phrase_of_their_frame(root, monkeypatch):
    from ude.build import finetune

    module, batches = training(root, "lora")
    cfg = tiny_config(root, "lora", "TRANSLATOR.CAPTIONER", "some/captioner", "TRANSLATOR.BATCH_SIZE", 3)
    monkeypatch.setattr(finetune, "captioner", lambda _: lambda images: [f"mean {i.mean():.3f}" for i in images])
    images = batches.frames.images
    module.captions = finetune._captions(cfg, images)
    assert module.captions == [f"mean {image.float().mean() / 255:.3f}" for image in images]
    prompts, tokenizer = [], module.tokenizer
    module.tokenizer = lambda texts, **options: prompts.extend(texts) or tokenizer(texts, **options)
    module.tokenizer.model_max_length = tokenizer.model_max_length
    batch = batches.batch(0)
    module.loss(batch)
    phrases = [CONDITIONS[name].phrases[0] for name in batch["conditions"]]
    wanted = [f"{p}, {module.captions[i]}" for p, i in zip(phrases, batch["index"].tolist(), strict=True)]
    assert all(found in {"", full} for found, full in zip(prompts, wanted, strict=True))
    assert any(prompts)


def test_recomputing_activations_changes_no_gradient(root):
    gradients = []
    for recompute in (False, True):
        module, batches = training(root, "lora", **{"FINETUNE.RECOMPUTE": recompute})
        module.loss(batches.batch(0)).backward()
        gradients.append({n: p.grad for n, p in module.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "key", "part"),
    [
        ("lora", "lora", "lora"),
        pytest.param("controlnet", "control", "control", marks=pytest.mark.slow),
        ("scratch", None, None),
    ],
)
def test_the_translator_loads_the_result_and_its_images_change(root, finished, kind, key, part):
    from ude.translation.diffusion import DiffusionTranslator

    folder = finished(kind)
    images = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    options = {"size": SIZE, "steps": 2, "guidance_scale": 2.0}
    given = {"condition": CONDITIONS["night"], "seeds": [0], "depth": images[:, :1]}
    if kind == "scratch":
        translator = DiffusionTranslator(
            str(folder / "base"),
            control=str(folder / "control"),
            ip_adapter=str(folder / "ip_adapter"),
            ip_adapter_weights="ip-adapter_small.safetensors",
            **options,
        )
        references = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
        found = translator(images, references=references, **given)
        assert found.shape == images.shape
        assert found.std() > 0
        return
    base = {"control": str(root / "tiny" / "control")}
    plain = DiffusionTranslator(str(root / "tiny" / "base"), **base, **options)(images, **given)
    changed = DiffusionTranslator(str(root / "tiny" / "base"), **(base | {key: str(folder / part)}), **options)(
        images, **given
    )
    assert (plain - changed).abs().max() > 1e-4


# --- interrupted


@pytest.mark.parametrize(
    ("kind", "step"),
    [("scratch", 4), *(pytest.param(*row, marks=pytest.mark.slow) for row in [("scratch", 2), ("lora", 2)])],
)
def test_a_resumed_run_is_as_one_that_was_never_interrupted(root, finished, kind, step, monkeypatch):
    """Cut within the autoencoder's steps, and within those of the diffusion model."""
    whole, cfg = finished(kind), tiny_config(root, kind, "NAME", f"{kind}{step}", "RUN.CHECKPOINT_EVERY", 1)
    save = records.AtomicCheckpointIO.save_checkpoint

    def cut(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        if checkpoint["global_step"] == step:
            raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(records.AtomicCheckpointIO, "save_checkpoint", cut)
        with pytest.raises(RuntimeError, match="power cut"):
            train_translator(cfg)
    torch.manual_seed(99)
    assert train_translator(cfg, resume=True)
    assert same(weights(run_folder(cfg), kind), weights(whole, kind))
    assert read_jsonl(run_folder(cfg) / "metrics.jsonl") == read_jsonl(whole / "metrics.jsonl")


def test_checkpoints_of_a_lora_hold_nothing_else(root, finished):
    state = torch.load(finished("lora") / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert state
    assert all("lora_" in name for name in state)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_tool_behind_a_step_with_a_checkpoint(root, sent, code):
    name = f"signal{code}"
    cfg = tiny_config(root, "lora", "NAME", name, "FINETUNE.STEPS", 2000)
    file = root / f"{name}.yaml"
    file.write_text(dump_config(cfg), encoding="utf-8")
    command = [sys.executable, str(ROOT / "tools" / "train_translator.py"), "--cfg", str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    metrics = run_folder(cfg) / "metrics.jsonl"
    for _ in range(600):
        if metrics.is_file() and len(metrics.read_text().splitlines()) > 3:
            break
        time.sleep(0.1)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert (run_folder(cfg) / "checkpoints" / "last.ckpt").is_file()


# --- bad input


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("FINETUNE.FRAMES", ""), "FINETUNE.FRAMES is empty; name a folder"),
        (("FINETUNE.FRAMES", "nowhere"), r"FINETUNE.FRAMES: there is no folder nowhere/night; put frames"),
        (("TRANSLATOR.DEPTH_MODEL", ""), "TRANSLATOR.DEPTH_MODEL is empty; name a teacher's run folder"),
        (("TRANSLATOR.DEPTH_MODEL", "nowhere"), "TRANSLATOR.DEPTH_MODEL: no trained model in nowhere"),
        (("TRANSLATOR.BASE_MODEL", ""), "TRANSLATOR.BASE_MODEL is empty; FINETUNE.KIND lora needs"),
        (("TRANSLATOR.BASE_MODEL", "some/thing"), "cannot load the base model 'some/thing'.*hf download some/thing"),
        (("TRANSLATOR.CONTROL", ""), "TRANSLATOR.CONTROL is empty"),
        (("FINETUNE.CONDITIONS", "[hail]"), "FINETUNE.CONDITIONS must be among .*, got hail; add it in"),
        (("RUN.DEVICES", 2), "RUN.DEVICES must be 1"),
    ],
)
def test_bad_input_is_one_line_that_names_key_and_remedy(root, overrides, message):
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        train_translator(tiny_config(root, "lora", "NAME", "bad", *overrides))
    assert "\n" not in str(caught.value)


def test_the_tool_says_where_the_result_lies(root, finished, capsys):
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import train_translator as tool
    finally:
        sys.path.pop(0)
    folder = finished("lora")
    assert tool.main(["--cfg", str(CONFIGS / "finetune_lora.yaml"), "FINETUNE.FRAMES", "nowhere"]) == 4
    assert "FINETUNE.FRAMES: there is no folder nowhere/night" in capsys.readouterr().err
    assert tool.main(["--cfg", str(folder / "config.yaml"), "--resume"]) == 0
    assert f"{folder}: was finished already" in capsys.readouterr().out
