"""Tables for papers: LaTeX that compiles whatever the names in it are."""

import unicodedata
from collections.abc import Sequence

from .comparison_text import measured_line, sources, with_spread
from .results import MODE_TITLES, Results
from .summary import ReportTable, TableRow, best
from .tables import DECIMALS, LABELS, number, rules_line

_PACKAGES = "% \\usepackage{booktabs}"
_HIGHER, _LOWER = r"$\uparrow$", r"$\downarrow$"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a line it would begin its argument
    "*": "{*}",  # and this would be part of it
}


def escape_latex(text: str) -> str:
    """The text as one line that LaTeX prints and never carries out; control characters are left out."""
    categories = [(c, unicodedata.category(c)) for c in text]
    shown = (" " if kind == "Cc" else "" if kind.startswith("C") else c for c, kind in categories)
    one_line = " ".join("".join(shown).split())
    return "".join(_SPECIAL.get(c, c) for c in one_line)


def results_latex(results: Results) -> str:
    """One predictor: a table per mode, a line per condition, a column per metric."""
    header = ["condition", "frames", *(LABELS[metric] for metric in results.metrics)]
    parts = [f"% {rules_line(results.rules)}", _PACKAGES]
    for mode in results.modes:
        lines = [
            [row, str(means["frames"])] + [number(means[metric + mode], DECIMALS[metric]) for metric in results.metrics]
            for row, means in results.means.items()
        ]
        body = [_line([escape_latex(cell) for cell in line]) for line in lines]
        head = _line([escape_latex(cell) for cell in header])
        parts.append(_tabular("l" + "r" * (len(header) - 1), [head], [body], comment=MODE_TITLES[mode]))
    return "\n".join(parts) + "\n"


def comparison_latex(table: ReportTable) -> str:
    r"""Several predictors: a line each, a group of columns per condition, the best of ours bold.

    Published rows stand below with the number of their source, which the text after the table explains.
    """
    width = len(table.columns)
    groups = [rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(name)}}}" for name in table.conditions]
    rules = [rf"\cmidrule(lr){{{2 + at * width}-{1 + (at + 1) * width}}}" for at in range(len(table.conditions))]
    labels = [f"{escape_latex(c.label)} {_HIGHER if c.higher_is_better else _LOWER}" for c in table.columns]
    head = [_line(["", *groups]), " ".join(rules), _line(["predictor", *labels * len(table.conditions)])]
    ours = [_row(table, row) for row in table.rows if not row.published]
    published = [_row(table, row) for row in table.rows if row.published]
    columns = "l" + "r" * (width * len(table.conditions))
    comment = measured_line(table)
    text = [_PACKAGES, _tabular(columns, head, [part for part in (ours, published) if part], comment=comment)]
    text += [rf"\par $^{{{n}}}$ {escape_latex(source)}" for n, source in enumerate(sources(table), start=1)]
    return "\n".join(text) + "\n"


def _row(table: ReportTable, row: TableRow) -> str:
    """A predictor."""
    cells = [escape_latex(row.name)]
    if row.published:
        cells[0] += rf"$^{{{sources(table).index(row.source) + 1}}}$"
    for condition in table.conditions:
        for column in table.columns:
            cell = row.cells[condition, column]
            text = with_spread(cell, column, r" $\pm$ ")
            is_best = not row.published and cell.value is not None and cell.value == best(table, condition, column)
            cells.append(rf"\textbf{{{text}}}" if is_best else text)
    return _line(cells)


def _line(cells: Sequence[str]) -> str:
    """Cells of one line."""
    return " & ".join(cells) + r" \\"


def _tabular(columns: str, head: Sequence[str], bodies: Sequence[Sequence[str]], *, comment: str) -> str:
    """A table with rules above, below and between its parts."""
    lines = [f"% {comment}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *head]
    for body in bodies:
        lines += [r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])
