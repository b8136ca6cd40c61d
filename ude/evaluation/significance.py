"""Is one predictor better than another? Paired tests on the same frames, by resampling scenes.

Differences are taken frame by frame, so that what makes a scene hard for both cancels; several seeds of a predictor are
averaged first, and the tests speak of other scenes, not of other seeds. The smallest p that 10,000 resamples can say is
0.010 with 8 scenes, 0.003 with 15 and 0.0003 with 150 (see two_sided_p); a table of tests names its
own. The adjusted p is that of Holm's method over all tests of a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .bootstrap import bounds, resampled_means, two_sided_p
from .columns import Column, columns_of
from .results import Results
from .seeds import mean_of_seeds
from .summary import check_alike, reported_conditions

RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class PairedRow:
    """Mean difference `name` - `reference` of a column in a condition; None where it, or its test, is not available.

    Attributes:
        name: the predictor.
        reference: the one it is compared with.
        condition: row of Results.
        column: the metric.
        difference: mean over the frames.
        interval: its 95 % interval; None with fewer than two scenes.
        p: two-sided p value of no difference; None with fewer than two scenes.
        p_adjusted: p after Holm's correction for all tests of the list.
        scenes: number of scenes.
    """

    name: str
    reference: str
    condition: str
    column: Column
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    p_adjusted: float | None = None
    scenes: int = 0


def paired_rows(
    results: Mapping[str, Sequence[Results]],
    reference: str,
    *,
    conditions: Sequence[str] | None = None,
    mode: str = "",
    seed: int = 0,
) -> list[PairedRow]:
    """Tests of every predictor against a reference in every condition and column, by condition.

    Args:
        results: what evaluate() returned for every seed of each predictor, on the same frames.
        reference: one of their names.
        conditions: rows of Results; by default those that a reader asks for.
        mode: "" or "_flip".
        seed: seed of the draws; all predictors see the same.

    Raises:
        ValueError: the predictors were evaluated on different frames or by different rules, or none is the reference.
    """
    if reference not in results:
        raise ValueError(f"the reference must be one of {', '.join(results)}, got {reference!r}")
    check_alike(results)
    middle = {name: mean_of_seeds(seeds) for name, seeds in results.items()}
    base = middle.pop(reference)
    columns = columns_of([base, *middle.values()], mode)
    rows = []
    for condition in conditions or reported_conditions(base):
        of_condition = [
            (PairedRow(name=name, reference=reference, condition=condition, column=column), values)
            for name, result in middle.items()
            for column in columns
            for values in [_differences(result, base, condition, column, mode)]
        ]
        rows += _tested(of_condition, [frame.scene for frame in base.members(condition)], seed)
    return _adjusted(rows)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values of a family of tests: below a level, they are false alarms with at most that probability.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def smallest_p_line(rows: Sequence[PairedRow]) -> str:
    """The numbers of scenes of tests, and the smallest p and adjusted p that are possible with them; "" without tests.

    Each number of scenes names its conditions unless there is only one.
    """
    tested = [row for row in rows if row.p is not None]
    smallest = {n: float(two_sided_p(np.ones((RESAMPLES, 1)), n)[0]) for n in sorted({row.scenes for row in tested})}
    adjusted = dict(zip([row.scenes for row in tested], holm([smallest[row.scenes] for row in tested]), strict=True))
    parts = []
    for scenes, p in smallest.items():
        conditions = ", ".join(dict.fromkeys(row.condition for row in tested if row.scenes == scenes))
        of = f" ({conditions})" if len(smallest) > 1 else ""
        tests = f"{len(tested)} test{'s' if len(tested) != 1 else ''}"
        parts.append(
            f"{scenes} scenes{of}: p cannot fall below {p:.2g}, adjusted for {tests} not below {adjusted[scenes]:.2g}"
        )
    return "; ".join(parts) + "." if parts else ""


def _differences(result: Results, base: Results, condition: str, column: Column, mode: str) -> np.ndarray | None:
    """Difference of each frame (N,); None if one of the two has no such values."""
    keys = column.key(mode, result), column.key(mode, base)
    if any(of.means[condition].get(key) is None for of, key in zip((result, base), keys, strict=True)):
        return None
    return result.frame_values(condition, keys[0])[0] - base.frame_values(condition, keys[1])[0]


def _tested(rows: Sequence[tuple[PairedRow, np.ndarray | None]], names: Sequence[str], seed: int) -> list[PairedRow]:
    """The rows of a condition with the tests of their differences, all on one draw of its scenes."""
    scenes = len(set(names))
    known = [(row, values) for row, values in rows if values is not None]
    found = {id(row): replace(row, difference=float(values.mean()), scenes=scenes) for row, values in known}
    if known and scenes >= 2:
        means = resampled_means(np.stack([v for _, v in known], 1), names, seed=seed, resamples=RESAMPLES)
        for (row, _), low, high, p in zip(known, *bounds(means, scenes), two_sided_p(means, scenes), strict=True):
            found[id(row)] = replace(found[id(row)], interval=(float(low), float(high)), p=float(p))
    return [found.get(id(row), row) for row, _ in rows]


def _adjusted(rows: Sequence[PairedRow]) -> list[PairedRow]:
    """The rows with their p values adjusted for all of them."""
    adjusted = iter(holm([row.p for row in rows if row.p is not None]))
    return [row if row.p is None else replace(row, p_adjusted=next(adjusted)) for row in rows]
