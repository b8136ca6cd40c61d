"""Bars of every predictor in every condition, with their intervals."""

from collections.abc import Sequence
from html import escape

from .columns import scaled
from .parts import color_class, condition_class
from .summary import Cell, Column, ReportTable, TableRow


def render_bars(table: ReportTable, *, tested: bool) -> str:
    """A line of bar plots per column of the table, one plot per condition, on one scale; published rows have none.

    Args:
        table: the table.
        tested: the report has paired tests, which the explanation names.
    """
    rows = [row for row in table.rows if not row.published]
    values = [scaled(cell.value, column) for row in rows for (_, column), cell in row.cells.items()]
    # names and numbers are as wide in all plots, so that bars of the same length mean the same value
    widths = f"--name:{_longest([row.name for row in rows]) + 1}ch;--value:{_longest(values)}ch"
    lines = "".join(_plots(table, rows, column) for column in table.columns)
    hint = "Bars start at 0 and share one scale per line. Thin line: 95 % interval from resampling scenes."
    if tested:
        hint += (
            " Each condition has the same scenes for all predictors: whether two of them differ is what the paired "
            "tests say, not overlapping intervals."
        )
    return f'<div style="{widths}">{lines}</div><p class="hint">{hint}</p>'


def _longest(texts: Sequence[str]) -> int:
    """Characters of the longest text."""
    return max(map(len, texts), default=0)


def _plots(table: ReportTable, rows: Sequence[TableRow], column: Column) -> str:
    """The bar plots of one column."""
    cells = [row.cells[condition, column] for row in rows for condition in table.conditions]
    largest = max((_end(cell) for cell in cells), default=0) or 1
    if column.higher_is_better:
        largest = 1.0
    plots = "".join(_plot(rows, condition, column, largest) for condition in table.conditions)
    arrow = "↑ higher is better" if column.higher_is_better else "↓ lower is better"
    title = f'<h3>{escape(column.label)} <small class="soft">{arrow}</small></h3>'
    return f'{title}<div class="plots">{plots}</div>'


def _end(cell: Cell) -> float:
    """Where a bar and its interval end."""
    return max(cell.value or 0.0, *(cell.interval or (0.0, 0.0)))


def _plot(rows: Sequence[TableRow], condition: str, column: Column, largest: float) -> str:
    """One bar per predictor."""
    bars = "".join(_bar(row.name, row.cells[condition, column], column, largest, i) for i, row in enumerate(rows))
    title = f'<figcaption class="{condition_class(condition)}">{escape(condition)}</figcaption>'
    return f'<figure class="bars">{title}{bars}</figure>'


def _bar(name: str, cell: Cell, column: Column, largest: float, index: int) -> str:
    """Name, bar with its interval, and number."""
    label = f'<span class="name" title="{escape(name)}">{escape(name)}</span>'
    if cell.value is None:
        return f'<div class="bar-row">{label}<div class="track"></div><span class="none">n/a</span></div>'
    low, high = cell.interval or (cell.value, cell.value)
    ends = [min(max(end / largest, 0), 1) for end in (cell.value, low, high)]
    whisker = f'<b style="left:{ends[1]:.1%};width:{ends[2] - ends[1]:.1%}"></b>' if cell.interval else ""
    track = f'<div class="track"><i class="fill {color_class(index)}" style="width:{ends[0]:.1%}"></i>{whisker}</div>'
    return f'<div class="bar-row">{label}{track}<span>{scaled(cell.value, column)}</span></div>'
