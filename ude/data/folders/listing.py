"""What lies in folders, in an order that people expect, and which frames a split names."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ude.data.images import read_rgb
from ude.data.splits import read_split
from ude.files import MissingFileError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})
"""Of files with one image."""


def listed_frames(split: str, official: Sequence[str]) -> dict[str, tuple[str, int]] | None:
    """Condition and line number of the frames of a split file; None for one of the data set's own splits.

    Raises:
        DataError: when it is neither, or the file is no split file.
    """
    if split in official:
        return None
    if not Path(split).is_file():
        raise MissingFileError(
            f"{split}: neither a file nor a split of this data set, which has {', '.join(official)}; correct "
            "DATA.SPLIT_TRAIN or DATA.SPLIT_VAL"
        )
    return read_split(Path(split))


def image_files(folder: Path) -> list[str]:
    """Names of the image files in a folder, in natural order: frame 9 before frame 10."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # knows what is a file without asking the disk for each
        names = [entry.name for entry in entries if _is_image(entry)]
    return sorted(names, key=natural_order)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, in natural order; none where it does not exist."""
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: natural_order(path.name))


def natural_order(name: str) -> tuple[list[str | int], str]:
    """A sorting key that takes digits for numbers."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name


def first_size(folder: Path, files: Sequence[str]) -> tuple[int, int]:
    """(height, width) of the first image of a drive, whose size all others must have."""
    height, width = read_rgb(folder / files[0]).shape[:2]
    return height, width


def _is_image(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:
        return False
    try:
        return entry.is_file()
    except OSError:  # a link that leads in a circle
        return False
