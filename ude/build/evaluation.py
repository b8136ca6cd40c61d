"""Prediction and evaluation with the config's protocol."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from ude.config import dump_config
from ude.config.defaults import defaults
from ude.evaluation.evaluate import evaluate, scene_names
from ude.evaluation.results import Results
from ude.files.provenance import provenance
from ude.models.checkpoint import load_depth_net

from .frames import evaluation_loader
from .sources import evaluation_source


def device(cfg: CfgNode) -> str:
    """Device name for inference: the first GPU where the config allows one."""
    if cfg.RUN.ACCELERATOR == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return "cuda"


def predictor(run: str | Path, device: str) -> Callable[[Tensor], Tensor]:
    """Images (B, 3, H, W) in [0, 1] to inverse depth [1/m] (B, 1, H, W), with the network of a run folder or hub id."""
    network = load_depth_net(run).to(device)

    @torch.inference_mode()
    def predict(images: Tensor) -> Tensor:
        return network(images.to(device)).inverse_depths[0]

    return predict


def evaluate_split(cfg: CfgNode, predict: Callable[[Tensor], Tensor], split: str, *, progress: bool = True) -> Results:
    """Metrics of a predictor on a split (official name or file) by the config's protocol."""
    source = evaluation_source(cfg, split)
    loader, scenes = evaluation_loader(cfg, source), scene_names(source)
    return evaluate(
        predict, loader, **measured_by(cfg), flip=cfg.EVAL.FLIP, device=device(cfg), scenes=scenes, progress=progress
    )


def evaluation_name(cfg: CfgNode, split: str) -> str:
    """Name of a folder of results: that of the split, and that of the protocol unless it is the default one."""
    protocol = cfg.EVAL.PROTOCOL
    return Path(split).stem + ("" if protocol == defaults().EVAL.PROTOCOL else f"-{protocol}")


def measured_by(cfg: CfgNode) -> dict[str, str | float]:
    """What decides how a prediction is measured, as ``evaluate`` takes it and Results.rules has it."""
    names = ("PROTOCOL", "ALIGNMENT", "MIN_DEPTH", "MAX_DEPTH")
    return {name.lower(): cfg.EVAL[name] for name in names}


def evenly_spread(members: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the members, evenly spread, none of them twice."""
    count = min(count, len(members))
    return [members[(2 * place + 1) * len(members) // (2 * count)] for place in range(count)]


def results_extra(cfg: CfgNode, *, weights: str, split: str) -> dict[str, Any]:
    """What made a result, for its metrics.json: weights, split, seed, protocol, versions and the resolved config."""
    return {
        "weights": weights,
        "split": split,
        "seed": cfg.SEED,
        "protocol": cfg.EVAL.PROTOCOL,
        "alignment": cfg.EVAL.ALIGNMENT,
        "versions": provenance(),
        "config": dump_config(cfg),
    }
