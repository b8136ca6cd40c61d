"""One comparison from check to table: verified, timed, printed, and kept as JSON."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .environment import load_average
from .equality import Check, verify
from .harness import Clock, Timing, Variant, clock_of, interleave, ratio

UNITS = {"matrix product": ("GFLOP/s", 1e9), "copy": ("GB/s", 1e9)}


@dataclass(frozen=True)
class Settings:
    """What the command line chose.

    Attributes:
        device: where everything runs.
        rounds: of the timing.
        size: (height, width) of the images [px]; None takes the case's own sizes.
        batch: images per step; None takes the case's own.
        quick: tiny sizes and few rounds, to see that everything works; no number of it means anything.
        compiled: whether variants through torch.compile are measured.
        backbone: network of the cases that train one; None takes the case's own.
        peer_monodepth2: checkout of monodepth2 to run beside.
        peer_md4all: checkout of md4all to run beside.
    """

    device: torch.device
    rounds: int = 7
    size: tuple[int, int] | None = None
    batch: int | None = None
    quick: bool = False
    compiled: bool = True
    backbone: str | None = None
    peer_monodepth2: Path | None = None
    peer_md4all: Path | None = None

    def shapes(self, own: tuple[tuple[int, int, int], ...]) -> list[tuple[tuple[int, int], int]]:
        """((height, width), batch) of every comparison of a case whose own (height, width, batch) are given."""
        if self.quick:
            own = ((64, 96, 2),)
        if self.size is None:
            return [((height, width), self.batch or batch) for height, width, batch in own]
        return [(self.size, self.batch or own[0][2])]


@dataclass(frozen=True)
class Report:
    """What a comparison found.

    Attributes:
        case: its name on the command line.
        title: what was compared, with the size.
        checks: the equality that was found before timing.
        limit: timing of the limit in the same rounds.
        timings: of the variants, the base first.
        device_label: CPU or GPU.
        load: load average before and after.
        notes: what a reader should know, e.g. which variant is missing.
        extra: numbers per variant beside times, e.g. images per second.
    """

    case: str
    title: str
    checks: list[Check]
    limit: Timing
    timings: list[Timing]
    device_label: str
    load: tuple[float | None, float | None]
    notes: list[str] = field(default_factory=list)
    extra: dict[str, dict[str, float]] = field(default_factory=dict)

    def table(self) -> str:
        """The comparison as text."""
        unit, scale = UNITS[self.limit.name]
        head = f"{self.case}: {self.title}"
        equal = [f"  {_found(check)}" for check in self.checks]
        limit = f"  limit in the same rounds: {self.limit.name} {self.limit.rate / scale:.1f} {unit}; load {self.load}"
        width = max(len(timing.name) for timing in self.timings)
        rows = [
            f"  {'':{width}}  {self.device_label + ' ms':>10} {'wall ms':>10}  {'ratio':>6}  {'range':>13}  of limit"
        ]
        for timing in self.timings:
            found = ratio(self.timings[0], timing)
            share = f"{100 * timing.rate / self.limit.rate:6.2g} %" if timing.work else "       -"
            extra = "".join(f"  {name} {value:.4g}" for name, value in self.extra.get(timing.name, {}).items())
            rows.append(
                f"  {timing.name:{width}}  {timing.cost * 1e3:10.2f} {timing.wall * 1e3:10.2f}  {found.median:6.2f}  "
                f"{found.lowest:5.2f} .. {found.highest:5.2f}  {share}{extra}"
            )
        return "\n".join([head, *equal, limit, *rows, *(f"  note: {note}" for note in self.notes)])

    def as_json(self) -> dict[str, Any]:
        """The comparison with every round."""
        return {
            "case": self.case,
            "title": self.title,
            "equality": [{"name": c.name, "value": c.value, "bound": c.bound} for c in self.checks],
            "limit": {"name": self.limit.name, "per_second": self.limit.rate, **_seconds(self.limit)},
            "base": self.timings[0].name,
            "variants": [self._variant(timing) for timing in self.timings],
            "clock": self.device_label,
            "load_before": self.load[0],
            "load_after": self.load[1],
            "notes": self.notes,
        }

    def _variant(self, timing: Timing) -> dict[str, Any]:
        found = ratio(self.timings[0], timing)
        return {
            "name": timing.name,
            **_seconds(timing),
            "ratio": found.median,
            "ratio_lowest": found.lowest,
            "ratio_highest": found.highest,
            "work": timing.work or None,
            "fraction_of_limit": timing.rate / self.limit.rate if timing.work else None,
            **self.extra.get(timing.name, {}),
        }


def measure(
    case: str,
    title: str,
    *,
    checks: list[Check],
    variants: list[Variant],
    limit: Variant,
    settings: Settings,
    notes: list[str] | None = None,
    images: int = 0,
    clock: Clock | None = None,
) -> Report:
    """Refuse when a check failed, otherwise time all variants in turns with the limit.

    Args:
        case: name on the command line.
        title: what is compared.
        checks: comparisons of the variants' results, made before.
        variants: what to time, the base first.
        limit: what bounds them, timed in the same rounds.
        settings: of the command line.
        notes: printed below the table.
        images: per call, to state images per second; 0 leaves it out.
        clock: what ratios are made of; None takes the time of the CPU or the accelerator.

    Raises:
        UnequalError: when a check failed.
    """
    verify(f"{case}: {title}", checks)
    clock = clock or clock_of(settings.device)
    before = load_average()
    quick = {"warmup": 1, "min_seconds": 0.0} if settings.quick else {}
    limit_timing, *timings = interleave([limit, *variants], settings.rounds, clock=clock, **quick)
    return Report(
        case=case,
        title=title,
        checks=checks,
        limit=limit_timing,
        timings=timings,
        device_label=clock.label,
        load=(before, load_average()),
        notes=notes or [],
        extra={t.name: {"images_per_s": images / t.cost} for t in timings} if images else {},
    )


def _found(check: Check) -> str:
    bound = "only reported: other conventions" if check.bound is None else f"at most {check.bound:g}"
    return f"{check.name}: {check.value:.2g} ({bound})"


def _seconds(timing: Timing) -> dict[str, Any]:
    return {
        "cost_ms": timing.cost * 1e3,
        "wall_ms": timing.wall * 1e3,
        "cost_ms_rounds": [1e3 * value for value in timing.cost_s],
        "wall_ms_rounds": [1e3 * value for value in timing.wall_s],
    }
