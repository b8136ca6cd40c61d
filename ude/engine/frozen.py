"""What the frozen networks of a student say about the clean day frames, computed or read from their cache."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ude.models import DepthNet, DepthPrediction, PoseNet

from .reliability import day_error, superpixels_of
from .student_weights import StudentWeights
from .teacher_cache import TeacherCache


class FrozenNetworks:
    """The frozen networks of a student; no module, so that they are neither trained nor stored in checkpoints.

    They always see the clean day frames, in evaluation mode and with their own normalisation, so what they say about
    a frame never changes and can be cached.

    Args:
        teacher: the frozen day network.
        pose: its pose network; None takes ``T_source_target`` from the batch.
        semantic: encoder of the semantic loss; None compares with the teacher's own encoder.
        guide: gives relative inverse depth for the ordinal guidance; None takes the teacher's depth.
        weights: which of their words are needed.
        offsets: frame offsets of the sources.
        cache: keeps what they say about each frame; None runs them in every step.
    """

    def __init__(
        self,
        *,
        teacher: DepthNet,
        pose: PoseNet | None = None,
        semantic: nn.Module | None = None,
        guide: nn.Module | None = None,
        weights: StudentWeights,
        offsets: tuple[int, ...],
        cache: TeacherCache | None = None,
    ) -> None:
        self.networks = {"teacher": teacher, "pose": pose, "semantic": semantic, "guide": guide}
        for network in self:
            network.eval().requires_grad_(False)
        self.weights = weights
        self.offsets = offsets
        self.cache = cache

    def __iter__(self) -> Iterator[nn.Module]:
        """The networks that there are."""
        return (network for network in self.networks.values() if network is not None)

    @torch.no_grad()
    def values(self, batch: dict[str, Any], cells: tuple[int, int]) -> dict[str, Tensor]:
        """What they say about the frames of a batch, (B, ...) each: computed, or read where all frames are known.

        ``inverse_depth`` [1/m]; ``poses``, ``error``, ``seen`` and ``regions`` where the reliability needs them;
        ``guide``; ``features`` of the semantic encoder, and where that is not the teacher's, ``teacher_features``.

        Args:
            batch: a training batch.
            cells: rows and columns of the student's features.
        """
        known = self.cache.load(batch["frame_id"], batch["target"].device) if self.cache is not None else None
        if known is None:
            known = self._computed(batch, cells)
            if self.cache is not None:
                self.cache.store(batch["frame_id"], self._worth_keeping(known))
        else:
            known |= self._features(batch, cells, known)
        return known

    def poses(self, batch: dict[str, Any], values: dict[str, Tensor]) -> Tensor:
        """``T_source_target`` (B, S, 4, 4) of the pose network, or of the batch where there is none."""
        return values["poses"] if "poses" in values else batch["T_source_target"]

    def _computed(self, batch: dict[str, Any], cells: tuple[int, int]) -> dict[str, Tensor]:
        """Everything, from the networks."""
        target = batch["target"]
        prediction = self.networks["teacher"](target)
        values = {"inverse_depth": prediction.inverse_depths[0]}
        if self.weights.reliability != "off":
            if self.networks["pose"] is not None:
                # of the clean frames, not of the colour-jittered pose_input that the pose network was trained on:
                # jitter is to make a network robust, and must not decide where a frozen one is believed
                frames = torch.cat([target[:, None], batch["sources"]], 1)
                values["poses"] = self.networks["pose"].source_poses(frames, self.offsets)
            values |= day_error(values["inverse_depth"], batch, self.poses(batch, values), self.weights)
            if self.weights.reliability_regions:
                values["regions"] = superpixels_of(target, self.weights.reliability_regions)
        if self.networks["guide"] is not None:
            values["guide"] = self.networks["guide"](target)
        values |= self._features(batch, cells, values, prediction)
        # the layout in memory decides the order of sums: read and computed values must not differ in it
        return {name: value.float().contiguous() for name, value in values.items()}

    def _features(
        self,
        batch: dict[str, Any],
        cells: tuple[int, int],
        known: dict[str, Tensor],
        prediction: DepthPrediction | None = None,
    ) -> dict[str, Tensor]:
        """The features that are compared and not known yet, of the clean day frames, (B, C, h, w) each."""
        encoder, found = self.networks["semantic"], {}
        missing = [name for name in self._compared() if name not in known]
        if "features" in missing and encoder is not None:
            found["features"] = encoder(batch["target"], cells)
        of_teacher = "teacher_features" if encoder is not None else "features"
        if of_teacher in missing:
            prediction = prediction or self.networks["teacher"](batch["target"])
            found[of_teacher] = prediction.features
        return {name: value.float().contiguous() for name, value in found.items()}

    def _compared(self) -> list[str]:
        """Names of the features that the losses compare: of the semantic encoder, or else of the teacher."""
        weights, names = self.weights, []
        if weights.semantic or (weights.features and self.networks["semantic"] is None):
            names.append("features")
        if weights.features and self.networks["semantic"] is not None:
            names.append("teacher_features")
        return names

    def _worth_keeping(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The values without features that are larger than all maps together, as those of transformers are.

        A DINOv2 ViT-B has 6 MB of them per frame of 320 x 576 beside 1.5 MB of maps, 100 GB for nuScenes: a GPU
        computes them faster than a disk reads them.
        """
        maps = {name: value for name, value in values.items() if not name.endswith("features")}
        if sum(value.numel() for value in values.values()) <= 2 * sum(value.numel() for value in maps.values()):
            return values
        # where the teacher has to run for its features in any case, its depth comes with them
        by_teacher = "teacher_features" in values or self.networks["semantic"] is None
        return {} if by_teacher and {*maps} == {"inverse_depth"} else maps
