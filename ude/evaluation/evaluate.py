"""One pass over a split that measures a depth predictor against LiDAR, frame by frame and per condition."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, distributed
from tqdm import tqdm

from ude.data.sample import FrameSource
from ude.files import DataError

from .accumulate import ConditionMeans
from .metrics import METRICS, depth_at_lidar, lidar_metrics
from .results import FrameRow, Results

Predictor = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to inverse depths [1/m] (B, 1, H, W)."""


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
    flip: bool = True,
    device: str | torch.device = "cpu",
    scenes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Results:
    """Metrics of every frame in up to four modes, and their means per condition.

    The modes are the plain prediction "", the flip-averaged "_flip" and both with median scaling, "_median" and
    "_flip_median". With an initialised process group each process passes its own share of the frames, none of them
    twice, and all get the results of the whole split.

    Args:
        predict: maps images in [0, 1], (B, 3, H, W), to inverse depths [1/m], (B, 1, H, W).
        loader: batches of EvaluationFrames.
        min_depth: LiDAR returns at this depth or nearer do not count [m].
        max_depth: LiDAR returns at this depth or farther do not count [m].
        flip: also predict the mirrored images.
        device: where the images go before predict.
        scenes: scene name of every frame_id; without it the results have no intervals.
        progress: show a progress bar.

    Raises:
        DataError: a prediction is not finite and positive, or no frame has a return between the bounds.
    """
    modes = ("", "_flip", "_median", "_flip_median") if flip else ("", "_median")
    means = ConditionMeans([metric + mode for mode in modes for metric in METRICS])
    frames: list[FrameRow] = []
    for batch in tqdm(loader, desc="evaluate", unit="batch", disable=not progress):
        predictions = _depths_at_lidar(predict, batch, flip=flip, device=device)
        lidar_value = batch["lidar_value"].cpu().double()
        values = _frame_values(predictions, lidar_value, min_depth=min_depth, max_depth=max_depth)
        table = torch.stack([values[name] for name in means.columns], dim=1)  # (B, columns)
        means.update(table, batch["condition"])
        valid_counts = ((lidar_value > min_depth) & (lidar_value < max_depth)).sum(1)
        frames.extend(_rows(batch, table, valid_counts, columns=means.columns, scenes=scenes))
    frames = _of_all_processes(frames, means, device)
    _check_frames(frames, min_depth=min_depth, max_depth=max_depth)
    return Results(modes=modes, means=means.compute(), frames=tuple(frames), min_depth=min_depth, max_depth=max_depth)


def flip_average(inverse_depth: Tensor, mirrored: Tensor) -> Tensor:
    """Mean of two predictions of one image (B, 1, H, W), without the borders where each of them is blind.

    The left 5 % of the columns come from the mirrored image alone, the right 5 % from the plain one; ramps over the
    next 5 % lead to the mean of both. Source: monodepth (https://arxiv.org/abs/1609.03677), section 3.

    Args:
        inverse_depth: prediction for the image [1/m].
        mirrored: prediction for the mirrored image, mirrored back [1/m].
    """
    column = torch.linspace(0, 1, inverse_depth.shape[-1], dtype=inverse_depth.dtype, device=inverse_depth.device)
    left = ((0.1 - column) / 0.05).clamp(0, 1)
    right = left.flip(0)
    return left * mirrored + right * inverse_depth + (1 - left - right) * (inverse_depth + mirrored) / 2


def _depths_at_lidar(
    predict: Predictor, batch: Mapping[str, Any], *, flip: bool, device: str | torch.device
) -> dict[str, Tensor]:
    """Predicted depth at the LiDAR pixels (B, N) by mode suffix, float64 on the CPU (MPS has no float64)."""
    images = batch["input"].to(device).float() / 255
    index, native_size = batch["lidar_index"].to(device), batch["native_size"].to(device)
    inverse_depths = {"": _checked(predict(images), images, batch["frame_id"])}
    if flip:
        mirrored = _checked(predict(images.flip(-1)), images, batch["frame_id"])
        inverse_depths["_flip"] = flip_average(inverse_depths[""], mirrored.flip(-1))
    return {
        mode: depth_at_lidar(1 / inverse_depth, index, native_size).cpu().double()
        for mode, inverse_depth in inverse_depths.items()
    }


