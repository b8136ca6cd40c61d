"""The depth map as the picture that a depth ControlNet was trained on: near is bright, far is dark."""

import torch
import torch.nn.functional as F
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

QUANTILES = (0.02, 0.98)


def depth_control(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Control image (B, 3, height, width) in [0, 1], near bright, each stretched between its 2 % and 98 % quantiles.

    The stretch makes the picture independent of scale and shift, and a single near or far pixel cannot flatten the
    rest. It is a float picture: 16-bit images turn white in the pipelines' image processor.

    Args:
        inverse_depth: relative inverse depth (B, 1, h, w), near is large.
        size: (height, width) of the control image [px].
    """
    KORNIA_CHECK_SHAPE(inverse_depth, ["B", "1", "H", "W"])
    resized = F.interpolate(inverse_depth.float(), size, mode="bilinear", align_corners=False)
    far, near = torch.quantile(resized.flatten(1), resized.new_tensor(QUANTILES), dim=1)  # (B,) each
    span = (near - far).clamp(min=1e-12)
    stretched = ((resized - far.view(-1, 1, 1, 1)) / span.view(-1, 1, 1, 1)).clamp(0, 1)
    return stretched.expand(-1, 3, -1, -1).contiguous()
