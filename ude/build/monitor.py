"""The monitor of a training by the config: the evaluation on held-out training scenes."""

from pathlib import Path

import torch
from torch import distributed
from yacs.config import CfgNode

from ude.data.batches import collate
from ude.data.evaluation_frames import EvaluationFrames
from ude.data.sample import FrameSource
from ude.data.unreadable import UnreadableFrames
from ude.engine.monitor import Monitor
from ude.evaluation.collect import results_of_table
from ude.evaluation.evaluate import batch_table, evaluate
from ude.evaluation.protocols import PROTOCOLS
from ude.files import DataError, MissingFileError
from ude.models import DepthNet

from .evaluation import measured_by
from .frames import evaluation_loader
from .processes import share
from .sources import evaluation_source, official_splits

_SPLIT = "RUN.MONITOR_SPLIT"


def monitor(cfg: CfgNode, training: FrameSource) -> Monitor | None:
    """What watches a training as RUN.MONITOR says; None where that is "".

    Args:
        cfg: the config.
        training: the frames that are trained on.

    Raises:
        DataError: the frames to measure on are also trained on or reported, or there is nothing to measure on them.
    """
    if not cfg.RUN.MONITOR:
        return None
    split = cfg.RUN.MONITOR_SPLIT
    _require_split(cfg, split)
    source = evaluation_source(cfg, split)
    _require_held_out(source, training, split, "training")
    _require_held_out(source, evaluation_source(cfg, cfg.DATA.SPLIT_VAL), split, "DATA.SPLIT_VAL")
    row, _, column = cfg.RUN.MONITOR.partition("/")
    _require_returns(cfg, source, row)

    def measure(network: DepthNet, device: torch.device) -> float:
        loader = evaluation_loader(cfg, source, share=share())
        results = evaluate(
            lambda images: network(images).inverse_depths[0],
            loader,
            **measured_by(cfg),
            flip="_flip" in column,
            device=device,
            progress=False,
        )
        _count_unreadable(loader.dataset.unreadable)
        value = results.means[row][column]
        if value is None:
            raise DataError(f"RUN.MONITOR: no frame of {row} in {split} can be read any more; look into the log")
        return value

    return Monitor(
        measure,
        name=cfg.RUN.MONITOR,
        rules={"split": split, **measured_by(cfg)},
        higher_is_better=column.startswith("delta"),
        every=cfg.RUN.MONITOR_EVERY,
    )


def _require_split(cfg: CfgNode, split: str) -> None:
    """Refuse what names no frames, by the name of the key."""
    official = official_splits(cfg)
    if split not in official and not Path(split).is_file():
        raise MissingFileError(
            f"{_SPLIT}: {split}: neither a split of {cfg.DATA.SOURCE} ({', '.join(official)}) nor a file"
        )


def _require_held_out(source: FrameSource, other: FrameSource, split: str, used_by: str) -> None:
    """Refuse frames of a scene that others are of, too: frames of one scene are much alike."""
    ours, theirs = ({frames.scene(index) for index in range(len(frames))} for frames in (source, other))
    if shared := sorted(ours & theirs):
        raise DataError(
            f"{_SPLIT}: {split} shares {len(shared)} scene(s) with the frames of {used_by} (first: {shared[0]}); list "
            "training scenes in it that are held out of both"
        )


def _require_returns(cfg: CfgNode, source: FrameSource, row: str) -> None:
    """Refuse a row of the tables that would be n/a: one without frames, or whose frames have no LiDAR return."""
    rules, frames = PROTOCOLS[cfg.EVAL.PROTOCOL], evaluation_loader(cfg, source).dataset
    names = [rules.condition(source.frame_id(index), source.condition(index)) for index in range(len(source))]
    members = [index for index, name in enumerate(names) if rules.classes or name in rules.rows[row]]
    if not any(_has_returns(cfg, frames, index, row) for index in members):
        lacking = f"none of its {len(members)} frames has a LiDAR return that counts" if members else "it has no frame"
        raise DataError(
            f"RUN.MONITOR: {row} is n/a on {cfg.RUN.MONITOR_SPLIT}, since {lacking}, and n/a cannot be monitored; "
            f"choose another row, or other scenes in {_SPLIT}"
        )


def _has_returns(cfg: CfgNode, frames: EvaluationFrames, index: int, row: str) -> bool:
    """Whether a frame would be measured in a row, whatever is predicted for it."""
    samples = frames.__getitems__([index])
    if not samples:  # it cannot be read, and the config says to leave such out
        return False
    batch, rules = collate(samples), measured_by(cfg)
    anything = 1 / torch.linspace(1, 2, batch["input"][0, 0].numel()).view(1, 1, *batch["input"].shape[-2:])
    table = batch_table([anything], batch, rules | {"protocol": PROTOCOLS[cfg.EVAL.PROTOCOL]})
    name = (samples[0]["frame_id"], samples[0]["condition"], "")
    return results_of_table([name], table[:, 2:].tolist(), flip=False, **rules).means[row]["frames"] > 0


def _count_unreadable(unreadable: UnreadableFrames) -> None:
    """Add the frames that the other processes could not read; over any kind of process group."""
    _, processes = share()
    if processes > 1:
        flags = [unreadable.flags()] * processes
        distributed.all_gather_object(flags, unreadable.flags())
        unreadable.merge(torch.stack(flags).amax(0))
