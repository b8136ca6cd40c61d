"""Results as files: metrics.json (see metrics.schema.json), per_frame.csv and tables, and how they are read back."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ude.files import DataError, MissingFileError, read_json, write_json, write_text

from .latex import results_latex
from .protocols import METRICS
from .ranges import ranges_from_json
from .results import MODE_TITLES, FrameRow, Results, results_of_frames
from .tables import rules_line

SCHEMA_VERSION = 2
_NAMES = ("frame_id", "condition", "scene")
_FILES = ("metrics.json", "comparison.json", "report.html", "per_frame.csv")
"""What an evaluation may leave in a folder besides its tables; the first ones are what results are found by."""


def remove_results(folder: Path) -> None:
    """Removes what an earlier evaluation left beside its tables, which new ones would contradict."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def write_results(folder: str | Path, results: Results, *, extra: Mapping[str, Any]) -> str:
    """Writes metrics.json, per_frame.csv, table.md and table.tex, and returns the text of table.md for printing.

    What an earlier evaluation left in the folder is removed.

    Args:
        folder: where the files go; made if it is not there.
        results: what evaluate() returned.
        extra: what made the results (config, seed, commit, ...), stored under "run" in metrics.json.

    Raises:
        ValueError: a value is not finite.
    """
    folder = Path(folder)
    document = {**results_json(results), "written": utc_time(), "run": dict(extra)}
    tables = (f"{MODE_TITLES[mode]}\n\n{results.table(mode)}" for mode in results.modes)
    text = "\n\n".join([rules_line(results.rules), *tables]) + "\n"
    write_text(folder / "table.md", text)
    remove_results(folder)
    write_text(folder / "table.tex", results_latex(results))
    write_text(folder / "per_frame.csv", _csv(results))
    write_json(folder / "metrics.json", document)  # last: it marks a finished folder
    return text


def read_results(folder: str | Path) -> Results:
    """The results that write_results() stored in a folder, also in files of schema 1.

    Raises:
        MissingFileError: the folder has no finished results.
        DataError: its files are damaged or of another version.
    """
    path = Path(folder) / "metrics.json"
    if not path.exists():
        raise MissingFileError(f"no metrics.json in {folder}; run: python tools/evaluate_nuscenes.py --cfg ...")
    document = read_json(path)
    try:
        document = _of_version_2(document)
        with (path.parent / "per_frame.csv").open(encoding="utf-8", newline="") as file:
            frames = tuple(_frame(row) for row in csv.DictReader(file))
        results = results_of_frames(
            frames,
            modes=tuple(document["modes"]),
            **{name: float(document["rules"][name]) for name in ("min_depth", "max_depth")},
            protocol=document["rules"]["protocol"],
            ranges=ranges_from_json(document["ranges"]) if document["ranges"] else None,
            seconds=document["speed"]["seconds"],
            network_seconds=document["speed"]["network_seconds"],
        )
        if results.count != document["frames"]:
            raise ValueError(f"per_frame.csv has {results.count} of {document['frames']} frames")
        return results
    except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path.parent} has no readable results ({error}); evaluate again") from error


def results_json(results: Results) -> dict[str, Any]:
    """Plain dict for JSON: rules, skipped frames, and means with intervals per condition; None is null."""
    conditions = {}
    for row, means in results.means.items():
        intervals = results.intervals(row)
        conditions[row] = {**means, "intervals": {name: list(pair) for name, pair in intervals.items()} or None}
    speed = ("seconds", "frames_per_second", "network_seconds", "network_frames_per_second")
    return {
        "schema_version": SCHEMA_VERSION,
        "rules": results.rules,
        "modes": list(results.modes),
        "metrics": list(results.metrics),
        "rows": {row: list(names) for row, names in results.rows.items()},
        "frames": results.count,
        "skipped": list(results.skipped),
        "speed": {name: getattr(results, name) for name in speed},
        "conditions": conditions,
        "ranges": asdict(results.ranges) if results.ranges else None,
    }


def utc_time() -> str:
    """Now, as ISO 8601 in UTC, whatever the time zone and language of the machine."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _of_version_2(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What read_results() needs of a document, which may be of schema 1."""
    if document["schema_version"] == SCHEMA_VERSION:
        return document
    if document["schema_version"] != 1:
        raise ValueError(f"schema_version {document['schema_version']}")
    protocol = document.get("protocol") or document["run"].get("protocol", "md4all")  # the first files had it there
    return {
        "rules": {"protocol": protocol, "min_depth": document["min_depth"], "max_depth": document["max_depth"]},
        "modes": [mode for mode in MODE_TITLES if f"{METRICS[0]}{mode}" in document["conditions"]["all"]],
        "frames": document["frames"],
        "ranges": None,
        "speed": {"seconds": None, "network_seconds": None},
    }


def _frame(row: dict[str, str]) -> FrameRow:
    """A line of per_frame.csv."""
    names = {name: row.pop(name) for name in _NAMES}
    valid = int(row.pop("valid"))
    values = {name: float(cell) for name, cell in row.items() if cell}
    if None in row.values() or bool(values) != bool(valid) or not all(map(math.isfinite, values.values())):
        raise ValueError(f"frame {names['frame_id']} in per_frame.csv")
    return FrameRow(**names, valid=valid, values=values)


def _csv(results: Results) -> str:
    """A line per frame, or class of it, metrics of all modes; a cell is empty where there is no such value."""
    columns = [metric + mode for mode in results.modes for metric in results.metrics]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_NAMES, "valid", *columns])
    for frame in results.frames:
        cells = [repr(frame.values[column]) if column in frame.values else "" for column in columns]
        writer.writerow([frame.frame_id, frame.condition, frame.scene, frame.valid, *cells])
    return buffer.getvalue()
