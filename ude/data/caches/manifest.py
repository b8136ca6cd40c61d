"""What a cache of frames consists of: its files, their rows, and the manifest that lists them."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ude.files import DataError, read_jsonl

from .stores import REMEDY

MANIFEST, UNFINISHED = "frames.jsonl", "unfinished.jsonl"
SCHEMA = 1

Key = tuple[str, str]
"""Name of a root and the path below it; the root "" holds absolute paths."""


@dataclass(frozen=True)
class FrameFormat:
    """What the pixels of a cache are.

    Attributes:
        size: (height, width) of its frames [px].
        crop: (top, left, height, width) of the native frames that is used [px]; four zeros for all.
        store: name in ``STORES``.
        filter: what the frames were resized with.
    """

    size: tuple[int, int]
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    store: str = "memmap"
    filter: str = "lanczos"


@dataclass(frozen=True)
class CachedFile:
    """An image file whose pixels are in a cache.

    Attributes:
        root: name of the folder that ``path`` is below.
        path: relative path with forward slashes.
        bytes: size of the file.
        mtime_ns: when it was changed last [ns since 1970].
        sha256: of the file.
        row: where its pixels are.
        crc32: checksum of the pixels as they lie on the disk.
        problem: why there are no pixels, for a file that cannot be read.
    """

    root: str
    path: str
    bytes: int
    mtime_ns: int
    sha256: str
    row: int
    crc32: int
    problem: str = ""

    @property
    def key(self) -> Key:
        """What the file is found by."""
        return self.root, self.path


class Keys:
    """Maps image files to what a cache finds them by.

    Args:
        roots: folders by name.
    """

    def __init__(self, roots: Mapping[str, str | Path]) -> None:
        places = {str(place): name for name, root in roots.items() for place in (Path(root), Path(root).resolve())}
        self._prefixes = sorted(((place + os.sep, name) for place, name in places.items()), key=lambda p: -len(p[0]))

    def __call__(self, path: Path) -> Key:
        """Name of the innermost root of a file and the path below it."""
        text = str(path)
        for prefix, name in self._prefixes:
            if text.startswith(prefix):
                return name, text[len(prefix) :].replace(os.sep, "/")
        return "", path.absolute().as_posix()


def file_state(path: Path) -> tuple[int, int] | None:
    """Size [bytes] and time of the last change [ns] of a file; None where there is none to be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def manifest_header(frames: FrameFormat, roots: Mapping[str, str | Path]) -> dict[str, Any]:
    """First line of a manifest."""
    return {"schema": SCHEMA} | asdict(frames) | {"roots": {name: str(root) for name, root in roots.items()}}


def read_manifest(path: Path) -> tuple[FrameFormat, dict[str, str], list[CachedFile]]:
    """What the frames of a cache are, its roots and its files.

    Raises:
        DataError: the manifest is of another version or damaged.
    """
    header, *rows = read_jsonl(path) or [{}]
    if header.get("schema") != SCHEMA:
        raise DataError(f"{path} is no manifest of this version; remove its folder and {REMEDY}")
    try:
        frames = FrameFormat(tuple(header["size"]), tuple(header["crop"]), header["store"], header["filter"])
        return frames, dict(header["roots"]), [CachedFile(**row) for row in rows]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); remove its folder and {REMEDY}") from error


def first_unused_row(folder: Path) -> int:
    """The first row that nobody reads: those of the manifest may be in use, those of the journal alone are not."""
    if not (folder / MANIFEST).is_file():
        return 0
    return 1 + max((file.row for file in read_manifest(folder / MANIFEST)[2]), default=-1)


def rows_for(
    missing: Mapping[Key, Path], known: Mapping[Key, CachedFile], standing: Mapping[Key, CachedFile], unused: int
) -> list[int]:
    """Where missing files go: back to their rows, if these were damaged or had no pixels, else to rows never used.

    Args:
        missing: files to be made.
        known: what the cache has held.
        standing: what of that stays.
        unused: the first row that nobody reads.
    """
    own = {}
    for key, path in missing.items():
        file = known.get(key)
        if file and (file.problem or file_state(path) == (file.bytes, file.mtime_ns)):
            own[key] = file.row
    taken = {*own.values(), *(file.row for file in standing.values())}
    free = (row for row in count(unused) if row not in taken)
    return [own[key] if key in own else next(free) for key in missing]
