"""Frames that the translation tool has written: one folder per condition, one image per frame."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ude.files import MissingFileError, safe_path

from .images import read_rgb

REMEDY = "run: python tools/translate.py --cfg <config of the translation>"


class TranslatedFrames:
    """Translated versions of real frames.

    Args:
        root: folder that ``tools/translate.py`` wrote, with one folder per condition.
        conditions: names of the conditions to use, such as ``night``.
    """

    def __init__(self, root: str | Path, conditions: Sequence[str]) -> None:
        if not conditions or len(set(conditions)) != len(conditions):
            raise ValueError(f"conditions must be names without repetition, got {tuple(conditions)}")
        self.root = Path(root)
        self.conditions = tuple(conditions)

    def path(self, frame_id: str, condition: str) -> Path:
        """File of the translation of a frame to one of ``conditions``."""
        if condition not in self.conditions:
            raise ValueError(f"condition must be one of {', '.join(self.conditions)}, got {condition!r}")
        return safe_path(self.root, f"{condition}/{frame_id}.jpg")

    def image(self, frame_id: str, condition: str) -> np.ndarray:
        """RGB pixels of a translated frame as stored, uint8 (H, W, 3).

        Raises:
            DataError: when the file is missing or damaged.
        """
        path = self.path(frame_id, condition)
        if not path.is_file():
            raise MissingFileError(self._missing(frame_id, condition))
        return read_rgb(path)

    def require(self, frame_ids: Iterable[str]) -> None:
        """Check that every frame has a translation to every condition, by one listing per folder.

        Raises:
            MissingFileError: names the first missing frame and how many are missing.
        """
        present = {condition: self._listing(condition) for condition in self.conditions}
        wanted = [(frame_id, condition) for frame_id in frame_ids for condition in self.conditions]
        missing = [pair for pair in wanted if self.path(*pair).name not in present[pair[1]]]
        if missing:
            counted = f" ({len(missing)} of {len(wanted)} translated frames are missing)"
            raise MissingFileError(self._missing(*missing[0]) + counted)

    def _listing(self, condition: str) -> set[str]:
        folder = self.root / condition
        return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()

    def _missing(self, frame_id: str, condition: str) -> str:
        return f"no translated frame for {condition!r} of {frame_id} in {self.root}; {REMEDY}"
