"""Time that a network takes, without waiting for its device before the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import torch


class NetworkClock:
    """Adds up the time of calls on a device; on a GPU by events that the device itself notes.

    Args:
        device: where the calls are computed.
    """

    def __init__(self, device: str | torch.device) -> None:
        self._on_gpu = torch.device(device).type == "cuda"
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """A block whose time counts, on the current stream."""
        if self._on_gpu:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            yield
            last.record()
            self._events.append((first, last))
            return
        started = perf_counter()
        yield
        self._seconds += perf_counter() - started

    def seconds(self) -> float:
        """The time so far; on a GPU to be asked only once the device has done its work."""
        return self._seconds + sum(first.elapsed_time(last) for first, last in self._events) / 1000
