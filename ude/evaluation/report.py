"""A report as one HTML file that needs nothing else: tables, pictures, curves, and what made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from .charts import Chart, render_chart
from .gallery import GalleryRow, render_gallery
from .style import STYLE
from .summary import Cell, Column, GapRow, ReportTable, best
from .tables import number

# no script runs and nothing is loaded, whatever a name in the data contains
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_ALIGNED = {
    "median": "scaling each prediction to the median of its frame",
    "least_squares": "fitting scale and shift of each inverse depth to its frame",
}


@dataclass(frozen=True)
class Highlight:
    """A number worth a large font, its name and a remark."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report shows; empty parts are left out."""

    title: str
    text: Sequence[str] = ()
    highlights: Sequence[Highlight] = ()
    table: ReportTable | None = None
    gaps: Sequence[GapRow] = ()
    gallery: Sequence[GalleryRow] = ()
    charts: Sequence[Chart] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()


def render_report(report: Report) -> str:
    """The report as one HTML page; all text in it is escaped."""
    sections = [
        ("Results", _results(report.table) if report.table else ""),
        ("Gap closed", _gaps(report.gaps) if report.gaps else ""),
        ("Frames", render_gallery(report.gallery) if report.gallery else ""),
        ("Training", f'<div class="charts">{"".join(map(render_chart, report.charts))}</div>' if report.charts else ""),
        ("How it was made", _origin(report)),
    ]
    body = "".join(f"<section><h2>{title}</h2>{content}</section>" for title, content in sections if content)
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in report.text)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>"
        f'<header><h1>{escape(report.title)}</h1><div class="text">{text}</div>'
        f"{_highlights(report.highlights)}</header>"
        f"{body}</main></body></html>\n"
    )


def _highlights(highlights: Sequence[Highlight]) -> str:
    """Cards in a row."""
    cards = "".join(
        f'<div class="card"><span>{escape(item.label)}</span><b>{escape(item.value)}</b>'
        f"<small>{escape(item.note)}</small></div>"
        for item in highlights
    )
    return f'<div class="cards">{cards}</div>' if cards else ""


def _results(table: ReportTable) -> str:
    """The table of predictors, with its explanation."""
    groups = "".join(
        f'<th class="group condition {escape(name)}" colspan="{len(table.columns)}">{escape(name)}'
        f"<small>{_frames(table.frames[name])}</small></th>"
        for name in table.conditions
    )
    heads = "".join(_head(column, index == 0) for _ in table.conditions for index, column in enumerate(table.columns))
    lines = "".join(_line(table, name) for name in table.cells)
    return (
        f'<div class="scroll"><table class="results"><thead><tr><th rowspan="2">predictor</th>{groups}</tr>'
        f"<tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
        '<p class="hint">Mean over frames with LiDAR. Small: 95 % interval from resampling scenes. Bold: best of the '
        "column. ↓ lower is better, ↑ higher is better. absRel scaled: after "
        f"{_ALIGNED[table.alignment]}. d1: pixels within 25 % of the LiDAR depth. n/a: no such frames.</p>"
    )


def _frames(count: int) -> str:
    """A number of frames in words."""
    return "1 frame" if count == 1 else f"{count:,} frames"


def _head(column: Column, first: bool) -> str:
    """Heading of a metric column."""
    arrow = "↑" if column.higher_is_better else "↓"
    return f'<th class="{"first" if first else ""}">{escape(column.label)} <i>{arrow}</i></th>'


def _line(table: ReportTable, name: str) -> str:
    """One predictor."""
    cells = "".join(
        _cell(table.cells[name][condition, column], column, best(table, condition, column), first=index == 0)
        for condition in table.conditions
        for index, column in enumerate(table.columns)
    )
    return f"<tr><th>{escape(name)}</th>{cells}</tr>"


def _cell(cell: Cell, column: Column, best_value: float | None, *, first: bool) -> str:
    """A number with its interval under it."""
    classes = "first" if first else ""
    if cell.value is None:
        return f'<td class="{classes} none">n/a</td>'
    classes += " best" if cell.value == best_value else ""
    return f'<td class="{classes}">{_scaled(cell.value, column)}<small>{_interval(cell.interval, column)}</small></td>'


def _scaled(value: float | None, column: Column) -> str:
    """A value as its column shows it."""
    return number(None if value is None else value * column.factor, column.decimals)


def _interval(interval: tuple[float, float] | None, column: Column) -> str:
    """Bounds in few characters, without zeros before the point; n/a without bounds."""
    if interval is None:
        return "n/a"
    return "\N{EN DASH}".join(_scaled(bound, column).removeprefix("0") or "0" for bound in interval)


def _gaps(rows: Sequence[GapRow]) -> str:
    """The table of the gap closed, with a bar for every share."""
    lines = "".join(
        _gap(row, start=index == 0 or rows[index - 1].condition != row.condition) for index, row in enumerate(rows)
    )
    return (
        '<div class="scroll"><table class="gaps"><thead><tr><th>condition</th><th>metric</th>'
        "<th>teacher, day-clear</th><th>teacher</th><th>student</th><th>gap closed</th>"
        '<th>95 % interval</th><th class="wide"></th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
        '<p class="hint">Gap closed = (teacher - student) / (teacher - teacher by day): 0 % is the teacher in that '
        "condition, 100 % the teacher by day. n/a: the teacher loses nothing there, or there are too few scenes.</p>"
    )


def _gap(row: GapRow, *, start: bool) -> str:
    """One metric in one condition."""
    values = "".join(f"<td>{_scaled(value, row.column)}</td>" for value in (row.teacher_day, row.teacher, row.student))
    condition = f'<span class="condition {escape(row.condition)}">{escape(row.condition)}</span>' if start else ""
    bounds = "n/a" if row.interval is None else f"{row.interval[0]:.0%} to {row.interval[1]:.0%}"
    closed = "n/a" if row.closed is None else f"{row.closed:.0%}"
    return (
        f'<tr class="{"start" if start else ""}"><th>{condition}</th><th>{escape(row.column.label)}</th>{values}'
        f'<td class="best">{closed}</td><td>{bounds}</td><td class="wide">{_bar(row)}</td></tr>'
    )


def _bar(row: GapRow) -> str:
    """The share closed as a bar from 0 to 100 %, with its interval as a thin line."""
    if row.closed is None:
        return ""
    closed, low, high = (min(max(share, 0), 1) for share in (row.closed, *(row.interval or (0, 0))))
    return (
        f'<div class="share"><i style="width:{closed:.1%}"></i>'
        f'<b style="left:{low:.1%};width:{high - low:.1%}"></b></div>'
    )


def _origin(report: Report) -> str:
    """Versions, seed, commit and commands."""
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in report.facts.items()
    )
    commands = "\n".join(map(escape, report.commands))
    return (f"<dl>{facts}</dl>" if facts else "") + (f"<pre>{commands}</pre>" if commands else "")
