"""Feature consistency: what the encoder makes of a translated frame stays what it makes of the day frame."""

from torch import Tensor

TEACHER_SHARE = 0.5
"""Weight of the difference to the teacher's features in units of that to the student's own."""


def feature_consistency_loss(features: Tensor, own: Tensor, teacher: Tensor) -> Tensor:
    """Mean absolute difference to the student's own features of the day frame, plus half of that to the teacher's.

    Source: ACDepth, https://arxiv.org/abs/2505.12199, and its code for the two weights. There all stages of the encoder
    are compared from epoch 15 on, and the own features for translated frames only; here the last stage from the
    start, of all frames.

    Args:
        features: features of the student's input, (B, C, h, w).
        own: the student's features of the clean day frame, same shape; no gradient flows into them.
        teacher: the teacher's, same shape; no gradient flows into them.

    Raises:
        ValueError: when the shapes differ.
    """
    for name, other in (("own", own), ("teacher", teacher)):
        if other.shape != features.shape:
            raise ValueError(f"features {tuple(features.shape)} and {name} {tuple(other.shape)} must have one shape")
    features = features.float()
    to_own, to_teacher = ((features - other.detach().float()).abs().mean() for other in (own, teacher))
    return to_own + TEACHER_SHARE * to_teacher
