"""The index on disk, outside the data set's folder: read when it belongs to the tables, else built once."""

import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ude.files import DataError, FolderInUseError, MissingFileError, lock_folder, read_arrays, write_arrays

from .index import TableIndex, index_from_columns
from .tables import table_files

FORMAT = 1
_WAIT_S = 0.5

logger = logging.getLogger(__name__)


def index_folder(folder: str | Path | None = None) -> Path:
    """The folder of indices: the one given, else ``$UDE_CACHE``, ``$XDG_CACHE_HOME/ude`` or ``~/.cache/ude``."""
    if folder:
        return Path(folder)
    if own := os.environ.get("UDE_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "ude"


def load_index(root: Path, version: str, folder: str | Path | None = None) -> TableIndex:
    """The index of a version of nuScenes, from its file or, where there is none that fits, from the tables.

    The file belongs to the tables when format, place, sizes and times of change are the same. Of several processes
    that find none, one builds it and the others wait. Where the folder cannot be written to, the index is built anew
    at every start.

    Args:
        root: folder of the data set.
        version: folder of the tables in it.
        folder: where indices are kept, see ``index_folder``.

    Raises:
        DataError: when the data set is missing or damaged, or ``folder`` lies in it.
    """
    identity = _identity(root, version)
    place = index_folder(folder).absolute()
    if place.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{place}: the index must not lie in the data set; set DATA.INDEX_ROOT to another folder")
    name = blake2b(f"{root.resolve()}\n{version}".encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    path = place / f"nuscenes-{name}.npz"
    index = _read(path, identity)
    return _build(path, identity, root, version) if index is None else index


def _identity(root: Path, version: str) -> str:
    """What a file must say to belong to the tables as they are now."""
    stats = {table: path.stat() for table, path in table_files(root, version).items()}
    tables = {table: (stat.st_size, stat.st_mtime_ns) for table, stat in stats.items()}
    return json.dumps({"format": FORMAT, "root": str(root.resolve()), "version": version, "tables": tables})


def _build(path: Path, identity: str, root: Path, version: str) -> TableIndex:
    from .build_index import build_index

    with ExitStack() as stack:
        writable = _in_turn(stack, path)
        index = _read(path, identity)  # another process may have built it meanwhile
        if index is None:
            index = build_index(root, version)
            if writable and _identity(root, version) == identity:
                _unless_refused(path, lambda: _write(path, index, identity))
        return index


def _in_turn(stack: ExitStack, path: Path) -> bool:
    """Wait until no other process builds the index; whether it can be written."""
    folder = path.with_suffix(".building")
    stack.callback(_remove_empty, folder)  # those that wait may make it again

    def take_turn() -> None:
        while True:
            try:
                stack.enter_context(lock_folder(folder))
            except FolderInUseError as error:
                if not error.lives:
                    return  # perhaps of another machine: two may build, the files are the same
                time.sleep(_WAIT_S)
            else:
                return

    return _unless_refused(path, take_turn)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _unless_refused(path: Path, write: Callable[[], None]) -> bool:
    """Whether something could be written; if not, that is said once and the run goes on."""
    try:
        write()
    except (DataError, OSError) as error:
        _warn_once(path, " ".join(str(error).split()))
        return False
    return True


@cache
def _warn_once(path: Path, reason: str) -> None:
    logger.warning(
        "the index of nuScenes cannot be kept as %s, so every start reads all tables (%s); set DATA.INDEX_ROOT or "
        "UDE_CACHE to a folder that you can write to",
        path,
        reason,
    )


def _write(path: Path, index: TableIndex, identity: str) -> None:
    write_arrays(path, {"identity": np.array(identity), **index.columns()})


def _read(path: Path, identity: str) -> TableIndex | None:
    """The index of a file; None where there is none, or one of other tables, or a damaged one."""
    try:
        columns = read_arrays(path)
        if str(columns.pop("identity")) != identity:
            return None
        return index_from_columns(columns)
    except MissingFileError:
        return None
    except (DataError, KeyError, TypeError, ValueError) as error:
        logger.warning("%s is damaged and is built again (%s)", path, " ".join(str(error).split()))
        return None
