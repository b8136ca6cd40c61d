"""The files of a LiDAR cache: two flat columns that only grow at their end, and a manifest that is written last."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ude.files import DataError, MissingFileError, read_json, write_json, write_text
from ude.files.errors import writing

COLUMNS = {"index": np.dtype("<i4"), "depth": np.dtype("<f4")}
REMEDY = "run tools/cache_frames.py again, with --split <the split to evaluate on, or train> --lidar"
_MANIFEST = "manifest.json"
_VERIFIED = "verified.json"
_SCHEMA = 1
_CHUNK = 2**24  # bytes


class State(NamedTuple):
    """What a frame's depth was or would be computed from: its LiDAR file [bytes, ns] and its native size [px]."""

    file_size: int
    mtime_ns: int
    height: int
    width: int


class Row(NamedTuple):
    """A frame in the columns: what it was computed from, and where its returns lie."""

    state: State
    start: int
    count: int


class Manifest(NamedTuple):
    """What a cache holds.

    Attributes:
        kind: see ``lidar_state.kind_of``.
        rows: by frame_id.
        returns: length of the columns; what lies behind was written by a killed run.
        sha256: of the columns up to there.
    """

    kind: dict[str, Any]
    rows: dict[str, Row]
    returns: int
    sha256: dict[str, str]


def column_file(folder: Path, column: str) -> Path:
    """File of the pixel indices (``index``) or the depths (``depth``) of all frames."""
    return folder / f"{column}.bin"


def read_manifest(folder: Path) -> Manifest:
    """What the cache in a folder holds.

    Raises:
        MissingFileError: there is no finished cache.
        DataError: the manifest is damaged or of another version, or the columns are shorter than it says.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        raise MissingFileError(f"{folder} holds no LiDAR cache; {REMEDY}")
    document = read_json(path)
    try:
        if document["schema"] != _SCHEMA:
            raise DataError(f"{path} is of version {document['schema']}, not {_SCHEMA}; remove {folder} and {REMEDY}")
        rows = {
            name: Row(State(*map(int, state)), int(start), int(count))
            for name, (state, start, count) in document["frames"].items()
        }
        manifest = Manifest(document["kind"], rows, int(document["returns"]), document["sha256"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged; remove {folder} and {REMEDY}") from error
    if any(not 0 <= row.start <= row.start + row.count <= manifest.returns for row in rows.values()):
        raise DataError(f"{path} is damaged; remove {folder} and {REMEDY}")
    for column, dtype in COLUMNS.items():
        file = column_file(folder, column)
        if not file.is_file() or file.stat().st_size < manifest.returns * dtype.itemsize:
            raise DataError(f"{file} is cut or missing; remove {folder} and {REMEDY}")
    return manifest


def column_hash(folder: Path, column: str, returns: int) -> "hashlib._Hash":
    """SHA-256 of the first values of a column, to be read or continued."""
    digest, left = hashlib.sha256(), returns * COLUMNS[column].itemsize
    if left:
        with open(column_file(folder, column), "rb") as file:
            while left > 0 and (chunk := file.read(min(left, _CHUNK))):
                digest.update(chunk)
                left -= len(chunk)
    return digest


def require_undamaged(folder: Path, manifest: Manifest) -> None:
    """Compares the columns with the hashes of the manifest: once, until their sizes or times change.

    That it was done is noted in a file beside them, where one can be written.

    Raises:
        DataError: a column is damaged.
    """
    found = {column: column_file(folder, column).stat() for column in COLUMNS}
    now = {
        "sha256": manifest.sha256,
        "files": {column: [stat.st_size, stat.st_mtime_ns] for column, stat in found.items()},
    }
    with suppress(DataError):
        if read_json(folder / _VERIFIED) == now:
            return
    for column in COLUMNS:
        if column_hash(folder, column, manifest.returns).hexdigest() != manifest.sha256.get(column):
            raise DataError(
                f"{column_file(folder, column)} is damaged, since its SHA-256 is not that of the manifest; "
                f"remove {folder} and {REMEDY}"
            )
    with suppress(DataError, OSError):  # a folder that is read only
        write_json(folder / _VERIFIED, now)


def map_column(folder: Path, column: str, returns: int) -> np.ndarray:
    """A column as a memory map, as a plain array: slices of ``np.memmap`` cost more than the data of a frame."""
    if returns == 0:
        return np.zeros(0, COLUMNS[column])
    return np.asarray(np.memmap(column_file(folder, column), COLUMNS[column], "r", shape=(returns,)))


class ColumnWriter:
    """Adds frames at the end of the columns; ``save`` makes them count.

    Args:
        folder: the cache.
        kind: see ``lidar_state.kind_of``.
        kept: what it holds already; None begins anew, with new files, since a reader may have mapped the old ones.
        hashes: of the columns up to where ``kept`` ends, see ``column_hash``; they are continued.
    """

    def __init__(
        self,
        folder: Path,
        kind: dict[str, Any],
        kept: Manifest | None = None,
        hashes: "Mapping[str, hashlib._Hash] | None" = None,
    ) -> None:
        self._folder, self._kind, self._files = folder, kind, {}
        self._rows, self._returns = ({}, 0) if kept is None else (dict(kept.rows), kept.returns)
        self._hashes = hashes or {column: column_hash(folder, column, self._returns) for column in COLUMNS}
        if kept is None:
            files = (folder / _MANIFEST, folder / _VERIFIED, *(column_file(folder, column) for column in COLUMNS))
            for path in files:
                path.unlink(missing_ok=True)
        for column, dtype in COLUMNS.items():
            path = column_file(folder, column)
            with writing(path):
                self._files[column] = open(path, "ab")  # noqa: SIM115 (closed by close)
                self._files[column].truncate(self._returns * dtype.itemsize)  # what a killed run has left

    def add(self, frame_id: str, state: State, index: np.ndarray, depth: np.ndarray) -> None:
        """Appends the returns of a frame: pixel indices (N,) and depths [m] (N,)."""
        for column, values in (("index", index), ("depth", depth)):
            data = np.ascontiguousarray(values, COLUMNS[column]).tobytes()
            with writing(column_file(self._folder, column)):
                self._files[column].write(data)
            self._hashes[column].update(data)
        self._rows[frame_id] = Row(state, self._returns, len(index))
        self._returns += len(index)

    def save(self) -> None:
        """Brings the columns to the disk and then writes the manifest."""
        for column, file in self._files.items():
            with writing(column_file(self._folder, column)):
                file.flush()
                os.fsync(file.fileno())
        document = {
            "schema": _SCHEMA,
            "kind": self._kind,
            "returns": self._returns,
            "sha256": {column: digest.hexdigest() for column, digest in self._hashes.items()},
            "frames": self._rows,
        }
        write_text(self._folder / _MANIFEST, json.dumps(document, allow_nan=False) + "\n")

    def close(self) -> None:
        """Closes the columns."""
        for file in self._files.values():
            file.close()
