"""The index on disk, outside the data set's folder: read when it belongs to the tables, else built once."""

import json
import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np

from ude.data.index_root import index_folder, short_digest
from ude.files import DataError, MissingFileError, in_turn, read_arrays, write_arrays

from .index import TableIndex, index_from_columns
from .tables import table_files

FORMAT = 1

logger = logging.getLogger(__name__)


def load_index(root: Path, version: str, folder: str | Path | None = None) -> TableIndex:
    """The index of a version of nuScenes, from its file or, where there is none that fits, from the tables.

    The file belongs to the tables when format, place, sizes and times of change are the same. Of several processes
    that find none, one of each machine builds it and the others wait. Where the folder cannot be written to, the index
    is built anew at every start.

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
    name = short_digest(f"{root.resolve()}\n{version}")
    path = place / f"nuscenes-{name}.npz"
    kept = _Kept(path, identity)
    return kept.index if kept.there() else _build(kept, root, version)


class _Kept:
    """The index in a file, which is read when it was not there before or was written anew."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        self.index: TableIndex | None = None
        self._seen: tuple[int, int, int] | None = None

    def there(self) -> bool:
        """Whether the file holds an index that belongs to the tables, which is then ``index``."""
        seen = _stamp(self.path)
        if seen is not None and seen != self._seen:
            self.index = _read(self.path, self.identity)
        self._seen = seen
        return self.index is not None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _identity(root: Path, version: str) -> str:
    """What a file must say to belong to the tables as they are now."""
    stats = {table: path.stat() for table, path in table_files(root, version).items()}
    tables = {table: (stat.st_size, stat.st_mtime_ns) for table, stat in stats.items()}
    return json.dumps({"format": FORMAT, "root": str(root.resolve()), "version": version, "tables": tables})


def _build(kept: _Kept, root: Path, version: str) -> TableIndex:
    from .build_index import build_index

    path = kept.path
    with ExitStack() as stack:
        turn = in_turn(path.with_suffix(".building"), done=kept.there)
        writable = _unless_refused(path, lambda: stack.enter_context(turn))
        index = kept.index  # another process may have built it meanwhile
        if index is None:
            index = build_index(root, version)
            if writable and _identity(root, version) == kept.identity:
                _unless_refused(path, lambda: _write(path, index, kept.identity))
        return index


def _unless_refused(path: Path, write: Callable[[], object]) -> bool:
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
