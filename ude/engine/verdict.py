"""What was watched in a training step, and the error and the dump that name what was not finite in it."""

import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ude.files import DataError, write_json

DUMP = "non_finite.json"
LISTED = 8
KINDS = ("input", "prediction", "loss", "gradient")
"""What is watched in a step, in the order in which one that is not finite spoils the next."""

LOWER = "lower SOLVER.LR_ENCODER, LR_DECODER and LR_POSE or set SOLVER.GRAD_CLIP, and add --resume"


class NonFiniteLossError(FloatingPointError):
    """An input, a loss term or a gradient became NaN or infinite; the message names step, terms and frames."""

    exit_code = 5


@dataclass
class Record:
    """What is watched in one step.

    Attributes:
        step: number of the step.
        frames: ids of its frames.
        names: kind (a row of :data:`KINDS`) and name of each value.
        values: scalars on the device, one per name.
        numbers: the values, and last whether the step is bad, on the CPU; perhaps still on their way.
        copied: tells when they have arrived; None where nobody needs to wait.
    """

    step: int
    frames: list[str]
    names: list[tuple[str, str]] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    numbers: Tensor | None = None
    copied: torch.cuda.Event | None = None

    def add(self, kind: str, name: str, value: Tensor) -> None:
        """Watch a scalar."""
        self.names.append((kind, name))
        self.values.append(value.detach().float())

    def is_bad(self) -> bool:
        """The verdict; waits until it has arrived."""
        if self.copied is not None:
            self.copied.synchronize()
        return bool(self.numbers[-1])

    def report(self) -> dict[str, Any]:
        """The step in plain values, those that are not finite as text."""
        named = list(zip(self.names, self.numbers.tolist()[: len(self.names)], strict=True))
        return {
            "step": self.step,
            "frames": self.frames,
            "not_finite": {
                kind: [name for (k, name), value in named if k == kind and not math.isfinite(value)] for kind in KINDS
            },
            "loss": {name: _plain(value) for (kind, name), value in named if kind == "loss"},
            "gradient_norm": {name: _plain(value) for (kind, name), value in named if kind == "gradient"},
        }


def non_finite_error(reports: list[dict[str, Any]], folder: Path | None) -> NonFiniteLossError:
    """The error about a step; what is known of it goes into a file.

    Args:
        reports: of the processes, see :meth:`Record.report`.
        folder: run folder; None writes no file.
    """
    guilty = [report for report in reports if any(report["not_finite"][kind] for kind in KINDS[:-1])]
    guilty = guilty or reports[:1]  # gradients are the same in all processes
    first, where = guilty[0], ""
    if folder is not None:
        with suppress(DataError):  # the disk may be full: the message matters more
            write_json(folder / DUMP, {"processes": guilty})
            where = f"; see {folder / DUMP}"
    kind = next(kind for kind in KINDS if first["not_finite"][kind])
    terms = ", ".join(f"{name} {float(value):.4g}" for name, value in first["loss"].items())
    return NonFiniteLossError(
        f"not finite at step {first['step']}: {kind} {_listed(first['not_finite'][kind])}"
        f"{f' (loss terms: {terms})' if terms else ''}; frames: {_listed(first['frames'])}; "
        f"{'check these frames and their calibration' if kind == 'input' else LOWER}{where}"
    )


def _listed(names: list[str]) -> str:
    """Different names, but no more than fit into a line."""
    different = list(dict.fromkeys(names))
    rest = f" and {len(different) - LISTED} more" if len(different) > LISTED else ""
    return ", ".join(different[:LISTED]) + rest


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
