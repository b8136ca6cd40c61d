"""Training of the config's translator: a part of a pretrained one, or a small one from scratch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from tqdm import tqdm
from yacs.config import CfgNode

from ude.config import ConfigError, dump_config
from ude.engine import RunOptions, claim_run, fit
from ude.translation.conditions import Condition, load_conditions
from ude.translation.finetune.controls import control_images
from ude.translation.finetune.frames import ConditionFrames, frame_paths
from ude.translation.finetune.pretrained import CONTROL, LORA

from .finetune_data import FinetuneData
from .identity import identity, naming, upstream_runs
from .training import run_folder
from .translators import captioner, control_depth

PARTS = {"lora": (LORA,), "controlnet": (CONTROL,), "both": (LORA, CONTROL)}
_SHARED = (
    *("SEED", "RUN.PRECISION", "RUN.MAX_STEPS", "TRANSLATOR.SIZE", "TRANSLATOR.DEPTH_MODEL", "TRANSLATOR.DEPTH_TILES"),
    *(f"FINETUNE.{key}" for key in ("KIND", "FRAMES", "STEPS", "BATCH_SIZE", "LR", "WARMUP", "FLIP_PROB", "GRAD_CLIP")),
)
_WEIGHTS = ("BASE_MODEL", "VAE", "CONTROL")
_PRETRAINED = ("FINETUNE.RANK", "TRANSLATOR.CAPTIONER", *(f"TRANSLATOR.{key}" for key in _WEIGHTS))
_SCRATCH = ("WIDTHS", "LATENT_CHANNELS", "AUTOENCODER_WIDTH", "AUTOENCODER_STEPS", "LR_AUTOENCODER", "AVERAGE")


def train_translator(cfg: CfgNode, *, resume: bool = False) -> bool:
    """Train the config's translator into its run folder; False when it was finished already.

    Args:
        cfg: the config.
        resume: continue an unfinished run.

    Raises:
        ConfigError: a key that is needed is empty, or names what cannot be used.
        DataError: frames or weights are missing, or the folder holds another run, or this one without `resume`.
    """
    _require(cfg)
    table, folder = _conditions(cfg), run_folder(cfg)
    with naming("FINETUNE.FRAMES"):
        paths = frame_paths(cfg.FINETUNE.FRAMES, cfg.FINETUNE.CONDITIONS, most=cfg.FINETUNE.MAX_FRAMES)
    made_from = _identity(cfg, table, paths)
    with claim_run(folder, made_from["config_hash"], resume=resume) as unfinished:
        if unfinished:
            torch.manual_seed(cfg.SEED)
            pipeline = None if cfg.FINETUNE.KIND == "scratch" else _pipeline(cfg)  # before hours of depth
            with naming("FINETUNE.FRAMES"):
                frames = ConditionFrames(paths, cfg.TRANSLATOR.SIZE)
            controls = control_images(frames.images, control_depth(cfg), size=cfg.TRANSLATOR.SIZE)
            if pipeline is None:
                module = _small(cfg, table, controls)
            else:
                module = _pretrained(cfg, pipeline, table, controls, _captions(cfg, frames.images))
            fit(
                module,
                FinetuneData(frames, cfg),
                folder=folder,
                options=_options(cfg),
                config_text=dump_config(cfg),
                identity=made_from,
            )
    return unfinished


def _require(cfg: CfgNode) -> None:
    """Check the keys that nothing can be trained without, before anything is read."""
    options = cfg.FINETUNE
    if not options.FRAMES:
        raise ConfigError("FINETUNE.FRAMES is empty; name a folder with a subfolder of frames per condition")
    if not cfg.TRANSLATOR.DEPTH_MODEL:
        raise ConfigError("TRANSLATOR.DEPTH_MODEL is empty; name a teacher's run folder, or a depth model's hub id")
    if cfg.RUN.DEVICES != 1:
        raise ConfigError(f"RUN.DEVICES must be 1 to train a translator, got {cfg.RUN.DEVICES}")
    if options.KIND == "scratch":
        return
    for key in ("BASE_MODEL", "CONTROL"):
        if not cfg.TRANSLATOR[key]:
            raise ConfigError(f"TRANSLATOR.{key} is empty; FINETUNE.KIND {options.KIND} needs a hub id or local folder")


def _conditions(cfg: CfgNode) -> Mapping[str, Condition]:
    """Those of the frames, by name."""
    with naming("TRANSLATOR.CONDITIONS_FILE"):
        table = load_conditions(cfg.TRANSLATOR.CONDITIONS_FILE)
    for name in cfg.FINETUNE.CONDITIONS:
        if name not in table:
            raise ConfigError(
                f"FINETUNE.CONDITIONS must be among {', '.join(table)}, got {name}; add it in "
                "TRANSLATOR.CONDITIONS_FILE"
            )
    return {name: table[name] for name in cfg.FINETUNE.CONDITIONS}


def _identity(cfg: CfgNode, table: Mapping[str, Condition], paths: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
    """What the weights are made from: keys, words of the conditions, names of the frames, runs that are built on."""
    scratch = cfg.FINETUNE.KIND == "scratch"
    keys = tuple(f"FINETUNE.{key}" for key in _SCRATCH) if scratch else _PRETRAINED
    made_from = identity(cfg, _SHARED + keys, upstream_runs(cfg, () if scratch else _WEIGHTS))
    words = {name: [condition.phrases, condition.negative] for name, condition in table.items()}
    names = {name: [path.name for path in found] for name, found in paths.items()}
    text = json.dumps([made_from["config_hash"], words, names])
    return made_from | {"stage": "translator", "config_hash": hashlib.sha256(text.encode()).hexdigest()[:32]}


def _options(cfg: CfgNode) -> RunOptions:
    options = cfg.FINETUNE
    steps = options.STEPS + (options.AUTOENCODER_STEPS if options.KIND == "scratch" else 0)
    return RunOptions(
        accelerator=cfg.RUN.ACCELERATOR,
        precision=cfg.RUN.PRECISION,
        epochs=-1,
        max_steps=steps if cfg.RUN.MAX_STEPS == -1 else min(steps, cfg.RUN.MAX_STEPS),
        log_every=cfg.RUN.LOG_EVERY,
        checkpoint_every=cfg.RUN.CHECKPOINT_EVERY,
        grad_clip=options.GRAD_CLIP,
    )


def _small(cfg: CfgNode, table: Mapping[str, Condition], controls: Tensor) -> L.LightningModule:
    from ude.translation.finetune.scratch import SmallSolver, SmallTraining
    from ude.translation.finetune.small import SmallSizes
    from ude.translation.finetune.words import small_tokenizer

    options = cfg.FINETUNE
    solver = SmallSolver(
        autoencoder_steps=options.AUTOENCODER_STEPS,
        steps=options.STEPS,
        autoencoder_rate=options.LR_AUTOENCODER,
        rate=options.LR,
        warmup=options.WARMUP,
        decay=options.AVERAGE,
    )
    return SmallTraining(
        small_tokenizer([text for condition in table.values() for text in (*condition.phrases, condition.negative)]),
        sizes=SmallSizes(widths=options.WIDTHS, latent_channels=options.LATENT_CHANNELS),
        autoencoder_width=options.AUTOENCODER_WIDTH,
        solver=solver,
        conditions=table,
        controls=controls,
    )


def _pipeline(cfg: CfgNode) -> Any:
    """The pretrained pipeline, in float32: half precision would lose the small steps."""
    from ude.translation.diffusion.pipelines import load_pipeline

    options = cfg.TRANSLATOR
    return load_pipeline(
        options.BASE_MODEL,
        pipeline="StableDiffusionControlNetPipeline",
        control=options.CONTROL,
        vae=options.VAE,
        dtype=torch.float32,
    )


def _pretrained(
    cfg: CfgNode, pipeline: Any, table: Mapping[str, Condition], controls: Tensor, captions: list[str] | None
) -> L.LightningModule:
    from ude.translation.finetune.pretrained import PretrainedSolver, PretrainedTraining

    options = cfg.FINETUNE
    solver = PretrainedSolver(
        PARTS[options.KIND],
        steps=options.STEPS,
        rate=options.LR,
        warmup=options.WARMUP,
        rank=options.RANK,
        recompute=options.RECOMPUTE,
    )
    return PretrainedTraining(pipeline, solver=solver, conditions=table, controls=controls, captions=captions)


def _captions(cfg: CfgNode, images: Tensor) -> list[str] | None:
    """A caption per frame, None without a captioner."""
    if not cfg.TRANSLATOR.CAPTIONER:
        return None
    caption = captioner(cfg)
    batches = tqdm(images.split(cfg.TRANSLATOR.BATCH_SIZE), desc="caption", unit="batch", dynamic_ncols=True)
    return [text for batch in batches for text in caption(batch.float() / 255)]
