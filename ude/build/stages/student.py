"""Stage ``student``: distillation from the frozen teacher on day and translated frames."""

from pathlib import Path

from yacs.config import CfgNode

from ude.config import ConfigError, config_hash
from ude.engine import StudentModule, StudentWeights
from ude.engine.teacher_cache import TeacherCache
from ude.models import DepthNet, PoseNet, load_model
from ude.models.checkpoint import load_depth_net
from ude.models.foundation import FoundationDepth
from ude.models.semantic import DinoFeatures

from ..identity import LEARNED_FROM, naming
from ..networks import copy_of_teacher, depth_net, trainable
from ..runs import module_options, run_folder


def student(cfg: CfgNode) -> StudentModule:
    """The Lightning module of a student.

    Raises:
        ConfigError: teacher, student and semantic encoder do not fit together.
        DataError: a network cannot be loaded.
    """
    run, loss = Path(cfg.MODEL.TEACHER), cfg.LOSS
    with naming("MODEL.TEACHER"):
        teacher = load_depth_net(cfg.MODEL.TEACHER)
    learned_pose = cfg.MODEL.POSE == "learned" and loss.RELIABILITY != "off"
    network = copy_of_teacher(cfg) if cfg.MODEL.INIT_FROM_TEACHER else depth_net(cfg)
    cache = TeacherCache(run_folder(cfg) / "teacher_cache", config_hash(cfg, LEARNED_FROM))
    return StudentModule(
        trainable(cfg, network),
        teacher=teacher,
        teacher_pose=_teacher_pose(run) if learned_pose else None,
        semantic_encoder=_semantic_encoder(cfg, network, teacher),
        guide=_guide(cfg),
        weights=StudentWeights(
            distillation=loss.DISTILLATION,
            semantic=loss.SEMANTIC,
            semantic_margin=loss.SEMANTIC_MARGIN,
            reliability=loss.RELIABILITY,
            ssim_weight=loss.SSIM_WEIGHT,
            reliability_sources=loss.RELIABILITY_SOURCES,
            reliability_out_of_view=loss.RELIABILITY_OUT_OF_VIEW,
            reliability_margin=loss.RELIABILITY_MARGIN,
            reliability_regions=loss.RELIABILITY_REGIONS,
            features=loss.FEATURES,
            ordinal=loss.ORDINAL,
        ),
        cache=cache if cfg.MODEL.TEACHER_CACHE else None,
        seed=cfg.SEED,
        offsets=tuple(cfg.DATA.FRAME_OFFSETS),
        **module_options(cfg),
    )


def upstream_of_student(cfg: CfgNode) -> list[Path]:
    """What a student is made from: its teacher, its translations, and a run that guides it."""
    guided = cfg.LOSS.ORDINAL and cfg.MODEL.ORDINAL != "teacher"
    runs = [cfg.MODEL.TEACHER, *([cfg.MODEL.ORDINAL] if guided else [])]
    return [Path(cfg.DATA.TRANSLATED.ROOT) / "translation.json", *(Path(run) / "version.json" for run in runs)]


def models_of_student(cfg: CfgNode) -> list[str]:
    """The models of others that a student learns from, besides its teacher."""
    used = {"SEMANTIC": cfg.LOSS.SEMANTIC, "ORDINAL": cfg.LOSS.ORDINAL}
    return [cfg.MODEL[key] for key, weight in used.items() if weight and cfg.MODEL[key] != "teacher"]


def _semantic_encoder(cfg: CfgNode, network: DepthNet, teacher: DepthNet) -> DinoFeatures | None:
    """The encoder of the semantic loss; None for the teacher's own."""
    if cfg.LOSS.FEATURES or (cfg.LOSS.SEMANTIC and cfg.MODEL.SEMANTIC == "teacher"):
        key = "LOSS.FEATURES" if cfg.LOSS.FEATURES else "MODEL.SEMANTIC teacher"
        _require_same_features(network, teacher, key)
    if not cfg.LOSS.SEMANTIC or cfg.MODEL.SEMANTIC == "teacher":
        return None
    with naming("MODEL.SEMANTIC"):
        semantic = DinoFeatures(cfg.MODEL.SEMANTIC)
    if semantic.channels != network.feature_channels:
        raise ConfigError(
            f"MODEL.SEMANTIC {cfg.MODEL.SEMANTIC} has {semantic.channels} channels but the student's encoder "
            f"{network.feature_channels}; choose the DINOv2 of its size, or MODEL.SEMANTIC teacher"
        )
    return semantic


def _guide(cfg: CfgNode) -> FoundationDepth | None:
    """The model of relative depth of the ordinal guidance; None for the teacher."""
    if not cfg.LOSS.ORDINAL or cfg.MODEL.ORDINAL == "teacher":
        return None
    with naming("MODEL.ORDINAL"):
        return FoundationDepth(cfg.MODEL.ORDINAL)


def _require_same_features(student: DepthNet, teacher: DepthNet, key: str) -> None:
    """Check that a loss can compare the student's features with those of its teacher."""
    remedy = "set LOSS.FEATURES 0" if key == "LOSS.FEATURES" else "name a DINOv2 in MODEL.SEMANTIC"
    ours, theirs = ((network.feature_channels, network.input_size) for network in (student, teacher))
    if ours != theirs:
        raise ConfigError(
            f"{key}: MODEL.DEPTH.BACKBONE and INPUT_SIZE give {ours[0]} channels at {ours[1]} but "
            f"{theirs[0]} at {theirs[1]} in the teacher; make them equal, or {remedy}"
        )


def _teacher_pose(run: Path) -> PoseNet:
    """The teacher's pose network."""
    if not (run / "pose_net").is_dir():
        raise ConfigError(
            f"MODEL.POSE learned needs the pose network of {run}, which has none; set MODEL.POSE ego as for the "
            "teacher, or LOSS.RELIABILITY off"
        )
    return load_model(PoseNet, run / "pose_net")
