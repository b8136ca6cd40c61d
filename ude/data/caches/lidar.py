"""Sparse LiDAR depth of many frames in two flat files, read through memory maps."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
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
    State,
    column_hash,
    map_column,
    read_manifest,
    require_undamaged,
)
from .lidar_state import calibrated_alike, differing, kind_of, require_sparse, spread, states_of

MAX_COMPARED = 200
"""Largest number of scenes of which a frame is projected to see whether its calibration has changed."""
_SAVE_EVERY = 1000  # frames


def write_lidar_cache(source: FrameSource, folder: str | Path, *, progress: bool = True) -> int:
    """Adds the LiDAR depth of all frames of a source to a cache and returns how many had to be computed.

    Frames that the folder holds already, from a killed run or another split, are kept if their LiDAR files are the
    same, and so is the calibration: a frame of every scene is projected again. A cache of another kind of source, or of
    other rules or another crop, is replaced. Columns that are kept are read in full, to compare their hashes.

    Args:
        source: the frames; those without LiDAR are passed over.
        folder: where to write, made if needed; it must not be the data set's own.
        progress: whether to show a progress bar.

    Raises:
        DataError: a LiDAR file is damaged, or no frame has one; the frames before it are kept. Or it is as
            dense as from stereo; nothing is changed then.
        FolderInUseError: another process writes to the folder.
        DiskFullError: no space is left.
    """
    folder = Path(folder)
    try:
        with lock_folder(folder):
            clean_temporary(folder)
            return _update(source, folder, progress)
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing came into it: an empty one would be taken for a cache


class LidarCache:
    """The LiDAR depth of the frames of a source, read from a folder of ``write_lidar_cache``.

    It is compared with the source once, when it is opened: size and time of every LiDAR file, native sizes, and the
    depths themselves of a frame of every scene, of at most ``MAX_COMPARED``. Its hashes are compared at the first
    opening after it was written. A loader process that it is sent to maps the files again.

    Args:
        folder: the cache.
        source: frames that will be asked for.
        verify: whether to compare hashes, about a second per gigabyte, if nobody has since the files were written.

    Raises:
        MissingFileError: there is no cache, or it lacks a frame.
        DataError: the cache is damaged, or belongs to another source or to an earlier state of this one.
    """

    def __init__(self, folder: str | Path, source: FrameSource, *, verify: bool = True) -> None:
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        if verify:
            require_undamaged(self.folder, manifest)
        if manifest.kind != kind_of(source):
            found, expected = (
                ", ".join(f"{name} {value}" for name, value in kind.items())
                for kind in (manifest.kind, kind_of(source))
            )
            raise DataError(f"{self.folder} was written for {found}, not for {expected}; {REMEDY}")
        self._returns = manifest.returns
        self._map()
        rows = _rows_now(self.folder, manifest, source)
        for group in spread(calibrated_alike(source, rows), MAX_COMPARED):
            if (frame_id := differing(self._index, self._depth, {i: rows[i] for i in group}, source)) is not None:
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


def _update(source: FrameSource, folder: Path, progress: bool) -> int:
    """The work of ``write_lidar_cache`` in a folder that no other process writes to."""
    states, computed = states_of(source), 0
    kept = _kept(folder, source, states)
    rows = kept[0].rows if kept else {}
    missing = [i for i, state in enumerate(states) if state is not None and not _holds(rows, source, i, state)]
    if not missing and not rows:
        raise DataError(f"{folder}: no frame of the source has LiDAR depth, so there is nothing to keep")
    if not missing:
        return 0
    require_sparse(source, missing[0])
    writer = ColumnWriter(folder, kind_of(source), *(kept or ()))
    try:
        for i in tqdm(missing, "LiDAR", unit="frame", disable=not progress):
            writer.add(source.frame_id(i), states[i], *source.sparse_lidar(i))
            computed += 1
            if computed % _SAVE_EVERY == 0:
                writer.save()
    finally:
        if computed:
            writer.save()
        writer.close()
    return computed


def _kept(
    folder: Path, source: FrameSource, states: Sequence[State | None]
) -> "tuple[Manifest, dict[str, hashlib._Hash]] | None":
    """What a folder holds that can be added to, and the hashes up to there.

    Frames of a scene whose calibration has changed are left out. None where the folder holds nothing that can be kept.
    """
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    hashes = {column: column_hash(folder, column, manifest.returns) for column in COLUMNS}
    sha256 = {column: digest.hexdigest() for column, digest in hashes.items()}
    if manifest.kind != kind_of(source) or manifest.sha256 != sha256:
        return None
    rows = {
        i: manifest.rows[source.frame_id(i)]
        for i, state in enumerate(states)
        if state is not None and _holds(manifest.rows, source, i, state)
    }
    columns = [map_column(folder, column, manifest.returns) for column in COLUMNS]
    stale = {
        source.frame_id(i)
        for group in calibrated_alike(source, rows)
        if differing(*columns, {i: rows[i] for i in group}, source) is not None
        for i in group
    }
    kept = {frame_id: row for frame_id, row in manifest.rows.items() if frame_id not in stale}
    return (manifest._replace(rows=kept), hashes) if kept else None


def _holds(rows: dict[str, Row], source: FrameSource, index: int, state: State) -> bool:
    row = rows.get(source.frame_id(index))
    return row is not None and row.state == state


def _rows_now(folder: Path, manifest: Manifest, source: FrameSource) -> dict[int, Row]:
    """Where the frames of a source lie, by their number; those without LiDAR are left out.

    Raises:
        MissingFileError: a frame is missing.
        DataError: a LiDAR file or a native size is another one than before.
    """
    rows = {}
    for i, state in enumerate(states_of(source)):
        if state is None:
            continue
        frame_id = source.frame_id(i)
        if frame_id not in manifest.rows:
            raise MissingFileError(f"{folder} holds no LiDAR depth of {frame_id}; {REMEDY}")
        rows[i] = manifest.rows[frame_id]
        if rows[i].state != state:
            changed = "native size" if rows[i].state[2:] != state[2:] else "LiDAR file"
            raise DataError(f"{folder} is out of date: the {changed} of {frame_id} has changed; {REMEDY}")
    return rows
