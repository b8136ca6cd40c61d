"""Several trainings of one predictor that differ in their seed: their mean and their spread."""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from .ranges import RangeCurve, Ranges
from .results import FrameRow, Results, results_of_frames


def spread(values: Sequence[float | None]) -> float | None:
    """Sample standard deviation (n - 1) of a value over seeds; None with fewer than two or where one is missing."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) == len(values) > 1 else None


def mean_of_seeds(results: Sequence[Results]) -> Results:
    """Results whose values of each frame and range are the means over the seeds; the time is that of the first.

    An interval or test of them says what another choice of scenes could change, not what another seed could: that is
    their spread.

    Args:
        results: those of every seed, on the same frames by the same rules.

    Raises:
        ValueError: the seeds were evaluated on different frames.
    """
    first = results[0]
    if len(results) == 1:
        return first
    modes = tuple(mode for mode in first.modes if all(mode in result.modes for result in results))
    frames = tuple(_mean(rows) for rows in zip(*(result.frames for result in results), strict=True))
    bounds = {"min_depth": first.min_depth, "max_depth": first.max_depth}
    means = results_of_frames(frames, modes=modes, **bounds, protocol=first.protocol)
    return replace(means, ranges=_mean_ranges(results), seconds=first.seconds, network_seconds=first.network_seconds)


def _mean(rows: Sequence[FrameRow]) -> FrameRow:
    """One frame (or class of it) of every seed."""
    names = {(row.frame_id, row.condition, row.valid) for row in rows}
    if len(names) > 1:
        raise ValueError(f"the seeds were evaluated on different frames ({', '.join(sorted({n[0] for n in names}))})")
    columns = [column for column in rows[0].values if all(column in row.values for row in rows)]
    return replace(rows[0], values={name: statistics.fmean(row.values[name] for row in rows) for name in columns})


def _mean_ranges(results: Sequence[Results]) -> Ranges | None:
    """Errors by range averaged over all returns of all seeds; None where a seed has none (older files)."""
    found = [result.ranges for result in results if result.ranges]
    if len(found) < len(results):
        return None
    curves = {
        row: {
            mode: _mean_curve([ranges.curves[row][mode] for ranges in found], [ranges.returns[row] for ranges in found])
            for mode in found[0].curves[row]
            if all(mode in ranges.curves[row] for ranges in found)
        }
        for row in found[0].curves
    }
    return replace(found[0], curves=curves)


def _mean_curve(curves: Sequence[RangeCurve], returns: Sequence[Sequence[int]]) -> RangeCurve:
    """The curve of every seed, weighted bin by bin with its returns."""
    abs_rel, delta_1 = (
        tuple(_weighted(*of_bin) for of_bin in zip(zip(*values, strict=True), zip(*returns, strict=True), strict=True))
        for values in ([curve.abs_rel for curve in curves], [curve.delta_1 for curve in curves])
    )
    return RangeCurve(abs_rel=abs_rel, delta_1=delta_1)


def _weighted(values: Sequence[float | None], counts: Sequence[int]) -> float | None:
    """Mean of the values that are there; None without one."""
    known = [(value, count) for value, count in zip(values, counts, strict=True) if value is not None]
    return statistics.fmean(*zip(*known, strict=True)) if known else None
