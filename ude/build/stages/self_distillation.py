"""Stage ``self_distillation``: a foundation model learns from its own depth of easy images."""

from pathlib import Path

import torch
from yacs.config import CfgNode

from ude.config import config_hash
from ude.engine.self_distillation import SelfDistillationModule, SelfDistillationOptions
from ude.engine.teacher_cache import TeacherCache
from ude.models.foundation import FOLDER, FoundationDepth

from ..identity import LEARNED_FROM, naming
from ..runs import module_options, run_folder


def self_distillation(cfg: CfgNode) -> SelfDistillationModule:
    """The Lightning module of self-distillation.

    Raises:
        DataError: the model cannot be loaded, or not be trained.
    """
    with naming("MODEL.FOUNDATION"):
        model = FoundationDepth(cfg.MODEL.FOUNDATION).make_trainable()
    cache = TeacherCache(run_folder(cfg) / "label_cache", config_hash(cfg, LEARNED_FROM), torch.float16)
    return SelfDistillationModule(
        model,
        options=SelfDistillationOptions(cfg.LOSS.ALIGNMENT, cfg.LOSS.GRADIENT_MATCHING, cfg.DATA.SQUARE_CROP, cfg.SEED),
        cache=cache if cfg.MODEL.TEACHER_CACHE else None,
        **module_options(cfg),
    )


def upstream_of_self_distillation(cfg: CfgNode) -> list[Path]:
    """What it is made from: its translations, and the run of the model where it is one of ours or lies in one."""
    model = Path(cfg.MODEL.FOUNDATION)
    runs = [model, *([model.parent] if model.name == FOLDER else [])]
    return [*(run / "version.json" for run in runs), Path(cfg.DATA.TRANSLATED.ROOT) / "translation.json"]


def models_of_self_distillation(cfg: CfgNode) -> list[str]:
    """The models of others that it is made from."""
    return [cfg.MODEL.FOUNDATION]
