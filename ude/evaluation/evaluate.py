"""One pass over a split that measures a depth predictor against LiDAR, frame by frame and per condition."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from tqdm import tqdm

from ude.data.sample import FrameSource
from ude.files import DataError

from .alignment import ALIGNMENTS
from .clock import NetworkClock
from .collect import results_of_table
from .metrics import frame_table, lidar_depths
from .predictor import Frame, FramePredictor, Predictor, predicted
from .protocols import PROTOCOLS
from .ranges import range_sums
from .results import Results


class Measured(NamedTuple):
    """A frame: its name and condition, the range of its predictions, and its row of frame_table() and range_sums()."""

    frame_id: str
    condition: str
    lowest: float
    highest: float
    values: list[float]


class Share(NamedTuple):
    """What a process measured: its frames, and the time of its pass and of the network alone [s]."""

    frames: list[Measured]
    seconds: float
    network_seconds: float


def scene_names(source: FrameSource) -> dict[str, str]:
    """Scene name of every frame_id of a source, as evaluate() takes it."""
    return {source.frame_id(index): source.scene(index) for index in range(len(source))}


@torch.inference_mode()
def evaluate(
    predict: Predictor,
    loader: Iterable[Mapping[str, Any]],
    *,
    min_depth: float,
    max_depth: float,
    protocol: str = "md4all",
    alignment: str = "median",
    metric: bool = True,
    flip: bool = True,
    device: str | torch.device = "cpu",
    scenes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Results:
    """Metrics of every frame in up to four modes, and their means per condition.

    The modes are the plain prediction "", the flip-averaged "_flip" and both aligned, "_median" and "_flip_median" or
    "_least_squares" and "_flip_least_squares". Values stay on the device until the end, where they are read at once;
    only the first batch is looked at earlier, since a network that diverged shows there. With an initialised process
    group each process passes its own share of the frames, none of them twice, and all get the results of the split.

    Args:
        predict: the network or the predictor of frames.
        loader: batches of EvaluationFrames.
        min_depth: LiDAR returns at this depth or nearer do not count [m].
        max_depth: LiDAR returns at this depth or farther do not count [m].
        protocol: one of PROTOCOLS.
        alignment: one of ALIGNMENTS.
        metric: the predictions are inverse depths [1/m]; otherwise they are right up to scale and shift only, may be 0
            or less, and the modes that are not aligned have no values.
        flip: also predict the mirrored images, if the predictor can.
        device: where the images go before predict.
        scenes: scene name of every frame_id; without it the results have no intervals.
        progress: show a progress bar.

    Raises:
        DataError: predictions cannot be used, or no frame has a return between the bounds.
        ValueError: there is no such protocol, alignment or condition.
    """
    check_rules(protocol, alignment, metric=metric)
    rules = {"alignment": alignment, "min_depth": min_depth, "max_depth": max_depth}
    flip = flip and (not isinstance(predict, FramePredictor) or predict.mirrors)
    of_table = {"protocol": PROTOCOLS[protocol], **rules}
    share = _pass(predict, tqdm(loader, "evaluate", unit="batch", disable=not progress), of_table, flip, metric, device)
    frames, seconds, network_seconds = _of_all_processes(share)
    _check_predictions(frames, metric=metric)
    _check_frames(frames, min_depth=min_depth, max_depth=max_depth)
    return results_of_table(
        [(frame.frame_id, frame.condition, scenes[frame.frame_id] if scenes else "") for frame in frames],
        [frame.values for frame in frames],
        protocol=protocol,
        flip=flip,
        metric=metric,
        seconds=seconds,
        network_seconds=None if isinstance(predict, FramePredictor) and predict.uses_files else network_seconds,
        **rules,
    )


def _pass(
    predict: Predictor,
    loader: Iterable[Mapping[str, Any]],
    rules: Mapping[str, Any],
    flip: bool,
    metric: bool,
    device: str | torch.device,
) -> Share:
    """The frames of this process, measured by the rules of batch_table()."""
    names: list[Frame] = []
    tables: list[Tensor] = []
    clock, started = NetworkClock(device), perf_counter()
    for batch in loader:
        images = batch["input"].to(device, non_blocking=True).float() / 255
        frames = [Frame(*name) for name in zip(batch["frame_id"], batch["condition"], strict=True)]
        with clock.running():
            parts = predicted(predict, images, frames, flip=flip)
        names += frames
        tables += [batch_table(maps, _part(batch, part), rules) for part, maps in parts]
        if len(names) == len(frames):
            _check_predictions(_measured(names, tables), metric=metric)
    return Share(_measured(names, tables), perf_counter() - started, clock.seconds())


def check_rules(protocol: str, alignment: str, *, metric: bool) -> None:
    """Refuses rules that there are not, and those by which a relative prediction has no error."""
    for name, value, known in (("protocol", protocol, PROTOCOLS), ("alignment", alignment, ALIGNMENTS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if not metric and alignment != "least_squares":
        raise DataError(
            f"EVAL.ALIGNMENT is {alignment}, but the predictions are inverse depths up to an unknown scale and shift; "
            "set EVAL.ALIGNMENT least_squares"
        )


def _part(batch: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """The LiDAR of some frames of a batch."""
    return {
        name: batch[name][part]
        for name in ("lidar_index", "lidar_value", "lidar_class", "native_size")
        if name in batch
    }


def batch_table(predictions: Sequence[Tensor], batch: Mapping[str, Any], rules: Mapping[str, Any]) -> Tensor:
    """Per frame the lowest and highest prediction, the row of frame_table() and that of range_sums(), on the device.

    Args:
        predictions: inverse depth, (B, 1, h, w), and perhaps that of the mirrored images, not mirrored back.
        batch: LiDAR of the frames.
        rules: protocol, alignment, min_depth and max_depth.
    """
    lowest = torch.stack([inverse_depth.flatten(1).amin(1) for inverse_depth in predictions]).amin(0)
    highest = torch.stack([inverse_depth.flatten(1).amax(1) for inverse_depth in predictions]).amax(0)
    device = predictions[0].device
    lidar = {name: value.to(device, non_blocking=True) for name, value in _part(batch, slice(None)).items()}
    depths = lidar_depths(predictions[0], predictions[1] if len(predictions) > 1 else None, **lidar, **rules)
    return torch.cat([torch.stack([lowest, highest], 1), frame_table(depths), range_sums(depths)], 1)


def _measured(names: Sequence[Frame], tables: Sequence[Tensor]) -> list[Measured]:
    """The frames so far; waits for the device."""
    values = torch.cat(list(tables)).tolist() if tables else []
    return [Measured(*name, *row[:2], row[2:]) for name, row in zip(names, values, strict=True)]


def _of_all_processes(share: Share) -> Share:
    """The frames of all processes, in an order that does not depend on their number, and the longest times."""
    shares = [share]
    if distributed.is_available() and distributed.is_initialized():
        shares *= distributed.get_world_size()
        distributed.all_gather_object(shares, share)
    frames = sorted((frame for each in shares for frame in each.frames), key=lambda frame: frame.frame_id)
    return Share(frames, *(max(times) for times in zip(*(each[1:] for each in shares), strict=True)))


def _check_predictions(frames: Sequence[Measured], *, metric: bool) -> None:
    """Refuses predictions of which the metrics would say nothing."""
    least = 0.0 if metric else -math.inf
    wrong = [frame for frame in frames if not least < frame.lowest <= frame.highest < math.inf]  # NaN is in no range
    if wrong:
        raise DataError(
            f"the predictions for {len(wrong)} of {len(frames)} frames are not finite"
            f"{' and positive' if metric else ''} inverse depths everywhere (first: "
            f"{wrong[0].frame_id}, from {wrong[0].lowest:.3g} to {wrong[0].highest:.3g}); use a checkpoint from before "
            "the training diverged"
        )


def _check_frames(frames: Sequence[Measured], *, min_depth: float, max_depth: float) -> None:
    """Refuses a split without frames, with a frame twice, or without any valid LiDAR return."""
    if not frames:
        raise DataError("the evaluation split has no frames; check DATA.SPLIT_VAL and DATA.ROOT")
    for first, second in pairwise(frames):
        if first.frame_id == second.frame_id:
            raise DataError(f"frame {first.frame_id} was evaluated twice; remove it from the split file or sampler")
    if not any(frame.values[0] for frame in frames):
        raise DataError(
            f"no frame has a LiDAR return between {min_depth:g} m and {max_depth:g} m (first: {frames[0].frame_id}); "
            "check EVAL.MIN_DEPTH, EVAL.MAX_DEPTH, the crop of EVAL.PROTOCOL and the LiDAR files"
        )
