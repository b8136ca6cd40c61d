"""Sparse LiDAR depth of many frames in two flat files, read through memory maps."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ude.data.sample import FrameSource
from ude.files import DataError, MissingFileError, clean_temporary, lock_folder

from .lidar_files import (
    COLUMNS,
    REMEDY,
    ColumnWriter,
    Manifest,
    Row,
    column_file,
    column_hash,
    kind_of,
    map_column,
    read_manifest,
    state_of,
)

_SAVE_EVERY = 1000  # frames


def write_lidar_cache(source: FrameSource, folder: str | Path, *, progress: bool = True) -> int:
    """Adds the LiDAR depth of all frames of a source to a cache and returns how many had to be computed.

    Frames that the folder holds already, from a killed run or another split, are kept if their LiDAR files are the
    same. A cache of another kind of source, or of other rules, another crop or calibration, is replaced.

    Args:
        source: the frames; those without LiDAR are passed over.
        folder: where to write, made if needed; it must not be the data set's own.
        progress: whether to show a progress bar.

    Raises:
        DataError: a LiDAR file is damaged, or no frame has one; the frames before it are kept.
        FolderInUseError: another process writes to the folder.
        DiskFullError: no space is left.
    """
    folder, computed = Path(folder), 0
    with lock_folder(folder):
        clean_temporary(folder)
        kept = _kept(folder, source)
        rows = {} if kept is None else kept.rows
        writer = ColumnWriter(folder, kind_of(source), kept)
        try:
            for i in tqdm(range(len(source)), "LiDAR", unit="frame", disable=not progress):
                frame_id, state = source.frame_id(i), state_of(source, i)
                if state is None or (frame_id in rows and rows[frame_id].state == state):
                    continue
                writer.add(frame_id, state, *source.sparse_lidar(i))
                computed += 1
                if computed % _SAVE_EVERY == 0:
                    writer.save()
        finally:
            if computed:
                writer.save()
            writer.close()
    if not computed and not rows:
        raise DataError(f"{folder}: no frame of the source has LiDAR depth, so there is nothing to keep")
    return computed


class LidarCache:
    """The LiDAR depth of the frames of a source, read from a folder of ``write_lidar_cache``.

    It is compared with the source once, when it is opened: size and time of every LiDAR file, native sizes, and the
    depths themselves of three frames. A loader process that it is sent to maps the files again.

    Args:
        folder: the cache.
        source: frames that will be asked for.
        verify: whether to read the files in full to compare their hashes, about a second per gigabyte.

    Raises:
        MissingFileError: there is no cache, or it lacks a frame.
        DataError: the cache is damaged, or belongs to another source or to an earlier state of this one.
    """

    def __init__(self, folder: str | Path, source: FrameSource, *, verify: bool = True) -> None:
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        for column in COLUMNS if verify else ():
            if column_hash(self.folder, column, manifest.returns).hexdigest() != manifest.sha256.get(column):
                raise DataError(
                    f"{column_file(self.folder, column)} is damaged, since its SHA-256 is not that of the manifest; "
                    f"remove {self.folder} and {REMEDY}"
                )
        if manifest.kind != kind_of(source):
            found, expected = (
                ", ".join(f"{name} {value}" for name, value in kind.items())
                for kind in (manifest.kind, kind_of(source))
            )
            raise DataError(f"{self.folder} was written for {found}, not for {expected}; {REMEDY}")
        self._returns = manifest.returns
        self._map()
        rows = _rows_now(self.folder, manifest, source)
        if (frame_id := _differing(self._index, self._depth, rows, source)) is not None:
            raise DataError(
                f"{self.folder} holds another depth of {frame_id} than its LiDAR and calibration give now; {REMEDY}"
            )
        self._places = {source.frame_id(i): (row.start, row.start + row.count) for i, row in rows.items()}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._places

    def read(self, frame_id: str) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major indices of the native pixels with a return, int64 (N,) ascending, and depths [m], float32.

        Raises:
            MissingFileError: the frame is none of the source, or has no LiDAR.
        """
        if frame_id not in self._places:
            raise MissingFileError(f"{self.folder} holds no LiDAR depth of {frame_id}; {REMEDY}")
        start, stop = self._places[frame_id]
        return self._index[start:stop].astype(np.int64), self._depth[start:stop].copy()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_index", "_depth")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._map()

    def _map(self) -> None:
        self._index, self._depth = (map_column(self.folder, column, self._returns) for column in COLUMNS)


def _kept(folder: Path, source: FrameSource) -> Manifest | None:
    """What a folder holds that can be added to; None where it holds nothing, or something else than the source's."""
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    hashes = {column: column_hash(folder, column, manifest.returns).hexdigest() for column in COLUMNS}
    if manifest.kind != kind_of(source) or manifest.sha256 != hashes:
        return None
    rows = {
        i: manifest.rows[source.frame_id(i)]
        for i in range(len(source))
        if source.frame_id(i) in manifest.rows and manifest.rows[source.frame_id(i)].state == state_of(source, i)
    }
    columns = (map_column(folder, column, manifest.returns) for column in COLUMNS)
    return manifest if _differing(*columns, rows, source) is None else None


def _rows_now(folder: Path, manifest: Manifest, source: FrameSource) -> dict[int, Row]:
    """Where the frames of a source lie, by their number; those without LiDAR are left out.

    Raises:
        MissingFileError: a frame is missing.
        DataError: a LiDAR file or a native size is another one than before.
    """
    rows = {}
    for i in range(len(source)):
        frame_id, state = source.frame_id(i), state_of(source, i)
        if state is None:
            continue
        if frame_id not in manifest.rows:
            raise MissingFileError(f"{folder} holds no LiDAR depth of {frame_id}; {REMEDY}")
        rows[i] = manifest.rows[frame_id]
        if rows[i].state != state:
            changed = "native size" if rows[i].state[2:] != state[2:] else "LiDAR file"
            raise DataError(f"{folder} is out of date: the {changed} of {frame_id} has changed; {REMEDY}")
    return rows


def _differing(index: np.ndarray, depth: np.ndarray, rows: dict[int, Row], source: FrameSource) -> str | None:
    """A frame, of three, whose cached depth is not what the source computes now.

    Calibration and rules can change while LiDAR files do not.
    """
    numbers = list(rows)
    for i in sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]}) if numbers else ():
        place = slice(rows[i].start, rows[i].start + rows[i].count)
        new_index, new_depth = source.sparse_lidar(i)
        if not (np.array_equal(index[place], new_index) and np.array_equal(depth[place], new_depth)):
            return source.frame_id(i)
    return None
