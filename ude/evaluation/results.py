"""Results of an evaluation: per frame, per condition, as text and as files."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ude.files import DataError, MissingFileError, read_json, write_json, write_text

from .accumulate import GROUPS, condition_means
from .bootstrap import bounds, resampled_means
from .metrics import METRICS
from .tables import DECIMALS, LABELS, aligned_table, number, rules_line

SCHEMA_VERSION = 1
MODE_TITLES = {
    "": "plain prediction",
    "_flip": "flip-averaged",
    "_median": "median-scaled",
    "_flip_median": "flip-averaged and median-scaled",
    "_least_squares": "aligned by scale and shift",
    "_flip_least_squares": "flip-averaged and aligned by scale and shift",
}


@dataclass(frozen=True, kw_only=True)
class FrameRow:
    """One frame: its metrics by name + mode suffix, empty if it had no valid LiDAR return; scene is "" if unknown."""

    frame_id: str
    condition: str
    scene: str
    valid: int
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Results:
    """What evaluate() measured; a condition without frames has None everywhere."""

    modes: tuple[str, ...]
    means: Mapping[str, Mapping[str, float | None]]
    frames: tuple[FrameRow, ...]
    min_depth: float
    max_depth: float
    protocol: str

    @property
    def rules(self) -> dict[str, str | float]:
        """What decides how the predictions were measured; results of others cannot be compared."""
        bounds = {"min_depth": self.min_depth, "max_depth": self.max_depth}
        return {"protocol": self.protocol, "alignment": self.alignment.removeprefix("_"), **bounds}

    @property
    def skipped(self) -> tuple[str, ...]:
        """The frame_id of every frame without a valid LiDAR return."""
        return tuple(frame.frame_id for frame in self.frames if not frame.valid)

    @property
    def alignment(self) -> str:
        """Suffix of the aligned modes: "_median" or "_least_squares"."""
        return self.modes[-1].removeprefix("_flip")

    def members(self, row: str) -> list[FrameRow]:
        """The measured frames behind a row of GROUPS ("night", "all" or a condition)."""
        return [frame for frame in self.frames if frame.valid and frame.condition in GROUPS[row]]

    def frame_values(self, row: str, column: str) -> tuple[np.ndarray, list[str]]:
        """Values (N,) of a metric + mode suffix over the frames of a row of GROUPS, and their N scenes."""
        frames = self.members(row)
        return np.array([frame.values[column] for frame in frames]), [frame.scene for frame in frames]

    def intervals(self, row: str, *, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % scene-bootstrap interval of every metric + mode suffix of a row; empty with fewer than two scenes."""
        frames = self.members(row)
        scenes = [frame.scene for frame in frames]
        if len(set(scenes)) < 2:
            return {}
        columns = list(frames[0].values)
        values = np.array([[frame.values[column] for column in columns] for frame in frames])
        low, high = bounds(resampled_means(values, scenes, seed=seed)).tolist()
        return dict(zip(columns, zip(low, high, strict=True), strict=True))

    def table(self, mode: str = "") -> str:
        """Aligned text table (also valid Markdown) of one mode: a line per condition, a column per metric."""
        header = ["condition", "frames", *(LABELS[metric] for metric in METRICS)]
        lines = [
            [row, str(means["frames"]), *(number(means[metric + mode], DECIMALS[metric]) for metric in METRICS)]
            for row, means in self.means.items()
        ]
        return aligned_table(header, lines)

    def to_json(self) -> dict[str, Any]:
        """Plain dict for JSON: rules, skipped frames, and means with intervals per condition; None is null."""
        conditions = {}
        for row, means in self.means.items():
            intervals = self.intervals(row)
            conditions[row] = {**means, "intervals": {name: list(pair) for name, pair in intervals.items()} or None}
        return {
            "schema_version": SCHEMA_VERSION,
            "protocol": self.protocol,
            "min_depth": self.min_depth,
            "max_depth": self.max_depth,
            "frames": len(self.frames),
            "skipped": list(self.skipped),
            "conditions": conditions,
        }


def write_results(folder: str | Path, results: Results, *, extra: Mapping[str, Any]) -> str:
    """Writes metrics.json, per_frame.csv and table.md, and returns the table for printing.

    Args:
        folder: where the files go; made if it is not there.
        results: what evaluate() returned.
        extra: what made the results (config, seed, commit, ...), stored under "run" in metrics.json.
    """
    folder = Path(folder)
    tables = (f"{MODE_TITLES[mode]}\n\n{results.table(mode)}" for mode in results.modes)
    text = "\n\n".join([rules_line(results.rules), *tables]) + "\n"
    write_text(folder / "table.md", text)
    write_text(folder / "per_frame.csv", _csv(results))
    write_json(folder / "metrics.json", {**results.to_json(), "run": dict(extra)})  # last: it marks a finished folder
    return text


def read_results(folder: str | Path) -> Results:
    """The results that write_results() stored in a folder.

    Raises:
        MissingFileError: the folder has no finished results.
        DataError: its files are damaged or of another version.
    """
    path = Path(folder) / "metrics.json"
    if not path.exists():
        raise MissingFileError(f"no metrics.json in {folder}; run: python tools/evaluate_nuscenes.py --cfg ...")
    document = read_json(path)
    try:
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {document['schema_version']}")
        with (path.parent / "per_frame.csv").open(encoding="utf-8", newline="") as file:
            frames = tuple(_frame(row) for row in csv.DictReader(file))
        modes = tuple(mode for mode in MODE_TITLES if f"{METRICS[0]}{mode}" in document["conditions"]["all"])
        bounds = {name: float(document[name]) for name in ("min_depth", "max_depth")}
        protocol = document.get("protocol") or document["run"].get("protocol", "md4all")  # of older files
        return results_of_frames(frames, modes=modes, **bounds, protocol=protocol)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{path.parent} has no readable results ({error}); evaluate again") from error


def results_of_frames(
    frames: tuple[FrameRow, ...], *, modes: tuple[str, ...], min_depth: float, max_depth: float, protocol: str
) -> Results:
    """Results whose means are those of the frames.

    Args:
        frames: the frames, measured or skipped.
        modes: mode suffixes that every measured frame has.
        min_depth: lower bound of the LiDAR depths [m].
        max_depth: upper bound of the LiDAR depths [m].
        protocol: one of PROTOCOLS.
    """
    columns, measured = (
        [metric + mode for mode in modes for metric in METRICS],
        [frame for frame in frames if frame.valid],
    )
    values = torch.tensor([[frame.values[column] for column in columns] for frame in measured], dtype=torch.float64)
    means = condition_means(values.reshape(-1, len(columns)), [frame.condition for frame in measured], columns)
    return Results(modes=modes, means=means, frames=frames, min_depth=min_depth, max_depth=max_depth, protocol=protocol)


def _frame(row: dict[str, str]) -> FrameRow:
    """A line of per_frame.csv."""
    names = {name: row.pop(name) for name in ("frame_id", "condition", "scene")}
    valid = int(row.pop("valid"))
    return FrameRow(**names, valid=valid, values={name: float(cell) for name, cell in row.items()} if valid else {})


def _csv(results: Results) -> str:
    """One line per frame, metrics of all modes; empty cells where a frame had no valid return."""
    columns = [metric + mode for mode in results.modes for metric in METRICS]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["frame_id", "condition", "scene", "valid", *columns])
    for frame in results.frames:
        cells = [repr(frame.values[column]) if frame.values else "" for column in columns]
        writer.writerow([frame.frame_id, frame.condition, frame.scene, frame.valid, *cells])
    return buffer.getvalue()
