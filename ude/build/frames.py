"""Frames of the config in training batches and evaluation batches."""

from yacs.config import CfgNode

from ude.config import ConfigError
from ude.data.datasets import TrainingFrames
from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.data.sample import FrameSource
from ude.data.transforms import DeviceTransform
from ude.engine import TrainingData
from ude.files import DataError

from .caches import frame_cache, lidar_cache
from .sources import needs_lidar, needs_neighbours, training_source, uses_translations
from .translated import matching_translations


def evaluation_loader(cfg: CfgNode, source: FrameSource, *, share: tuple[int, int] = (0, 1)) -> EvaluationLoader:
    """Batches of key frames with sparse LiDAR depth, in order; ``share`` as EvaluationLoader takes it."""
    frames = EvaluationFrames(
        source,
        size=cfg.DATA.SIZE,
        frame_cache=frame_cache(cfg),
        lidar_cache=lidar_cache(cfg, source),
        on_error=cfg.DATA.ON_ERROR,
        max_skipped=cfg.DATA.MAX_SKIPPED,
    )
    return EvaluationLoader(frames, cfg.EVAL.BATCH_SIZE, num_workers=cfg.RUN.NUM_WORKERS, share=share)


def training_data(cfg: CfgNode) -> TrainingData:
    """The frames of the config's stage, in batches; neighbours and translations only where the stage uses them."""
    if needs_neighbours(cfg) and not cfg.DATA.FRAME_OFFSETS:
        raise ConfigError(f"DATA.FRAME_OFFSETS is empty, but STAGE {cfg.STAGE} looks at neighbours; name some")
    translated = None
    if uses_translations(cfg):
        translated = matching_translations(cfg)
    source = training_source(cfg)
    if needs_lidar(cfg):
        _require_lidar(cfg, source)
    frames = TrainingFrames(
        source,
        size=cfg.DATA.SIZE,
        offsets=cfg.DATA.FRAME_OFFSETS,
        translated=translated,
        translated_prob=cfg.DATA.TRANSLATED.PROB,
        with_poses=cfg.MODEL.POSE == "ego" and needs_neighbours(cfg),
        with_sources=needs_neighbours(cfg),
        with_distance=cfg.STAGE == "teacher" and cfg.LOSS.VELOCITY > 0,
        with_lidar=needs_lidar(cfg),
        lidar_cache=lidar_cache(cfg, source) if needs_lidar(cfg) else None,
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


def _require_lidar(cfg: CfgNode, source: FrameSource) -> None:
    """Refuse frames none of which has LiDAR depth."""
    if all(source.lidar_path(index) is None for index in range(len(source))):
        raise DataError(
            f"none of the {len(source)} training frames of {cfg.DATA.ROOT} has LiDAR depth, which STAGE {cfg.STAGE} "
            "learns from; add it, or train a student, which needs none"
        )
