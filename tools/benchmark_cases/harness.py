"""Interleaved timing: all variants in one process, in turns, compared by the ratios within each round."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Variant:
    """One way to do the work of a case.

    Attributes:
        name: shown in the table.
        run: does the work once.
        work: operations or bytes, in the unit of the case's limit, that one call has to do at least; 0 = not counted.
    """

    name: str
    run: Callable[[], object]
    work: float = 0.0


@dataclass(frozen=True)
class Clock:
    """Two readings around every measurement.

    Attributes:
        label: what the cost is, e.g. "CPU".
        cost: time [s] that ratios are made of.
        wall: time of day [s].
        settle: waits until the work given to the device is done.
    """

    label: str
    cost: Callable[[], float]
    wall: Callable[[], float]
    settle: Callable[[], None]


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one variant, round by round.

    Attributes:
        name: the variant's.
        work: the variant's.
        cost_s: CPU time, or time on the accelerator [s].
        wall_s: wall time [s].
    """

    name: str
    work: float
    cost_s: tuple[float, ...]
    wall_s: tuple[float, ...]

    @property
    def cost(self) -> float:
        """Median cost [s]."""
        return statistics.median(self.cost_s)

    @property
    def wall(self) -> float:
        """Median wall time [s]."""
        return statistics.median(self.wall_s)

    @property
    def rate(self) -> float:
        """Work per second of cost."""
        return self.work / self.cost


@dataclass(frozen=True)
class Ratio:
    """How many times cheaper a variant is than the base, from the ratios of the single rounds.

    Attributes:
        median: of the rounds.
        lowest: of the rounds.
        highest: of the rounds.
    """

    median: float
    lowest: float
    highest: float


def clock_of(device: torch.device) -> Clock:
    """CPU time of this process; on an accelerator the wall time until it has finished."""
    if device.type == "cpu":
        return Clock("CPU", time.process_time, time.perf_counter, lambda: None)
    return Clock("GPU", time.perf_counter, time.perf_counter, lambda: torch.cuda.synchronize(device))


def interleave(
    variants: Sequence[Variant], rounds: int, *, clock: Clock, warmup: int = 2, min_seconds: float = 0.05
) -> list[Timing]:
    """Times all variants in every round, in the given order and reversed in every other round.

    Whatever slows the machine for a while then slows all variants of that round, and whoever runs first changes.

    Args:
        variants: what to time.
        rounds: how often.
        clock: what to time with.
        warmup: calls of every variant before.
        min_seconds: a variant that is shorter is repeated within a round until it takes about this long [s].

    Raises:
        ValueError: without variants or rounds.
    """
    if not variants or rounds < 1:
        raise ValueError(f"needs variants and rounds, got {len(variants)} variants and {rounds} rounds")
    for variant in variants:
        for _ in range(warmup):
            variant.run()
    repeats = [_repeats(variant, clock, min_seconds) for variant in variants]
    costs: list[list[float]] = [[] for _ in variants]
    walls: list[list[float]] = [[] for _ in variants]
    with _without_collector():
        for number in range(rounds):
            order = range(len(variants)) if number % 2 == 0 else reversed(range(len(variants)))
            for index in order:
                cost, wall = _measured(variants[index], clock, repeats[index])
                costs[index].append(cost)
                walls[index].append(wall)
    return [
        Timing(variant.name, variant.work, tuple(cost), tuple(wall))
        for variant, cost, wall in zip(variants, costs, walls, strict=True)
    ]


def ratio(base: Timing, other: Timing) -> Ratio:
    """How many times less the other variant costs than the base, within the same rounds."""
    ratios = [a / b for a, b in zip(base.cost_s, other.cost_s, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def _measured(variant: Variant, clock: Clock, repeats: int) -> tuple[float, float]:
    """Cost and wall time [s] of one call, the mean over some."""
    clock.settle()
    wall, cost = clock.wall(), clock.cost()
    for _ in range(repeats):
        variant.run()
    clock.settle()
    cost, wall = clock.cost() - cost, clock.wall() - wall
    return cost / repeats, wall / repeats


def _repeats(variant: Variant, clock: Clock, min_seconds: float) -> int:
    """Calls that together take about the given time."""
    if min_seconds <= 0:
        return 1
    _, seconds = _measured(variant, clock, 1)
    return max(1, round(min_seconds / max(seconds, 1e-9)))


@contextmanager
def _without_collector() -> Iterator[None]:
    """The garbage collector off, so that it never falls into one variant's share."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
