"""What the runs of all stages share: their folder, their trainer, their optimiser."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from ude.config import ConfigError
from ude.engine import RunOptions, Solver


def run_folder(cfg: CfgNode) -> Path:
    """Folder of the run that a config describes."""
    return Path(cfg.OUTPUT_DIR) / cfg.NAME


def module_options(cfg: CfgNode) -> dict[str, Any]:
    """What the Lightning modules of all stages take: optimiser settings and how often images are logged."""
    solver = cfg.SOLVER
    return {
        "solver": Solver(
            solver.LR_ENCODER,
            solver.LR_DECODER,
            solver.LR_POSE,
            solver.WEIGHT_DECAY,
            solver.SCHEDULE,
            solver.WARMUP,
            solver.DROP_AT,
        ),
        "images_every": cfg.RUN.IMAGES_EVERY,
    }


def run_options(cfg: CfgNode) -> RunOptions:
    """How the config's run is to go.

    Raises:
        ConfigError: this machine lacks what the config asks for.
    """
    run = cfg.RUN
    if run.COMPILE and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise ConfigError("RUN.COMPILE needs a C++ compiler, and there is no g++ (or $CXX); set RUN.COMPILE False")
    _require_devices(run.ACCELERATOR, run.DEVICES)
    return RunOptions(
        accelerator=run.ACCELERATOR,
        devices=run.DEVICES,
        precision=run.PRECISION,
        epochs=cfg.SOLVER.EPOCHS,
        max_steps=run.MAX_STEPS,
        log_every=run.LOG_EVERY,
        checkpoint_every=run.CHECKPOINT_EVERY,
        grad_clip=cfg.SOLVER.GRAD_CLIP,
    )


def _require_devices(accelerator: str, devices: int) -> None:
    """Check that the machine has what the config asks for; there may be any number of processes on its CPU."""
    if accelerator == "cpu":
        return
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = int(torch.backends.mps.is_available())
    found = {"cuda": cuda, "mps": mps}.get(accelerator, cuda or mps)
    if not found and accelerator != "auto":
        raise ConfigError(f"RUN.ACCELERATOR is {accelerator}, but torch finds no GPU for it; set it to auto or cpu")
    if found and devices > found:
        raise ConfigError(f"RUN.DEVICES is {devices}, but torch finds {found} GPU(s); set RUN.DEVICES {found}")
