"""Frames that the translation tool has written: one folder per condition, one image per frame, bad ones apart."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ude.files import MissingFileError, safe_path

from .images import read_rgb

REMEDY = "run: python tools/translate.py --cfg <config of the translation>"
_QUARANTINE = "rejected"
_LOG = logging.getLogger(__name__)


class TranslatedFrames:
    """Translated versions of real frames.

    Images that the translation tool put into quarantine count as there, but are never used.

    Args:
        root: folder that ``tools/translate.py`` wrote, with one folder per condition.
        conditions: names of the conditions to use, such as ``night``.
    """

    def __init__(self, root: str | Path, conditions: Sequence[str]) -> None:
        if not conditions or len(set(conditions)) != len(conditions):
            raise ValueError(f"conditions must be names without repetition, got {tuple(conditions)}")
        self.root = Path(root)
        self.conditions = tuple(conditions)
        self._rejected = {name: _listing(self.root / _QUARANTINE / name) for name in self.conditions}

    def path(self, frame_id: str, condition: str) -> Path:
        """File of the translation of a frame to one of ``conditions``."""
        if condition not in self.conditions:
            raise ValueError(f"condition must be one of {', '.join(self.conditions)}, got {condition!r}")
        return safe_path(self.root, f"{condition}/{frame_id}.jpg")

    def usable(self, frame_id: str) -> tuple[str, ...]:
        """Those of ``conditions`` whose translation of a frame is not in quarantine."""
        return tuple(name for name in self.conditions if self.path(frame_id, name).name not in self._rejected[name])

    def image(self, frame_id: str, condition: str) -> np.ndarray:
        """RGB pixels of a translated frame as stored, uint8 (H, W, 3).

        Raises:
            DataError: when the file is missing, in quarantine or damaged.
        """
        path = self.path(frame_id, condition)
        if not path.is_file():
            raise MissingFileError(self._missing(frame_id, condition))
        return read_rgb(path)

    def require(self, frame_ids: Iterable[str]) -> None:
        """Check that every frame has a translation to every condition, by one listing per folder.

        How many of them are in quarantine is logged.

        Raises:
            MissingFileError: names the first missing frame and how many are missing.
        """
        present = {condition: _listing(self.root / condition) for condition in self.conditions}
        wanted = [(frame_id, condition) for frame_id in frame_ids for condition in self.conditions]
        rejected = Counter(c for frame_id, c in wanted if self.path(frame_id, c).name in self._rejected[c])
        missing = [pair for pair in wanted if not self._there(*pair, present[pair[1]])]
        if missing:
            counted = f" ({len(missing)} of {len(wanted)} translated frames are missing)"
            raise MissingFileError(self._missing(*missing[0]) + counted)
        if rejected:
            _LOG.warning(
                "%d of %d translated frames of %s are in quarantine (%s); another condition or the day frame is used",
                rejected.total(),
                len(wanted),
                self.root,
                ", ".join(f"{name} {count}" for name, count in sorted(rejected.items())),
            )

    def _there(self, frame_id: str, condition: str, present: set[str]) -> bool:
        name = self.path(frame_id, condition).name
        return name in present or name in self._rejected[condition]

    def _missing(self, frame_id: str, condition: str) -> str:
        return f"no translated frame for {condition!r} of {frame_id} in {self.root}; {REMEDY}"


def quarantine_path(root: str | Path, frame_id: str, condition: str, *, to_write: bool = False) -> Path:
    """File of a translation that was rejected, below the folder of all translations.

    Args:
        root: folder of the translations.
        frame_id: name of the frame.
        condition: condition that it was translated to.
        to_write: refuse a path that leaves the root through a symbolic link, too.
    """
    return safe_path(root, f"{_QUARANTINE}/{condition}/{frame_id}.jpg", to_write=to_write)


def _listing(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
