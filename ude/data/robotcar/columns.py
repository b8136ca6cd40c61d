"""Columns of the rows of a prepared traverse, as arrays: kept beside them, since parsing rows takes seconds."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ude.files import DataError, read_arrays, read_jsonl, sha256, write_arrays

FRAMES, COLUMNS = "frames.jsonl", "frames.npz"
STATIC, OVER_EXPOSED = "static", "over-exposed"
_BELONGS_TO = "frames_sha256"
_LOG = logging.getLogger(__name__)


def write_columns(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the columns of the rows that the folder of a traverse holds."""
    write_arrays(folder / COLUMNS, {**_columns(rows), _BELONGS_TO: np.array(sha256(folder / FRAMES))})


def read_columns(folder: Path) -> dict[str, np.ndarray]:
    """Columns of a traverse, from their own file if that belongs to the rows, else from the rows.

    Returns:
        ``times`` [us], ``numbers`` and ``sections``, int64 (N,), ``T_start_camera``, float64 (N, 3, 4), ``has_lidar``,
        ``static`` and ``over_exposed``, bool (N,).

    Raises:
        DataError: the rows are missing or damaged.
        KeyError, TypeError, ValueError: a row has another form.
    """
    path = folder / COLUMNS
    if path.is_file():
        try:
            columns = read_arrays(path)
        except DataError as error:
            columns = {}
            _LOG.info("%s; reading %s instead, which is slower", error, FRAMES)
        if str(columns.pop(_BELONGS_TO, "")) == sha256(folder / FRAMES):
            return columns
    return _columns(read_jsonl(folder / FRAMES))


def poses_of(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Sections, int64 (N,), and poses, float64 (N, 3, 4), zero where there are none."""
    nothing = [[0.0] * 4] * 3
    poses = [row["T_start_camera"] or nothing for row in rows]
    return np.array([row["section"] for row in rows], np.int64), np.array(poses, np.float64).reshape(-1, 3, 4)


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    sections, poses = poses_of(rows)
    return {
        "times": np.array([row["timestamp"] for row in rows], np.int64),
        "numbers": np.array([row["number"] for row in rows], np.int64),
        "sections": sections,
        "T_start_camera": poses,
        "has_lidar": np.array([row["lidar"] is not None for row in rows], bool),
        "static": np.array([STATIC in row["filters"] for row in rows], bool),
        "over_exposed": np.array([OVER_EXPOSED in row["filters"] for row in rows], bool),
    }
