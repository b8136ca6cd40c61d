"""Metrics the plain way: every prediction enlarged to the native size, one pass over the dense maps for each mode."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

MODES = ((False, False), (True, False), (False, True), (True, True))
"""Flip-averaged, median-scaled; in the order of the table of ude."""


def dense_table(
    inverse_depth: Tensor, mirrored: Tensor, lidar_depth: Tensor, *, min_depth: float, max_depth: float
) -> list[list[float]]:
    """Metrics of every frame in four modes, (B, 28), by md4all's protocol, in the precision of the arguments.

    Args:
        inverse_depth: predicted inverse depth [1/m], (B, 1, h, w).
        mirrored: that of the mirrored images, (B, 1, h, w).
        lidar_depth: native LiDAR depth [m], (B, 1, H, W), 0 = no return.
        min_depth: returns at this depth or nearer do not count [m].
        max_depth: returns at this depth or farther do not count [m].
    """
    averaged = _flip_average(inverse_depth, mirrored.flip(-1))
    rows: list[list[float]] = [[] for _ in lidar_depth]
    for flip, scaled in MODES:
        depth = 1 / (averaged if flip else inverse_depth)
        depth = interpolate(depth, lidar_depth.shape[-2:], mode="bilinear", align_corners=True)
        for row, prediction, lidar in zip(rows, depth[:, 0], lidar_depth[:, 0], strict=True):
            valid = (lidar > min_depth) & (lidar < max_depth)
            p, g = prediction[valid], lidar[valid]
            if scaled:
                p = p * torch.median(g) / torch.median(p)
            p = p.clamp(min_depth, max_depth)
            worse = torch.maximum(p / g, g / p)
            row += [
                ((p - g).abs() / g).mean().item(),
                ((p - g) ** 2 / g).mean().item(),
                ((p - g) ** 2).mean().sqrt().item(),
                ((p.log() - g.log()) ** 2).mean().sqrt().item(),
                *((worse < 1.25**power).to(p.dtype).mean().item() for power in (1, 2, 3)),
            ]
    return rows


def _flip_average(plain: Tensor, mirrored: Tensor) -> Tensor:
    """Mean of two inverse depths with ramps towards the borders; both are the right way round."""
    place = torch.linspace(0, 1, plain.shape[-1], dtype=plain.dtype, device=plain.device)
    left = 1 - (20 * (place - 0.05)).clamp(0, 1)
    right = left.flip(0)
    return left * mirrored + right * plain + (1 - left - right) * (plain + mirrored) / 2
