"""Batches of one constant size, halved when the memory does not suffice."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

Row, Network = TypeVar("Row"), TypeVar("Network")

_LOG = logging.getLogger(__name__)


class OutOfMemoryError(RuntimeError):
    """The networks, or the networks and a single image, do not fit into the memory of the device."""

    exit_code = 7


class ConstantBatch:
    """Calls a function with exactly `size` rows at a time, the last row repeated where there are fewer.

    At one batch size the networks compute the same bits for a row, whatever its neighbours and wherever the data set
    ends. Out of memory halves the size for all later calls; then images differ by rounding.

    Args:
        size: rows per call.
        filled: False passes the last rows without copies, to a function that treats rows one by one anyway.
    """

    def __init__(self, size: int, *, filled: bool = True) -> None:
        self.size, self.filled = size, filled

    def __call__(self, function: Callable[[list[Row]], Sequence[Any]], rows: Sequence[Row]) -> list[Any]:
        """What the function makes of each row.

        Raises:
            OutOfMemoryError: not even one row fits.
        """
        results: list[Any] = []
        while len(results) < len(rows):
            part = list(rows[len(results) : len(results) + self.size])
            copies = part[-1:] * (self.size - len(part)) if self.filled else []
            found = None
            try:
                found = function([*part, *copies])
            except torch.OutOfMemoryError as error:
                reason = _reason(error)
            if found is None:  # outside of the handler, which keeps the function's tensors alive
                self._halve(reason)
            else:
                results += list(found[: len(part)])
        return results

    def _halve(self, reason: str) -> None:
        if self.size == 1:
            raise OutOfMemoryError(
                f"out of memory with a single image ({reason}); choose a smaller size or half precision, "
                "or decode in slices"
            )
        self.size //= 2
        _LOG.warning("out of memory (%s); from here on with batches of %d", reason, self.size)
        release_memory()


def loaded(load: Callable[[], Network], purpose: str) -> Network:
    """What a function loads; never within a `ConstantBatch`, which would try again with fewer rows.

    Args:
        load: loads networks.
        purpose: what for, for the error.

    Raises:
        OutOfMemoryError: they do not fit.
    """
    try:
        return load()
    except torch.OutOfMemoryError as error:
        reason = _reason(error)
    raise OutOfMemoryError(
        f"out of memory while loading what is needed for {purpose} ({reason}); free the device's memory, or choose "
        "half precision or smaller networks"
    )


def release_memory() -> None:
    """Give memory that is no longer used back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _reason(error: torch.OutOfMemoryError) -> str:
    return str(error).partition(".")[0]
