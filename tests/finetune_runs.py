"""Made-up frames, a depth network and configs for tests of the translator's training."""

from pathlib import Path

import torch
from tiny_pipeline import save_tiny_pipeline

from ude.config import load_config
from ude.files import write_image
from ude.models import DepthNet, save_model

CONFIGS = Path(__file__).parents[1] / "configs"
SIZE = (32, 64)
DEPTH = {"backbone": "resnet_small", "num_scales": 1, "min_depth": 0.1, "max_depth": 80.0}


def made_up_frames(root: Path, *, count: int = 5, conditions: tuple[str, ...] = ("night", "rain")) -> Path:
    """Smooth coloured patterns, those of night dark; names of subfolders are conditions."""
    generator = torch.Generator().manual_seed(0)
    for condition in conditions:
        for i in range(count):
            noise = torch.rand(1, 3, 4, 8, generator=generator) * (0.3 if condition == "night" else 1.0)
            smooth = torch.nn.functional.interpolate(noise, SIZE, mode="bilinear")[0]
            write_image(root / condition / f"{i:02d}.png", (smooth * 255).byte().permute(1, 2, 0).numpy())
    return root


def made_up_depth_run(root: Path) -> Path:
    """A run folder with a depth network of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DepthNet(**DEPTH, input_height=SIZE[0], input_width=SIZE[1], normalisation="imagenet")
    save_model(network, root / "depth_net")
    return root


def tiny_config(root: Path, kind: str, *overrides: object):
    """Config of a run of a few steps; what it needs is written beside it."""
    if not (root / "frames").is_dir():
        made_up_frames(root / "frames")
        made_up_depth_run(root / "depth")
        save_tiny_pipeline(root / "tiny")
    base = "finetune_scratch" if kind == "scratch" else "finetune_lora"
    settings = {
        "OUTPUT_DIR": root / "outputs",
        "NAME": kind,
        "TRANSLATOR.SIZE": SIZE,
        "TRANSLATOR.DEPTH_MODEL": root / "depth",
        "TRANSLATOR.CAPTIONER": "",
        "TRANSLATOR.BASE_MODEL": root / "tiny" / "base",
        "TRANSLATOR.CONTROL": root / "tiny" / "control",
        "FINETUNE.KIND": kind,
        "FINETUNE.FRAMES": root / "frames",
        "FINETUNE.CONDITIONS": "(night, rain)",
        "FINETUNE.WARMUP": 0,
        "FINETUNE.BATCH_SIZE": 2,
        "FINETUNE.RANK": 4,
        "FINETUNE.WIDTHS": "(16, 32)",
        "FINETUNE.AUTOENCODER_STEPS": 3,
        "FINETUNE.AUTOENCODER_WIDTH": 8,
        "FINETUNE.STEPS": 3,
        "RUN.ACCELERATOR": "cpu",
        "RUN.PRECISION": "32-true",
        "RUN.LOG_EVERY": 1,
    }
    given = dict(zip(overrides[::2], overrides[1::2], strict=True))
    words = [str(word) for pair in (settings | given).items() for word in pair]
    return load_config(CONFIGS / f"{base}.yaml", words)


def training(root, kind, **overrides):
    """The module of a run, and a batch for it."""
    from ude.build import finetune

    cfg = tiny_config(root, kind, *[item for pair in overrides.items() for item in pair])
    table = finetune._conditions(cfg)
    paths = finetune.frame_paths(cfg.FINETUNE.FRAMES, cfg.FINETUNE.CONDITIONS, most=99)
    frames = finetune.ConditionFrames(paths, SIZE)
    controls = frames.images[:, :1]
    torch.manual_seed(0)
    if kind == "scratch":
        module = finetune._small(cfg, table, controls)
    else:
        module = finetune._pretrained(cfg, finetune._pipeline(cfg), table, controls, None)
    return module, finetune.FinetuneData(frames, cfg).batches
