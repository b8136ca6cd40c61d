"""Splits of RobotCar: a built-in rule over time, and the split files of md4all."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ude.data.splits import write_split
from ude.files import DataError, MissingFileError

from .prepared import PreparedTraverse

SPLITS = ("train", "val", "test", "all")
"""Splits that need no file; see ``in_split``."""
BLOCK_S = 60
"""Length of a scene [s]."""
_PERIOD = {"train": (0, 7), "val": (7, 8), "test": (8, 10)}
"""First block of each split, and the first one behind it, of every ten blocks."""
_TRAVERSE = re.compile(r"\d{4}(-\d\d){5}")


def in_split(traverse: PreparedTraverse, split: str) -> np.ndarray:
    """Which frames of a traverse belong to a split of ours, bool (N,).

    The published splits (md4all: 16,563 day frames for training, 702 day and 709 night for testing) are files that
    their authors hand out; ``import_md4all`` reads them. Without them, of every ten minutes of a drive the first seven
    are ``train``, the eighth is ``val``, the last two are ``test``. Between two splits, frames are left out for as long
    as twice the margin of the accumulated scans and two seconds, half on either side, so that no scan serves two
    splits. Night traverses have no training frames. ``all`` is every frame.

    Time does not separate places: the day and the night traverse follow the same streets, so that places of ``test``
    may have been seen by day in another traverse, as in the published splits.
    """
    if split == "all":
        return np.ones(len(traverse.times), bool)
    if split == "train" and traverse.condition.startswith("night"):
        return np.zeros(len(traverse.times), bool)
    seconds = (traverse.times - traverse.start) / 1e6
    in_period = seconds % (10 * BLOCK_S)
    begin, end = (BLOCK_S * block for block in _PERIOD[split])
    half_gap = traverse.margin + 1
    from_start = (begin == 0) & (seconds < 10 * BLOCK_S)  # nothing lies before the first minute
    return ((in_period >= begin + half_gap) | from_start & (in_period >= begin)) & (in_period < end - half_gap)


def import_md4all(file: Path, traverses: Sequence[PreparedTraverse], output: Path) -> tuple[Counter[str], int]:
    """Turns a split file of md4all into one of ours.

    Args:
        file: named ``<traverse>_<split>...txt``, with a line per frame: for training and validation the times [us] of
            the frame before, its own and the one after, for test its own.
        traverses: the prepared traverses.
        output: file to write.

    Returns:
        Its frames by condition, and how many are left out since they are not prepared.

    Raises:
        DataError: the file has another form, or none of its frames is prepared.
    """
    name = _TRAVERSE.match(file.name)
    traverse = next((t for t in traverses if name and t.folder.name == name.group()), None)
    if traverse is None:
        known = ", ".join(t.folder.name for t in traverses)
        raise DataError(
            f"{file}: its name must begin with a prepared traverse ({known}); rename it or prepare the traverse"
        )
    times = _centres(file)
    prepared = set(traverse.times.tolist())
    chosen = [(f"{traverse.folder.name}_{time}", traverse.condition) for time in times if time in prepared]
    if not chosen:
        raise DataError(f"{file}: none of its {len(times)} frames is prepared in {traverse.folder}; prepare them first")
    counts = write_split(output, chosen, rule=f"frames of md4all's {file.name} that are prepared")
    return counts, len(times) - len(chosen)


def _centres(file: Path) -> list[int]:
    if not file.is_file():
        raise MissingFileError(f"{file}: no such split file; check --import-md4all")
    times = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) not in (1, 3) or not all(word.isdecimal() for word in words):
            raise DataError(
                f"{file}:{number}: expected one or three times, got {line[:80]!r}; give a split file of md4all"
            )
        times.append(int(words[len(words) // 2]))
    return times
