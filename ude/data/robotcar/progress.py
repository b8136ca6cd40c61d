"""What of a traverse is prepared already: rows whose files are whole and whose inputs are still the same."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ude.files import append_jsonl, read_json, read_jsonl, sha256

from .prepared import ABOUT, FRAMES
from .recording import Recording
from .trajectory import POSE_FILES

PROGRESS = "progress.jsonl"
_INCOMPLETE = {"missing", "damaged"}


@dataclass(frozen=True)
class Inputs:
    """Digests of what the rows of a traverse depend on.

    Attributes:
        poses: of the files of poses.
        scans: of names and sizes of the scans; matters to rows only that lack some.
    """

    poses: str
    scans: str


def inputs_of(recording: Recording, poses: str) -> Inputs:
    """The present inputs of a traverse."""
    files = [recording.folder / POSE_FILES[name] for name in dict.fromkeys(("vo", poses))]
    digests = [sha256(path) if path.is_file() else "" for path in files]
    return Inputs(_digest(digests), _digest(_listing(recording.scans)))


def finished_rows(folder: Path, inputs: Inputs) -> tuple[dict[int, dict[str, Any]], set[str]]:
    """Rows of earlier runs that still hold, by time, and the damaged scans that these runs have met."""
    rows: dict[int, dict[str, Any]] = {}
    about = read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {}
    damaged = set(about["damaged_scans"]) if about.get("inputs") == asdict(inputs) else set()
    for path in (folder / FRAMES, folder / PROGRESS):
        for row in read_jsonl(path) if path.is_file() else []:
            if "damaged_scan" in row:
                damaged |= {row["damaged_scan"]} if row["inputs"]["scans"] == inputs.scans else set()
            elif _holds(row, inputs, folder):
                rows[row["timestamp"]] = row
    return rows, damaged


def note(folder: Path, rows: Sequence[dict[str, Any]], damaged_scans: Sequence[str], inputs: Inputs) -> dict[int, dict]:
    """Notes what is finished and returns the rows as noted, by time.

    Damaged scans come first: a row stands for everything that was met on the way to it.
    """
    known = {"inputs": asdict(inputs)}
    for line in damaged_scans:
        append_jsonl(folder / PROGRESS, {"damaged_scan": line, **known})
    noted = {row["timestamp"]: {**row, **known} for row in rows}
    for row in noted.values():
        append_jsonl(folder / PROGRESS, row)
    return noted


def _holds(row: dict[str, Any], inputs: Inputs, folder: Path) -> bool:
    complete = row["lidar"] is not None and not _INCOMPLETE & set(row["scans"])
    if row["inputs"]["poses"] != inputs.poses or not (complete or row["inputs"]["scans"] == inputs.scans):
        return False
    return all(_whole(folder, entry) for entry in (row["image"], row["lidar"]) if entry is not None)


def _whole(folder: Path, entry: dict[str, Any]) -> bool:
    """Whether a file has its size; files appear whole or not at all, so that hashing terabytes would tell no more."""
    try:
        return (folder / entry["path"]).stat().st_size == entry["bytes"]
    except OSError:
        return False


def _listing(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(f"{entry.name} {entry.stat().st_size}" for entry in entries)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def without_lidar(rows: Iterable[dict[str, Any]], recording: Recording, poses: str) -> Counter[str]:
    """Number of frames without depth, by reason, where scans were to be moved by a source of poses."""
    counts: Counter[str] = Counter()
    nothing = "no scans near it"
    if not (recording.folder / POSE_FILES[poses]).is_file():
        nothing = f"no {POSE_FILES[poses]}"
    if not len(recording.scan_times):
        nothing = "no list of scans"
    for row in rows:
        if row["lidar"] is not None:
            continue
        fates = row["scans"]
        if fates:
            fate = max(fates, key=fates.__getitem__)
            counts["no point in view" if "used" in fates else f"scans {fate}"] += 1
        else:
            counts[nothing] += 1
    return counts
