"""Reading ahead of the networks, judging and writing behind them, in threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")

READERS, WRITERS = 2, 2


def ahead(function: Callable[[Item], Result], items: Iterable[Item], *, lookahead: int) -> Iterator[Result]:
    """What a function makes of each item, in order, computed in threads while the caller works on earlier ones.

    Args:
        function: safe to call from several threads.
        items: its arguments.
        lookahead: how many results may wait for the caller.
    """
    pending: deque[Future[Result]] = deque()
    executor = ThreadPoolExecutor(READERS, thread_name_prefix="read")
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > lookahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class Writer:
    """Calls functions in threads behind the caller; at the end of the block all of them are done.

    An error in one of them is raised at a later call, or at the end.

    Args:
        waiting: how many calls may wait until the caller has to.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting = waiting
        self._pending: deque[Future[Any]] = deque()
        self._executor = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._executor.shutdown(wait=True)
        if kind is None:
            self._collect(0)

    def __call__(self, function: Callable[..., object], *arguments: object) -> None:
        """Call the function soon."""
        self._pending.append(self._executor.submit(function, *arguments))
        self._collect(self._waiting)

    def _collect(self, allowed: int) -> None:
        while self._pending and (len(self._pending) > allowed or self._pending[0].done()):
            self._pending.popleft().result()


class Follower:
    """Calls a function in one thread behind the caller, and hands its results on in the caller's thread, in order.

    When that happens depends on the number of calls alone, not on how fast the function is. An interrupted block waits
    for the results, one with an error does not.

    Args:
        function: what to call.
        receive: takes each result.
        lag: how many results may be outstanding.
    """

    def __init__(self, function: Callable[..., Result], receive: Callable[[Result], None], *, lag: int = 1) -> None:
        self._function, self._receive, self._lag = function, receive, lag
        self._pending: deque[Future[Result]] = deque()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="follow")

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or not issubclass(kind, Exception):
                self.drain()
        finally:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def __call__(self, *arguments: object) -> None:
        """Call the function soon; hand on what is more than the lag behind."""
        self._pending.append(self._executor.submit(self._function, *arguments))
        self._hand_on(self._lag)

    def drain(self) -> None:
        """Hand on everything."""
        self._hand_on(0)

    def _hand_on(self, allowed: int) -> None:
        while len(self._pending) > allowed:
            self._receive(self._pending.popleft().result())
