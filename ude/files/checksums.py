"""SHA-256 side files, in the format of `sha256sum`: they show damage that no loader notices by itself."""

import hashlib
import logging
from pathlib import Path

from .atomic import write_text
from .errors import DataError, MissingFileError

_LOG = logging.getLogger(__name__)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingFileError(f"there is no file {path}; check the path") from error


def announce(path: Path, digest: str) -> None:
    """Writes the side file for content that is about to replace `path`; the present content stays valid, too.

    A kill between this and `settle` then leaves a pair that fits, whichever content it finds.
    """
    write_text(_side(path), "".join(f"{known}  {path.name}\n" for known in dict.fromkeys([digest, *_known(path)])))


def settle(path: Path, digest: str) -> None:
    """Writes the side file for the content that `path` has now."""
    write_text(_side(path), f"{digest}  {path.name}\n")


def check(path: Path, *, required: bool) -> None:
    """Compares a file with its side file.

    Args:
        path: the file to check.
        required: whether a missing side file is an error; otherwise a warning is logged.

    Raises:
        MissingFileError: there is no such file.
        DataError: the content is not what was written, or a required side file is missing.
    """
    digest = sha256(path)
    known = _known(path)
    if known and digest not in known:
        raise DataError(
            f"{path} is damaged: its SHA-256 is not the one in {_side(path).name}; use a copy or an older file"
        )
    if not known and required:
        raise DataError(
            f"{path} has no checksum, so damage cannot be seen; if you trust it, run in its folder: "
            f"sha256sum {path.name} > {_side(path).name}"
        )
    if not known:
        _LOG.warning("%s has no checksum beside it; damage cannot be seen", path)


def _side(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _known(path: Path) -> list[str]:
    if not _side(path).is_file():
        return []
    lines = _side(path).read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[0].lower() for line in lines if line.strip()]
