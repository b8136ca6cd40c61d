"""Translated frames: one folder per condition, written by the translation tool or published by others."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError, safe_path

from .images import read_rgb

REMEDY = "run: python tools/translate.py --cfg <config of the translation>"
QUARANTINE = "rejected"
"""Folder of the images that the translation tool rejected."""
STAMP = "translation.json"
"""File in each folder that the translation tool writes to."""
_SUFFIXES = (".jpg", ".jpeg", ".png")
_CITYSCAPES = "_leftImg8bit"
_TIME = re.compile(r"[0-9]{16}")
"""Microseconds, the name of a RobotCar image without its traverse."""
_LOG = logging.getLogger(__name__)


class TranslatedFrames:
    """Translated versions of real frames.

    The translation tool writes ``<root>/<condition>/<frame id>.jpg``. Images of others lie deeper or have another
    suffix, as md4all's ``<root>/{night,rain}/samples/CAM_FRONT/<file>.jpg`` and Diffusion4RobustDepth's
    ``<root>/{night,rain}/samples/CAM_FRONT/<file>.jpg`` of nuScenes, and are found by their file name, which is the
    frame id or, for RobotCar, the time at its end: below a condition's folder, any folders may lie; hidden ones and
    ``@eaDir`` are passed over. Where two are of the same frame, that frame is refused when it is asked for. Nothing is
    searched when an image is read; one listing at the start is enough. Images that the translation tool put into
    quarantine count as there, but are never used.

    Args:
        root: folder with one folder per condition.
        conditions: names of the conditions to use, such as ``night``.
    """

    def __init__(self, root: str | Path, conditions: Sequence[str]) -> None:
        if not conditions or len(set(conditions)) != len(conditions):
            raise ValueError(f"conditions must be names without repetition, got {tuple(conditions)}")
        self.root = Path(root)
        self.conditions = tuple(conditions)
        self._elsewhere = {name: _elsewhere(self.root, name) for name in self.conditions}
        self._rejected = {name: _stems(self.root / QUARANTINE / name) for name in self.conditions}

    def path(self, frame_id: str, condition: str) -> Path:
        """File of the translation of a frame to one of ``conditions``.

        Raises:
            DataError: when two files are of that frame.
        """
        if condition not in self.conditions:
            raise ValueError(f"condition must be one of {', '.join(self.conditions)}, got {condition!r}")
        found = self._elsewhere[condition]
        files = found.get(frame_id) or found.get(_time(frame_id)) or (f"{condition}/{frame_id}.jpg",)
        if len(files) > 1:
            raise DataError(f"{self.root}: {files[0]} and {files[1]} are translations of the same frame; remove one")
        return safe_path(self.root, files[0])

    def usable(self, frame_id: str) -> tuple[str, ...]:
        """Those of ``conditions`` whose translation of a frame is not in quarantine."""
        return tuple(name for name in self.conditions if frame_id not in self._rejected[name])

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
        self._elsewhere = {name: _elsewhere(self.root, name) for name in self.conditions}
        present = {name: _stems(self.root / name) for name in self.conditions}
        wanted = [(frame_id, condition) for frame_id in frame_ids for condition in self.conditions]
        rejected = Counter(condition for frame_id, condition in wanted if frame_id in self._rejected[condition])
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
        own = self.path(frame_id, condition) == self.root / condition / f"{frame_id}.jpg"
        return not own or frame_id in present or frame_id in self._rejected[condition]

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
    return safe_path(root, f"{QUARANTINE}/{condition}/{frame_id}.jpg", to_write=to_write)


def _time(frame_id: str) -> str:
    """The time at the end of the id of a RobotCar frame, ``<traverse>_<microseconds>``, else nothing."""
    end = frame_id.rpartition("_")[2]
    return end if _TIME.fullmatch(end) else ""


def _stems(folder: Path) -> set[str]:
    """Names, without suffix, of the JPEG files of the translation tool in a folder."""
    names = os.listdir(folder) if folder.is_dir() else ()
    return {name.removesuffix(".jpg") for name in names if name.endswith(".jpg")}


def _elsewhere(root: Path, condition: str) -> dict[str, tuple[str, ...]]:
    """Paths below the root of the images of a condition that lie otherwise than the translation tool's, by frame id.

    More than one where nothing tells which of them is meant, among them the translation tool's own.
    """
    found: dict[str, tuple[str, ...]] = {}
    own: set[str] = set()
    for place, folders, names in os.walk(root / condition):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "@")))
        inside = Path(place).relative_to(root).as_posix()
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in _SUFFIXES or name.startswith("."):
                continue
            frame_id = stem.removesuffix(_CITYSCAPES)
            if inside == condition and name == f"{frame_id}.jpg" and not _TIME.fullmatch(stem):
                own.add(frame_id)
            else:
                found[frame_id] = (*found.get(frame_id, ()), f"{inside}/{name}")
    return found | {name: (f"{condition}/{name}.jpg", *found[name]) for name in own & found.keys()}
