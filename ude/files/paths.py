"""Paths that come from files of others and must stay inside a folder, and names that may be no paths."""

import re
from pathlib import Path

from .errors import DataError

_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 4096


def safe_path(root: str | Path, relative: str, *, to_write: bool = False) -> Path:
    """The path of `relative` below `root`, refused when its text could lead elsewhere.

    The disk is not touched, unless for writing. Symbolic links inside the root are followed for reading: people link
    data from other disks.

    Args:
        root: folder that the path must stay in.
        relative: path with forward slashes, from a split file, a manifest or a table.
        to_write: refuse a path that leaves the root through a symbolic link, too.

    Raises:
        DataError: the path is empty, absolute or over-long, or holds "..", a backslash, a drive letter or a control
            character.
    """
    reason = _objection(relative)
    if reason:
        raise DataError(f"unsafe path {_shown(relative)} for {root}: {reason}; correct the file that names it")
    path = Path(root, relative)
    if to_write and not path.resolve().is_relative_to(Path(root).resolve()):
        raise DataError(f"unsafe path {_shown(relative)} for {root}: a symbolic link leads out of it; remove the link")
    return path


def looks_like_hub_id(name: str | Path) -> bool:
    """Whether a name is of the form ``owner/model`` and neither it nor its parent is a folder here."""
    path = Path(name)
    return str(name).count("/") == 1 and not path.is_absolute() and not path.is_dir() and not path.parent.is_dir()


def _objection(relative: str) -> str | None:
    parts = relative.split("/")
    rules = {
        "it is empty": not relative.strip(),
        "it has control characters": re.search(r"[\x00-\x1f\x7f]", relative),
        "it has a backslash": "\\" in relative,
        "it is absolute": relative.startswith(("/", "~")),
        "it has a drive letter": re.match(r"[A-Za-z]:", relative),
        'it has ".."': ".." in parts,
        "it is too long": len(_utf8(relative)) > _MAX_PATH_BYTES
        or max(len(_utf8(part)) for part in parts) > _MAX_NAME_BYTES,
    }
    return next((reason for reason, broken in rules.items() if broken), None)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")


def _shown(relative: str) -> str:
    return repr(relative if len(relative) <= 80 else relative[:77] + "...")
