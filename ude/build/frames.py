"""Frames of the config in training batches and evaluation batches."""

from yacs.config import CfgNode

from ude.data.datasets import TrainingFrames
from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.data.sample import FrameSource
from ude.data.transforms import DeviceTransform
from ude.engine import TrainingData

from .caches import frame_cache, lidar_cache
from .sources import needs_neighbours, training_source
from .translated import matching_translations


def evaluation_loader(cfg: CfgNode, source: FrameSource) -> EvaluationLoader:
    """Batches of key frames with sparse LiDAR depth, in order."""
    frames = EvaluationFrames(
        source,
        size=cfg.DATA.SIZE,
        frame_cache=frame_cache(cfg),
        lidar_cache=lidar_cache(cfg, source),
        on_error=cfg.DATA.ON_ERROR,
        max_skipped=cfg.DATA.MAX_SKIPPED,
    )
    return EvaluationLoader(frames, cfg.EVAL.BATCH_SIZE, num_workers=cfg.RUN.NUM_WORKERS)


def training_data(cfg: CfgNode) -> TrainingData:
    """The frames of the config's stage, in batches; neighbours and translations only where the stage uses them."""
    translated = None
    if cfg.STAGE == "student":
        translated = matching_translations(cfg)
    frames = TrainingFrames(
        training_source(cfg),
        size=cfg.DATA.SIZE,
        offsets=cfg.DATA.FRAME_OFFSETS,
        translated=translated,
        translated_prob=cfg.DATA.TRANSLATED.PROB,
        with_poses=cfg.MODEL.POSE == "ego",
        with_sources=needs_neighbours(cfg),
        with_distance=cfg.STAGE == "teacher" and cfg.LOSS.VELOCITY > 0,
        cache=cfg.DATA.CACHE,
        frame_cache=frame_cache(cfg),
        on_device=cfg.DATA.CACHE_ON_DEVICE,
        on_error=cfg.DATA.ON_ERROR,
        max_skipped=cfg.DATA.MAX_SKIPPED,
        seed=cfg.SEED,
    )
    transform = DeviceTransform(
        color_jitter=cfg.DATA.COLOR_JITTER,
        flip_prob=cfg.DATA.FLIP_PROB,
        noise_prob=cfg.DATA.NOISE_PROB,
        compiled=cfg.RUN.COMPILE,
        pose_input=cfg.STAGE == "teacher" and cfg.MODEL.POSE == "learned",  # a frozen pose network sees clean frames
        seed=cfg.SEED,
    )
    return TrainingData(
        frames,
        transform,
        batch_size=cfg.SOLVER.BATCH_SIZE,
        num_workers=cfg.RUN.NUM_WORKERS,
        devices=cfg.RUN.DEVICES,
        seed=cfg.SEED,
    )
