"""Drives: the images of one camera in the order of time, their names and their neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path

import numpy as np

from ude.files import DataError


@dataclass(frozen=True, slots=True)
class Drive:
    """Images of one camera on one drive, in the order of time.

    Attributes:
        scene: name of the drive.
        folder: folder of the images.
        files: names of the image files, an array of str (N,), which loader processes share; they would copy a list.
        numbers: numbers of the frames, ascending int64 (N,); a neighbour's differs by its offset.
        condition: recording condition.
        K: intrinsics at ``size`` [px], float64 (3, 3).
        size: (height, width) of the images [px].
        prefix: what stands before the name of a file, without suffix, in the id of its frame.
        ending: what the name of a file has before its suffix that the id has not.
        baseline: distance between the two cameras [m] where depth comes from stereo.
    """

    scene: str
    folder: Path
    files: np.ndarray
    numbers: np.ndarray
    condition: str
    K: np.ndarray
    size: tuple[int, int]
    prefix: str = ""
    ending: str = ""
    baseline: float | None = None

    def frame_id(self, position: int) -> str:
        """Name of the frame at a position."""
        return self.prefix + self.stem(position).removesuffix(self.ending)

    def path(self, position: int) -> Path:
        """Image file at a position."""
        return self.folder / str(self.files[position])

    def stem(self, position: int) -> str:
        """Name of the file at a position, without suffix."""
        return splitext(str(self.files[position]))[0]


def frame_places(drives: Sequence[Drive]) -> dict[str, tuple[int, int]]:
    """Drive and position of every frame, by its id.

    Raises:
        DataError: when two frames have the same id.
    """
    places: dict[str, tuple[int, int]] = {}
    for number, drive in enumerate(drives):
        for position in range(len(drive.files)):
            frame_id = drive.frame_id(position)
            if frame_id in places:
                other, at = places[frame_id]
                paths = f"{drives[other].path(at)} and {drive.path(position)}"
                raise DataError(f"{paths} would both be frame {frame_id}; rename or remove one")
            places[frame_id] = (number, position)
    return places


def with_neighbours(drives: Sequence[Drive], frames: np.ndarray, offsets: Sequence[int]) -> np.ndarray:
    """Which frames have all neighbours, bool (N,).

    Args:
        drives: the drives.
        frames: drive and position of the frames, (N, 2).
        offsets: which neighbours.
    """
    there = [np.ones(len(drive.numbers), bool) for drive in drives]
    for has, drive in zip(there, drives, strict=True):
        for offset in offsets:
            has &= np.isin(drive.numbers + offset, drive.numbers)
    return np.array([there[drive][position] for drive, position in frames], bool)
