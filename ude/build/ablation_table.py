"""The tables of an ablation: rows in every condition, differences from one of them, and the gaps that they close."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ude.evaluation.columns import Column
from ude.evaluation.comparison_text import comparison_json, comparison_markdown
from ude.evaluation.gaps import gap_rows
from ude.evaluation.results import Results
from ude.evaluation.seeds import mean_of_seeds, spread
from ude.evaluation.significance import paired_rows
from ude.evaluation.summary import REPORTED, comparison_table
from ude.evaluation.tables import aligned_table, escape_markdown
from ude.files import write_json, write_text

Runs = Mapping[str, Mapping[int, Results]]
"""Results by name of the row and seed."""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Share of the teachers' loss from day to a condition that a row wins back, None where that is not certain.

    Attributes:
        row: name of the row.
        condition: the condition.
        column: the metric.
        closed: of the means over the seeds of the row and over the teachers of these seeds.
        interval: 95 % interval of that over scenes.
        spread: sample standard deviation over the seeds, each with its own teacher.
    """

    row: str
    condition: str
    column: Column
    closed: float | None
    interval: tuple[float, float] | None
    spread: float | None


def write_tables(folder: Path, measured: Runs, *, teacher: str, reference: str) -> str:
    """Writes table.md and table.json, and returns the former.

    Args:
        folder: where the files go.
        measured: the rows, the teacher's among them.
        teacher: name of the teacher's row.
        reference: name of the row that the others are tested against.
    """
    results = {name: list(runs.values()) for name, runs in measured.items()}
    table = comparison_table(results)
    paired = paired_rows(results, reference) if len(results) > 1 and reference in results else []
    gaps = [gap for name, runs in measured.items() if name != teacher for gap in gaps_of(name, runs, measured[teacher])]
    text = "\n\n".join([comparison_markdown(table, paired).rstrip(), *_gap_tables(gaps)]) + "\n"
    write_text(folder / "table.md", text)
    write_json(folder / "table.json", comparison_json(table, paired) | {"gaps": [_plain(gap) for gap in gaps]})
    return text


def gaps_of(name: str, runs: Mapping[int, Results], teachers: Mapping[int, Results]) -> list[Gap]:
    """The gaps that a row closes, by condition and metric."""
    each = [gap_rows(teachers[seed], results) for seed, results in runs.items()]
    means = gap_rows(mean_of_seeds([teachers[seed] for seed in runs]), mean_of_seeds(list(runs.values())))
    return [
        Gap(
            row=name,
            condition=mean.condition,
            column=mean.column,
            closed=mean.closed,
            interval=mean.interval,
            spread=spread([gap.closed for gap in of_seeds]),
        )
        for mean, *of_seeds in zip(means, *each, strict=True)
    ]


def _gap_tables(gaps: list[Gap]) -> list[str]:
    """A table per condition: a line per row, a column per metric."""
    parts = []
    for condition in REPORTED:
        found = [gap for gap in gaps if gap.condition == condition]
        columns = list(dict.fromkeys(gap.column for gap in found))
        lines: dict[str, list[str]] = {}
        for gap in found:
            lines.setdefault(gap.row, [escape_markdown(gap.row)]).append(_cell(gap))
        if lines:
            header = ["row", *(column.label.partition(" [")[0] for column in columns)]
            parts.append(
                f"### Gap to day-clear closed in {condition} [%]\n\n{aligned_table(header, [*lines.values()])}"
            )
    if parts:
        parts.append(
            "Share of the teacher's loss from day-clear to the condition that a row wins back; +- and brackets as "
            "above; n/a: the teacher loses nothing."
        )
    return parts


def _cell(gap: Gap) -> str:
    """Share, spread and interval in percent."""
    if gap.closed is None:
        return "n/a"
    text = f"{100 * gap.closed:.0f}" + ("" if gap.spread is None else f" +- {100 * gap.spread:.0f}")
    return text + (" ({:.0f}, {:.0f})".format(*(100 * end for end in gap.interval)) if gap.interval else "")


def _plain(gap: Gap) -> dict[str, Any]:
    """A gap as plain values."""
    about = {"predictor": gap.row, "condition": gap.condition, "metric": gap.column.metric}
    about |= {"aligned": gap.column.aligned, "closed": gap.closed, "spread": gap.spread}
    return about | {"interval": gap.interval and list(gap.interval)}
