"""How much worse a depth network gets under corruptions: corruption errors and resilience rates.

Source: RoboDepth, https://arxiv.org/abs/2310.15171. Its published mRR and mCE follow from its published errors by the
formulas here. A sum over fewer than five severities is compared with the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

CLEAN = ("clean", 0)
"""Corruption and severity of the frames as they are."""

Errors = Mapping[tuple[str, int], float]
"""Depth estimation error by corruption and severity, with that of CLEAN."""


@dataclass(frozen=True)
class CorruptionScore:
    """One corruption: errors by severity, their mean, and what follows; a share that does not exist is None."""

    errors: Mapping[int, float]
    mean_error: float
    corruption_error: float | None
    resilience: float | None


@dataclass(frozen=True)
class Scores:
    """All corruptions and the means over them (1 = 100 %), None where a corruption has none."""

    clean_error: float
    corruptions: Mapping[str, CorruptionScore]
    mce: float | None
    mrr: float | None


def depth_estimation_error(abs_rel: float, delta_1: float) -> float:
    """The mean of absRel and the share of pixels off by 25 % or more: (absRel - d1 + 1) / 2, 0 if all is right.

    Args:
        abs_rel: mean relative error.
        delta_1: share of the pixels less than 25 % off, 0..1.
    """
    return (abs_rel - delta_1 + 1) / 2


def scores(errors: Errors, baseline: Errors | None = None) -> Scores:
    """Corruption error and resilience rate of every corruption and their means.

    The corruption error is the sum of the errors over the severities, divided by that of the baseline. The resilience
    rate is the mean over the severities of 1 - error, divided by that of the clean frames.

    Args:
        errors: of every corruption and severity, and CLEAN.
        baseline: those of another network; without it there are no corruption errors.

    Raises:
        ValueError: an error is missing.
    """
    for name, given in (("errors", errors), ("the baseline", baseline)):
        missing = sorted({CLEAN, *errors} - given.keys()) if given is not None else []
        if missing:
            raise ValueError(f"{name} lack {missing[0][0]} at severity {missing[0][1]}")
    names = dict.fromkeys(name for name, _ in errors if name != CLEAN[0])
    rows = {name: _score(name, errors, baseline) for name in names}
    return Scores(
        clean_error=errors[CLEAN],
        corruptions=rows,
        mce=_mean([row.corruption_error for row in rows.values()]),
        mrr=_mean([row.resilience for row in rows.values()]),
    )


def _score(name: str, errors: Errors, baseline: Errors | None) -> CorruptionScore:
    """The score of one corruption."""
    own = {severity: error for (corruption, severity), error in sorted(errors.items()) if corruption == name}
    mean_error = fmean(own.values())
    others = fmean(baseline[name, severity] for severity in own) if baseline is not None else 0.0
    clean = 1 - errors[CLEAN]
    return CorruptionScore(
        errors=own,
        mean_error=mean_error,
        corruption_error=mean_error / others if others else None,
        resilience=(1 - mean_error) / clean if clean > 0 else None,
    )


def _mean(values: list[float | None]) -> float | None:
    """Mean of values; None if there is none or one is unknown."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
