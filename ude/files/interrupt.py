"""Ctrl-C and SIGTERM between two batches instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM  # the exit code a shell reports for it


@contextmanager
def stop_after_batch() -> Iterator[Callable[[], None]]:
    """Yields a function to call between batches: it raises what a signal asked for in the meantime.

    SIGINT becomes KeyboardInterrupt and SIGTERM becomes SystemExit(143). A second signal of the same kind acts at once.
    Outside the main thread, which signals do not reach, nothing changes.
    """
    received: list[int] = []
    previous = {}

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, previous[number])

    def stop_if_asked() -> None:
        if received:
            raise KeyboardInterrupt if received[0] == signal.SIGINT else SystemExit(TERMINATED)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.getsignal(number) or signal.SIG_DFL
            signal.signal(number, note)
    try:
        yield stop_if_asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
