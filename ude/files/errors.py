"""Errors about the user's files; a tool prints their message and ends with their exit code."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)
_GONE = (errno.ENOENT, errno.ESTALE, errno.EIO)


class DataError(Exception):
    """A file or folder of the user is missing, damaged or unfit; the message is one line naming file and remedy."""

    exit_code = 4


class MissingFileError(DataError, FileNotFoundError):
    """A file or folder that is needed does not exist."""


class FolderInUseError(DataError):
    """Another process works in a folder.

    Attributes:
        lives: it is known to run; False where nobody can tell.
    """

    def __init__(self, message: str, *, lives: bool) -> None:
        super().__init__(message)
        self.lives = lives


class DiskFullError(DataError):
    """The disk or the quota is full; what was there before is intact."""

    exit_code = 6


@contextmanager
def writing(path: Path, size: int | None = None) -> Iterator[None]:
    """Turns the operating system's refusals while `path` is written into one-line errors.

    Args:
        path: what is written.
        size: how much, where that is known [bytes].

    Raises:
        DiskFullError: no space or quota is left.
        DataError: the place cannot be written to.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DataError) and not isinstance(error, DiskFullError):  # it says more already
            raise
        reason = _refusal(error)
        if reason is not None and reason.errno in _FULL:
            space = _space(path, size)
            raise DiskFullError(f"no space left to write {path}{space}; free some space and run again") from error
        if reason is not None and reason.errno in _NOT_WRITABLE and _concerns(reason, path):
            raise DataError(f"cannot write {path}: {reason.strerror}; choose a folder that you can write to") from error
        if reason is not None and reason.errno in _GONE and not path.parent.is_dir():
            raise DataError(
                f"cannot write {path}: its folder has vanished; was it moved, removed or unmounted?"
            ) from error
        raise


def require_space(path: Path, size: int, *, purpose: str) -> None:
    """Checks that a disk has room for what is going to be written.

    Args:
        path: where; it need not exist yet.
        size: how much [bytes].
        purpose: what for, in a few words, for the error.

    Raises:
        DiskFullError: there is less room.
    """
    free = _free(path)
    if free is not None and free < size:
        raise DiskFullError(
            f"{path} has too little space for {purpose}: {_megabytes(size)} needed, {_megabytes(free)} free on that "
            "disk; free some space or choose another folder"
        )


def _refusal(error: BaseException | None) -> OSError | None:
    """The operating system's error behind an error; torch.save hides it behind one of its own."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _concerns(error: OSError, path: Path) -> bool:
    """Whether the error is about the path or its folders, not about another file that was in use meanwhile."""
    return error.filename is None or Path(str(error.filename)).parent in path.parents


def _space(path: Path, size: int | None) -> str:
    """What is needed and what is left on the disk of a path, as far as that is known, as words in brackets."""
    free = _free(path)
    words = [] if size is None else [f"{_megabytes(size)} needed"]
    words += [] if free is None else [f"{_megabytes(free)} free on that disk"]
    return f" ({', '.join(words)})" if words else ""


def _free(path: Path) -> int | None:
    """The space left on the disk of a path [bytes], None where a network file system does not tell."""
    total, _, free = shutil.disk_usage(next(folder for folder in (path, *path.absolute().parents) if folder.is_dir()))
    return free if total else None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
