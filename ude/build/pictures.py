"""Pictures of a report: chosen frames of a split, and translated training frames, as predictors see them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from yacs.config import CfgNode

from ude.data.images import resize_image
from ude.data.sample import Sample
from ude.data.translated import TranslatedFrames
from ude.evaluation.gallery import PicturedFrame
from ude.evaluation.pictured import ChosenFrame, chosen_frames, depth_map, lidar_map
from ude.evaluation.predictor import Frame, frame_maps
from ude.evaluation.range_charts import pictured_mode
from ude.evaluation.results import Results
from ude.evaluation.tables import number

from .evaluation import evenly_spread
from .frames import evaluation_loader
from .predictors import NamedPredictor, device
from .sources import evaluation_source, training_source

Predictors = Mapping[str, NamedPredictor]


def split_pictures(
    cfg: CfgNode,
    predictors: Predictors,
    results: Mapping[str, Results],
    split: str,
    *,
    conditions: Sequence[str],
    count: int,
) -> list[PicturedFrame]:
    """Frames of a split from the best to the worst in each condition, predicted again.

    Args:
        cfg: the config.
        predictors: the pictured ones, by name.
        results: those of the pictured predictors on the split.
        split: official name or file.
        conditions: rows of the results.
        count: frames per condition.
    """
    frames = evaluation_loader(cfg, evaluation_source(cfg, split)).dataset
    numbers = {frames.source.frame_id(index): index for index in range(len(frames))}
    mode = pictured_mode(list(results.values()))
    pictures = []
    for condition in conditions:
        for chosen in chosen_frames(list(results.values()), condition, "abs_rel" + mode, count):
            sample = frames[numbers[chosen.frame_id]]
            depths = _depths(cfg, predictors, results, sample, mode)
            image = frames.source.image(numbers[chosen.frame_id])
            notes = {name: _note(results[name], condition, chosen.frame_id, mode) for name in predictors}
            pictures.append(
                PicturedFrame(
                    frame_id=chosen.frame_id,
                    condition=condition,
                    image=image,
                    lidar_depth=_lidar(cfg, sample),
                    depths=depths,
                    notes=notes,
                    note=_rank(chosen, mode, several=len(predictors) > 1),
                )
            )
    return pictures


def translation_pictures(
    cfg: CfgNode, predictors: Predictors, results: Mapping[str, Results], translated: TranslatedFrames, *, count: int
) -> list[PicturedFrame]:
    """Training frames, evenly spread, beside their translations; the depths are those of the translated frame.

    Args:
        cfg: the config.
        predictors: the pictured ones, by name; they need no frame_id.
        results: any results of theirs, for bounds and alignment.
        translated: the translations.
        count: frames per condition.
    """
    frames, pictures = evaluation_loader(cfg, training_source(cfg)).dataset, []
    source, mode = frames.source, pictured_mode(list(results.values()))
    for condition in translated.conditions:
        members = [index for index in range(len(source)) if condition in translated.usable(source.frame_id(index))]
        for index in evenly_spread(members, count):
            translation = translated.image(source.frame_id(index), condition)
            sample = frames[index] | {"input": resize_image(translation, cfg.DATA.SIZE)}
            pictures.append(
                PicturedFrame(
                    frame_id=sample["frame_id"],
                    condition=f"day to {condition} (training)",
                    image=source.image(index),
                    lidar_depth=_lidar(cfg, sample),
                    depths=_depths(cfg, predictors, results, sample, mode),
                    translation=translation,
                )
            )
    return pictures


def _depths(
    cfg: CfgNode, predictors: Predictors, results: Mapping[str, Results], sample: Sample, mode: str
) -> dict[str, np.ndarray]:
    """Depth [m] of a sample by every predictor, aligned if the mode says so."""
    images = sample["input"][None].to(device(cfg)).float() / 255
    frame, lidar_depth = Frame(sample["frame_id"], sample["condition"]), _lidar(cfg, sample)
    depths = {}
    with torch.inference_mode():
        for name, predictor in predictors.items():
            found = frame_maps(predictor.predict, images, [frame], flip=False)[0].inverse_depth
            depths[name] = depth_map(found, lidar_depth, results[name], mode=mode)
    return depths


def _lidar(cfg: CfgNode, sample: Sample) -> np.ndarray:
    """LiDAR returns between the bounds of the evaluation as a map [m]."""
    returns = sample["lidar_index"], sample["lidar_value"], sample["native_size"]
    return lidar_map(*returns, min_depth=cfg.EVAL.MIN_DEPTH, max_depth=cfg.EVAL.MAX_DEPTH)


def _note(results: Results, condition: str, frame_id: str, mode: str) -> str:
    """The metrics of a frame in a few characters."""
    values = next((frame.values for frame in results.members(condition) if frame.frame_id == frame_id), {})
    error, share = (values.get(name + mode) for name in ("abs_rel", "delta_1"))
    return f"absRel {number(error, 3)} · d1 {number(share and 100 * share, 1)} %"


def _rank(chosen: ChosenFrame, mode: str, *, several: bool) -> str:
    """Why a frame was chosen: by its error, or the mean of several predictors' errors."""
    return f"{chosen.rank} · {'mean ' if several else ''}absRel{' scaled' if mode else ''} {chosen.error:.3f}"
