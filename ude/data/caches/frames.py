"""Decoded, cropped and resized frames in one place, so that no epoch decodes and resizes them again."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ude.files import DataError, read_jsonl

from .stores import REMEDY, STORES

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


class FrameCache:
    """Frames of ``tools/cache_frames.py``, found by the file that they were made of.

    It pickles as its folder alone. Files are found by their place below a root, so that a data set may move.

    Args:
        folder: what the tool wrote.
        roots: folders that image files are below, by the names that the tool used; None takes the tool's own.

    Raises:
        DataError: the folder holds no cache or an unfinished one.
    """

    def __init__(self, folder: str | Path, roots: Mapping[str, str | Path] | None = None) -> None:
        self.folder = Path(folder)
        if not (self.folder / MANIFEST).is_file():
            state = "an unfinished cache" if (self.folder / UNFINISHED).is_file() else "no cache of frames"
            raise DataError(f"{self.folder} holds {state}; {REMEDY}")
        self.format, self.roots, files = read_manifest(self.folder / MANIFEST)
        if roots is not None:
            self.roots = {name: str(root) for name, root in roots.items()}
        self._files: dict[Key, CachedFile] = {file.key: file for file in files}
        self.problems = {file.row: file.problem for file in files if file.problem}
        self.store = STORES[self.format.store](self.folder, self.format.size)

    def __len__(self) -> int:
        return len(self._files)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameCache, (self.folder, self.roots)

    def require(self, *, size: tuple[int, int], crop: tuple[int, int, int, int]) -> None:
        """Check that the frames are those of a config.

        Raises:
            DataError: they have another size or crop.
        """
        for name, found, wanted in (("DATA.SIZE", self.format.size, size), ("DATA.CROP", self.format.crop, crop)):
            if tuple(found) != tuple(wanted):
                raise DataError(
                    f"{self.folder} holds frames of {name} {tuple(found)}, not {tuple(wanted)}; name another "
                    "DATA.CACHE_ROOT and fill it by tools/cache_frames.py"
                )

    def rows(self, paths: Iterable[Path]) -> np.ndarray:
        """Rows of image files, int64 (N,), all of which must be there and as they were when they were read.

        A file that is gone counts as unchanged: the cache is enough to train.

        Raises:
            DataError: names the first file that the cache lacks, or that has changed since, and how many there are.
        """
        paths, key_of = list(paths), Keys(self.roots)
        files = {path: self._files.get(key_of(path)) for path in paths}
        if lacking := [path for path, file in files.items() if file is None]:
            raise DataError(f"{self.folder} lacks {lacking[0]} ({len(lacking)} of {len(files)} files); {REMEDY}")
        states = ((path, file_state(path), (file.bytes, file.mtime_ns)) for path, file in files.items())
        if changed := [path for path, state, expected in states if state not in (None, expected)]:
            found = f"{len(changed)} of {len(files)} files"
            raise DataError(f"{changed[0]} has changed since {self.folder} was made ({found}); {REMEDY}")
        return np.array([files[path].row for path in paths], np.int64)

    def read(self, path: Path) -> Tensor:
        """Pixels of an image file, uint8 (3, H, W).

        Raises:
            DataError: the cache lacks the file, or it has changed, or could not be read when the cache was made.
        """
        frame = np.empty((3, *self.format.size), np.uint8)
        self.read_into(int(self.rows([path])[0]), frame)
        return torch.from_numpy(frame)

    def read_into(self, row: int, out: np.ndarray) -> None:
        """Fill uint8 ``out`` (3, H, W), whose elements lie in order, with a row.

        Raises:
            DataError: the row's file could not be read when the cache was made, or the cache is damaged.
        """
        if row in self.problems:
            raise DataError(self.problems[row])
        self.store.read_into(row, out)


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
