"""Foundation depth models (Depth Anything, DPT, ZoeDepth ...) behind one call."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checkpoint import from_hub, whole_from_hub

_METRIC_TYPES = ("zoedepth", "depth_pro", "glpn")


class FoundationDepth(nn.Module):
    """Relative inverse depth from any depth model of transformers; metric models are inverted.

    Args:
        name: hub id or local folder.

    Raises:
        DataError: when it is neither on disk, cached nor reachable, or is damaged.
    """

    def __init__(self, name: str | Path) -> None:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        super().__init__()
        self.model = whole_from_hub(AutoModelForDepthEstimation, str(name))
        self.processor = from_hub(AutoImageProcessor, str(name))
        config = self.model.config
        self.metric = config.model_type in _METRIC_TYPES or getattr(config, "depth_estimation_type", "") == "metric"
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Relative inverse depth (B, 1, H, W), near is large, of images in [0, 1], (B, 3, H, W)."""
        pixels = self.processor(images=list(images.cpu()), do_rescale=False, return_tensors="pt")["pixel_values"]
        depth = self.model(pixels.to(images.device)).predicted_depth[:, None].float()
        if self.metric:
            depth = 1 / depth.clamp(min=1e-3)
        return F.interpolate(depth, images.shape[-2:], mode="bilinear", align_corners=False).clamp(min=0)
