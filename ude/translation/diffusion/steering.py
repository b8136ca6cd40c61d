"""What steers a pipeline besides words and references: depth, edges, and the day frame itself."""

from collections.abc import Container, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..depth_control import depth_control
from .edges import edge_control

DEPTH_MODE, EDGES_MODE = 1, 3  # the numbers of the two among the kinds of control of a union ControlNet


def steering(
    taken: Container[str], images: Tensor, depth: Tensor | None, size: tuple[int, int], scales: Sequence[float]
) -> dict[str, Any]:
    """Arguments of a pipeline's call, whose names tell what it takes.

    The control is `control_image`, or `image` where there is no such argument; what `image` means besides is the day
    frame. Controls are float pictures: 16-bit ones turn white in the pipelines' image processor.

    Args:
        taken: names of the pipeline's arguments.
        images: day frames (B, 3, H, W) in [0, 1].
        depth: relative inverse depth (B, 1, h, w), near is large; ignored by a pipeline without control.
        size: (height, width) of the pictures [px].
        scales: weight of the depth, and of the edges where they are wanted.
    """
    given: dict[str, Any] = {}
    scale = next((name for name in ("controlnet", "adapter") if f"{name}_conditioning_scale" in taken), "")
    if scale:
        controls = [depth_control(depth, size)]
        if len(scales) > 1:
            controls.append(edge_control(images, size))
        union, alone = "control_mode" in taken, len(controls) == 1
        given["control_image" if "control_image" in taken else "image"] = (
            controls[0] if alone and not union else controls
        )
        given[f"{scale}_conditioning_scale"] = scales[0] if alone else list(scales)
        if union:
            given["control_mode"] = [DEPTH_MODE, EDGES_MODE][: len(controls)]
    if "image" in taken and "image" not in given:
        given["image"] = F.interpolate(images.float(), size, mode="bicubic", antialias=True).clamp(0, 1)
    return given
