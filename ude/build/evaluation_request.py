"""What an evaluation is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .weights import Weights


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is evaluated, and what is made of it.

    Attributes:
        weights: the predictors.
        split: official name or file.
        kind: what saved predictions are that do not say it.
        output: where the comparison goes, or the results of a single predictor; None for the usual place.
        saved: where predictions are kept; None keeps none.
        published: compare with published numbers, too.
        report: write report.html.
        gallery: frames per condition in the report.
        command: the command line, for the report.
    """

    weights: Sequence[Weights]
    split: str
    kind: str = ""
    output: Path | None = None
    saved: Path | None = None
    published: bool = False
    report: bool = True
    gallery: int = 3
    command: str = ""

    @property
    def compared(self) -> bool:
        """Whether there may be more than one row to compare."""
        return len(self.weights) > 1 or self.published
