"""One process of a machine at a time makes what all of them need; the others wait for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .errors import FolderInUseError
from .lock import lock_folder, process_space

_WAIT_S = 0.5


@contextmanager
def in_turn(folder: str | Path, *, done: Callable[[], bool]) -> Iterator[bool]:
    """Wait until no other process works here, or until the work is done, and yield whether this process has to do it.

    Of this machine one process works at a time, by a lock of its own beside the folder. A process of another machine
    that holds the folder may be dead, which nobody here can tell: then the work is done here, too. So two machines may
    work at once, and what they write must be the same and appear whole.

    Args:
        folder: stands for the work; it is made, and removed if nothing came into it.
        done: whether the work is done, asked before each try and while waiting.

    Raises:
        DataError: the folder cannot be written to.
        DiskFullError: no space is left.
    """
    folder = Path(folder)
    with ExitStack() as held:
        for place in (folder.with_name(f"{folder.name}.{process_space()}"), folder):
            held.callback(_remove_empty, place)  # those that wait may make it again
            if not _taken(held, place, done):
                yield False
                return
        yield not done()


def _taken(held: ExitStack, place: Path, done: Callable[[], bool]) -> bool:
    """Wait for a lock; False when the work was done meanwhile."""
    while not done():
        try:
            held.enter_context(lock_folder(place))
        except FolderInUseError as error:
            if not error.lives:
                return True
            time.sleep(_WAIT_S)
        else:
            return True
    return False


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
