"""The table of several predictors as Markdown, which also reads well as plain text, and as values for JSON."""

from collections.abc import Sequence
from typing import Any

from .columns import scaled, signed
from .significance import PairedRow, smallest_p_line
from .summary import Cell, Column, ReportTable, TableRow, is_best
from .tables import aligned_table, escape_markdown, number, rules_line

SCHEMA_VERSION = 1


def comparison_markdown(table: ReportTable, paired: Sequence[PairedRow] = ()) -> str:
    """A table per condition, the sources of published rows, and the paired tests; ASCII apart from names."""
    parts = [measured_line(table)]
    parts += [f"{_title(table, condition)}\n\n{_of_condition(table, condition)}" for condition in table.conditions]
    parts.append(_legend(table))
    if paired:
        parts.append(_paired(paired))
    return "\n\n".join(parts) + "\n"


def comparison_json(table: ReportTable, paired: Sequence[PairedRow] = ()) -> dict[str, Any]:
    """The table and the tests as plain values in the units of Results; None is null.

    A cell is found by condition and by metric, an aligned one with the suffix of its alignment.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "rules": dict(table.rules),
        "mode": table.mode,
        "frames": dict(table.frames),
        "predictors": [_row_json(table, row) for row in table.rows],
        "paired": [
            {
                "predictor": row.name,
                "reference": row.reference,
                "condition": row.condition,
                "metric": _key(table, row.column),
                "difference": row.difference,
                "interval": row.interval and list(row.interval),
                "p": row.p,
                "p_adjusted": row.p_adjusted,
                "scenes": row.scenes,
            }
            for row in paired
        ],
    }


def measured_line(table: ReportTable) -> str:
    """How the predictions were made and measured."""
    return rules_line(table.rules) + (", flip-averaged predictions" if table.mode else "")


def sources(table: ReportTable) -> list[str]:
    """The sources of the published rows, each once; their number is the place in the list."""
    return list(dict.fromkeys(row.source for row in table.rows if row.published))


def _row_json(table: ReportTable, row: TableRow) -> dict[str, Any]:
    """A row as plain values."""
    conditions: dict[str, dict[str, Any]] = {}
    for (condition, column), cell in row.cells.items():
        values = {"value": cell.value, "interval": cell.interval and list(cell.interval), "spread": cell.spread}
        conditions.setdefault(condition, {})[_key(table, column)] = values
    about = {"published": row.published, "source": row.source or None, "seeds": None if row.published else row.seeds}
    return {"name": row.name, **about, "conditions": conditions}


def _key(table: ReportTable, column: Column) -> str:
    """Name of a column: its metric and, if aligned, how."""
    return column.metric + (f"_{table.rules['alignment']}" if column.aligned else "")


def _title(table: ReportTable, condition: str) -> str:
    """Heading of the table of a condition."""
    frames = table.frames[condition]
    return f"### {escape_markdown(condition)} ({frames:,} frame{'s' if frames != 1 else ''})"


def _of_condition(table: ReportTable, condition: str) -> str:
    """A line per predictor, a column per metric."""
    numbers = {source: place for place, source in enumerate(sources(table), start=1)}
    lines = []
    for row in table.rows:
        mark = f" [{numbers[row.source]}]" if row.published else f" ({row.seeds} seeds)" if row.seeds > 1 else ""
        cells = [_cell(table, row, condition, column) for column in table.columns]
        lines.append([escape_markdown(row.name) + mark, *cells])
    header = ["predictor", *(f"{column.label} {'+' if column.higher_is_better else '-'}" for column in table.columns)]
    return aligned_table(header, lines)


def _cell(table: ReportTable, row: TableRow, condition: str, column: Column) -> str:
    """Mean, spread and interval; bold if it is the best."""
    cell = row.cells[condition, column]
    text = with_spread(cell, column, " +- ")
    if is_best(table, row, condition, column):
        text = f"**{text}**"
    if cell.interval:
        text += " ({}, {})".format(*(scaled(bound, column) for bound in cell.interval))
    return text


def with_spread(cell: Cell, column: Column, sign: str) -> str:
    """The mean, with its spread over seeds if there is one."""
    return scaled(cell.value, column) + ("" if cell.spread is None else sign + scaled(cell.spread, column))


def _legend(table: ReportTable) -> str:
    """What the signs mean, and where published rows are from."""
    published = sources(table)
    spread = "after +-: sample standard deviation over seeds; " if any(row.seeds > 1 for row in table.rows) else ""
    bold = "bold: best of ours; " if table.ranked else ""
    lines = [
        f"In brackets: 95 % interval over scenes; {spread}{bold}"
        "-: lower is better, +: higher is better; scaled: after alignment; n/a: not available."
    ]
    if published:
        lines.append("Published, not measured here:")
        lines += [f"- [{place}] {escape_markdown(source)}" for place, source in enumerate(published, start=1)]
    return "\n".join(lines)


def _paired(rows: Sequence[PairedRow]) -> str:
    """The paired tests as a table."""
    lines = []
    for row in rows:
        bounds = "n/a" if row.interval is None else f"({', '.join(signed(end, row.column) for end in row.interval)})"
        ps = [number(p, 4) for p in (row.p, row.p_adjusted)]
        difference = "n/a" if row.difference is None else signed(row.difference, row.column)
        lines.append([escape_markdown(row.name), row.condition, row.column.label, difference, bounds, *ps])
    header = ["predictor", "condition", "metric", "difference", "95 % interval", "p", "p (Holm)"]
    reference, limits = escape_markdown(rows[0].reference), smallest_p_line(rows)
    return (
        f"### Difference from {reference}\n\n{aligned_table(header, lines)}\n\n"
        "Mean over the same frames, interval and two-sided p by resampling scenes; Holm: adjusted for all tests of "
        "this table; n/a: not available, or fewer than two scenes." + (f"\n{limits}" if limits else "")
    )
