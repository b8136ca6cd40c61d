"""Tables for papers: LaTeX that compiles whatever the names in it are."""

import unicodedata
from collections.abc import Sequence

from .comparison_text import measured_line, sources, with_spread
from .results import MODE_TITLES, Results
from .summary import ReportTable, TableRow, is_best
from .tables import DECIMALS, LABELS, number, rules_line

_PACKAGES = "% \\usepackage{booktabs}"
_BETWEEN = "\n\\par\\medskip\\noindent\n"  # tables stand below each other
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
    parts = []
    for mode in results.modes:
        lines = [
            [row, str(means["frames"])] + [number(means[metric + mode], DECIMALS[metric]) for metric in results.metrics]
            for row, means in results.means.items()
        ]
        body = [_line([escape_latex(cell) for cell in line]) for line in lines]
        head = _line([escape_latex(cell) for cell in header])
        parts.append(_tabular("l" + "r" * (len(header) - 1), [head], [body], comment=MODE_TITLES[mode]))
    return "\n".join([f"% {rules_line(results.rules)}", _PACKAGES, _BETWEEN.join(parts)]) + "\n"


def comparison_latex(table: ReportTable) -> str:
    r"""Several predictors: a table per condition under each other, a line per predictor, the best of ours bold.

    Published rows stand below with the number of their source, which the text after the table explains.
    """
    text = [f"% {measured_line(table)}", _PACKAGES]
    text.append(_BETWEEN.join(_of_condition(table, condition) for condition in table.conditions))
    text += [rf"\par $^{{{n}}}$ {escape_latex(source)}" for n, source in enumerate(sources(table), start=1)]
    return "\n".join(text) + "\n"


def _of_condition(table: ReportTable, condition: str) -> str:
    """The table of a condition, its columns headed by two lines to be narrow."""
    width, frames = len(table.columns), table.frames[condition]
    title = escape_latex(f"{condition} ({frames:,} frame{'s' if frames != 1 else ''})")
    names, units = zip(*(column.label.partition(" ")[::2] for column in table.columns), strict=True)
    arrows = [_HIGHER if column.higher_is_better else _LOWER for column in table.columns]
    head = [
        _line(["", rf"\multicolumn{{{width}}}{{c}}{{{title}}}"]),
        rf"\cmidrule(lr){{2-{1 + width}}}",
        _line(["", *map(escape_latex, names)]),
        _line(["predictor", *(f"{escape_latex(u)} {arrow}".strip() for u, arrow in zip(units, arrows, strict=True))]),
    ]
    ours = [_row(table, row, condition) for row in table.rows if not row.published]
    published = [_row(table, row, condition) for row in table.rows if row.published]
    bodies = [part for part in (ours, published) if part]
    return _tabular("l" + "r" * width, head, bodies, comment=condition)


def _row(table: ReportTable, row: TableRow, condition: str) -> str:
    """A predictor in a condition."""
    cells = [escape_latex(row.name)]
    if row.published:
        cells[0] += rf"$^{{{sources(table).index(row.source) + 1}}}$"
    for column in table.columns:
        text = with_spread(row.cells[condition, column], column, r" $\pm$ ")
        cells.append(rf"\textbf{{{text}}}" if is_best(table, row, condition, column) else text)
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
