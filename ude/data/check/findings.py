"""What deep checks have found, kept for later checks that do not read the files again."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ude.files import DataError, read_json, write_json

from .problems import FRAME, IMAGE, LIDAR, NEIGHBOUR, TRANSLATION, Problem, SplitCheck, merged
from .scan import file_stamp

_SCHEMA = 1

Files = set[tuple[str, str]]
"""Pairs of a kind of file and its path."""


def read_files(split: SplitCheck, translations: Iterable[Path]) -> Files:
    """The files of a split that a deep check reads.

    Args:
        split: the split; that for training needs no LiDAR.
        translations: its translated images.
    """
    files = {(TRANSLATION, str(path)) for path in translations}
    for frame in split.frames:
        files |= {(IMAGE, str(frame.image)), (FRAME, str(frame.image))}
        files |= {(NEIGHBOUR, str(path)) for path in frame.neighbours}
        if frame.lidar is not None and not split.training:
            files.add((LIDAR, str(frame.lidar)))
    return files


def note_findings(path: Path, findings: Iterable[Problem], looked_at: Files) -> None:
    """Note what a deep check has found, beside what earlier ones have found in other files.

    Args:
        path: JSON file of the findings, read and replaced.
        findings: what was found now.
        looked_at: the files that were read.
    """
    rows = [asdict(problem) | {"stamp": file_stamp(Path(problem.path))} for problem in merged(findings)]
    others = [row for row in _rows(path) if (row["kind"], row["path"]) not in looked_at]
    write_json(path, {"schema": _SCHEMA, "files": [*others, *rows]})


def kept_findings(path: Path, files: Files, frame_ids: Collection[str]) -> list[Problem]:
    """What deep checks have found in files that are the same still.

    Args:
        path: JSON file of the findings; none where it is missing.
        files: those that matter.
        frame_ids: the frames that matter.
    """
    return [
        Problem(row["kind"], row["path"], row["problem"], names)
        for row in _rows(path)
        if (row["kind"], row["path"]) in files and (names := tuple(n for n in row["frame_ids"] if n in frame_ids))
    ]


def _rows(path: Path) -> Sequence[dict[str, Any]]:
    """The findings in files of the size and time that they had."""
    if not path.is_file():
        return []
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        raise DataError(f"{path}: expected findings of schema {_SCHEMA}; remove it and check again with --deep")
    return [row for row in document["files"] if row["stamp"] and row["stamp"] == file_stamp(Path(row["path"]))]
