"""Which frames a report pictures, and depth maps on the scale of their LiDAR returns."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .alignment import least_squares_depth, median_scaled
from .protocols import PROTOCOLS
from .results import Results
from .sampling import lidar_neighbours


class ChosenFrame(NamedTuple):
    """A frame, its place among those of its condition ("best", "median", "worst"), and its mean error."""

    frame_id: str
    rank: str
    error: float


def chosen_frames(results: Sequence[Results], row: str, column: str, count: int) -> list[ChosenFrame]:
    """Frames of a row from the best to the worst by the mean of an error over the predictors, evenly spread.

    One frame is the median, two are the best and the worst, three are all of them.

    Args:
        results: one per predictor, on the same frames.
        row: row of the results.
        column: metric + mode suffix that is smaller for better predictions.
        count: number of frames; fewer where the row has fewer.
    """
    errors: dict[str, list[float]] = {}
    for result in results:
        for frame in result.members(row):
            if column in frame.values:
                errors.setdefault(frame.frame_id, []).append(frame.values[column])
    ordered = sorted((fmean(values), frame_id) for frame_id, values in errors.items())
    last = len(ordered) - 1
    if last < 0 or count < 1:
        return []
    places = dict.fromkeys(int(place) for place in (np.linspace(0, last, count) if count > 1 else [last / 2]))
    names = {last // 2: "median"} | ({0: "best", last: "worst"} if last and count > 1 else {})
    return [
        ChosenFrame(ordered[place][1], names.get(place, f"rank {place + 1}"), ordered[place][0]) for place in places
    ]


def lidar_map(
    lidar_index: Tensor, lidar_value: Tensor, native_size: Tensor, *, min_depth: float, max_depth: float
) -> np.ndarray:
    """The LiDAR returns between the bounds as a map (H, W) [m], 0 = none.

    Args:
        lidar_index: flat pixel index of each return, (N,).
        lidar_value: its depth [m], (N,).
        native_size: height and width [px], (2,).
        min_depth: returns at this depth or nearer are left out [m].
        max_depth: returns at this depth or farther are left out [m].
    """
    height, width = native_size.tolist()
    measured = (lidar_index >= 0) & (lidar_value > min_depth) & (lidar_value < max_depth)
    depth = np.zeros(height * width, np.float32)
    depth[lidar_index[measured].numpy()] = lidar_value[measured].numpy()
    return depth.reshape(height, width)


def depth_map(inverse_depth: Tensor, lidar_depth: np.ndarray, results: Results, *, mode: str) -> np.ndarray:
    """Depth [m] (h, w) of a prediction, by the bounds and alignment of the results that it belongs to.

    Args:
        inverse_depth: predicted inverse depth, up to scale and shift where the mode aligns it, (1, h, w).
        lidar_depth: native LiDAR depth that it is aligned to [m], 0 = no return, (H, W).
        results: what the predictor was measured with.
        mode: "" or the suffix of the alignment.
    """
    bounds = {"min_depth": results.min_depth, "max_depth": results.max_depth}
    inverse = inverse_depth[None].cpu().double()
    flat = inverse.flatten(1)  # (1, h w)
    if mode:
        protocol, index = PROTOCOLS[results.protocol], np.flatnonzero(lidar_depth)
        place = torch.from_numpy(index)[None], torch.tensor([lidar_depth.shape]), tuple(inverse.shape[-2:])
        near = lidar_neighbours(*place, align_corners=protocol.align_corners)
        both = torch.cat([near.mean(near.values(inverse)), flat], 1)
        lidar = F.pad(torch.from_numpy(lidar_depth.flat[index])[None].double(), (0, flat.shape[1]))  # 0: aligned only
        if mode == "_median":
            depth = median_scaled(_depth(both), lidar, lidar > 0, lower=protocol.lower_median)
        else:
            depth = least_squares_depth(both, lidar, lidar > 0, **bounds)
        depth = depth[:, index.size :]
    else:
        depth = _depth(flat)
    return depth.clamp(*bounds.values()).view(inverse.shape[-2:]).float().numpy()


def _depth(inverse_depth: Tensor) -> Tensor:
    """Depth [m]; very far where the inverse depth is 0 or less."""
    return inverse_depth.clamp(min=1e-6).reciprocal()
