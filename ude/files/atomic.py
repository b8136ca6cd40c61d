"""Files appear whole or not at all: written under a temporary name, flushed to the disk, then renamed."""

import hashlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import writing

_PREFIX = ".tmp-"
_STALE_S = 24 * 3600


@contextmanager
def atomic_path(path: str | Path, *, size: int | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix; it takes the place of `path` when the block ends well.

    An exception removes it and leaves an older `path` as it was; so does a kill, but for a temporary file that
    `clean_temporary` finds. A symbolic link at `path` is replaced, never followed.

    Args:
        path: the file to write; its folders are made.
        size: how much is going to be written, where that is known, for the error of a full disk [bytes].

    Raises:
        DiskFullError: no space is left.
        DataError: the place cannot be written to.
    """
    target = Path(path)
    temporary = temporary_beside(target)
    with writing(target, size):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush(temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        with suppress(OSError):  # some network file systems cannot flush a folder
            _flush(target.parent)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Writes text atomically, as UTF-8 with the line ends it has."""
    write_bytes(path, text.encode("utf-8"))


def temporary_beside(target: Path) -> Path:
    """A free name in the folder of `target`, with its suffix, that `clean_temporary` knows as this process's."""
    return target.with_name(f"{_PREFIX}{_host()}-{os.getpid()}-{secrets.token_hex(4)}{target.suffix}")


def clean_temporary(folder: str | Path) -> int:
    """Removes what killed writers left below a folder and returns how many files and folders that were.

    Files of processes that still run stay; those of another machine stay for a day.
    """
    # not rglob, which stops with an error when another process removes a folder that it is about to list
    found = [Path(place, name) for place, *names in os.walk(folder) for name in (*names[0], *names[1])]
    stale = [path for path in found if path.name.startswith(_PREFIX) and _abandoned(path)]
    for path in stale:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(stale)


def alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _abandoned(path: Path) -> bool:
    host, pid, *_ = [*path.name.removeprefix(_PREFIX).split("-"), ""]
    if host == _host() and pid.isdigit():
        return not alive(int(pid))
    try:
        return time.time() - path.stat().st_mtime > _STALE_S
    except FileNotFoundError:
        return False
