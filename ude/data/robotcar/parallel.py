"""Making frames in several processes, which end with the one that started them."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, TypeAlias

from ude.files import DataError

from .calibration import Calibration
from .frames import FrameMaker, Preparation
from .recording import Recording
from .trajectory import Motions

Made: TypeAlias = tuple[list[dict[str, Any]], list[str], list[str]]
Part: TypeAlias = Mapping[int, dict[str, Any] | None]
Arguments: TypeAlias = tuple[Recording, Calibration, Preparation, Motions, tuple[int, int], Path]
_CHUNK = 128
"""Frames that are handed to a process at a time, 8 s: with a margin of 4 s each scan is read twice."""
_maker: FrameMaker | None = None  # of a worker process


def made_frames(arguments: Arguments, parts: Sequence[Part], workers: int) -> Iterator[Made]:
    """What ``FrameMaker.make`` returns for parts of a traverse, in the order in which they are finished.

    Args:
        arguments: of the ``FrameMaker``: recording, calibration, preparation, motions, size and folder.
        parts: arguments of ``FrameMaker.make``.
        workers: number of processes; 1 works in this one.

    Raises:
        DataError: a process was ended from outside, for instance for its memory.
    """
    if not parts:
        return
    if workers == 1 or len(parts) == 1:
        maker = _new_maker(arguments)
        yield from (maker.make(part) for part in parts)
        return
    # not fork, which copies threads' locks in the state they are in
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start, initargs=(arguments,))
    try:
        for future in as_completed([pool.submit(_make, part) for part in parts]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process has ended unexpectedly, perhaps for lack of memory; run again with fewer --workers, "
            "finished frames are kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def consecutive_parts(times: Sequence[int], gap_us: int, workers: int) -> Iterator[list[int]]:
    """Times in parts for a process each: neighbours share most of their scans; a gap [us] starts a new part."""
    length = min(_CHUNK, -(-len(times) // workers))
    part: list[int] = []
    for time in times:
        if part and (len(part) == length or time - part[-1] > gap_us):
            yield part
            part = []
        part.append(time)
    if part:
        yield part


def _start(arguments: Arguments) -> None:
    """Prepares a worker process: it works on one core, leaves Ctrl-C to its parent and dies with it."""
    import torch

    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _maker = _new_maker(arguments)


def _end_with_parent() -> None:
    parent_process().join()
    os._exit(1)


def _make(part: Part) -> Made:
    return _maker.make(part)


def _new_maker(arguments: Arguments) -> FrameMaker:
    recording, calibration, preparation, motions, size, folder = arguments
    return FrameMaker(recording, calibration, preparation, motions, size=size, folder=folder)
