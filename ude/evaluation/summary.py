"""The tables of a report: every predictor in every condition, and the gap that a student closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bootstrap import gap_closed, gap_closed_bounds
from .results import Results

DAY = "day-clear"
REPORTED = (DAY, "night-clear", "day-rain", "night-rain")
"""Column groups of a report: rows of Results in the order in which a reader asks for them."""


@dataclass(frozen=True)
class Column:
    """A metric as a report shows it: times a factor, with a number of decimals."""

    label: str
    metric: str
    aligned: bool = False
    decimals: int = 3
    factor: float = 1.0
    higher_is_better: bool = False

    def key(self, mode: str, results: Results) -> str:
        """Its name in results for a mode "" or "_flip"."""
        return self.metric + mode + (results.alignment if self.aligned else "")


COLUMNS = (
    Column("absRel", "abs_rel"),
    Column("absRel scaled", "abs_rel", aligned=True),
    Column("RMSE [m]", "rmse", decimals=2),
    Column("d1 [%]", "delta_1", decimals=1, factor=100, higher_is_better=True),
)


@dataclass(frozen=True)
class Cell:
    """A mean and its 95 % interval, each None where it is not available."""

    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ReportTable:
    """Cells of every predictor by (condition, column); `frames` counts the frames of each condition.

    The aligned columns are those of `alignment`.
    """

    conditions: Sequence[str]
    columns: Sequence[Column]
    frames: Mapping[str, int]
    cells: Mapping[str, Mapping[tuple[str, Column], Cell]]
    alignment: str


@dataclass(frozen=True)
class GapRow:
    """Share of the teacher's loss from day to another condition that the student wins back."""

    condition: str
    column: Column
    teacher_day: float | None
    teacher: float | None
    student: float | None
    closed: float | None
    interval: tuple[float, float] | None = None


def results_table(
    results: Mapping[str, Results], *, conditions: Sequence[str] = REPORTED, mode: str = "", seed: int = 0
) -> ReportTable:
    """Table of predictors by name.

    Args:
        results: what evaluate() returned for each predictor, on the same frames.
        conditions: rows of Results that become column groups; "night" and "all" work too.
        mode: "" or "_flip".
        seed: seed of the intervals.

    Raises:
        ValueError: the predictors were evaluated on different frames or by different rules.
    """
    _check_alike(results)
    first = next(iter(results))
    frames = {condition: int(results[first].means[condition]["frames"] or 0) for condition in conditions}
    cells = {name: _cells(result, conditions, mode, seed) for name, result in results.items()}
    return ReportTable(
        conditions=conditions, columns=COLUMNS, frames=frames, cells=cells, alignment=results[first].rules["alignment"]
    )


def gap_rows(
    teacher: Results, student: Results, *, conditions: Sequence[str] = REPORTED[1:], mode: str = "", seed: int = 0
) -> list[GapRow]:
    """Gap closed for every condition that has frames and every column, d1 first and raw absRel last.

    Args:
        teacher: results of the teacher.
        student: results of the student on the same frames.
        conditions: the conditions to compare with day-clear.
        mode: "" or "_flip".
        seed: seed of the intervals.

    Raises:
        ValueError: they were evaluated on different frames or by different rules.
    """
    _check_alike({"teacher": teacher, "student": student})
    present = [condition for condition in conditions if teacher.means[condition]["frames"]]
    return [
        _gap_row(teacher, student, condition=condition, column=column, mode=mode, seed=seed)
        for condition in present
        for column in reversed(COLUMNS)
    ]


def best(table: ReportTable, condition: str, column: Column) -> float | None:
    """The best value of a column over the predictors, None if none has one."""
    values = [cells[condition, column].value for cells in table.cells.values()]
    known = [value for value in values if value is not None]
    return (max if column.higher_is_better else min)(known, default=None)


def _check_alike(results: Mapping[str, Results]) -> None:
    """Refuses results of different frames, or of a different protocol, alignment or bounds."""
    first, *others = results
    for name in others:
        for rule, value in results[name].rules.items():
            if value != results[first].rules[rule]:
                both = f"{value}, {results[first].rules[rule]}"
                raise ValueError(f"{name!r} and {first!r} were evaluated with different {rule}: {both}")
        ids, first_ids = ([frame.frame_id for frame in results[key].members("all")] for key in (name, first))
        if ids != first_ids:
            raise ValueError(f"{name!r} and {first!r} were evaluated on different frames")


def _cells(results: Results, conditions: Sequence[str], mode: str, seed: int) -> dict[tuple[str, Column], Cell]:
    """Cells of one predictor."""
    cells = {}
    for condition in conditions:
        intervals = results.intervals(condition, seed=seed)
        for column in COLUMNS:
            key = column.key(mode, results)
            cells[condition, column] = Cell(results.means[condition][key], intervals.get(key))
    return cells


def _gap_row(teacher: Results, student: Results, *, condition: str, column: Column, mode: str, seed: int) -> GapRow:
    """Gap closed in one condition by one metric."""
    key, better = column.key(mode, teacher), column.higher_is_better
    means = teacher.means[DAY][key], teacher.means[condition][key], student.means[condition][key]
    closed = gap_closed(*means, higher_is_better=better)
    interval = None
    if closed is not None:
        day, day_scenes = teacher.frame_values(DAY, key)
        dark, scenes = teacher.frame_values(condition, key)
        interval = gap_closed_bounds(
            day,
            dark,
            student.frame_values(condition, key)[0],
            day_scenes=day_scenes,
            night_scenes=scenes,
            seed=seed,
            higher_is_better=better,
        )
    return GapRow(condition, column, *means, closed, interval)
