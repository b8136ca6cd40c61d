"""Training of the config: networks, stage, run folder."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from ude.config import ConfigError, config_hash, dump_config
from ude.engine import RunOptions, Solver, StudentModule, StudentWeights, TeacherModule, TeacherWeights, claim_run, fit
from ude.engine.base import DepthModule
from ude.engine.teacher_cache import TeacherCache
from ude.models import DepthNet, PoseNet, load_model
from ude.models.checkpoint import load_depth_net
from ude.models.pretrained import load_pretrained
from ude.models.semantic import DinoFeatures

from .caches import lossy_store
from .frames import training_data
from .identity import LEARNED_FROM, identity, naming


def run_folder(cfg: CfgNode) -> Path:
    """Folder of the run that a config describes."""
    return Path(cfg.OUTPUT_DIR) / cfg.NAME


def depth_net(cfg: CfgNode) -> DepthNet:
    """A fresh depth network, started from the weights that the config names."""
    network = DepthNet(**_depth_arguments(cfg))
    if cfg.MODEL.DEPTH.PRETRAINED:
        with naming("MODEL.DEPTH.WEIGHTS"):
            load_pretrained(network, cfg.MODEL.DEPTH.WEIGHTS)
    return network


def stage(cfg: CfgNode) -> DepthModule:
    """The Lightning module of the config's stage."""
    solver = cfg.SOLVER
    shared = {
        "solver": Solver(
            solver.LR_ENCODER, solver.LR_DECODER, solver.LR_POSE, solver.WEIGHT_DECAY, solver.SCHEDULE, solver.WARMUP
        ),
        "images_every": cfg.RUN.IMAGES_EVERY,
        "offsets": tuple(cfg.DATA.FRAME_OFFSETS),
    }
    return {"teacher": _teacher, "student": _student}[cfg.STAGE](cfg, shared)


def train(cfg: CfgNode, *, resume: bool = False) -> bool:
    """Train the config's stage into its run folder; False when it was finished already.

    Raises:
        DataError: when the folder holds another run, or this one and ``resume`` is false.
    """
    folder, upstream, options = run_folder(cfg), [], _run_options(cfg)
    if cfg.MODEL.DEPTH.WEIGHTS:
        upstream = [Path(cfg.MODEL.DEPTH.WEIGHTS) / "version.json"]
    if cfg.STAGE == "student":
        upstream += [Path(cfg.MODEL.TEACHER) / "version.json", Path(cfg.DATA.TRANSLATED.ROOT) / "translation.json"]
    made_from = identity(cfg, LEARNED_FROM, upstream, lossy_store(cfg))
    with claim_run(folder, made_from["config_hash"], resume=resume) as unfinished:
        if unfinished:
            torch.manual_seed(cfg.SEED)
            fit(
                stage(cfg),
                training_data(cfg),
                folder=folder,
                options=options,
                config_text=dump_config(cfg),
                identity=made_from,
            )
    return unfinished


def _depth_arguments(cfg: CfgNode) -> dict[str, Any]:
    depth = cfg.MODEL.DEPTH
    return {
        "backbone": depth.BACKBONE,
        "num_scales": depth.NUM_SCALES,
        "min_depth": depth.MIN,
        "max_depth": depth.MAX,
        "input_height": depth.INPUT_SIZE[0],
        "input_width": depth.INPUT_SIZE[1],
        "normalisation": depth.NORMALISATION,
    }


def _run_options(cfg: CfgNode) -> RunOptions:
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


def _teacher(cfg: CfgNode, shared: dict[str, Any]) -> TeacherModule:
    pose_net = None
    if cfg.MODEL.POSE == "learned":
        pose_net = PoseNet()
        if cfg.MODEL.POSE_PRETRAINED:
            pose_net.load_imagenet()
    loss = cfg.LOSS
    weights = TeacherWeights(loss.PHOTOMETRIC, loss.SMOOTHNESS, loss.VELOCITY, loss.SSIM_WEIGHT, loss.AUTOMASK)
    return TeacherModule(depth_net(cfg), pose_net, weights=weights, compile_loss=cfg.RUN.COMPILE, **shared)


def _student(cfg: CfgNode, shared: dict[str, Any]) -> StudentModule:
    run, loss = Path(cfg.MODEL.TEACHER), cfg.LOSS
    with naming("MODEL.TEACHER"):
        teacher = load_depth_net(cfg.MODEL.TEACHER)
    learned_pose = cfg.MODEL.POSE == "learned" and loss.RELIABILITY != "off"
    student = _copy_of_teacher(cfg) if cfg.MODEL.INIT_FROM_TEACHER else depth_net(cfg)
    semantic = None
    if loss.SEMANTIC and cfg.MODEL.SEMANTIC == "teacher":
        _require_same_features(student, teacher)
    elif loss.SEMANTIC:
        with naming("MODEL.SEMANTIC"):
            semantic = DinoFeatures(cfg.MODEL.SEMANTIC)
        if semantic.channels != student.feature_channels:
            raise ConfigError(
                f"MODEL.SEMANTIC {cfg.MODEL.SEMANTIC} has {semantic.channels} channels but the student's encoder "
                f"{student.feature_channels}; choose the DINOv2 of its size, or MODEL.SEMANTIC teacher"
            )
    cache = TeacherCache(run_folder(cfg) / "teacher_cache", config_hash(cfg, LEARNED_FROM))
    return StudentModule(
        student.train(),
        teacher=teacher,
        teacher_pose=_teacher_pose(run) if learned_pose else None,
        semantic_encoder=semantic,
        weights=StudentWeights(
            loss.DISTILLATION, loss.SEMANTIC, loss.SEMANTIC_MARGIN, loss.RELIABILITY, loss.SSIM_WEIGHT
        ),
        cache=cache if cfg.MODEL.TEACHER_CACHE else None,
        **shared,
    )


def _require_same_features(student: DepthNet, teacher: DepthNet) -> None:
    """Check that the semantic loss can compare the student's features with those of its teacher."""
    ours, theirs = ((network.feature_channels, network.input_size) for network in (student, teacher))
    if ours != theirs:
        raise ConfigError(
            f"MODEL.SEMANTIC teacher: MODEL.DEPTH.BACKBONE and INPUT_SIZE give {ours[0]} channels at {ours[1]} but "
            f"{theirs[0]} at {theirs[1]} in the teacher; make them equal, or name a DINOv2 in MODEL.SEMANTIC"
        )


def _copy_of_teacher(cfg: CfgNode) -> DepthNet:
    """The teacher's network as the student's start; the config must describe the same one."""
    network, wanted = load_depth_net(cfg.MODEL.TEACHER), _depth_arguments(cfg)
    for key, value in network.arguments.items():
        if value != wanted[key]:
            raise ConfigError(
                f"MODEL.DEPTH: {key} is {wanted[key]} but {value} in {cfg.MODEL.TEACHER}, which the student starts "
                "from; make them equal, or set MODEL.INIT_FROM_TEACHER False"
            )
    return network


def _teacher_pose(run: Path) -> PoseNet:
    """The teacher's pose network."""
    if not (run / "pose_net").is_dir():
        raise ConfigError(
            f"MODEL.POSE learned needs the pose network of {run}, which has none; set MODEL.POSE ego as for the "
            "teacher, or LOSS.RELIABILITY off"
        )
    return load_model(PoseNet, run / "pose_net")
