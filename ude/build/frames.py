"""Frames of the config in training batches and evaluation batches."""

from torch.utils.data import DataLoader
from yacs.config import CfgNode

from ude.data.datasets import EvaluationFrames, TrainingFrames, collate
from ude.data.sample import FrameSource
from ude.data.transforms import DeviceTransform
from ude.data.translated import TranslatedFrames
from ude.engine import TrainingData

from .sources import training_source


def evaluation_loader(cfg: CfgNode, source: FrameSource) -> DataLoader:
    """Batches of key frames with sparse LiDAR depth, in order."""
    frames = EvaluationFrames(source, size=cfg.DATA.SIZE)
    return DataLoader(frames, cfg.EVAL.BATCH_SIZE, collate_fn=collate, num_workers=cfg.RUN.NUM_WORKERS)


def training_data(cfg: CfgNode) -> TrainingData:
    """The frames of the config's stage, in batches; neighbours and translations only where the stage uses them."""
    translated = None
    if cfg.STAGE == "student":
        translated = TranslatedFrames(cfg.DATA.TRANSLATED.ROOT, cfg.DATA.TRANSLATED.CONDITIONS)
    frames = TrainingFrames(
        training_source(cfg),
        size=cfg.DATA.SIZE,
        offsets=cfg.DATA.FRAME_OFFSETS,
        translated=translated,
        translated_prob=cfg.DATA.TRANSLATED.PROB,
        with_poses=cfg.MODEL.POSE == "ego",
        with_sources=cfg.STAGE == "teacher" or cfg.LOSS.RELIABILITY != "off",
        cache=cfg.DATA.CACHE,
        seed=cfg.SEED,
    )
    transform = DeviceTransform(
        color_jitter=cfg.DATA.COLOR_JITTER,
        flip_prob=cfg.DATA.FLIP_PROB,
        noise_prob=cfg.DATA.NOISE_PROB,
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
