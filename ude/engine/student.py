"""Stage ``student``: distillation from the frozen day teacher on day and translated frames.

Source: SSD / UDE, https://arxiv.org/abs/2403.05056, section 3 (equations 4-7).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ude.losses import distillation_loss, reliability_mask, reprojection_error, semantic_loss
from ude.models import DepthNet, DepthPrediction, PoseNet

from .base import DepthModule
from .teacher import source_poses


@dataclass(frozen=True)
class StudentWeights:
    """Weights and switches of the distillation objective.

    Attributes:
        distillation: weight of the (masked) relative depth difference to the teacher.
        semantic: weight of the semantic loss; 0 leaves it out.
        semantic_margin: cosine from which a patch counts as consistent; 1 is off.
        reliability: ``teacher_better``, ``as_printed`` or ``off``.
        ssim_weight: share of DSSIM in the errors that the reliability compares.
    """

    distillation: float = 1.0
    semantic: float = 0.1
    semantic_margin: float = 1.0
    reliability: str = "teacher_better"
    ssim_weight: float = 0.85


class StudentModule(DepthModule):
    """Distillation into the depth network.

    The teacher always sees the clean day frame, stays in evaluation mode, keeps its own normalisation, and is no
    submodule: it is neither trained nor stored in checkpoints. Photometric errors of the real day triplet only
    decide which pixels count.

    Args:
        depth_net: the student.
        teacher: the frozen day network.
        teacher_pose: its pose network; None takes ``T_source_target`` from the batch.
        semantic_encoder: frozen encoder of the semantic loss; None compares with the teacher's own encoder.
        weights: weights and switches.
        offsets: frame offsets of the sources.
        **kwargs: see :class:`DepthModule`.
    """

    def __init__(
        self,
        depth_net: DepthNet,
        *,
        teacher: DepthNet,
        teacher_pose: PoseNet | None = None,
        semantic_encoder: nn.Module | None = None,
        weights: StudentWeights,
        offsets: tuple[int, ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(depth_net, **kwargs)
        self.frozen = {"teacher": teacher, "pose": teacher_pose, "semantic": semantic_encoder}  # a dict hides modules
        for network in self.frozen.values():
            if network is not None:
                network.eval().requires_grad_(False)
        self.weights = weights
        self.offsets = offsets

    def on_fit_start(self) -> None:
        """Bring the frozen networks to the training device."""
        for network in self.frozen.values():
            if network is not None:
                network.to(self.device)

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Distillation term, masked by reliability, and semantic term."""
        prediction = self.predict_depth(batch)
        with torch.no_grad():
            teacher = self.frozen["teacher"](batch["target"])
            mask, maps = self._reliability(batch, teacher, prediction)
        full = batch["target"].shape[-2:]
        distillation = [
            distillation_loss(_enlarged(inverse_depth, full), teacher.inverse_depths[0], mask)
            for inverse_depth in prediction.inverse_depths
        ]
        terms = {"distillation": self.weights.distillation * torch.stack(distillation).mean()}
        if self.weights.semantic:
            target = self._semantic_target(batch, teacher, prediction.features)
            semantic = semantic_loss(prediction.features, target, self.weights.semantic_margin)
            terms["semantic"] = self.weights.semantic * semantic
        return terms, maps | {"inverse_depth": prediction.inverse_depths[0].detach()}

    def _reliability(
        self, batch: dict[str, Any], teacher: DepthPrediction, student: DepthPrediction
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Mask of the pixels on which the teacher is believed, and the maps to look at."""
        if self.weights.reliability == "off":
            return None, {"teacher_inverse_depth": teacher.inverse_depths[0]}
        poses = source_poses(self.frozen["pose"], batch, self.offsets)
        errors = [
            reprojection_error(
                prediction.inverse_depths[0].float(),
                batch["target"],
                batch["sources"],
                batch["K"],
                poses,
                ssim_weight=self.weights.ssim_weight,
            )
            for prediction in (teacher, student)
        ]
        mask = reliability_mask(*errors, keep=self.weights.reliability)
        return mask, {
            "reliable": mask,
            "error": errors[1],
            "teacher_error": errors[0],
            "teacher_inverse_depth": teacher.inverse_depths[0],
        }

    def _semantic_target(self, batch: dict[str, Any], teacher: DepthPrediction, features: Tensor) -> Tensor:
        """Features of the frozen encoder on the clean day frame, (B, C, h, w)."""
        encoder = self.frozen["semantic"]
        if encoder is None:
            return teacher.features
        return encoder(batch["target"], tuple(features.shape[-2:]))


def _enlarged(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
    if inverse_depth.shape[-2:] == size:
        return inverse_depth
    return F.interpolate(inverse_depth, size, mode="bilinear", align_corners=False)
