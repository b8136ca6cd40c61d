"""The table of several predictors in every condition, beside published rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .columns import Column, columns_of, scaled
from .published import PublishedRow
from .results import Results
from .seeds import mean_of_seeds, spread

DAY = "day-clear"
REPORTED = (DAY, "night-clear", "day-rain", "night-rain")
"""Conditions of a report in the order in which a reader asks for them."""
PUBLISHED_CONDITIONS = (DAY, "night", "day-rain", "all")
"""The same where published rows stand beside: theirs is one night in any weather."""


@dataclass(frozen=True)
class Cell:
    """A mean with its 95 % interval over scenes and its sample standard deviation over seeds; None: not available."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    spread: float | None = None


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """Cells of one predictor by (condition, column); means over its `seeds`.

    A published row has a `source` and no intervals.
    """

    name: str
    cells: Mapping[tuple[str, Column], Cell]
    seeds: int = 1
    source: str = ""

    @property
    def published(self) -> bool:
        """The values are those that others printed."""
        return bool(self.source)


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """Rows of predictors, ours first, the number of `frames` of each condition, and the rules (see Results.rules).

    The values are those of the flip-averaged predictions if the mode is "_flip".
    """

    conditions: Sequence[str]
    columns: Sequence[Column]
    frames: Mapping[str, int]
    rows: Sequence[TableRow]
    rules: Mapping[str, str | float]
    mode: str = ""

    @property
    def ranked(self) -> bool:
        """There is a best of ours: more than one was measured."""
        return sum(not row.published for row in self.rows) > 1


def comparison_table(
    results: Mapping[str, Sequence[Results]],
    *,
    published: Sequence[PublishedRow] = (),
    conditions: Sequence[str] | None = None,
    mode: str = "",
    seed: int = 0,
) -> ReportTable:
    """Table of predictors by name, each with the results of its seeds, and of published rows below them.

    Args:
        results: what evaluate() returned for every seed of each predictor, on the same frames.
        published: rows that can be compared, see published_rows().
        conditions: rows of Results that become column groups; by default those that a reader asks for.
        mode: "" or "_flip".
        seed: seed of the intervals.

    Raises:
        ValueError: the predictors were evaluated on different frames or by different rules.
    """
    check_alike(results)
    first = next(iter(results.values()))[0]
    conditions = tuple(conditions or reported_conditions(first, published=bool(published)))
    columns = columns_of([result for seeds in results.values() for result in seeds], mode)
    ours = [_row(name, seeds, conditions, columns, mode, seed) for name, seeds in results.items()]
    return ReportTable(
        conditions=conditions,
        columns=columns,
        frames={condition: int(first.means[condition]["frames"] or 0) for condition in conditions},
        rows=(*ours, *(_published(row, conditions, columns) for row in published)),
        rules=first.rules,
        mode=mode,
    )


def reported_conditions(results: Results, *, published: bool = False) -> tuple[str, ...]:
    """The rows of results that a reader asks for: those of the recording conditions, or all of another protocol."""
    wanted = PUBLISHED_CONDITIONS if published else REPORTED
    return wanted if set(wanted) <= set(results.rows) else tuple(results.rows)


def best(table: ReportTable, condition: str, column: Column) -> float | None:
    """The best value of a column over our predictors, None if none has one; published rows are never the best."""
    values = [row.cells[condition, column].value for row in table.rows if not row.published]
    known = [value for value in values if value is not None]
    return (max if column.higher_is_better else min)(known, default=None)


def is_best(table: ReportTable, row: TableRow, condition: str, column: Column) -> bool:
    """A value of ours reads like the best of several: all that are printed alike do."""
    value = row.cells[condition, column].value
    if value is None or row.published or not table.ranked:
        return False
    return scaled(value, column) == scaled(best(table, condition, column), column)


def check_alike(results: Mapping[str, Sequence[Results]]) -> None:
    """Refuses results of different frames, or of a different protocol, alignment or bounds.

    Raises:
        ValueError: they differ; the message names the predictors.
    """
    named = [(name, result) for name, seeds in results.items() for result in seeds]
    first_name, first = named[0]
    ids = [frame.frame_id for frame in first.members("all")]
    for name, result in named[1:]:
        for rule, value in result.rules.items():
            if value != first.rules[rule]:
                both = f"{value}, {first.rules[rule]}"
                raise ValueError(f"{name!r} and {first_name!r} were evaluated with different {rule}: {both}")
        if [frame.frame_id for frame in result.members("all")] != ids:
            raise ValueError(f"{name!r} and {first_name!r} were evaluated on different frames")


def _row(
    name: str, seeds: Sequence[Results], conditions: Sequence[str], columns: Sequence[Column], mode: str, seed: int
) -> TableRow:
    """One predictor."""
    cells, middle = {}, mean_of_seeds(seeds)
    for condition in conditions:
        intervals = middle.intervals(condition, seed=seed)
        for column in columns:
            key = column.key(mode, middle)
            values = [result.means[condition].get(key) for result in seeds]
            known = [value for value in values if value is not None]
            value = fmean(known) if len(known) == len(values) else None
            cells[condition, column] = Cell(value, intervals.get(key), spread(values))
    return TableRow(name=name, cells=cells, seeds=len(seeds))


def _published(row: PublishedRow, conditions: Sequence[str], columns: Sequence[Column]) -> TableRow:
    """A published row; it has values only in the columns of its own alignment."""
    cells = {
        (condition, column): Cell(row.metrics.get(condition, {}).get(column.metric))
        if column.aligned == (row.alignment != "none")
        else Cell()
        for condition in conditions
        for column in columns
    }
    return TableRow(name=row.method, cells=cells, source=row.source)
