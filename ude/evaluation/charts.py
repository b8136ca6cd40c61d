"""Curves as inline SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from .parts import color_class, condition_class, legend

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36
MAX_BINS = 150
"""Points drawn per curve; longer ones are averaged in bins, with a band from the smallest to the largest value."""


@dataclass(frozen=True)
class Curve:
    """A named line through (x, value) points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Curves with one pair of axes.

    Attributes:
        title: what stands above it.
        curves: lines in the colours of their numbers, also of those without points.
        x_label: name of the horizontal axis.
        condition: a condition whose colour marks the title.
        y_range: ends of the vertical axis; None fits the curves.
        shares: (from, to, share) columns behind the curves, the largest a third of the height.
        marked: points are marked, and the legend is left to the page.
    """

    title: str
    curves: Sequence[Curve]
    x_label: str = "step"
    condition: str = ""
    y_range: tuple[float, float] | None = None
    shares: Sequence[tuple[float, float, float]] = ()
    marked: bool = False


@dataclass(frozen=True)
class _Binned:
    """A curve after binning: x, mean, smallest and largest value of every bin."""

    index: int
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
    binned = [curve for curve in (_bin(curve, index) for index, curve in enumerate(chart.curves)) if curve.x.size]
    condition = f' class="{condition_class(chart.condition)}"' if chart.condition else ""
    title = f"<figcaption{condition}>{escape(chart.title)}</figcaption>"
    if not binned:
        return f'<figure class="chart">{title}<p class="none">n/a: no data</p></figure>'
    axes = _fit(binned, chart)
    lines = "".join(_line(curve, axes, marked=chart.marked) for curve in binned)
    about = escape(f"{chart.title}: {', '.join(curve.name for curve in binned)} over {chart.x_label}")
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{about}">'
    names = "" if chart.marked else legend([curve.name for curve in chart.curves])
    drawn = f"{_columns(chart, axes)}{_grid(axes, chart.x_label)}{lines}"
    return f'<figure class="chart">{title}{svg}{drawn}</svg>{names}</figure>'


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _bin(curve: Curve, index: int) -> _Binned:
    """The finite points of a curve, averaged in at most MAX_BINS bins."""
    points = np.array([point for point in curve.points if all(map(math.isfinite, point))], dtype=float).reshape(-1, 2)
    points = points[np.argsort(points[:, 0], kind="stable")]
    parts = np.array_split(points, min(MAX_BINS, len(points))) if len(points) else []
    columns = [(*part.mean(0), part[:, 1].min(), part[:, 1].max()) for part in parts]
    return _Binned(index, curve.name, *np.array(columns).reshape(-1, 4).T)


def _fit(curves: Sequence[_Binned], chart: Chart) -> _Axes:
    """Axes around the means of all curves, with a margin; a single value gets a range of its own size."""
    x, y = np.concatenate([curve.x for curve in curves]), np.concatenate([curve.mean for curve in curves])
    ends = [end for low, high, _ in chart.shares for end in (low, high)]
    x_low, x_high, y_low, y_high = min(x.min(), *ends, np.inf), max(x.max(), *ends, -np.inf), y.min(), y.max()
    margin = (y_high - y_low) * 0.08 or abs(y_high) * 0.5 or 1.0
    y_low = 0.0 if 0 <= y_low < margin * 3 else y_low - margin
    y_low, y_high = chart.y_range or (y_low, y_high + margin)
    return _Axes(x_low, x_high if x_high > x_low else x_low + 1, y_low, y_high)


def _columns(chart: Chart, axes: _Axes) -> str:
    """The shares as columns from the bottom."""
    largest = max((share for *_, share in chart.shares), default=0) or 1
    parts = []
    for low, high, share in chart.shares:
        left, right = axes.x(low), axes.x(high)
        height = share / largest * (HEIGHT - TOP - BOTTOM) / 3
        box = f'x="{left + 0.5:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{max(right - left - 1, 0.5):.1f}"'
        parts.append(f'<rect class="share-of" {box} height="{height:.1f}"><title>{share:.0%}</title></rect>')
    return "".join(parts)


def _line(curve: _Binned, axes: _Axes, *, marked: bool) -> str:
    """Band and line of a curve, or a dot for a single point; with marks at the points of one that is marked."""
    color, xs = color_class(curve.index), [axes.x(value) for value in curve.x]
    places = [(f"{x:.1f}", f"{axes.y(value):.1f}") for x, value in zip(xs, curve.mean, strict=True)]
    dots = "".join(
        f'<circle class="dot {color}" cx="{x}" cy="{y}" r="{3 if len(places) > 1 else 4}"/>' for x, y in places
    )
    if len(places) == 1:
        return dots
    line = f'<polyline class="line {color}" points="{" ".join(map(",".join, places))}"/>'
    if marked:
        return line + dots
    outline = [*zip(xs, curve.high, strict=True), *reversed(list(zip(xs, curve.low, strict=True)))]
    band = " ".join(f"{x:.1f},{axes.y(value):.1f}" for x, value in outline)
    return f'<polygon class="band {color}" points="{band}"/>{line}'


def _grid(axes: _Axes, x_label: str) -> str:
    """Grid lines, tick labels and the name of the horizontal axis."""
    parts = []
    for value in ticks(axes.y_low, axes.y_high):
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y + 4:.1f}">{value:.4g}</text>')
    for value in ticks(axes.x_low, axes.x_high, 4):
        parts.append(f'<text class="mid" x="{axes.x(value):.1f}" y="{HEIGHT - BOTTOM + 17}">{_short(value)}</text>')
    parts.append(f'<text class="end name" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}">{escape(x_label)}</text>')
    return "".join(parts)


def _short(value: float) -> str:
    """A step count in few characters: 1500 is 1.5k."""
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
