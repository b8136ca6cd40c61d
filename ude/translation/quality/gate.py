"""The gate that every translated image has to pass, whatever made it, without any network weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditions import Condition
from .content import coherence, depth_difference, empty_shares, light_change
from .statistics import image_statistics, structure_correlation, working_size

SMALLEST = 8  # side of an image that edges can be found in [px]
DIGITS = 4  # that figures are rounded to: what is written and judged is the same, and does not change with the machine

# Measured on 12 pairs of a diffusion translator, and on rendered and simulated nights and rain; in brackets the worst
# of the good ones against the best of the bad ones.
LEAST_CONTRAST = 0.01  # (0.03 in fog against 0)
BLACK = 0.02  # mean luminance of an image without contrast
MOST_GREY = 0.1  # share of content replaced by grey (0.003 against 0.19 for half of an image, most of it sky)
MOST_CLIPPED = 0.28  # share of content lost to black or white (0.02 against 0.29 for half of an image)
LEAST_COHERENCE = 0.45  # (0.62 against 0.05 for noise, 0.44 for blobs of 8 pixels)
COPIED_STRUCTURE, COPIED_LIGHT = 0.95, 0.02  # both are needed (0.96 and 0.03 against 0.97 and 0.002 for blurred copies)
FARTHEST = 2.0  # distance to the references (1.9 for 99 % of other nights, against 2.4 for 99 % of days)

SPREADS: Mapping[str, float] = {
    "luminance": 0.06,
    "dark_share": 0.12,
    "bright_share": 0.06,
    "sky_luminance": 0.08,
    "contrast": 0.05,
    "saturation": 0.1,
    "blueness": 0.06,
    "dark_channel": 0.06,
}
"""By how much the statistics of one condition differ at least from place to place and from camera to camera."""


@dataclass(frozen=True)
class Verdict:
    """Whether a translated image is kept.

    Attributes:
        accepted: it is.
        reason: "" or why not: what is wrong, and after a colon in what.
        figures: what was measured, rounded; fewer where an image failed early.
    """

    accepted: bool
    reason: str
    figures: dict[str, float]


class QualityGate:
    """Judges translations of one condition.

    Every image is judged alone: its figures are the same to the last bit, whatever else is in its batch.

    Args:
        condition: what was translated to; its limits count where there are no references.
        least_structure: correlation of edges with the source below which an image is refused.
        reference_images: real images of the condition (N, 3, h, w) in [0, 1]; each of them makes the comparison with
            their light and colour stricter, one alone refuses next to nothing.
        depth: inverse depth (B, 1, h, w) of images (B, 3, H, W) in [0, 1], to compare with the control; None = off.
        largest_depth_difference: above which an image is refused; see `depth_difference`.
    """

    def __init__(
        self,
        condition: Condition,
        *,
        least_structure: float,
        reference_images: Tensor | None = None,
        depth: Callable[[Tensor], Tensor] | None = None,
        largest_depth_difference: float = 0.0,
    ) -> None:
        self.condition, self.least_structure = condition, least_structure
        self.depth, self.largest_depth_difference = depth, largest_depth_difference
        self._typical = None if reference_images is None else _typical(reference_images)

    @torch.inference_mode()
    def __call__(self, sources: Tensor, translated: Tensor, inverse_depth: Tensor | None = None) -> list[Verdict]:
        """Verdicts on translations (B, 3, H, W) of day frames (B, 3, H, W), both in [0, 1].

        Args:
            sources: day frames.
            translated: their translations.
            inverse_depth: what the translations were made from (B, 1, h, w); needed to compare depth.
        """
        if sources.shape != translated.shape:
            raise ValueError(f"translations must have the sources' shape {(*sources.shape,)}, got {translated.shape}")
        if min(sources.shape[2:]) < SMALLEST:
            raise ValueError(f"images must have at least {SMALLEST} x {SMALLEST} pixels, got {(*sources.shape[2:],)}")
        if self.depth is not None and inverse_depth is None:
            raise ValueError("the gate needs the control's inverse depth to compare depth")
        pairs = zip(sources.float().split(1), translated.float().split(1), strict=True)
        return [
            self._verdict(source, image, None if inverse_depth is None else inverse_depth[place : place + 1])
            for place, (source, image) in enumerate(pairs)
        ]

    def _verdict(self, source: Tensor, image: Tensor, control: Tensor | None) -> Verdict:
        """Verdict on one image (1, 3, H, W)."""
        if not image.isfinite().all():
            return Verdict(accepted=False, reason="not finite", figures={})
        image = image.clamp(0, 1)
        figures = self._figures(source, image)
        reason = _content_objection(figures) or self._condition_objection(figures) or self._structure_objection(figures)
        if not reason and self.depth is not None and control is not None:
            difference = depth_difference(self.depth(image).to(control.device), control)
            figures["depth_difference"] = round(float(difference), DIGITS)
            if not figures["depth_difference"] <= self.largest_depth_difference:  # NaN is refused, too
                reason = "other depth"
        return Verdict(accepted=not reason, reason=reason, figures=figures)

    def _figures(self, source: Tensor, image: Tensor) -> dict[str, float]:
        """All figures but that of depth."""
        grey, clipped = empty_shares(source, image)
        source, image = working_size(source), working_size(image)
        found = {
            "structure": structure_correlation(source, image)[0],
            "light_change": light_change(source, image),
            "coherence": coherence(image),
            "grey_share": grey,
            "clipped_share": clipped,
        }
        statistics = {name: value[0] for name, value in image_statistics(image).items()}
        if self._typical is not None:
            found["distance"] = _distance(statistics, self._typical)
        found |= statistics
        values = torch.stack([value.float() for value in found.values()]).tolist()  # one copy from the device
        return {name: round(value, DIGITS) for name, value in zip(found, values, strict=True)}

    def _condition_objection(self, figures: Mapping[str, float]) -> str:
        """Why light and colour are not those of the condition, or ""."""
        if self._typical is not None:
            return "wrong condition: unlike the references" if figures["distance"] > FARTHEST else ""
        for name, (least, most) in self.condition.limits.items():
            if not least <= figures[name] <= most:
                return f"wrong condition: {name}"
        return ""

    def _structure_objection(self, figures: Mapping[str, float]) -> str:
        return "structure lost" if figures["structure"] < self.least_structure else ""


def _content_objection(figures: Mapping[str, float]) -> str:
    """Why an image is no picture of its own, or ""."""
    if figures["contrast"] < LEAST_CONTRAST:
        return "black" if figures["luminance"] < BLACK else "constant"
    if figures["grey_share"] > MOST_GREY or figures["clipped_share"] > MOST_CLIPPED:
        return "partly empty"
    if figures["coherence"] < LEAST_COHERENCE:
        return "noise"
    if figures["structure"] > COPIED_STRUCTURE and figures["light_change"] < COPIED_LIGHT:
        return "copy of the source"
    return ""


def _typical(references: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """By statistic the median of the references and the difference from it that counts as one.

    The difference is the spread that any condition has, and the references' own (by the median, so that a wrong file
    among them does not matter), enlarged while they are few.
    """
    typical = {}
    for name, values in image_statistics(references).items():
        median = values.median()
        spread = 1.4826 * (values - median).abs().median()  # the standard deviation, for normal values
        typical[name] = median, torch.hypot(spread, spread.new_tensor(SPREADS[name])) * (1 + 1 / len(values))
    return typical


def _distance(statistics: Mapping[str, Tensor], typical: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
    """Root mean square () of the statistics' differences from the references."""
    differences = [
        (statistics[name] - median.to(statistics[name].device)) / spread.to(statistics[name].device)
        for name, (median, spread) in typical.items()
    ]
    return torch.stack(differences).square().mean().sqrt()
