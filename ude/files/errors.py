"""Errors about the user's files; a tool prints their message and ends with their exit code."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class DataError(Exception):
    """A file or folder of the user is missing, damaged or unfit; the message is one line naming file and remedy."""

    exit_code = 4


class MissingFileError(DataError, FileNotFoundError):
    """A file or folder that is needed does not exist."""


class DiskFullError(DataError):
    """The disk or the quota is full; what was there before is intact."""

    exit_code = 6


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals while `path` is written into one-line errors.

    Raises:
        DiskFullError: no space or quota is left.
        DataError: the place cannot be written to.
    """
    try:
        yield
    except Exception as error:
        reason = _refusal(error)
        if reason is not None and reason.errno in _FULL:
            raise DiskFullError(f"no space left to write {path}{_free(path)}; free some space and run again") from error
        if reason is not None and reason.errno in _NOT_WRITABLE and _concerns(reason, path):
            raise DataError(f"cannot write {path}: {reason.strerror}; choose a folder that you can write to") from error
        raise


def _refusal(error: BaseException | None) -> OSError | None:
    """The operating system's error behind an error; torch.save hides it behind one of its own."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _concerns(error: OSError, path: Path) -> bool:
    """Whether the error is about the path or its folders, not about another file that was in use meanwhile."""
    return error.filename is None or Path(str(error.filename)).parent in path.parents


def _free(path: Path) -> str:
    """The space left on the disk of a path, as words in brackets."""
    folder = next(folder for folder in path.absolute().parents if folder.is_dir())
    return f" ({shutil.disk_usage(folder).free / 1e6:.1f} MB free on that disk)"
