"""Stage ``student``: distillation from the frozen day teacher on day and translated frames.

Source: SSD / UDE, https://arxiv.org/abs/2403.05056, section 3 (equations 4-7).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ude.losses import distillation_loss, enlarged, reliability_mask, reprojection_error, semantic_loss
from ude.losses.semantic import inconsistent_cells
from ude.models import DepthNet, PoseNet

from .base import DepthModule
from .distributed import mean_over_processes
from .teacher_cache import TeacherCache


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

    The frozen networks always see the clean day frames, in evaluation mode and with their own normalisation, so what
    they say about a frame never changes and can be cached. They are no submodules: neither trained nor stored in
    checkpoints. Photometric errors of the real day triplet only decide which pixels count.

    Args:
        depth_net: the student.
        teacher: the frozen day network.
        teacher_pose: its pose network; None takes ``T_source_target`` from the batch.
        semantic_encoder: frozen encoder of the semantic loss; None compares with the teacher's own encoder.
        weights: weights and switches.
        offsets: frame offsets of the sources.
        cache: keeps what the frozen networks say about each frame; None runs them in every step.
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
        cache: TeacherCache | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(depth_net, **kwargs)
        self.frozen = {"teacher": teacher, "pose": teacher_pose, "semantic": semantic_encoder}  # a dict hides modules
        for network in self._frozen_networks():
            network.eval().requires_grad_(False)
        self.weights = weights
        self.offsets = offsets
        self.cache = cache

    def on_fit_start(self) -> None:
        """Bring the frozen networks to the training device, and tell the cache what it is for."""
        for network in self._frozen_networks():
            network.to(self.device)
        if self.cache is not None:
            source = self.trainer.datamodule.frames.source
            self.cache.begin([source.frame_id(index) for index in range(len(source))], self._frozen_networks())

    def on_fit_end(self) -> None:
        """Remove the cache of the finished run; an interrupted one keeps it for when it is resumed."""
        if self.cache is not None:
            self.cache.remove()

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Distillation term, masked by reliability, and semantic term."""
        prediction = self.predict_depth(batch)
        with torch.no_grad():
            teacher = self._teacher_values(batch, cells=tuple(prediction.features.shape[-2:]))
            mask, maps = self._reliability(batch, teacher, prediction.inverse_depths[0])
            count = None if mask is None else mean_over_processes(mask.sum())
        full = batch["target"].shape[-2:]
        distillation = [
            distillation_loss(enlarged(inverse_depth, full), teacher["inverse_depth"], mask, count)
            for inverse_depth in prediction.inverse_depths
        ]
        terms = {"distillation": self.weights.distillation * torch.stack(distillation).mean()}
        if self.weights.semantic:
            terms["semantic"] = self.weights.semantic * self._semantic_loss(prediction.features, teacher["features"])
        return terms, maps | {"inverse_depth": prediction.inverse_depths[0].detach()}

    def _teacher_values(self, batch: dict[str, Any], cells: tuple[int, int]) -> dict[str, Tensor]:
        """What the frozen networks say about the clean day frames: computed, or read where all frames are known."""
        known = self.cache.load(batch["frame_id"], self.device) if self.cache is not None else None
        if known is None:
            known = self._computed_values(batch, cells)
            if self.cache is not None:
                self.cache.store(batch["frame_id"], self._worth_keeping(known))
        elif self.weights.semantic and "features" not in known:
            known["features"] = self._features(batch, cells)
        return known

    def _computed_values(self, batch: dict[str, Any], cells: tuple[int, int]) -> dict[str, Tensor]:
        """Inverse depth [1/m]; poses and photometric error where they decide; features where they are compared."""
        prediction = self.frozen["teacher"](batch["target"])
        values = {"inverse_depth": prediction.inverse_depths[0]}
        if self.weights.reliability != "off":
            if self.frozen["pose"] is not None:
                # of the clean frames, not of the colour-jittered pose_input that the pose network was trained on:
                # jitter is to make a network robust, and must not decide where a frozen one is believed
                frames = torch.cat([batch["target"][:, None], batch["sources"]], 1)
                values["poses"] = self.frozen["pose"].source_poses(frames, self.offsets)
            values["error"] = self._error(values["inverse_depth"], batch, values)
        if self.weights.semantic:
            alone = self.frozen["semantic"] is None
            values["features"] = prediction.features if alone else self._features(batch, cells)
        # the layout in memory decides the order of sums: read and computed values must not differ in it
        return {name: value.float().contiguous() for name, value in values.items()}

    def _worth_keeping(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The values without features that are larger than all maps together, as those of transformers are.

        A DINOv2 ViT-B has 6 MB of them per frame of 320 x 576 beside 1.5 MB of maps, 100 GB for nuScenes: a GPU
        computes them faster than a disk reads them.
        """
        maps = {name: value for name, value in values.items() if name != "features"}
        if "features" not in values or values["features"].numel() <= sum(value.numel() for value in maps.values()):
            return values
        # the teacher has to run for its features in any case: its depth comes with them
        return {} if self.frozen["semantic"] is None and "error" not in maps else maps

    def _reliability(
        self, batch: dict[str, Any], teacher: dict[str, Tensor], student: Tensor
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Mask of the pixels on which the teacher is believed, and the maps to look at."""
        maps = {"teacher_inverse_depth": teacher["inverse_depth"]}
        if self.weights.reliability == "off":
            return None, maps
        error = self._error(student, batch, teacher)
        mask = reliability_mask(teacher["error"], error, keep=self.weights.reliability)
        return mask, {"reliable": mask, "error": error, "teacher_error": teacher["error"]} | maps

    def _error(self, inverse_depth: Tensor, batch: dict[str, Any], teacher: dict[str, Tensor]) -> Tensor:
        """Photometric error (B, 1, H, W) of the real day triplet with an inverse depth and the teacher's poses."""
        poses = teacher["poses"] if "poses" in teacher else batch["T_source_target"]
        return reprojection_error(
            inverse_depth.float(),
            batch["target"],
            batch["sources"],
            batch["K"],
            poses,
            ssim_weight=self.weights.ssim_weight,
        )

    def _features(self, batch: dict[str, Any], cells: tuple[int, int]) -> Tensor:
        """Features of the frozen encoder on the clean day frame, (B, C, h, w)."""
        encoder = self.frozen["semantic"]
        if encoder is None:
            return self.frozen["teacher"](batch["target"]).features.float().contiguous()
        return encoder(batch["target"], cells).float().contiguous()

    def _semantic_loss(self, features: Tensor, target: Tensor) -> Tensor:
        """Semantic loss whose mean over the processes is that of the whole batch."""
        margin, count = self.weights.semantic_margin, None
        if margin < 1:
            count = mean_over_processes(inconsistent_cells(features, target, margin).sum())
        return semantic_loss(features, target, margin, count)

    def _frozen_networks(self) -> list[nn.Module]:
        return [network for network in self.frozen.values() if network is not None]
