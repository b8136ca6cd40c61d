"""Error over measured depth, one chart per metric and condition."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

from .charts import Chart, Curve
from .columns import scaled_label
from .results import Results

_LINES = (("abs_rel", "absRel", 1.0, "↓ lower is better"), ("delta_1", "d1 [%]", 100.0, "↑ higher is better"))


def pictured_mode(results: Sequence[Results]) -> str:
    """Mode in which predictors can be shown side by side: plain, or aligned if one of them is relative."""
    if all(any(frame.values.get(f"{result.metrics[0]}") is not None for frame in result.frames) for result in results):
        return ""
    return results[0].alignment


def range_charts(results: Mapping[str, Results], conditions: Sequence[str]) -> dict[str, list[Chart]]:
    """Charts by the name of their metric: a curve per predictor over the middle of each bin, on one scale per metric.

    Empty where no predictor has errors by range. Conditions without returns have a chart without curves.

    Args:
        results: one per predictor; those of older files have no ranges and get no curve.
        conditions: rows of the results.
    """
    mode = pictured_mode(list(results.values()))
    known = next((result.ranges for result in results.values() if result.ranges), None)
    if known is None:
        return {}
    lines = {}
    for metric, label, factor, direction in _LINES:
        curves = {
            condition: [
                Curve(name, _points(result, condition, mode, metric, factor)) for name, result in results.items()
            ]
            for condition in conditions
        }
        y_range = (0.0, 100.0 if metric == "delta_1" else _highest(curves.values()))
        lines[f"{scaled_label(label) if mode else label} {direction}"] = [
            Chart(
                condition,
                curves[condition],
                x_label="measured depth [m]",
                condition=condition,
                y_range=y_range,
                shares=_shares(known.edges, known.returns[condition]),
                marked=True,
            )
            for condition in conditions
        ]
    return lines


def _highest(charts: Iterable[Sequence[Curve]]) -> float:
    """End of the axis of errors: that of all curves, unless a few are so far off that the others would lie flat."""
    values: dict[str, list[float]] = {}
    for curve in (curve for chart in charts for curve in chart):
        values.setdefault(curve.name, []).extend(value for _, value in curve.points)
    ends = [max(found) for found in values.values() if found]
    return min(1.08 * max(ends), 1.4 * median(ends)) if any(ends) else 1.0


def _points(results: Results, condition: str, mode: str, metric: str, factor: float) -> list[tuple[float, float]]:
    """Middle of each bin that has returns, and the error there."""
    curve = results.ranges.curves[condition].get(mode) if results.ranges else None
    if curve is None:
        return []
    middles = [(low + high) / 2 for low, high in pairwise(results.ranges.edges)]
    values = zip(middles, getattr(curve, metric), strict=True)
    return [(middle, value * factor) for middle, value in values if value is not None]


def _shares(edges: Sequence[float], returns: Sequence[int]) -> list[tuple[float, float, float]]:
    """Bins with their share of the returns."""
    total = sum(returns) or 1
    return [(low, high, count / total) for (low, high), count in zip(pairwise(edges), returns, strict=True)]
