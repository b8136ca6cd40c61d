"""Estimated depth of training frames as control images, kept in memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..depth_control import depth_control


def control_images(
    images: Tensor, inverse_depth: Callable[[Tensor], Tensor], *, size: tuple[int, int], batch_size: int = 16
) -> Tensor:
    """Control images of frames, uint8 (N, 1, height, width), near is bright.

    Args:
        images: frames, uint8 (N, 3, H, W).
        inverse_depth: images (B, 3, H, W) in [0, 1] to relative inverse depth (B, 1, h, w).
        size: (height, width) of the control images [px].
        batch_size: frames per call.
    """
    parts = []
    batches = images.split(batch_size)
    for batch in tqdm(batches, desc="depth", unit="batch", dynamic_ncols=True):
        found = depth_control(inverse_depth(batch.float() / 255), size)[:, :1]
        parts.append((found * 255).round().to(torch.uint8))
    return torch.cat(parts)


def control_of(controls: Tensor, batch: dict[str, Any]) -> Tensor:
    """Control images (B, 3, H, W) in [0, 1] of a batch, mirrored where its images are.

    Args:
        controls: of all frames, uint8 (N, 1, H, W).
        batch: with ``images``, ``index`` and ``mirrored``.
    """
    own = controls[batch["index"].cpu()].to(batch["images"].device)
    own = torch.where(batch["mirrored"][:, None, None, None], own.flip(-1), own)
    return own.float().expand(-1, 3, -1, -1) / 255