def _checked(inverse_depth: Tensor, images: Tensor, frame_ids: Sequence[str]) -> Tensor:
    """The prediction in float32, if it has the shape of the images and is finite and positive everywhere."""
    expected = (images.shape[0], 1, *images.shape[-2:])
    if tuple(inverse_depth.shape) != expected:
        raise ValueError(f"predict must return inverse depths {expected}, got {tuple(inverse_depth.shape)}")
    inverse_depth = inverse_depth.float()
    low, high = inverse_depth.flatten(1).aminmax(dim=1)  # both are NaN if anything is
    for index in ((low > 0) & (high < torch.inf)).logical_not().nonzero().flatten().tolist():
        bad = (~(inverse_depth[index].isfinite() & (inverse_depth[index] > 0))).sum()
        raise DataError(
            f"the prediction for frame {frame_ids[index]} has {bad} of {inverse_depth[index].numel()} pixels that are "
            "not finite and positive inverse depths; use a checkpoint from before the training diverged"
        )
    return inverse_depth


def _frame_values(
    predictions: Mapping[str, Tensor], lidar_value: Tensor, *, min_depth: float, max_depth: float
) -> dict[str, Tensor]:
    """Every metric (B,) of every mode, by metric name + mode suffix."""
    values = {}
    for mode, prediction in predictions.items():
        for suffix, scaling in (("", False), ("_median", True)):
            metrics = lidar_metrics(
                prediction, lidar_value, min_depth=min_depth, max_depth=max_depth, median_scaling=scaling
            )
            values |= {name + mode + suffix: value for name, value in metrics.items()}
    return values


def _rows(
    batch: Mapping[str, Any],
    table: Tensor,
    valid_counts: Tensor,
    *,
    columns: Sequence[str],
    scenes: Mapping[str, str] | None,
) -> Iterator[FrameRow]:
    """The frames of a batch with their values (B, columns)."""
    rows = zip(batch["frame_id"], batch["condition"], valid_counts.tolist(), table.tolist(), strict=True)
    for frame_id, condition, valid, values in rows:
        scene = scenes[frame_id] if scenes else ""
        by_name = dict(zip(columns, values, strict=True)) if valid else {}
        yield FrameRow(frame_id=frame_id, condition=condition, scene=scene, valid=valid, values=by_name)


def _of_all_processes(frames: list[FrameRow], means: ConditionMeans, device: str | torch.device) -> list[FrameRow]:
    """The frames of all processes, in an order that does not depend on their number."""
    if distributed.is_available() and distributed.is_initialized():
        means.to(device)  # where the process group can reduce its sums
        shares: list[list[FrameRow]] = [[] for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(shares, frames)
        frames = [frame for share in shares for frame in share]
    return sorted(frames, key=lambda frame: frame.frame_id)


def _check_frames(frames: Sequence[FrameRow], *, min_depth: float, max_depth: float) -> None:
    """Refuses a split without frames, with a frame twice, or without any valid LiDAR return."""
    if not frames:
        raise DataError("the evaluation split has no frames; check DATA.SPLIT_VAL and DATA.ROOT")
    for first, second in pairwise(frames):
        if first.frame_id == second.frame_id:
            raise DataError(f"frame {first.frame_id} was evaluated twice; remove it from the split file or sampler")
    if not any(frame.valid for frame in frames):
        raise DataError(
            f"no frame has a LiDAR return between {min_depth:g} m and {max_depth:g} m (first: {frames[0].frame_id}); "
            "check EVAL.MIN_DEPTH, EVAL.MAX_DEPTH and the LiDAR files"
        )
