"""Which translated images are kept: the gates of a run, and the thresholds that it calibrates on its own images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ude.files import DataError, read_json, write_json

from ..conditions import Condition
from ..quality import QualityGate, Verdict, mismatched_threshold
from ..quality.statistics import NO_PAIRS
from ..references import References
from .stages import Depth

CALIBRATION = 24  # frames whose mismatched pairs calibrate a threshold
FEWEST = 12  # frames that can calibrate one: of fewer the 99 % quantile is the most similar pair
GREATEST = 0.35  # above it the frames show the same places, and correlate for that
GATE_REFERENCES = 32  # real images that a condition's statistics are compared with
FLAT = 1 / 255  # an image whose values deviate less than this from their mean shows nothing


@dataclass(frozen=True)
class QualityOptions:
    """What is asked of a translated image.

    Attributes:
        enabled: False refuses only what is not finite, black or constant.
        attempts: seeds that are tried before an image is put into quarantine.
        structure: least correlation of log-gradients with the day frame; None calibrates it on mismatched pairs.
        depth: largest mean relative difference of depth to the control; 0 = off.
    """

    enabled: bool = True
    attempts: int = 3
    structure: float | None = None
    depth: float = 0.0

    @property
    def calibrated(self) -> bool:
        """Whether the least correlation is found on the run's own images."""
        return self.enabled and self.structure is None


class Gate(Protocol):
    """Judges translations (B, 3, H, W) of day frames (B, 3, H, W), both in [0, 1], with their control depth."""

    def __call__(self, sources: Tensor, translated: Tensor, inverse_depth: Tensor | None = None) -> list[Verdict]:
        """One verdict per image."""
        ...


def gate_of(
    condition: Condition,
    options: QualityOptions,
    *,
    least_structure: float,
    references: References | None,
    depth: Callable[[], Depth] | None,
    device: str,
) -> Gate:
    """The gate of a condition.

    Args:
        condition: what was translated to.
        options: what is asked of an image.
        least_structure: least correlation of log-gradients.
        references: real images of the conditions, where there are any.
        depth: loads the network that the depth of translations is compared by; called only if it is needed.
        device: where images are judged.
    """
    if not options.enabled:
        return content_gate
    shown = None
    if references is not None and condition.name in references.names:
        names = references.names[condition.name]
        chosen = [f"{condition.name}/{names[place]}" for place in spread(len(names), GATE_REFERENCES)]
        shown = references.images(chosen).to(device)
    return QualityGate(
        condition,
        least_structure=least_structure,
        reference_images=shown,
        depth=depth() if options.depth and depth is not None else None,
        largest_depth_difference=options.depth,
    )


def content_gate(sources: Tensor, translated: Tensor, inverse_depth: Tensor | None = None) -> list[Verdict]:
    """The least that is asked of translations (B, 3, H, W): they are finite, and neither black nor constant."""
    reasons = [objection(image) for image in translated]
    return [Verdict(accepted=not reason, reason=reason, figures={}) for reason in reasons]


def objection(image: Tensor) -> str:
    """Why an image (3, H, W) cannot be a translation, "" where it can: not finite, or without any content."""
    if not torch.isfinite(image).all():
        return "not finite"
    if float(image.std()) < FLAT:
        return "black" if float(image.mean()) < FLAT else "constant"
    return ""


def calibrated_threshold(sources: Sequence[Tensor], translated: Sequence[Tensor]) -> float:
    """Correlation of log-gradients that images (3, H, W) of other frames hardly reach.

    Args:
        sources: day frames in [0, 1].
        translated: their translations in [0, 1].
    """
    pairs = [pair for pair in zip(sources, translated, strict=True) if not objection(pair[1])]
    if len(pairs) < FEWEST:
        return NO_PAIRS
    threshold = mismatched_threshold(*(torch.stack(images) for images in zip(*pairs, strict=True)))
    return round(min(float(threshold), GREATEST), 4)


def calibration_positions(frame_ids: Sequence[str]) -> list[int]:
    """Where the frames to calibrate on are: evenly spaced in the order of their names, whatever their order here.

    Too few frames calibrate nothing.
    """
    if len(frame_ids) < FEWEST:
        return []
    by_name = sorted(range(len(frame_ids)), key=frame_ids.__getitem__)
    return [by_name[place] for place in spread(len(by_name), CALIBRATION)]


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` places, evenly spaced, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, wanted))})


class Thresholds:
    """The calibrated least correlation of each condition, in `quality.json`.

    Args:
        output: folder of the translated frames.
    """

    def __init__(self, output: Path) -> None:
        self._path = output / "quality.json"

    def read(self) -> Mapping[str, float]:
        """What is known by now, by condition.

        Raises:
            DataError: the file is damaged.
        """
        if not self._path.is_file():
            return {}
        try:
            return {name: float(entry["least_structure"]) for name, entry in read_json(self._path).items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self._path} holds no thresholds; remove it, and they are calibrated anew") from error

    def missing(self, conditions: Sequence[Condition]) -> list[Condition]:
        """The conditions without a threshold."""
        known = self.read()
        return [condition for condition in conditions if condition.name not in known]

    def add(self, condition: str, threshold: float) -> None:
        """Write the threshold of a condition; one process at a time."""
        known = {**self.read(), condition: threshold}
        write_json(self._path, {name: {"least_structure": known[name]} for name in sorted(known)})
