"""Error by range of measured depth: where a predictor is wrong, near or far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .metrics import THRESHOLDS, LidarDepths


@dataclass(frozen=True, kw_only=True)
class RangeCurve:
    """Mean absRel and share of returns within delta_1 of each bin, None where a bin has no return."""

    abs_rel: tuple[float | None, ...]
    delta_1: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """Errors by range of measured depth.

    Attributes:
        edges: bounds of the R bins [m], R + 1 ascending numbers; a bin holds its lower bound.
        returns: number of valid returns in each bin, by row of a result table.
        curves: errors by row, then by mode: "" and, unless nothing was aligned, the suffix of the aligned mode.
    """

    edges: tuple[float, ...]
    returns: Mapping[str, tuple[int, ...]]
    curves: Mapping[str, Mapping[str, RangeCurve]]

    def of_modes(self, modes: Sequence[str]) -> "Ranges":
        """The same with the curves of some modes only."""
        curves = {row: {mode: found[mode] for mode in modes} for row, found in self.curves.items()}
        return replace(self, curves=curves)


def range_sums(depths: LidarDepths) -> Tensor:
    """Returns, absRel sums and delta_1 hits of every bin and part, float64 (B, C R (1 + 2 A)).

    Of each bin: the number of valid returns, then the sum of absRel and the number of hits of the plain mode and, if
    there is one, of its aligned mode (A = 2); both without flip-averaging. Nothing waits for the device.
    """
    predicted = depths.predicted[:: len(depths.predicted) // 2] if depths.aligned else depths.predicted[:1]
    valid, edges = depths.valid, depths.protocol.edges(depths.max_depth)
    lidar = depths.parts[0].where(valid[0], 1)  # (B, N)
    predicted = predicted.clamp(depths.min_depth, depths.max_depth).where(valid[0], 1)
    relative = predicted / lidar
    hits = torch.maximum(relative, lidar / predicted) < THRESHOLDS["delta_1"]
    errors = (relative - 1).abs()
    values = torch.stack([torch.ones_like(lidar), *(part for pair in zip(errors, hits, strict=True) for part in pair)])
    inner = torch.tensor(edges[1:-1], dtype=lidar.dtype).to(lidar.device, non_blocking=True)
    bins, unused = torch.bucketize(lidar, inner, right=True), len(edges) - 1  # (B, N)
    sums = values.new_zeros(len(valid), *values.shape[:2], len(edges))  # (C, 1 + 2 A, B, R + 1)
    for of_part, part in zip(sums, valid, strict=True):
        of_part.scatter_add_(2, bins.where(part, unused).expand_as(values), values)
    return sums[..., :unused].permute(2, 0, 3, 1).flatten(1)


def mean_ranges(
    sums: Sequence[Sequence[float]],
    conditions: Sequence[str],
    *,
    rows: Mapping[str, Sequence[str]],
    edges: Sequence[float],
    modes: Sequence[str],
) -> Ranges:
    """Errors by range of every row of a result table: means over all returns of its frames.

    Args:
        sums: one line per frame, or part of one, as range_sums() has it, (F, R (1 + 2 A)).
        conditions: condition of each line, (F).
        rows: rows of the table, each with its conditions.
        edges: bounds of the bins [m], R + 1.
        modes: the A modes, plain first.
    """
    bins = len(edges) - 1
    table = np.asarray(sums, np.float64).reshape(len(conditions), bins, 1 + 2 * len(modes))
    returns, curves = {}, {}
    for row, names in rows.items():
        total = table[[condition in names for condition in conditions]].sum(0)  # (R, 1 + 2 A)
        count = total[:, 0]
        returns[row] = tuple(int(number) for number in count)
        curves[row] = {
            mode: RangeCurve(
                abs_rel=_means(total[:, 1 + 2 * place], count), delta_1=_means(total[:, 2 + 2 * place], count)
            )
            for place, mode in enumerate(modes)
        }
    return Ranges(edges=tuple(edges), returns=returns, curves=curves)


def ranges_from_json(document: Mapping[str, Any]) -> Ranges:
    """Errors by range from what ``dataclasses.asdict`` made of them."""
    return Ranges(
        edges=tuple(document["edges"]),
        returns={row: tuple(numbers) for row, numbers in document["returns"].items()},
        curves={
            row: {
                mode: RangeCurve(abs_rel=tuple(curve["abs_rel"]), delta_1=tuple(curve["delta_1"]))
                for mode, curve in of_modes.items()
            }
            for row, of_modes in document["curves"].items()
        },
    )


def _means(sums: np.ndarray, counts: np.ndarray) -> tuple[float | None, ...]:
    """Sums divided by counts, None where a count is 0."""
    return tuple(float(total / count) if count else None for total, count in zip(sums, counts, strict=True))
