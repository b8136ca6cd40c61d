"""Numbers and tables as text."""

import re
from collections.abc import Mapping, Sequence

LABELS = {
    "abs_rel": "absRel",
    "sq_rel": "sqRel",
    "rmse": "RMSE",
    "rmse_log": "RMSElog",
    "delta_1": "d1",
    "delta_2": "d2",
    "delta_3": "d3",
    "mae": "MAE",
    "delta_1.15": "d1.15",
    "delta_1.05": "d1.05",
}
"""Headings of the metrics of all protocols."""
DECIMALS = {name: 3 if name in ("sq_rel", "rmse") else 4 for name in LABELS}


def number(value: float | None, decimals: int) -> str:
    """The number with a fixed number of decimals, never minus zero, or "n/a"."""
    return "n/a" if value is None else f"{value:z.{decimals}f}"


def escape_markdown(text: str) -> str:
    """The text as one line of Markdown that shows it letter by letter: no HTML, link, emphasis or end of a cell."""
    # an underscore inside of a word is one for Markdown, too
    return re.sub(r"([\\`*~\[\]<>|&]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(text.split()))


def rules_line(rules: Mapping[str, str | float]) -> str:
    """Protocol, alignment and bounds (see Results.rules) in one line."""
    bounds = f"LiDAR depths from {rules['min_depth']:g} m to {rules['max_depth']:g} m"
    return f"Protocol {rules['protocol']}, alignment {rules['alignment']}, {bounds}"


def aligned_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown table that also reads well as plain text: first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *lines, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        """One line of the table."""
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return "| " + " | ".join(padded) + " |"

    return "\n".join([line(header), line(rule), *(line(cells) for cells in lines)])
