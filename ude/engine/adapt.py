"""Stage ``adapt``: a student goes on with real night and rain frames, from labels that it made itself.

This stage uses real unlabelled adverse frames. Its results must not stand for those of a method that needs none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ude.data.jitter import unit_range
from ude.losses import enlarged
from ude.losses.adaptation import (
    BINS,
    agreement_weights,
    depth_counts,
    depth_histogram,
    disagreement,
    histogram_loss,
    weighted_distillation_loss,
)
from ude.models import DepthNet

from .base import DepthModule
from .distributed import mean_over_processes
from .teacher_cache import TeacherCache, start_frozen


@dataclass(frozen=True)
class AdaptOptions:
    """The objective of adaptation.

    Attributes:
        distillation: weight of the difference to the pseudo-labels.
        beta: how fast the weight of a pseudo-label falls with the disagreement of student and day teacher.
        eps: weight that is left to it.
        histogram: weight of the difference to the daytime distribution of depth; 0 leaves it out.
    """

    distillation: float = 1.0
    beta: float = 1.0
    eps: float = 1.0
    histogram: float = 0.0


class AdaptModule(DepthModule):
    """Distillation from a frozen copy of the student on real adverse frames, weighted by agreement with the teacher.

    The frozen student, which has seen translated frames only, labels the clean adverse frame; the network that is
    trained sees it jittered, mirrored and noisy. Where the day teacher says the same as the student the label counts
    more: W = exp(-beta |d - d_day| / d) + eps. No label of the data set is read.

    Source: the second stage of Syn2Real-Depth (CVPR 2025), whose published code has this loss on inverse depths with
    beta 1 and eps 1, and weights a histogram term by 0.001. Inferred: that it helps a single-frame network
    alone (there it goes with a cost volume and a pose network), which frames the daytime distribution is taken from,
    and that its weight is 0 unless asked for.

    Args:
        depth_net: the network that is trained.
        student: the frozen student.
        day: the frozen day teacher.
        options: the objective.
        day_frames: batches of day frames for the histogram; needed when it has a weight.
        cache: keeps the pseudo-labels; None computes them in every step.
        **kwargs: see :class:`DepthModule`.
    """

    def __init__(
        self,
        depth_net: DepthNet,
        *,
        student: DepthNet,
        day: DepthNet,
        options: AdaptOptions,
        day_frames: Iterable[dict[str, Any]] = (),
        cache: TeacherCache | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(depth_net, **kwargs)
        self.frozen = {"student": student, "day": day}  # a dict hides modules: neither trained nor in checkpoints
        for network in self.frozen.values():
            network.eval().requires_grad_(False)
        self.options = options
        self.day_frames = day_frames
        self.cache = cache
        self._by_day: Tensor | None = None

    def on_fit_start(self) -> None:
        """Bring the frozen networks to the training device, tell the cache what it is for, and look at the day."""
        start_frozen(self, self.frozen.values(), self.cache)
        if self.options.histogram:
            self._by_day = self.day_histogram()

    def on_fit_end(self) -> None:
        """Remove the cache of the finished run; an interrupted one keeps it for when it is resumed."""
        if self.cache is not None:
            self.cache.remove()

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weighted difference to the pseudo-labels, and the histogram term where it counts."""
        options, labels = self.options, self.pseudo_labels(batch)
        weights = agreement_weights(labels["disagreement"], beta=options.beta, eps=options.eps)
        prediction = self.predict_depth(batch)
        full = [enlarged(inverse_depth, batch["target"].shape[-2:]) for inverse_depth in prediction.inverse_depths]
        errors = [weighted_distillation_loss(each, labels["inverse_depth"], weights) for each in full]
        terms = {"distillation": options.distillation * torch.stack(errors).mean()}
        if options.histogram:
            terms["histogram"] = options.histogram * histogram_loss(_shared_histogram(full[0]), self._by_day)
        maps = {"label_inverse_depth": labels["inverse_depth"], "disagreement": labels["disagreement"]}
        return terms, maps | {"inverse_depth": prediction.inverse_depths[0].detach()}

    def map_scalars(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of every stage, and the mean disagreement of student and day teacher."""
        return super().map_scalars(maps) | {"label/disagreement": maps["disagreement"].mean()}

    @torch.no_grad()
    def pseudo_labels(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """``inverse_depth`` [1/m] by the frozen student and its ``disagreement`` with the day teacher, (B, 1, H, W)."""
        known = self.cache.load(batch["frame_id"], self.device) if self.cache is not None else None
        if known is None:
            label, by_day = (self._inverse_depth(name, batch["target"]) for name in ("student", "day"))
            known = {"inverse_depth": label.contiguous(), "disagreement": disagreement(label, by_day).contiguous()}
            if self.cache is not None:
                self.cache.store(batch["frame_id"], known)
        return known

    @torch.no_grad()
    def day_histogram(self) -> Tensor:
        """Histogram (BINS,) of the day teacher's depth of the day frames, a mean over the frames."""
        total, frames = torch.zeros(BINS, device=self.device), 0
        for batch in self.day_frames:
            inverse_depth = self._inverse_depth("day", unit_range(batch["target"].to(self.device)))
            total, frames = total + len(inverse_depth) * depth_histogram(inverse_depth), frames + len(inverse_depth)
        return total / frames

    def _inverse_depth(self, name: str, images: Tensor) -> Tensor:
        """Inverse depth [1/m], (B, 1, H, W), of clean images by a frozen network, in float32 whatever autocast says."""
        with torch.autocast(self.device.type, enabled=False):
            return self.frozen[name](images).inverse_depths[0].float()


def _shared_histogram(inverse_depth: Tensor) -> Tensor:
    """Histogram (BINS,) of the pixels of all processes, with the gradient that makes their mean gradient its own."""
    own = depth_counts(inverse_depth)
    mean = mean_over_processes(own)
    return (own + (mean - own.detach())) / mean.sum().clamp(min=1)
