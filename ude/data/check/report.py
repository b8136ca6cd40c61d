"""The tables and documents of a check."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ude.data.sample import CONDITIONS

from .expected import Expected
from .leakage import Leak
from .problems import ALL, IMAGE, MISSING, NEIGHBOUR, Problem, SplitCheck, merged

SCHEMA = 1
NIGHT = "night"
NOT_KNOWN = "n/a"
_COLUMNS = {
    "split": "split",
    "condition": "condition",
    "frames": "frames",
    "expected": "expected",
    "scenes": "scenes",
    "with_lidar": "LiDAR",
    "images_missing": "lacks image",
    "neighbours_missing": "lacks neighbour",
    "lidar_missing": "lacks LiDAR",
    "broken": "broken",
}
_MISSING_COLUMNS = {"images_missing": IMAGE, "neighbours_missing": NEIGHBOUR}


@dataclass
class DataCheck:
    """What a check has found.

    Attributes:
        splits: one per split.
        leaks: what training and evaluation share.
        overlaps: pairs of a split to train on and one to evaluate that share frames by their definition.
        expected: published counts.
        decoded: number of images that were decoded.
        known: number of images that an earlier check has found good, and that have not changed since.
        seconds: that decoding took.
        kept: number of findings of an earlier deep check about files that have not changed since.
    """

    splits: list[SplitCheck]
    leaks: list[Leak] = field(default_factory=list)
    overlaps: list[tuple[str, str]] = field(default_factory=list)
    expected: Expected = field(default_factory=Expected)
    decoded: int = 0
    known: int = 0
    seconds: float = 0.0
    kept: int = 0

    @property
    def problems(self) -> list[Problem]:
        """All problems of all splits, each once."""
        return merged(problem for split in self.splits for problem in split.problems)

    @property
    def errors(self) -> list[str]:
        """Why splits cannot be read at all, or not with this config."""
        misfits = [f"{split.split}: {split.misfit}" for split in self.splits if split.misfit]
        return [*dict.fromkeys([split.error for split in self.splits if split.error] + misfits)]

    @property
    def clean(self) -> bool:
        """Whether nothing is broken and nothing leaks."""
        return not (self.problems or self.errors or self.leaks)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Counts per split and condition."""
        return [row for split in self.splits if split.frames for row in condition_rows(split, self.expected)]


def condition_rows(check: SplitCheck, expected: Expected) -> list[dict[str, Any]]:
    """One row of numbers per condition of a split, then ``night`` for both nights, then ``all``."""
    present = {frame.condition for frame in check.frames}
    groups = {name: {name} for name in (*CONDITIONS, *sorted(present - set(CONDITIONS))) if name in present}
    nights = {name for name in groups if name.startswith(NIGHT)}
    groups |= {NIGHT: nights} if len(nights) > 1 else {}
    return [_row(check, name, members, expected) for name, members in {**groups, ALL: present}.items()]


def unexpected(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What to say of counts that are not the expected ones."""
    return [
        f"{row['split']}, {row['condition']}: {row[what]} {what}, {row[expected]} expected"
        for row in rows
        for what, expected in (("frames", "expected"), ("scenes", "expected_scenes"))
        if row[expected] not in (None, row[what])
    ]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text, numbers flush right."""
    cells = [[*_COLUMNS.values()]]
    twice = {row["split"] for row in rows if row["training"]} & {row["split"] for row in rows if not row["training"]}
    before = None
    for row in rows:
        name = f"{row['split']}, {'trained' if row['training'] else 'evaluated'}" * (row["split"] in twice)
        shown = row | {"split": "" if before == (row["split"], row["training"]) else name or row["split"]}
        cells.append([_shown(shown[key]) for key in _COLUMNS])
        before = row["split"], row["training"]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in ([*zip(row, widths, strict=True)] for row in cells)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def broken_document(root: str, problems: Sequence[Problem]) -> dict[str, Any]:
    """Contents of ``broken.json``: frames to leave out, and the files that are the reason."""
    files: dict[tuple[str, str], dict[str, None]] = {}
    for problem in problems:
        files.setdefault((problem.path, problem.problem), {}).update(dict.fromkeys(problem.frame_ids))
    return {
        "schema": SCHEMA,
        "root": root,
        "frames": sorted({frame_id for frame_ids in files.values() for frame_id in frame_ids}),
        "files": [
            {"path": path, "problem": problem, "frame_ids": [*frame_ids]}
            for (path, problem), frame_ids in files.items()
        ],
    }


def report_document(
    checks: Sequence[SplitCheck], leaks: Sequence[Leak], expected: Expected, **about: Any
) -> dict[str, Any]:
    """Contents of ``report.json``: all counts, problems and leaks."""
    splits = [
        {
            "split": check.split,
            "training": check.training,
            "error": check.error or check.misfit,
            "left_out": check.left_out,
            "conditions": condition_rows(check, expected),
            "problems": [asdict(problem) for problem in check.problems],
        }
        for check in checks
    ]
    return {"schema": SCHEMA, **about, "splits": splits, "leaks": [asdict(leak) for leak in leaks]}


def _row(check: SplitCheck, name: str, members: set[str], expected: Expected) -> dict[str, Any]:
    frames = [frame for frame in check.frames if frame.condition in members]
    frame_ids = {frame.frame_id for frame in frames}
    no_lidar = len(frame_ids & check.without_lidar)
    missing = {column: _affected(check, frame_ids, {kind}, missing=True) for column, kind in _MISSING_COLUMNS.items()}
    return {
        "split": check.split,
        "training": check.training,
        "condition": name,
        "frames": len(frames),
        "expected": expected.frames(check, name),
        "scenes": len({frame.scene for frame in frames}),
        "expected_scenes": expected.scenes(check, name),
        "with_lidar": len(frames) - no_lidar,
        **{column: len(affected) for column, affected in missing.items()},
        "lidar_missing": no_lidar,
        "broken": len(_affected(check, frame_ids, None, missing=False)),
    }


def _affected(check: SplitCheck, frame_ids: set[str], kinds: set[str] | None, *, missing: bool) -> set[str]:
    """Those of some frames that have a problem of some kinds, with a file that is or is not there."""
    return {
        frame_id
        for problem in check.problems
        if (kinds is None or problem.kind in kinds) and (problem.problem == MISSING) == missing
        for frame_id in problem.frame_ids
        if frame_id in frame_ids
    }


def _shown(value: object) -> str:
    return NOT_KNOWN if value is None else str(value)
