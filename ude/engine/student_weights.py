"""Weights and switches of the distillation objective."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StudentWeights:
    """Weights and switches of the distillation objective.

    Attributes:
        distillation: weight of the (masked) relative depth difference to the teacher.
        semantic: weight of the semantic loss; 0 leaves it out.
        semantic_margin: cosine from which a patch counts as consistent; 1 is off.
        reliability: ``teacher_better``, ``as_printed`` or ``off``.
        ssim_weight: share of DSSIM in the errors that the reliability compares.
        reliability_sources: ``min`` or ``mean``, how the errors of several sources become one.
        reliability_out_of_view: ``compare``, ``keep`` or ``drop``; what happens to pixels that no source sees; with
            ``reliability_regions``, drop leaves out the regions of which nothing is seen, no single pixels.
        reliability_margin: by how much the teacher's error may be larger in a tie.
        reliability_regions: superpixels per frame over which errors are averaged; 0 compares pixels.
        features: weight of the feature consistency; 0 leaves it out.
        ordinal: weight of the ordinal guidance; 0 leaves it out.
    """

    distillation: float = 1.0
    semantic: float = 0.1
    semantic_margin: float = 1.0
    reliability: str = "teacher_better"
    ssim_weight: float = 0.85
    reliability_sources: str = "min"
    reliability_out_of_view: str = "compare"
    reliability_margin: float = 0.0
    reliability_regions: int = 0
    features: float = 0.0
    ordinal: float = 0.0
