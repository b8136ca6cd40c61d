"""Examining many files by several processes, in a way that an interrupted run can go on."""

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ude.files import append_jsonl, read_jsonl

from .images import ImageFacts, examine_image

_BATCH = 16


class _Examined(Dataset):
    """What an examination of each file says."""

    def __init__(self, paths: list[Path], examine: Callable[[Path], Any]) -> None:
        self.paths = paths
        self.examine = examine

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Path, Any]:
        return self.paths[index], self.examine(self.paths[index])


def scan_files(
    paths: Iterable[Path],
    examine: Callable[[Path], Any],
    *,
    workers: int,
    description: str,
    progress: bool,
    found: Callable[[Path, Any], None] | None = None,
) -> dict[Path, Any]:
    """What ``examine`` returns for each file.

    Args:
        paths: files to examine, each once.
        examine: function of a module, so that it can be sent to other processes.
        workers: number of processes; 0 examines in this one.
        description: what the progress bar says.
        progress: whether to show it.
        found: called for each file as soon as it has been examined.
    """
    data = _Examined(list(dict.fromkeys(paths)), examine)
    results: dict[Path, Any] = {}
    with tqdm(total=len(data), desc=description, unit="file", disable=not progress, dynamic_ncols=True) as bar:
        for batch in DataLoader(data, _BATCH, num_workers=workers, collate_fn=list):
            for path, result in batch:
                results[path] = result
                if found is not None:
                    found(path, result)
            bar.update(len(batch))
    return results


def scan_images(
    paths: Iterable[Path], *, workers: int, memory: Path, progress: bool
) -> tuple[dict[Path, ImageFacts], int]:
    """Facts of all images, and how many were known already.

    Files that were found good are noted down and not decoded again while their size and time are the same.

    Args:
        paths: image files that are there.
        workers: number of processes.
        memory: JSON Lines file of good images, read and extended.
        progress: whether to show a progress bar.
    """
    wanted = list(dict.fromkeys(paths))
    known = _remembered(memory, wanted)

    def remember(path: Path, facts: ImageFacts) -> None:
        stamp = None if facts.problem else file_stamp(path)
        if stamp is not None:
            append_jsonl(memory, {"path": str(path), "stamp": stamp, **asdict(facts)})

    fresh = [path for path in wanted if path not in known]
    scanned = scan_files(fresh, examine_image, workers=workers, description="decode", progress=progress, found=remember)
    return known | scanned, len(known)


def _remembered(memory: Path, wanted: list[Path]) -> dict[Path, ImageFacts]:
    """Facts of the files that have not changed since they were noted down."""
    if not memory.is_file():
        return {}
    rows = {row.pop("path"): row for row in read_jsonl(memory)}
    known = {}
    for path in wanted:
        row = rows.get(str(path))
        if row is not None and row.pop("stamp") == file_stamp(path):
            known[path] = ImageFacts(**row)
    return known


def file_stamp(path: Path) -> list[int] | None:
    """Size [bytes] and time of the last change [ns] of a file; None if it has vanished."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
