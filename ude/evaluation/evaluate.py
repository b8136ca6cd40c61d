"""One pass over a split that measures a depth predictor against LiDAR, frame by frame and per condition."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from tqdm import tqdm

from ude.data.sample import FrameSource
from ude.files import DataError

from .alignment import ALIGNMENTS, mode_suffixes
from .metrics import METRICS, frame_table
from .protocols import PROTOCOLS
from .results import FrameRow, Results, results_of_frames

Predictor = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to inverse depths [1/m] (B, 1, H, W)."""


class Measured(NamedTuple):
    """A frame: its name and condition, the range of its predictions, and its row of frame_table()."""

    frame_id: str
    condition: str
    lowest: float
    highest: float
    values: list[float]


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
        predict: maps images in [0, 1], (B, 3, H, W), to inverse depths [1/m], (B, 1, H, W); with least squares they
            need to be right up to scale and shift only, and may be 0 or less.
        loader: batches of EvaluationFrames.
        min_depth: LiDAR returns at this depth or nearer do not count [m].
        max_depth: LiDAR returns at this depth or farther do not count [m].
        protocol: one of PROTOCOLS.
        alignment: one of ALIGNMENTS.
        flip: also predict the mirrored images.
        device: where the images go before predict.
        scenes: scene name of every frame_id; without it the results have no intervals.
        progress: show a progress bar.

    Raises:
        DataError: predictions cannot be used, or no frame has a return between the bounds.
        ValueError: there is no such protocol, alignment or condition.
    """
    for name, value, known in (("protocol", protocol, PROTOCOLS), ("alignment", alignment, ALIGNMENTS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    rules = {"protocol": PROTOCOLS[protocol], "alignment": alignment, "min_depth": min_depth, "max_depth": max_depth}
    names: list[tuple[str, str]] = []
    tables: list[Tensor] = []
    for batch in tqdm(loader, desc="evaluate", unit="batch", disable=not progress):
        predictions = _predictions(predict, batch["input"].to(device, non_blocking=True).float() / 255, flip=flip)
        names += zip(batch["frame_id"], batch["condition"], strict=True)
        tables.append(batch_table(predictions, batch, rules))
        if len(tables) == 1:
            _check_predictions(_measured(names, tables), alignment)
    frames = _of_all_processes(_measured(names, tables))
    _check_predictions(frames, alignment)
    _check_frames(frames, min_depth=min_depth, max_depth=max_depth)
    modes = mode_suffixes(alignment, flip=flip)
    rows = tuple(_row(frame, modes, scenes) for frame in frames)
    return results_of_frames(rows, modes=modes, min_depth=min_depth, max_depth=max_depth, protocol=protocol)


def _predictions(predict: Predictor, images: Tensor, *, flip: bool) -> list[Tensor]:
    """Inverse depth of the images and, mirrored, of the mirrored images, float32 (B, 1, H, W)."""
    expected, found = (images.shape[0], 1, *images.shape[-2:]), []
    for seen in (images, images.flip(-1)) if flip else (images,):
        inverse_depth = predict(seen)
        if tuple(inverse_depth.shape) != expected:
            raise ValueError(f"predict must return inverse depths {expected}, got {tuple(inverse_depth.shape)}")
        found.append((inverse_depth.cpu() if inverse_depth.is_mps else inverse_depth).float())  # MPS has no float64
    return found


def batch_table(predictions: Sequence[Tensor], batch: Mapping[str, Any], rules: Mapping[str, Any]) -> Tensor:
    """Lowest and highest prediction and the row of frame_table() of the frames of a batch, on the device."""
    lowest = torch.stack([inverse_depth.flatten(1).amin(1) for inverse_depth in predictions]).amin(0)
    highest = torch.stack([inverse_depth.flatten(1).amax(1) for inverse_depth in predictions]).amax(0)
    names, device = ("lidar_index", "lidar_value", "native_size"), predictions[0].device
    lidar = {name: batch[name].to(device, non_blocking=True) for name in names}
    table = frame_table(predictions[0], predictions[1] if len(predictions) > 1 else None, **lidar, **rules)
    return torch.cat([torch.stack([lowest, highest], 1), table], 1)


def _measured(names: Sequence[tuple[str, str]], tables: Sequence[Tensor]) -> list[Measured]:
    """The frames so far; waits for the device."""
    values = torch.cat(list(tables)).tolist() if tables else []
    return [Measured(*name, *row[:2], row[2:]) for name, row in zip(names, values, strict=True)]


def _row(frame: Measured, modes: Sequence[str], scenes: Mapping[str, str] | None) -> FrameRow:
    """A frame with its values by name."""
    valid, *values = frame.values
    columns = [metric + mode for mode in modes for metric in METRICS]
    return FrameRow(
        frame_id=frame.frame_id,
        condition=frame.condition,
        scene=scenes[frame.frame_id] if scenes else "",
        valid=int(valid),
        values=dict(zip(columns, values, strict=True)) if valid else {},
    )


def _of_all_processes(frames: list[Measured]) -> list[Measured]:
    """The frames of all processes, in an order that does not depend on their number."""
    if distributed.is_available() and distributed.is_initialized():
        shares: list[list[Measured]] = [[] for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(shares, frames)
        frames = [frame for share in shares for frame in share]
    return sorted(frames, key=lambda frame: frame.frame_id)


def _check_predictions(frames: Sequence[Measured], alignment: str) -> None:
    """Refuses predictions of which the metrics would say nothing."""
    least = 0.0 if alignment == "median" else -math.inf
    wrong = [frame for frame in frames if not least < frame.lowest <= frame.highest < math.inf]  # NaN is in no range
    if wrong:
        raise DataError(
            f"the predictions for {len(wrong)} of {len(frames)} frames are not finite"
            f"{' and positive' if alignment == 'median' else ''} inverse depths everywhere (first: "
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
