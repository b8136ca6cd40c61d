"""The one file that says what an image folder cannot: intrinsics, conditions and splits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ude.data.sample import CONDITIONS
from ude.files import DataError, MissingFileError, read_json

from .calibration import checked_intrinsics

NAME = "intrinsics.json"
_EXAMPLE = '{"K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], "size": [height, width]}'
_OF_A_SEQUENCE = ("K", "size", "normalised", "condition", "fps")
_KEYS = (*_OF_A_SEQUENCE, "sequences", "splits")
_MAX_STRETCH = 1.02


class FolderDescription:
    """The content of ``intrinsics.json``.

    Either a bare 3 x 3 matrix whose first row is divided by the width and whose second row by the height of the image,
    as in monodepth2's and manydepth's files, or an object::

        {
          "K": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],   pixels of "size"; integers at pixel centres
          "size": [height, width],                      without it, K belongs to the images as they are
          "normalised": false,                          true: K is divided as above, and "size" is not used
          "condition": "day-clear",                     recording condition of all sequences without their own
          "fps": 10,                                    frames per second that are taken from videos; without it, all
          "sequences": {"drive-2": {"condition": "night-clear", "K": ..., "size": ...}},
          "splits": {"train": ["drive-1"], "val": ["drive-2"]}
        }

    Args:
        root: folder of the images, where the file lies.

    Raises:
        DataError: when the file is missing or not of this form.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / NAME
        if not self.path.is_file():
            raise MissingFileError(f"{self.path}: no such file; write it there as {_EXAMPLE}")
        content = read_json(self.path)
        self._content: dict[str, Any] = {"K": content, "normalised": True} if isinstance(content, list) else content
        self._check_keys(self._content, _KEYS, "")
        sequences = self._content.get("sequences", {})
        if not isinstance(sequences, dict):
            raise DataError(f'{self.path}: sequences must be an object like {{"drive-1": {{"condition": "day-rain"}}}}')
        for name, row in sequences.items():
            self._check_keys(row, _OF_A_SEQUENCE, f" of sequences.{name}")

    def sequences_of(self, split: str, present: Sequence[str]) -> list[str]:
        """Those of the sequences on disk that a split names; all for ``all``.

        Raises:
            DataError: when there is no such split, or it names a sequence that is not there.
        """
        if split == "all":
            return list(present)
        splits = self._content.get("splits", {})
        names = splits.get(split) if isinstance(splits, dict) else None
        if not isinstance(names, list):
            example = f'"splits": {{"{split}": ["{present[0]}"]}}' if present else f'"splits": {{"{split}": [...]}}'
            raise DataError(f"{self.path}: names no split {split}; add {example}, or use the split all or a file")
        if missing := [name for name in names if name not in present]:
            raise DataError(f"{self.path}: split {split} names {missing[0]}, which is no sequence of this folder")
        return names

    def condition(self, sequence: str) -> str:
        """Recording condition of a sequence, ``day-clear`` where the file says nothing.

        Raises:
            DataError: when it is none of ``CONDITIONS``.
        """
        name = self._of(sequence).get("condition", "day-clear")
        if name not in CONDITIONS:
            raise DataError(f"{self.path}: condition must be one of {', '.join(CONDITIONS)}, got {name!r}")
        return name

    def fps(self, sequence: str) -> float | None:
        """Frames per second to take from a video, None for all."""
        value = self._of(sequence).get("fps")
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value <= 0):
            raise DataError(f"{self.path}: fps must be a positive number, got {value!r}")
        return value

    def intrinsics(self, sequence: str, size: tuple[int, int]) -> np.ndarray:
        """K of the images of a sequence [px], float64 (3, 3).

        Args:
            sequence: its name.
            size: (height, width) of its images [px].

        Raises:
            DataError: when there is none, or it cannot belong to images of this size.
        """
        row, (height, width) = self._of(sequence), size
        K = self._matrix(row.get("K"))
        if row.get("normalised", False):
            return checked_intrinsics(np.diag([width, height, 1.0]) @ K, size, self.path)
        if (given := row.get("size")) is not None:
            K = self._resize(given, size) @ K
        return checked_intrinsics(K, size, self.path)

    def _resize(self, given: Any, size: tuple[int, int]) -> np.ndarray:
        """What resizing from the stated size to the images' does to K, (3, 3); as in ``ude.geometry``."""
        if not (isinstance(given, list) and len(given) == 2 and all(type(side) is int and side > 0 for side in given)):
            raise DataError(f"{self.path}: size must be [height, width] in pixels, got {given!r}")
        scale_y, scale_x = size[0] / given[0], size[1] / given[1]
        if max(scale_y / scale_x, scale_x / scale_y) > _MAX_STRETCH:
            raise DataError(
                f"{self.path}: size is {given[0]} x {given[1]}, but the images are {size[0]} x {size[1]} (height x "
                "width), another shape; give K of these images"
            )
        return np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]])

    def _matrix(self, rows: Any) -> np.ndarray:
        try:
            K = np.array(rows, np.float64)
        except (TypeError, ValueError):
            K = np.zeros(0)
        if K.shape != (3, 3):
            raise DataError(f"{self.path}: K must be 3 rows of 3 numbers, got {rows!r}; write {_EXAMPLE}")
        return K

    def _of(self, sequence: str) -> Mapping[str, Any]:
        return {**self._content, **self._content.get("sequences", {}).get(sequence, {})}

    def _check_keys(self, row: Any, known: Sequence[str], where: str) -> None:
        if not isinstance(row, dict):
            raise DataError(f"{self.path}: the content{where} must be an object; write {_EXAMPLE}")
        if unknown := sorted(set(row) - set(known)):
            raise DataError(f"{self.path}: unknown key {unknown[0]}{where}; known are {', '.join(known)}")
