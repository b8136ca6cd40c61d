"""Stage ``student``: distillation from the frozen day teacher on day and translated frames.

Source: SSD / UDE, https://arxiv.org/abs/2403.05056, section 3 (equations 4-7).
"""

from typing import Any

import torch
from torch import Tensor, nn

from ude.data.seeds import derived_seed
from ude.data.transforms import on_device
from ude.losses import distillation_loss, enlarged, feature_consistency_loss, ordinal_loss, semantic_loss
from ude.losses.ordinal import DRAWS, PAIRS, ordinal_pairs, pair_order
from ude.losses.semantic import inconsistent_cells
from ude.models import DepthNet, PoseNet

from .base import DepthModule
from .distributed import mean_over_processes
from .frozen import FrozenNetworks
from .kept_statistics import KeptStatistics
from .reliability import compared_errors, day_error, reliable_pixels
from .student_weights import StudentWeights
from .teacher_cache import TeacherCache, start_frozen

__all__ = ["StudentModule", "StudentWeights"]


class StudentModule(DepthModule):
    """Distillation into the depth network.

    Photometric errors of the real day triplet only decide which pixels count.

    Args:
        depth_net: the student.
        teacher: the frozen day network.
        teacher_pose: its pose network; None takes ``T_source_target`` from the batch.
        semantic_encoder: frozen encoder of the semantic loss; None compares with the teacher's own encoder.
        guide: frozen model of relative inverse depth for the ordinal guidance; None takes the teacher's depth.
        weights: weights and switches.
        offsets: frame offsets of the sources.
        cache: keeps what the frozen networks say about each frame; None runs them in every step.
        seed: seed of the pairs of the ordinal guidance.
        **kwargs: see :class:`DepthModule`.
    """

    def __init__(
        self,
        depth_net: DepthNet,
        *,
        teacher: DepthNet,
        teacher_pose: PoseNet | None = None,
        semantic_encoder: nn.Module | None = None,
        guide: nn.Module | None = None,
        weights: StudentWeights,
        offsets: tuple[int, ...],
        cache: TeacherCache | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(depth_net, **kwargs)
        self.weights = weights
        self.seed = seed
        self.statistics = KeptStatistics(depth_net.modules())
        self.frozen = FrozenNetworks(
            teacher=teacher,
            pose=teacher_pose,
            semantic=semantic_encoder,
            guide=guide,
            weights=weights,
            offsets=offsets,
            cache=cache,
        )

    def on_fit_start(self) -> None:
        """Bring the frozen networks to the training device, and tell the cache what it is for."""
        start_frozen(self, [*self.frozen], self.frozen.cache)

    def on_fit_end(self) -> None:
        """Remove the cache of the finished run; an interrupted one keeps it for when it is resumed."""
        if self.frozen.cache is not None:
            self.frozen.cache.remove()

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Distillation term, masked by reliability, and those of semantic, feature and ordinal guidance that count."""
        own = self._clean_features(batch) if self.weights.features else None
        prediction = self.predict_depth(batch)
        teacher = self.frozen.values(batch, cells=tuple(prediction.features.shape[-2:]))
        with torch.no_grad():
            mask, maps = self._reliability(batch, teacher, prediction.inverse_depths[0])
            count = None if mask is None else mean_over_processes(mask.sum())
        full = [enlarged(inverse_depth, batch["target"].shape[-2:]) for inverse_depth in prediction.inverse_depths]
        weights = self.weights
        distillation = [
            distillation_loss(inverse_depth, teacher["inverse_depth"], mask, count) for inverse_depth in full
        ]
        terms = {"distillation": weights.distillation * torch.stack(distillation).mean()}
        if weights.semantic:
            terms["semantic"] = weights.semantic * self._semantic_loss(prediction.features, teacher["features"])
        if weights.features:
            terms["features"] = weights.features * feature_consistency_loss(
                prediction.features, own, teacher.get("teacher_features", teacher.get("features"))
            )
        if weights.ordinal:
            terms["ordinal"] = weights.ordinal * self._ordinal_loss(full[0], batch, teacher)
        return terms, maps | {"inverse_depth": prediction.inverse_depths[0].detach()}

    def _reliability(
        self, batch: dict[str, Any], teacher: dict[str, Tensor], student: Tensor
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Mask of the pixels on which the teacher is believed, and the maps to look at."""
        maps = {"teacher_inverse_depth": teacher["inverse_depth"]}
        if self.weights.reliability == "off":
            return None, maps
        of_student = day_error(student, batch, self.frozen.poses(batch, teacher), self.weights)
        of_teacher, of_student = compared_errors(teacher, of_student, self.weights)
        mask = reliable_pixels(of_teacher, of_student, self.weights)
        return mask, {"reliable": mask, "error": of_student["error"], "teacher_error": of_teacher["error"]} | maps

    def _semantic_loss(self, features: Tensor, target: Tensor) -> Tensor:
        """Semantic loss whose mean over the processes is that of the whole batch."""
        margin, count = self.weights.semantic_margin, None
        if margin < 1:
            count = mean_over_processes(inconsistent_cells(features, target, margin).sum())
        return semantic_loss(features, target, margin, count)

    @torch.no_grad()
    def _clean_features(self, batch: dict[str, Any]) -> Tensor:
        """The student's own features of the clean day frames; the statistics of BatchNorm stay as they were.

        The pass comes before that of the inputs, whose backward pass needs the statistics untouched.
        """
        self.statistics.keep()
        features = self.depth_net(batch["target"]).features
        self.statistics.restore()
        return features

    def _ordinal_loss(self, inverse_depth: Tensor, batch: dict[str, Any], teacher: dict[str, Tensor]) -> Tensor:
        """Ordinal guidance whose mean over the processes is that of the whole batch; pairs are drawn by the frame."""
        number = max(1, int(PAIRS * inverse_depth[0].numel()))
        seeds = [derived_seed("ordinal", self.seed, self.current_epoch, frame_id) for frame_id in batch["frame_id"]]
        draws = [torch.rand(DRAWS, number, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        known, of_student = teacher["inverse_depth"], inverse_depth.detach()
        pairs = ordinal_pairs(
            (of_student - known).abs() / (of_student + known), on_device(known.device, torch.stack(draws))
        )
        order = pair_order(teacher.get("guide", known), pairs)
        return ordinal_loss(inverse_depth, pairs, order, mean_over_processes((order != 0).sum()))
