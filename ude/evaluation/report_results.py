"""The table of all predictors in every condition, as HTML."""

from collections.abc import Sequence
from html import escape

from .columns import scaled
from .parts import color_class, condition_class, scrolling
from .summary import Cell, Column, ReportTable, TableRow, is_best

_ALIGNED = {
    "median": "absRel scaled: after scaling each prediction to the median of its frame. ",
    "least_squares": "absRel scaled: after fitting scale and shift of each inverse depth to its frame. ",
}


def render_results(table: ReportTable) -> str:
    """The table of predictors, with its explanation; published rows below, set apart."""
    groups = "".join(
        f'<th scope="colgroup" class="group {condition_class(name)}" colspan="{len(table.columns)}">{escape(name)}'
        f"<small>{_frames(table.frames[name])}</small></th>"
        for name in table.conditions
    )
    heads = "".join(_head(column, index == 0) for _ in table.conditions for index, column in enumerate(table.columns))
    rows = [row for row in table.rows if not row.published]
    ours = "".join(_line(table, row, index) for index, row in enumerate(rows))
    published = [row for row in table.rows if row.published]
    html = (
        f'<table class="results"><thead><tr><th scope="col" rowspan="2">predictor</th>{groups}</tr>'
        f"<tr>{heads}</tr></thead><tbody>{ours}</tbody>{_published(table, published)}</table>"
    )
    return scrolling(html, "results of every predictor") + f'<p class="hint">{_explanation(table, published)}</p>'


def _explanation(table: ReportTable, published: Sequence[TableRow]) -> str:
    """What the numbers of the table are."""
    spread = any(row.seeds > 1 for row in table.rows)
    never = "Published rows are never bold: their" if table.ranked else "Published rows: the"
    marked = f"{never} frames and settings are those of their papers. " if published else ""
    return (
        "Mean over frames with LiDAR. Small: 95 % interval from resampling scenes. "
        + ("± sample standard deviation over seeds. " if spread else "")
        + ("Bold: best of the column. " if table.ranked else "")
        + "↓ lower is better, ↑ higher is better. "
        + _ALIGNED.get(str(table.rules["alignment"]), "")
        + f"d1: pixels within 25 % of the LiDAR depth. n/a: no such frames, or no such number. {marked}"
    )


def _published(table: ReportTable, rows: Sequence[TableRow]) -> str:
    """The rows out of papers under a heading of their own, each with its source."""
    if not rows:
        return ""
    width = 1 + len(table.conditions) * len(table.columns)
    lines = "".join(_line(table, row) for row in rows)
    return (
        f'<tbody class="published"><tr class="apart"><th scope="rowgroup" colspan="{width}"><span>Published: numbers '
        f"from the papers, not measured here</span></th></tr>{lines}</tbody>"
    )


def _frames(count: int) -> str:
    """A number of frames in words."""
    return "1 frame" if count == 1 else f"{count:,} frames"


def _head(column: Column, first: bool) -> str:
    """Heading of a metric column."""
    arrow = "↑" if column.higher_is_better else "↓"
    return f'<th scope="col" class="{"first" if first else ""}">{escape(column.label)} <i>{arrow}</i></th>'


def _line(table: ReportTable, row: TableRow, index: int | None = None) -> str:
    """One predictor, with its colour if it is one of ours and its source if it is published."""
    cells = "".join(
        _cell(table, row, condition, column, first=place == 0)
        for condition in table.conditions
        for place, column in enumerate(table.columns)
    )
    key = "" if index is None else f'<i class="key {color_class(index)}"></i>'
    about = row.source if row.published else f"{row.seeds} seeds" if row.seeds > 1 else ""
    about = f"<small>{escape(about)}</small>" if about else ""
    title = escape(f"{row.name} ({row.source})" if row.source else row.name)
    return f'<tr><th scope="row" title="{title}"><span>{key}{escape(row.name)}</span>{about}</th>{cells}</tr>'


def _cell(table: ReportTable, row: TableRow, condition: str, column: Column, *, first: bool) -> str:
    """A number with its spread and interval under it."""
    cell, classes = row.cells[condition, column], "first" if first else ""
    if cell.value is None:
        return f'<td class="{classes} none">n/a</td>'
    classes += " best" if is_best(table, row, condition, column) else ""
    return f'<td class="{classes}">{scaled(cell.value, column)}{"" if row.published else _below(cell, column)}</td>'


def _below(cell: Cell, column: Column) -> str:
    """Spread over seeds and interval; the interval n/a without."""
    spread = "" if cell.spread is None else f"<small>±{_short(cell.spread, column)}</small>"
    if cell.interval is None:
        return f"{spread}<small>n/a</small>"
    low, high = (_short(bound, column) for bound in cell.interval)
    return f"{spread}<small>{low}\N{EN DASH}{high}</small>"


def _short(value: float, column: Column) -> str:
    """A value without a zero before the point."""
    return scaled(value, column).removeprefix("0") or "0"
