"""The gap between day and another condition, and the share of it that a student closed."""

from collections.abc import Sequence
from dataclasses import dataclass

from .bootstrap import gap_closed, gap_closed_bounds
from .columns import Column, columns_of
from .results import Results
from .summary import DAY, REPORTED, check_alike


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
    check_alike({"teacher": [teacher], "student": [student]})
    columns = columns_of([teacher, student], mode)
    present = [condition for condition in conditions if teacher.means[condition]["frames"]]
    return [
        _gap_row(teacher, student, condition=condition, column=column, mode=mode, seed=seed)
        for condition in present
        for column in reversed(columns)
    ]


def _gap_row(teacher: Results, student: Results, *, condition: str, column: Column, mode: str, seed: int) -> GapRow:
    """Gap closed in one condition by one metric."""
    key, better = column.key(mode, teacher), column.higher_is_better
    means = tuple(
        result.means[row].get(key) for result, row in ((teacher, DAY), (teacher, condition), (student, condition))
    )
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
