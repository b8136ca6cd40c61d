"""What became of several traverses: one that cannot be prepared does not stop the others, and is not forgotten."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ude.files import DataError, DiskFullError

_LOG = logging.getLogger(__name__)


class UnpreparedError(DataError):
    """Some of several traverses cannot be prepared.

    Attributes:
        summaries: what ``traverse.json`` says of each of the others.
    """

    def __init__(self, message: str, summaries: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.summaries = summaries


@dataclass
class Outcome:
    """Summaries of the traverses that are prepared, and what is wrong with the others; ``total`` counts both."""

    total: int
    summaries: list[dict[str, Any]] = field(default_factory=list)
    problems: list[DataError] = field(default_factory=list)

    @contextmanager
    def noting(self, traverse: str) -> Iterator[None]:
        """Logs and keeps what is wrong with a traverse; a full disk concerns all of them."""
        try:
            yield
        except DiskFullError:
            raise
        except DataError as error:
            if self.total > 1:
                _LOG.warning("%s is not prepared: %s", traverse, error)
            self.problems.append(error)

    def result(self) -> list[dict[str, Any]]:
        """The summaries.

        Raises:
            UnpreparedError: there is a problem with one of several traverses.
            DataError: the problem of the only one.
        """
        if not self.problems:
            return self.summaries
        if self.total == 1:
            raise self.problems[0]
        message = f"{len(self.problems)} of {self.total} traverses are not prepared; the first: {self.problems[0]}"
        raise UnpreparedError(message, self.summaries) from self.problems[0]
