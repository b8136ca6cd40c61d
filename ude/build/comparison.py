"""Several predictors side by side: their results on a split, and pictures of the same frames."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from yacs.config import CfgNode

from ude.data.images import resize_image
from ude.data.sample import FrameSource
from ude.data.translated import TranslatedFrames
from ude.evaluation.baselines import fit_baselines
from ude.evaluation.gallery import GalleryRow, gallery_row
from ude.evaluation.results import Results

from .evaluation import device, evaluate_split, evenly_spread
from .frames import evaluation_loader
from .sources import training_source

Predictors = Mapping[str, Callable[[Tensor], Tensor]]


def baseline_predictors(cfg: CfgNode) -> Predictors:
    """The trivial predictors, fitted on the LiDAR of the training frames."""
    loader = evaluation_loader(cfg, training_source(cfg))
    return fit_baselines(loader, min_depth=cfg.EVAL.MIN_DEPTH, max_depth=cfg.EVAL.MAX_DEPTH)


def compare(cfg: CfgNode, predictors: Predictors, split: str) -> dict[str, Results]:
    """Results of every predictor on the same frames."""
    return {name: evaluate_split(cfg, predict, split) for name, predict in predictors.items()}


def split_gallery(
    cfg: CfgNode, predictors: Predictors, source: FrameSource, *, conditions: Sequence[str], frames: int
) -> Iterator[GalleryRow]:
    """Rows of real frames: ``frames`` per condition, spread over the split."""
    for condition in conditions:
        members = [index for index in range(len(source)) if source.condition(index) == condition]
        for index in evenly_spread(members, frames):
            image = source.image(index)
            yield gallery_row(
                source.frame_id(index),
                condition,
                image,
                depths=_depths(cfg, predictors, image),
                lidar_depth=source.lidar_depth(index),
            )


def translation_gallery(
    cfg: CfgNode, predictors: Predictors, translated: TranslatedFrames, *, frames: int
) -> Iterator[GalleryRow]:
    """Rows of training frames beside their translations; the depths are those of the translated frame."""
    source = training_source(cfg)
    for condition in translated.conditions:
        members = [index for index in range(len(source)) if condition in translated.usable(source.frame_id(index))]
        for index in evenly_spread(members, frames):
            frame_id = source.frame_id(index)
            translation = translated.image(frame_id, condition)
            yield gallery_row(
                frame_id,
                f"day to {condition} (training)",
                source.image(index),
                depths=_depths(cfg, predictors, translation),
                lidar_depth=source.lidar_depth(index),
                translation=translation,
            )


def _depths(cfg: CfgNode, predictors: Predictors, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Depth [m] (H, W) of one frame, uint8 (H, W, 3), by every predictor, at the frame's size."""
    image = resize_image(pixels, cfg.DATA.SIZE)[None].to(device(cfg)).float() / 255
    with torch.inference_mode():
        depths = {name: 1 / predict(image) for name, predict in predictors.items()}
    size = pixels.shape[:2]
    return {
        name: F.interpolate(depth, size, mode="bilinear", align_corners=True)[0, 0].cpu().numpy()
        for name, depth in depths.items()
    }
