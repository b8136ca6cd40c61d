"""A run's share of the frames, and who works on an output folder at the moment."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ude.files import DataError, FolderInUseError, lock_folder

_FOLDER, _ARRIVAL = ".shards", "arrival"
_POLL_S = 0.1
_WAIT_S = 3600.0  # for a process of which nobody knows whether it lives
_REFUSALS = 3  # refusals in a row that may come from a lock that was just given back


@dataclass(frozen=True)
class Shard:
    """Every `count`-th frame, beginning with frame `index`.

    Raises:
        ValueError: there is no such shard.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard {self.index}/{self.count} must be i/n with 0 <= i < n, such as 0/2 and 1/2")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Shard":
        """The shard that RANK and WORLD_SIZE name, as torchrun sets them; the whole without them."""
        values = [environment.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"))]
        if not all(value.isdecimal() for value in values):
            raise ValueError(f"RANK and WORLD_SIZE must be whole numbers, got {values[0]!r} and {values[1]!r}")
        return cls(*map(int, values))

    def positions(self, total: int) -> range:
        """Which of `total` frames belong to the shard."""
        return range(self.index, total, self.count)

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


class ShardClaim:
    """A folder's shard, kept to this process from its arrival until it finishes, or to the end of the block.

    Several shards of one division may run at once, on one machine or on many that share the folder; the same shard
    twice, or two divisions at once, may not.

    Args:
        output: folder of the translated frames.
        shard: which part of the frames this process works on.
    """

    def __init__(self, output: Path, shard: Shard) -> None:
        self.output, self.shard = output, shard
        self._folder = output / _FOLDER
        self._held = ExitStack()

    def __enter__(self) -> "ShardClaim":
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    @contextmanager
    def arriving(self) -> Iterator[bool]:
        """Takes the shard; yields whether no other shard is at work, while none can come or finish.

        Raises:
            DataError: another process has the shard, or works in another division.
        """
        with turn(self.output, _ARRIVAL):
            others = {name: error for name, error in self._busy().items() if name != str(self.shard)}
            self._refuse_other_divisions(others)
            self._held.enter_context(lock_folder(self._folder / str(self.shard)))
            yield not others

    @contextmanager
    def finishing(self) -> Iterator[bool]:
        """Gives the shard back; yields whether no other shard is at work, while none can come or finish."""
        with turn(self.output, _ARRIVAL):
            self._release()
            yield not self._busy()

    def _busy(self) -> dict[str, DataError]:
        """The shards at work and what the attempt to take each of them said; traces of dead ones are removed."""
        found = {}
        for folder in sorted(self._folder.glob("*")):
            if folder.name == _ARRIVAL:
                continue
            try:
                with lock_folder(folder):
                    pass
            except DataError as error:
                found[folder.name] = error
            else:
                _remove_empty(folder)
        return {name: error for name, error in found.items() if "-of-" in name}

    def _refuse_other_divisions(self, others: Mapping[str, DataError]) -> None:
        for name, error in others.items():
            count = name.rpartition("-")[2]
            if count != str(self.shard.count):
                raise DataError(
                    f"{self.output} is being translated in {count} shard(s), not {self.shard.count}: {error}"
                ) from error

    def _release(self) -> None:
        self._held.close()
        _remove_empty(self._folder / str(self.shard))
        _remove_empty(self._folder)
        _remove_empty(self.output)


@contextmanager
def turn(output: Path, purpose: str, stop_if_asked: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One process of all that work on a folder at a time; the others wait.

    Args:
        output: folder of the translated frames.
        purpose: what for; a word.
        stop_if_asked: called again and again while this process waits; ends that by an exception.

    Raises:
        DataError: the folder cannot be written to, or a process that may be dead keeps it for an hour.
    """
    place, deadline, refusals = output / _FOLDER / purpose, time.monotonic() + _WAIT_S, 0
    held = ExitStack()
    while True:
        try:
            held.enter_context(lock_folder(place))
            break
        except DataError as error:
            if isinstance(error, FolderInUseError) and error.lives:
                deadline = time.monotonic() + _WAIT_S
            refusals = 0 if (place / ".lock").is_dir() else refusals + 1  # without a lock, waiting does not help
            if refusals > _REFUSALS or time.monotonic() > deadline:
                raise
        stop_if_asked()
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        held.close()
        _remove_empty(place)
        _remove_empty(output / _FOLDER)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
