"""The networks of the translation stage at work: batches of candidates become images with verdicts."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..brightness import match_brightness
from ..conditions import Condition
from ..quality import Verdict
from ..quality.statistics import NO_PAIRS
from ..references import References
from ..translator import Translator
from .candidates import Candidate
from .frames import unit_images
from .judging import Gate, QualityOptions, gate_of
from .memory import ConstantBatch, loaded
from .stages import Depth


class Made(NamedTuple):
    """An image that was made of a candidate, as pixels (H, W, 3), uint8, and what the gate says of it."""

    candidate: Candidate
    pixels: Tensor
    verdict: Verdict


@dataclass
class Maker:
    """Makes and judges images, a constant number at a time; every network is loaded when it is first needed.

    Attributes:
        translator: loads the translator.
        depth: loads the depth network; None for a translator that takes no control depth.
        quality: what is asked of an image.
        batch_size: images at a time.
        references: real images of the conditions, where there are any.
        image_prompts: whether the translator takes the references.
        matched: names of the conditions whose images get the brightness of their references.
        device: where networks run and images are judged.
        thresholds: calibrated least correlation by condition; filled in before the first verdict.
    """

    translator: Callable[[], Translator]
    depth: Callable[[], Depth] | None
    quality: QualityOptions
    batch_size: int
    references: References | None = None
    image_prompts: bool = False
    matched: Collection[str] = ()
    device: str = "cpu"
    thresholds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gates: dict[str, Gate] = {}
        self._generating = ConstantBatch(self.batch_size)
        self._judging = ConstantBatch(self.batch_size, filled=False)

    def load(self) -> None:
        """Load the translator, if that was not done yet.

        Raises:
            OutOfMemoryError: it does not fit.
        """
        _ = self._network

    def generate(self, rows: Sequence[Candidate]) -> list[Tensor]:
        """Translations (3, H, W) of candidates of one condition.

        Raises:
            OutOfMemoryError: not even one of them fits.
        """
        self.load()
        return self._generating(self._translated, rows)

    @torch.inference_mode()
    def judge(self, rows: Sequence[Candidate], translated: Sequence[Tensor]) -> list[Made]:
        """Pixels and verdicts of the translations (3, H, W) of candidates of one condition.

        Raises:
            OutOfMemoryError: not even one of them fits.
        """
        gate = self._gate(rows[0].job.condition)
        return self._judging(partial(self._judged, gate), list(zip(rows, translated, strict=True)))

    @torch.inference_mode()
    def _translated(self, rows: Sequence[Candidate]) -> Tensor:
        condition = rows[0].job.condition
        references = self._stacked([row.reference for row in rows])
        translated = self._network(
            unit_images([row.frame for row in rows], self.device),
            condition=condition,
            seeds=[row.job.seed for row in rows],
            depth=self._stacked([row.inverse_depth for row in rows]),
            prompts=[row.job.prompt for row in rows],
            references=references if self.image_prompts else None,
        )
        if references is not None and condition.name in self.matched:
            return match_brightness(translated, references)
        return translated

    def _judged(self, gate: Gate, images_of_rows: Sequence[tuple[Candidate, Tensor]]) -> list[Made]:
        rows, translated = zip(*images_of_rows, strict=True)
        images = torch.stack(list(translated)).to(self.device).float()
        sources = unit_images([row.frame for row in rows], self.device)
        verdicts = gate(sources, images, self._stacked([row.inverse_depth for row in rows]))
        finite = torch.nan_to_num(images, posinf=1.0).clamp(0, 1)
        pixels = (finite * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()
        return [Made(*made) for made in zip(rows, pixels, verdicts, strict=True)]

    @cached_property
    def _network(self) -> Translator:
        return loaded(self.translator, "the translation")

    @cached_property
    def _depth_network(self) -> Depth:
        return self.depth()

    def _gate(self, condition: Condition) -> Gate:
        name = condition.name
        if name not in self._gates:
            calibrated = self.thresholds.get(name, NO_PAIRS)
            find_gate = partial(
                gate_of,
                condition,
                self.quality,
                least_structure=calibrated if self.quality.structure is None else self.quality.structure,
                references=self.references,
                depth=None if self.depth is None else lambda: self._depth_network,
                device=self.device,
            )
            self._gates[name] = loaded(find_gate, "the quality gate")
        return self._gates[name]

    def _stacked(self, tensors: Sequence[Tensor | None]) -> Tensor | None:
        """A batch on the device, None where the candidates have none."""
        given = [tensor for tensor in tensors if tensor is not None]
        return torch.stack(given).to(self.device) if given else None
