"""A folder for one process at a time, on one machine or on a network file system.

The lock is a folder ``.lock`` with one file in it that says who holds it. It is made ready under another name and
renamed: a folder takes the place of another one only if that is empty, everywhere and at once. So of two processes that
start together one wins, and nobody ever sees a lock without its holder. Advisory locks (flock, fcntl) are unused, since
many network file systems ignore them between machines or need a daemon for them, nor hard links since some have none. A
kill leaves the lock behind. A holder's file has a name of its own: whoever removes a dead one cannot hit its successor.
"""

import errno
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from .atomic import alive, temporary_beside, write_text
from .errors import DataError, FolderInUseError, writing

_NAME = ".lock"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_PERHAPS_TAKEN = (errno.EACCES, errno.EPERM)  # what some network file systems say instead
_ATTEMPTS = 5
_MACHINE_ID = Path("/etc/machine-id")


@contextmanager
def lock_folder(folder: str | Path) -> Iterator[None]:
    """Keeps a folder to this process while the block runs; the folder is made, and removed if nothing came into it.

    The lock of a process of this machine that is gone is taken over.

    Args:
        folder: the folder; others that call this for it are refused.

    Raises:
        FolderInUseError: another process holds it.
        DataError: it cannot be written to.
        DiskFullError: no space is left.
    """
    place = Path(folder) / _NAME
    with writing(place):
        made = _make(place.parent)
        try:
            token = _take(place)
        except BaseException:
            _remove_empty(made)
            raise
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may be gone
            token.unlink()
        _remove_empty([place, *made])


def process_space() -> str:
    """A short name of this machine or container, fit for a file name; its processes know of each other who lives."""
    here = _machine()
    text = f"{platform.node()} {here['machine']} {here['namespace']}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _make(folder: Path) -> list[Path]:
    """Makes a folder; returns what was missing, deepest first.

    Raises:
        DataError: there is a file in its place, or it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    if files := [path for path in missing if path.exists() and not path.is_dir()]:  # others may make it meanwhile
        raise DataError(f"cannot write {folder / _NAME}: {files[0]} is a file; choose a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # from file systems in which nothing can be made
        raise DataError(f"cannot make {folder}: {error.strerror}; choose a folder that you can write to") from error
    return missing


def _remove_empty(folders: list[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _take(place: Path) -> Path:
    """Takes the lock; returns the file that stands for this process."""
    prepared = temporary_beside(place)
    token = place / prepared.name.removeprefix(".")
    try:
        prepared.mkdir(parents=True)  # a holder that made the folder may just have removed it
        write_text(prepared / token.name, json.dumps(_this_process()))
        for _ in range(_ATTEMPTS):
            if _renamed(prepared, place) or token.is_file():  # a repeated network request fails where the first did not
                return token
            _remove_dead_holder(place)
    except BaseException:
        shutil.rmtree(prepared, ignore_errors=True)
        raise
    shutil.rmtree(prepared, ignore_errors=True)
    raise DataError(f"{place.parent} cannot be locked; if no other process works there, remove {place}")


def _renamed(prepared: Path, place: Path) -> bool:
    try:
        os.rename(prepared, place)
    except OSError as error:
        if error.errno in _TAKEN or (error.errno in _PERHAPS_TAKEN and place.is_dir()):
            return False
        raise
    return True


def _remove_dead_holder(place: Path) -> None:
    """Makes room if the holder is gone.

    Raises:
        FolderInUseError: the holder lives, or cannot be asked.
    """
    for token in _listed(place):
        try:
            holder = json.loads(token.read_text(encoding="utf-8"))
            who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except FileNotFoundError:  # it was just given back
            continue
        except (ValueError, KeyError, TypeError):
            holder, who = {}, "a process that left no name"
        lives = _lives(holder)
        if lives is None:
            remedy = f"wait for it, or, if it is gone, remove {place}"
            raise FolderInUseError(f"{place.parent} is in use by {who}; {remedy}", lives=False)
        if lives:
            remedy = "wait for it, stop it, or choose another folder"
            raise FolderInUseError(f"{place.parent} is in use by {who}; {remedy}", lives=True)
        token.unlink(missing_ok=True)
    with suppress(OSError):  # some network file systems rename only to a free name
        place.rmdir()


def _listed(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except FileNotFoundError:
        return []


def _this_process() -> dict[str, Any]:
    """Who holds a lock: enough to tell it from a later process with its number, and from one of another machine."""
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        **_machine(),
        "started": _started(os.getpid()),
    }


def _lives(holder: dict[str, Any]) -> bool | None:
    """Whether a holder still runs; None where this process cannot know, on another machine or in another container."""
    here = _machine()
    if holder.get("host") != platform.node():
        return None
    if None not in (holder.get("machine"), here["machine"]) and holder["machine"] != here["machine"]:
        return None  # two machines may have one name, such as "localhost"
    if holder.get("boot") != here["boot"]:  # the machine was started anew
        return False
    if holder.get("namespace") != here["namespace"]:
        return None
    return alive(holder["pid"]) and _started(holder["pid"]) == holder.get("started")


def _machine() -> dict[str, str | None]:
    """This machine, its start, and the space of its process numbers; None where the system does not tell."""
    machine = boot = namespace = None
    with suppress(OSError):
        machine = _MACHINE_ID.read_text(encoding="ascii", errors="replace").strip() or None
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return {"machine": machine, "boot": boot, "namespace": namespace}


def _started(pid: int) -> str | None:
    """When a process began, in the system's ticks; None if it has ended or the system does not tell."""
    try:
        _, _, text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
    except OSError:
        return None
    fields = text.split()
    return None if fields[0] in "ZX" else fields[19]  # a zombie has ended; the names before may hold spaces
