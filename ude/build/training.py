"""Training of the config: its stage into its run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from yacs.config import CfgNode

from ude.config import dump_config
from ude.engine import TrainingData, claim_run, fit
from ude.engine.base import DepthModule

from .caches import lossy_store
from .frames import training_data
from .identity import LEARNED_FROM, identity, weights_digests
from .monitor import monitor
from .runs import run_folder, run_options
from .stages.adapt import adapt, upstream_of_adapt
from .stages.self_distillation import models_of_self_distillation, self_distillation, upstream_of_self_distillation
from .stages.student import models_of_student, student, upstream_of_student
from .stages.supervised import supervised, upstream_of_supervised
from .stages.teacher import teacher
from .translated import linked_translations

__all__ = ["STAGES", "Stage", "run_folder", "train"]


class Stage(NamedTuple):
    """A training stage.

    Attributes:
        module: its Lightning module.
        data: its frames in batches.
        upstream: the JSON files with a ``config_hash`` of the results that it builds on, besides MODEL.DEPTH.WEIGHTS.
        models: the hub ids and folders of models of others that it builds on.
    """

    module: Callable[[CfgNode], DepthModule]
    data: Callable[[CfgNode], TrainingData] = training_data
    upstream: Callable[[CfgNode], list[Path]] = lambda cfg: []
    models: Callable[[CfgNode], list[str]] = lambda cfg: []


STAGES = {
    "teacher": Stage(teacher),
    "student": Stage(student, upstream=upstream_of_student, models=models_of_student),
    "supervised": Stage(supervised, upstream=upstream_of_supervised),
    "adapt": Stage(adapt, upstream=upstream_of_adapt),
    "self_distillation": Stage(
        self_distillation, upstream=upstream_of_self_distillation, models=models_of_self_distillation
    ),
}
"""By STAGE of the config."""


def train(cfg: CfgNode, *, resume: bool = False) -> bool:
    """Train the config's stage into its run folder; False when it was finished already.

    Raises:
        DataError: when the folder holds another run, or this one and ``resume`` is false.
    """
    folder, options, stage = run_folder(cfg), run_options(cfg), STAGES[cfg.STAGE]
    upstream = [Path(cfg.MODEL.DEPTH.WEIGHTS) / "version.json"] if cfg.MODEL.DEPTH.WEIGHTS else []
    extra = [*lossy_store(cfg), *linked_translations(cfg)]
    extra += [digest for name in stage.models(cfg) for digest in weights_digests(name)]
    made_from = identity(cfg, LEARNED_FROM, upstream + stage.upstream(cfg), extra)
    with claim_run(folder, made_from["config_hash"], resume=resume) as unfinished:
        if unfinished:
            torch.manual_seed(cfg.SEED)
            module, data = stage.module(cfg), stage.data(cfg)
            fit(
                module,
                data,
                folder=folder,
                options=options,
                config_text=dump_config(cfg),
                identity=made_from,
                monitor=monitor(cfg, data.frames.source),
            )
    return unfinished
