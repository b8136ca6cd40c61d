"""Stage ``teacher``: self-supervised depth from day video.

Source: monodepth2, https://arxiv.org/abs/1806.01260, with the velocity term of https://arxiv.org/abs/1905.02693.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ude.losses import reprojection_loss, smoothness_loss, velocity_loss
from ude.models import DepthNet, PoseNet

from .base import DepthModule


@dataclass(frozen=True)
class TeacherWeights:
    """Weights and switches of the photometric objective.

    Attributes:
        photometric: weight of the reprojection loss.
        smoothness: weight of the edge-aware smoothness.
        velocity: weight of the velocity loss; only with a learned pose.
        ssim_weight: share of DSSIM in the photometric error.
        automask: whether static-looking pixels are masked.
    """

    photometric: float = 1.0
    smoothness: float = 1e-3
    velocity: float = 0.02
    ssim_weight: float = 0.85
    automask: bool = True


class TeacherModule(DepthModule):
    """Photometric training of the depth network, with a pose network or with the data set's ego poses.

    Args:
        depth_net: the network that is trained.
        pose_net: learns the poses; None takes ``T_source_target`` from the batch.
        weights: weights of the loss terms.
        offsets: frame offsets of the sources.
        compile_loss: fuse the photometric loss with torch.compile; takes a minute or two before the first step.
        **kwargs: see :class:`DepthModule`.
    """

    def __init__(
        self,
        depth_net: DepthNet,
        pose_net: PoseNet | None = None,
        *,
        weights: TeacherWeights,
        offsets: tuple[int, ...],
        compile_loss: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(depth_net, pose_net, **kwargs)
        self.weights = weights
        self.offsets = offsets
        self.reprojection_loss = torch.compile(reprojection_loss, dynamic=False) if compile_loss else reprojection_loss

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Photometric, smoothness and (with a learned pose) velocity terms."""
        inverse_depths = self.predict_depth(batch).inverse_depths
        weights, target = self.weights, batch["target"]
        poses = source_poses(self.pose_net, batch, self.offsets)
        photometric, maps = self.reprojection_loss(
            inverse_depths,
            target,
            batch["sources"],
            batch["K"],
            poses,
            ssim_weight=weights.ssim_weight,
            automask=weights.automask,
        )
        terms = {
            "photometric": weights.photometric * photometric,
            "smoothness": weights.smoothness * smoothness_loss(inverse_depths, target),
        }
        if self.pose_net is not None and weights.velocity:
            terms["velocity"] = weights.velocity * velocity_loss(poses, batch["distance"])
        return terms, maps | {"inverse_depth": inverse_depths[0].detach()}


def source_poses(pose_net: PoseNet | None, batch: dict[str, Any], offsets: tuple[int, ...]) -> Tensor:
    """``T_source_target`` (B, S, 4, 4) from the pose network, or from the batch where there is none."""
    if pose_net is None:
        return batch["T_source_target"]
    return pose_net.source_poses(batch["pose_input"], offsets)
