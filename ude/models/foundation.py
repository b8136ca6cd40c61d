"""Foundation depth models (Depth Anything, DPT, ZoeDepth ...) behind one call."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checkpoint import from_hub, whole_from_hub

_METRIC_TYPES = ("zoedepth", "glpn")  # Depth Pro's own output is inverse depth, which its processor would invert
_NEAREST = 0.05  # depths below this count as this [m]: one wrong pixel must not take up the range of the others


class FoundationDepth(nn.Module):
    """Relative inverse depth from any depth model of transformers; metric models are inverted.

    Args:
        name: hub id or local folder.

    Raises:
        DataError: when it is neither on disk, cached nor reachable, is damaged, or needs code from its folder.
    """

    def __init__(self, name: str | Path) -> None:
        from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

        super().__init__()
        config = from_hub(AutoConfig, str(name), trust_remote_code=False)
        self.model = whole_from_hub(AutoModelForDepthEstimation, str(name)).float()
        self.processor = from_hub(AutoImageProcessor, str(name), trust_remote_code=False)
        self.metric = config.model_type in _METRIC_TYPES or getattr(config, "depth_estimation_type", "") == "metric"
        self.patch = _patch_size(config)
        self.options = {"keep_aspect_ratio": False} if _takes_squares_only(config) else {}
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Relative inverse depth (B, 1, H, W), near is large, of images in [0, 1], (B, 3, H, W)."""
        inputs = self.processor(images=list(images), do_rescale=False, return_tensors="pt", **self.options)
        output = self.model(self._whole_patches(inputs["pixel_values"].to(images.device)))
        depth = output.predicted_depth.float()  # (B, h, w)
        # inverted before it is resized: a cubic filter makes depths of less than nothing beside edges
        inverse_depth = 1 / depth.clamp(min=_NEAREST) if self.metric else depth
        inverse_depth = self._without_padding(output, inverse_depth[:, None], images.shape[-2:])
        return F.interpolate(inverse_depth, images.shape[-2:], mode="bilinear", align_corners=False).clamp(min=0)

    def _whole_patches(self, pixels: Tensor) -> Tensor:
        """Pixels resized to whole patches: the models drop a rest on the right and below, which shifts their maps."""
        size = tuple(max(1, round(side / self.patch)) * self.patch for side in pixels.shape[-2:])
        if size == tuple(pixels.shape[-2:]):
            return pixels
        return F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)

    def _without_padding(self, output: Any, inverse_depth: Tensor, size: torch.Size) -> Tensor:
        """The map without the mirrored border that ZoeDepth's processor puts around images."""
        if self.model.config.model_type != "zoedepth" or not self.processor.do_pad:
            return inverse_depth
        output.predicted_depth = inverse_depth[:, 0]
        found = self.processor.post_process_depth_estimation(output, source_sizes=[tuple(size)] * len(inverse_depth))
        return torch.stack([row["predicted_depth"] for row in found])[:, None]


def _patch_size(config: Any) -> int:
    """Side of the patches that a model cuts its input into [px]; 1 where it takes any size."""
    size = getattr(getattr(config, "backbone_config", None), "patch_size", None) or getattr(config, "patch_size", 1)
    return size if isinstance(size, int) and config.model_type != "depth_pro" else 1


def _takes_squares_only(config: Any) -> bool:
    """Whether a model takes the square root of the number of patches for the height of the map: DPT on its own ViT."""
    return config.model_type == "dpt" and (config.is_hybrid or config.backbone_config is None)
