"""Which files are there, by one listing per folder instead of one question per file."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .problems import LIDAR, MISSING, FrameFiles, Problem, image_users, users


def missing_files(frames: Sequence[FrameFiles]) -> list[Problem]:
    """Images, neighbours and LiDAR files of frames that are not there."""
    wanted = image_users(frames)
    wanted[LIDAR] = users((frame.lidar, frame.frame_id) for frame in frames if frame.lidar is not None)
    present = present_files({path for paths in wanted.values() for path in paths})
    return [
        Problem(kind, str(path), MISSING, frame_ids)
        for kind, paths in wanted.items()
        for path, frame_ids in paths.items()
        if path not in present
    ]


def present_files(paths: Iterable[Path]) -> set[Path]:
    """Those of the paths that are there, by name; a link that leads nowhere counts as missing."""
    names_by_folder: dict[str, list[Path]] = {}
    for path in paths:
        names_by_folder.setdefault(os.path.dirname(path), []).append(path)
    present: set[Path] = set()
    for folder, wanted in names_by_folder.items():
        there = _listing(folder)
        present.update(path for path in wanted if path.name in there)
    return present


def _listing(folder: str) -> set[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()
