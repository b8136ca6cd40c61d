"""Decoded, cropped and resized frames in one place, so that no epoch decodes and resizes them again."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ude.data.images import resize_filter
from ude.files import DataError

from .manifest import MANIFEST, UNFINISHED, CachedFile, Key, Keys, file_state, read_manifest
from .stores import REMEDY, STORES

_LOG = logging.getLogger(__name__)


class FrameCache:
    """Frames of ``tools/cache_frames.py``, found by the file that they were made of.

    The pixels are those of the image files, or close to them where the store keeps JPEGs. Files are found by their
    place below a root, so that a data set may move. Each is looked at once, when its row is asked for first, and so is
    the manifest: a training goes on with the pixels that it began with. It pickles without the list of its files.

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
        self._listed: dict[Key, CachedFile] | None = {file.key: file for file in files}
        self._unchanged: set[Path] = set()
        self.problems = {file.row: file.problem for file in files if file.problem}
        self.store = STORES[self.format.store](self.folder, self.format.size)
        if self.format.filter != resize_filter():
            _LOG.warning(
                "the frames of %s were resized by the filter %s, but this torch resizes by %s; remove the folder and "
                "fill it again for the same pixels as without a cache",
                *(self.folder, self.format.filter, resize_filter()),
            )

    def __len__(self) -> int:
        return len(self._files)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_listed": None, "_unchanged": set()}  # a loader process knows its rows already

    @property
    def _files(self) -> dict[Key, CachedFile]:
        if self._listed is None:
            self._listed = {file.key: file for file in read_manifest(self.folder / MANIFEST)[2]}
        return self._listed

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
        fresh = {path: file for path, file in files.items() if path not in self._unchanged}
        states = ((path, file_state(path), (file.bytes, file.mtime_ns)) for path, file in fresh.items())
        if changed := [path for path, state, expected in states if state not in (None, expected)]:
            found = f"{len(changed)} of {len(files)} files"
            raise DataError(f"{changed[0]} has changed since {self.folder} was made ({found}); {REMEDY}")
        self._unchanged.update(fresh)
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
