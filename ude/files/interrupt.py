"""Ctrl-C and SIGTERM between two batches instead of in the middle of one."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM  # the exit code a shell reports for it


@contextmanager
def stop_after_batch(agree: Callable[[int], int] = int) -> Iterator[Callable[[], None]]:
    """Yields a function to call between batches: it raises what a signal asked for in the meantime.

    SIGINT becomes KeyboardInterrupt and SIGTERM becomes SystemExit(143), at the end of the block at the latest. A
    second signal of the same kind acts at once. Outside the main thread, which signals do not reach, nothing changes.

    Args:
        agree: makes the number of the signal that counts of the one that came, 0 for none; several processes that work
            together agree here to stop together.
    """
    received: list[int] = []
    previous = {}

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, previous[number])

    def stop_if_asked() -> None:
        number = agree(received[0] if received else 0)
        if number:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(TERMINATED)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.getsignal(number) or signal.SIG_DFL
            signal.signal(number, note)
    try:
        yield stop_if_asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if agree is int:  # a signal behind the last batch is not lost; several processes have nothing left to agree on
        stop_if_asked()


@contextmanager
def exit_on_terminate() -> Iterator[None]:
    """SIGTERM ends the block by SystemExit(143), so that what it holds is given back; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    previous = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
