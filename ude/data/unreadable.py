"""Frames that cannot be read: the end of the run, or counted and left out up to a cap."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ude.files import DataError

ON_ERROR = ("raise", "skip")

logger = logging.getLogger(__name__)


class UnreadableFrames:
    """What becomes of frames that cannot be read, over all loader processes of a training or evaluation process.

    Of several training processes, each counts the frames that itself has met: the order is drawn anew in each epoch, so
    that in a few epochs it meets them all. :meth:`merge` adds those of the others.

    Args:
        frame_id: name of a frame by its number.
        total: number of frames.
        on_error: ``raise`` ends at the first one, ``skip`` leaves out and counts them.
        max_skipped: share of all frames, 0..1, above which leaving out ends, too.
    """

    def __init__(
        self, frame_id: Callable[[int], str], total: int, *, on_error: str = "raise", max_skipped: float = 0.01
    ) -> None:
        if on_error not in ON_ERROR:
            raise ValueError(f"on_error must be one of {', '.join(ON_ERROR)}, got {on_error!r}")
        self.frame_id = frame_id
        self.on_error = on_error
        self.max_skipped = max_skipped
        self.total = total
        self._flags = torch.zeros(total, dtype=torch.bool).share_memory_()

    def names(self) -> list[str]:
        """Names of the frames that were left out so far."""
        return [self.frame_id(index) for index in self._flags.nonzero().flatten().tolist()]

    def flags(self) -> Tensor:
        """Which frames were left out so far, uint8 (N,)."""
        return self._flags.to(torch.uint8)

    def merge(self, flags: Tensor) -> None:
        """Add the frames that other processes have left out, bool (N,).

        Raises:
            DataError: together they are too many.
        """
        self._flags |= flags.bool()
        self._require_few(f"the last is {self.names()[-1]}" if self._flags.any() else "")

    def read(self, index: int, action: Callable[[int], object]) -> bool:
        """Do an action that reads a frame; False where it cannot be read and is left out.

        Raises:
            DataError: it cannot be read, and that is not allowed, or no longer.
        """
        try:
            action(index)
        except DataError as error:
            self._note(index, error)
            return False
        return True

    def read_next(self, index: int, action: Callable[[int], object]) -> int:
        """Do an action for a frame, or else for the first one after it that can be read; returns which.

        Raises:
            DataError: a frame cannot be read, and that is not allowed, or no longer.
        """
        for step in range(self.total):
            if self.read((index + step) % self.total, action):
                return (index + step) % self.total
        raise DataError(f"none of {self.total} frames can be read; find out why by: python tools/check_data.py --deep")

    def report(self) -> None:
        """Log how many frames were left out, where there are any."""
        names = self.names()
        if names:
            logger.warning("%d of %d frames were left out, since they cannot be read", len(names), self.total)

    def _note(self, index: int, error: DataError) -> None:
        name = self.frame_id(index)
        if self.on_error == "raise":
            raise DataError(f"frame {name}: {error}") from error
        if not self._flags[index]:
            self._flags[index] = True
            logger.warning("frame %s is left out: %s", name, error)
        self._require_few(f"the last is {name}: {error}")

    def _require_few(self, example: str) -> None:
        skipped, total = int(self._flags.sum()), self.total
        if skipped > self.max_skipped * total:
            raise DataError(
                f"{skipped} of {total} frames cannot be read, more than DATA.MAX_SKIPPED {self.max_skipped:g} of them; "
                "raise DATA.MAX_SKIPPED or leave them out by DATA.EXCLUDE (tools/check_data.py --deep writes it); "
                f"{example}"
            )
