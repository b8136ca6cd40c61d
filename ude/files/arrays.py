"""Named arrays in one NumPy archive (.npz), which keeps a checksum of each: numbers and text, never objects."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .atomic import atomic_path
from .errors import DataError, MissingFileError

_UNREADABLE = (
    *(AttributeError, EOFError, KeyError, MemoryError, NotImplementedError, OSError, OverflowError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, zipfile.BadZipFile, zlib.error),
)
"""What NumPy raises on a file that is damaged or none of its own."""


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays atomically, without compression.

    Args:
        path: the file, ending in ``.npz``.
        arrays: by name; of numbers, truth values or text.

    Raises:
        ValueError: an array holds objects.
        DiskFullError: no space is left.
        DataError: the place cannot be written to.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name} holds objects, which only a pickle could keep")
    size = sum(array.nbytes for array in arrays.values())
    with atomic_path(path, size=size) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, with their checksums verified; nothing in it is run.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is damaged or holds objects.
    """
    with _reading(path), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_array(path: str | Path) -> np.ndarray:
    """The array of a NumPy file (.npy); nothing in it is run.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is damaged or holds objects.
    """
    with _reading(path), open(path, "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turns what NumPy raises about a file into one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"there is no file {path}; check the path") from error
    except _UNREADABLE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{path} cannot be read ({reason}); remove it and make it again") from error
