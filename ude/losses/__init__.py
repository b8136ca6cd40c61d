"""Training losses: pure functions of tensors without state, config, logging or networks."""

from ude.losses.distillation import distillation_loss
from ude.losses.features import feature_consistency_loss
from ude.losses.ordinal import ordinal_loss
from ude.losses.photometric import enlarged, photometric_error, reprojection_error, reprojection_loss
from ude.losses.reliability import error_over_sources, region_means, reliability_mask, source_errors
from ude.losses.semantic import semantic_loss
from ude.losses.smoothness import smoothness_loss
from ude.losses.velocity import velocity_loss

__all__ = [
    "distillation_loss",
    "enlarged",
    "error_over_sources",
    "feature_consistency_loss",
    "ordinal_loss",
    "photometric_error",
    "region_means",
    "reliability_mask",
    "reprojection_error",
    "reprojection_loss",
    "semantic_loss",
    "smoothness_loss",
    "source_errors",
    "velocity_loss",
]
