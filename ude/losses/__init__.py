"""Training losses: pure functions of tensors without state, config, logging or networks."""

from ude.losses.distillation import distillation_loss, reliability_mask
from ude.losses.photometric import enlarged, photometric_error, reprojection_error, reprojection_loss
from ude.losses.semantic import semantic_loss
from ude.losses.smoothness import smoothness_loss
from ude.losses.velocity import velocity_loss

__all__ = [
    "distillation_loss",
    "enlarged",
    "photometric_error",
    "reliability_mask",
    "reprojection_error",
    "reprojection_loss",
    "semantic_loss",
    "smoothness_loss",
    "velocity_loss",
]
