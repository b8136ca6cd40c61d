"""Scores of a network under corruptions as text and as plain values for JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ude.evaluation.results import MODE_TITLES
from ude.evaluation.tables import aligned_table, number

from .scores import Scores

SCHEMA_VERSION = 1


def scores_json(scores: Scores) -> dict[str, Any]:
    """The scores as plain values; None is null, severities are strings as JSON has them."""
    values = asdict(scores)
    for row in values["corruptions"].values():
        row["errors"] = {str(severity): error for severity, error in row["errors"].items()}
    return values


def scores_text(scores: Mapping[str, Scores], *, frames: int, baseline: str | None) -> str:
    """The tables of all modes, by mode suffix, as Markdown that also reads well as plain text.

    Args:
        scores: what scores() returned for each mode.
        frames: number of frames that were measured.
        baseline: name of the baseline; None without one.
    """
    against = f"CE against {baseline}" if baseline else "no CE without --baseline"
    parts = [
        f"{MODE_TITLES.get(mode, mode)}: mCE {_percent(score.mce)}, mRR {_percent(score.mrr)} "
        f"({frames} frames; {against})\n\n{_table(score)}"
        for mode, score in scores.items()
    ]
    return "\n\n".join(parts) + "\n"


def _table(scores: Scores) -> str:
    """A line per corruption: its mean error, corruption error, resilience rate, and the error at every severity."""
    severities = sorted({severity for row in scores.corruptions.values() for severity in row.errors})
    blank = ["" for _ in severities]
    lines = [["clean", number(scores.clean_error, 4), "", "", *blank]]
    for name, row in scores.corruptions.items():
        errors = [number(row.errors.get(severity), 4) for severity in severities]
        shares = [_percent(row.corruption_error), _percent(row.resilience)]
        lines.append([name, number(row.mean_error, 4), *shares, *errors])
    lines.append(["mean", "", _percent(scores.mce), _percent(scores.mrr), *blank])
    return aligned_table(["corruption", "DEE", "CE", "RR", *(f"severity {s}" for s in severities)], lines)


def _percent(share: float | None) -> str:
    """A share as percent with two decimals, or "n/a"."""
    return "n/a" if share is None else f"{100 * share:.2f} %"
