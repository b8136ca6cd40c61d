"""The folder outside of all data sets for what is made of them once: indices, frames of videos, unpacked archives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from ude.files import DataError, DiskFullError

_REMEDY = "or set DATA.INDEX_ROOT or UDE_CACHE to a folder on another disk that you can write to"


def index_folder(folder: str | Path | None = None) -> Path:
    """The folder of indices: the one given, else ``$UDE_CACHE``, ``$XDG_CACHE_HOME/ude`` or ``~/.cache/ude``."""
    if folder:
        return Path(folder)
    if own := os.environ.get("UDE_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "ude"


def short_digest(text: str) -> str:
    """Sixteen characters that stand for a text, such as a path, in the name of a file or folder."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


@contextmanager
def naming_index_root(path: Path) -> Iterator[None]:
    """Makes the errors of writing below the folder of indices one line that says how to choose another one.

    Args:
        path: what is written.

    Raises:
        DiskFullError: no space is left.
        DataError: it cannot be written.
    """
    try:
        yield
    except DiskFullError as error:
        raise DiskFullError(f"{error}, {_REMEDY}") from error
    except DataError as error:
        raise DataError(f"{error}, {_REMEDY}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"cannot write {path}: {reason}; make that possible, {_REMEDY}") from error
