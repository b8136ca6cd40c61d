"""Curves as inline SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 34
MAX_BINS = 150
"""Points drawn per curve; longer ones are averaged in bins, with a band from the smallest to the largest value."""


@dataclass(frozen=True)
class Curve:
    """A named line through (step, value) points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Curves with one pair of axes."""

    title: str
    curves: Sequence[Curve]
    x_label: str = "step"


@dataclass(frozen=True)
class _Binned:
    """A curve after binning: x, mean, smallest and largest value of every bin."""

    name: str
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class _Axes:
    """Data ranges and their place in the drawing."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Horizontal position [px]."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Vertical position [px], kept inside the frame."""
        share = min(max((value - self.y_low) / (self.y_high - self.y_low), 0), 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def render_chart(chart: Chart) -> str:
    """The chart as an HTML figure with an inline SVG and a legend; values that are not finite are left out."""
    binned = [curve for curve in map(_bin, chart.curves) if curve.x.size]
    title = f"<figcaption>{escape(chart.title)}</figcaption>"
    if not binned:
        return f'<figure class="chart">{title}<p class="none">no data</p></figure>'
    axes = _fit(binned)
    lines = "".join(_line(curve, axes, index) for index, curve in enumerate(binned))
    legend = "".join(
        f'<span><i class="key c{index % 6}"></i>{escape(curve.name)}</span>' for index, curve in enumerate(binned)
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">'
    return (
        f'<figure class="chart">{title}{svg}{_grid(axes, chart.x_label)}{lines}</svg>'
        f'<div class="legend">{legend}</div></figure>'
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _bin(curve: Curve) -> _Binned:
    """The finite points of a curve, averaged in at most MAX_BINS bins."""
    points = np.array([point for point in curve.points if all(map(math.isfinite, point))], dtype=float).reshape(-1, 2)
    points = points[np.argsort(points[:, 0], kind="stable")]
    parts = np.array_split(points, min(MAX_BINS, len(points))) if len(points) else []
    columns = [(*part.mean(0), part[:, 1].min(), part[:, 1].max()) for part in parts]
    return _Binned(curve.name, *np.array(columns).reshape(-1, 4).T)


def _fit(curves: Sequence[_Binned]) -> _Axes:
    """Axes around the means of all curves, with a margin; a single value gets a range of its own size."""
    x, y = np.concatenate([curve.x for curve in curves]), np.concatenate([curve.mean for curve in curves])
    x_low, x_high, y_low, y_high = x.min(), x.max(), y.min(), y.max()
    margin = (y_high - y_low) * 0.08 or abs(y_high) * 0.5 or 1.0
    y_low = 0.0 if 0 <= y_low < margin * 3 else y_low - margin
    return _Axes(x_low, x_high if x_high > x_low else x_low + 1, y_low, y_high + margin)


def _line(curve: _Binned, axes: _Axes, index: int) -> str:
    """Band and line of a curve, or a dot for a single point."""
    xs = [axes.x(value) for value in curve.x]
    place = [f"{x:.1f},{axes.y(value):.1f}" for x, value in zip(xs, curve.mean, strict=True)]
    if len(place) == 1:
        x, y = place[0].split(",")
        return f'<circle class="dot c{index % 6}" cx="{x}" cy="{y}" r="4"/>'
    outline = [*zip(xs, curve.high, strict=True), *reversed(list(zip(xs, curve.low, strict=True)))]
    band = " ".join(f"{x:.1f},{axes.y(value):.1f}" for x, value in outline)
    return (
        f'<polygon class="band c{index % 6}" points="{band}"/>'
        f'<polyline class="line c{index % 6}" points="{" ".join(place)}"/>'
    )


def _grid(axes: _Axes, x_label: str) -> str:
    """Grid lines, tick labels and the name of the horizontal axis."""
    parts = []
    for value in ticks(axes.y_low, axes.y_high):
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y + 4:.1f}">{value:.4g}</text>')
    for value in ticks(axes.x_low, axes.x_high):
        parts.append(f'<text class="mid" x="{axes.x(value):.1f}" y="{HEIGHT - BOTTOM + 17}">{_short(value)}</text>')
    parts.append(f'<text class="end name" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}">{escape(x_label)}</text>')
    return "".join(parts)


def _short(value: float) -> str:
    """A step count in few characters: 1500 is 1.5k."""
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
