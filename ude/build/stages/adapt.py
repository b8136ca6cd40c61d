"""Stage ``adapt``: a student goes on with real night and rain frames without labels."""

from pathlib import Path

import torch
from torch.utils.data import DataLoader, Subset
from yacs.config import CfgNode

from ude.config import ConfigError, config_hash, yaml_text
from ude.data.batches import collate_once
from ude.data.datasets import TrainingFrames
from ude.engine.adapt import AdaptModule, AdaptOptions
from ude.engine.teacher_cache import TeacherCache
from ude.models.checkpoint import load_depth_net

from ..identity import LEARNED_FROM, naming
from ..networks import copy_of_teacher, depth_net, trainable
from ..runs import module_options, run_folder
from ..sources import day_source

DAY_FRAMES = 400
"""Largest number of day frames, evenly spread, that the daytime distribution of depth is taken from."""


def adapt(cfg: CfgNode) -> AdaptModule:
    """The Lightning module of adaptation.

    Raises:
        ConfigError: the networks do not fit together, or there is no day teacher.
        DataError: a network cannot be loaded, or there are no day frames for LOSS.HISTOGRAM.
    """
    with naming("MODEL.TEACHER"):
        student = load_depth_net(cfg.MODEL.TEACHER)
    if not (named := _day_teacher(cfg)):
        raise ConfigError(
            f"MODEL.DAY_TEACHER must name the run folder of the day teacher: {cfg.MODEL.TEACHER}/config.yaml does not"
        )
    with naming("MODEL.DAY_TEACHER"):
        day = load_depth_net(named)
    loss = cfg.LOSS
    cache = TeacherCache(run_folder(cfg) / "label_cache", config_hash(cfg, LEARNED_FROM))
    return AdaptModule(
        trainable(cfg, copy_of_teacher(cfg) if cfg.MODEL.INIT_FROM_TEACHER else depth_net(cfg)),
        student=student,
        day=day,
        options=AdaptOptions(loss.DISTILLATION, loss.AGREEMENT_BETA, loss.AGREEMENT_EPS, loss.HISTOGRAM),
        day_frames=_day_frames(cfg) if loss.HISTOGRAM else (),
        cache=cache if cfg.MODEL.TEACHER_CACHE else None,
        **module_options(cfg),
    )


def upstream_of_adapt(cfg: CfgNode) -> list[Path]:
    """What it is made from: the student and the day teacher."""
    return [Path(run) / "version.json" for run in (cfg.MODEL.TEACHER, _day_teacher(cfg)) if run]


def _day_teacher(cfg: CfgNode) -> str:
    """Run folder or hub id of the day teacher: the one that the config names, else that of the student's run, or "".

    MODEL.TEACHER of any other run is no day teacher: that of an adapted one is a student.
    """
    if cfg.MODEL.DAY_TEACHER:
        return cfg.MODEL.DAY_TEACHER
    try:
        run = yaml_text.read(Path(cfg.MODEL.TEACHER) / "config.yaml")
        return str(run["MODEL"]["TEACHER"]) if run["STAGE"] == "student" else ""
    except (OSError, ConfigError, TypeError, KeyError):
        return ""


def _day_frames(cfg: CfgNode) -> DataLoader:
    """Batches of day-clear frames of DATA.SPLIT_TRAIN."""
    with naming("LOSS.HISTOGRAM"):
        frames = TrainingFrames(
            day_source(cfg),
            size=cfg.DATA.SIZE,
            offsets=(),
            on_error=cfg.DATA.ON_ERROR,
            max_skipped=cfg.DATA.MAX_SKIPPED,
        )
    chosen = torch.linspace(0, len(frames) - 1, min(DAY_FRAMES, len(frames))).long().tolist()
    return DataLoader(Subset(frames, chosen), batch_size=cfg.SOLVER.BATCH_SIZE, collate_fn=collate_once)
