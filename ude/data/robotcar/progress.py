"""What of a traverse is prepared already: rows and images whose files are whole and whose inputs are the same."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ude.files import append_jsonl, read_json, read_jsonl, sha256

from .columns import FRAMES
from .prepared import ABOUT
from .recording import Recording
from .trajectory import POSE_FILES

PROGRESS = "progress.jsonl"
IMAGE_KEYS = ("image", "brightness", "raw")
"""What a row says about its image, in this order."""
_INCOMPLETE = {"missing", "damaged"}


@dataclass(frozen=True)
class Inputs:
    """Digests of what the depth and the poses of a traverse depend on; each row knows its own raw image.

    Attributes:
        poses: of the files of poses.
        scan_list: of the list of scans.
        scans: of names and sizes of the scans; matters to rows only that lack some.
    """

    poses: str
    scan_list: str
    scans: str


@dataclass(frozen=True)
class Finished:
    """What earlier runs have left.

    Attributes:
        rows: that still hold, by time.
        images: parts of rows, by time, whose image still holds, but not their depth.
        damaged_scans: lines about those that were met.
    """

    rows: dict[int, dict[str, Any]]
    images: dict[int, dict[str, Any]]
    damaged_scans: set[str]


def inputs_of(recording: Recording, poses: str) -> Inputs:
    """The present inputs of a traverse."""
    files = [recording.folder / POSE_FILES[name] for name in dict.fromkeys(("vo", poses))]
    return Inputs(_digest(_contents(files)), _digest(_contents([recording.scan_list])), _digest(_listing(recording)))


def finished(folder: Path, recording: Recording, inputs: Inputs) -> Finished:
    """What earlier runs have left of a traverse in its output folder."""
    rows: dict[int, dict[str, Any]] = {}
    images: dict[int, dict[str, Any]] = {}
    about = read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {}
    damaged = set(about["damaged_scans"]) if about.get("inputs") == asdict(inputs) else set()
    for path in (folder / FRAMES, folder / PROGRESS):
        for row in read_jsonl(path) if path.is_file() else []:
            if "damaged_scan" in row:
                damaged |= {row["damaged_scan"]} if row["inputs"]["scans"] == inputs.scans else set()
                continue
            time = row["timestamp"]
            rows.pop(time, None)
            images.pop(time, None)
            if not _image_holds(row, recording, folder):
                continue
            if _depth_holds(row, inputs, folder):
                rows[time] = row
            else:
                images[time] = {key: row.get(key) for key in IMAGE_KEYS}
    return Finished(rows, images, damaged)


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


def _image_holds(row: dict[str, Any], recording: Recording, folder: Path) -> bool:
    """Whether the image is there and made of the raw image that is there; the raw one may be removed."""
    return _whole(folder, row["image"]) and recording.image_state(row["timestamp"]) in (row.get("raw"), None)


def _depth_holds(row: dict[str, Any], inputs: Inputs, folder: Path) -> bool:
    known, present = row["inputs"], asdict(inputs)
    complete = row["lidar"] is not None and not _INCOMPLETE & set(row["scans"])
    relevant = ("poses", "scan_list") if complete else tuple(present)
    if any(known.get(key) != present[key] for key in relevant):
        return False
    return row["lidar"] is None or _whole(folder, row["lidar"])


def _whole(folder: Path, entry: dict[str, Any]) -> bool:
    """Whether a file has its size; files appear whole or not at all, so that hashing terabytes would tell no more."""
    try:
        return (folder / entry["path"]).stat().st_size == entry["bytes"]
    except OSError:
        return False


def _contents(files: Iterable[Path]) -> list[str]:
    return [sha256(path) if path.is_file() else "" for path in files]


def _listing(recording: Recording) -> list[str]:
    if not recording.scans.is_dir():
        return []
    with os.scandir(recording.scans) as entries:
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
