"""Weak velocity supervision: metric scale from the distance travelled."""

from torch import Tensor


def velocity_loss(T_source_target: Tensor, distance: Tensor) -> Tensor:
    """Mean absolute difference [m] between predicted and measured distance to the source frames.

    Source: PackNet-SfM, https://arxiv.org/abs/1905.02693, equation 5.

    Args:
        T_source_target: predicted transforms (B, S, 4, 4).
        distance: measured distance between the camera centres [m], (B, S).
    """
    return (T_source_target[..., :3, 3].norm(dim=-1) - distance).abs().mean()
