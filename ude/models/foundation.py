"""Foundation depth models (Depth Anything, DPT, ZoeDepth ...) behind one call, to use or to train further."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ude.files import DataError
from ude.files.atomic import temporary_beside
from ude.files.errors import writing

from .checkpoint import from_hub, whole_from_hub

FOLDER = "foundation"
"""Folder of the model in a run folder of self-distillation."""

_METRIC_TYPES = ("zoedepth", "glpn")  # Depth Pro's own output is inverse depth, which its processor would invert
_NEAREST = 0.05  # depths below this count as this [m]: one wrong pixel must not take up the range of the others
_FARTHEST = 1e4  # metric inverse depths below that of this count as it [m]: they are positive


def find_foundation(name: str | Path) -> str | None:
    """Folder of a depth model of transformers: the name itself, or what a run of self-distillation left in it.

    Args:
        name: a folder, or anything else, for which there is None.
    """
    folders = (Path(name), Path(name) / FOLDER)
    return next((str(folder) for folder in folders if (folder / "preprocessor_config.json").is_file()), None)


class FoundationDepth(nn.Module):
    """Inverse depth from any depth model of transformers, metric or up to scale and shift; depths are inverted.

    It starts frozen; :meth:`make_trainable` gives it gradients. Either way it stays in evaluation mode.

    Args:
        name: hub id, local folder, or run folder of self-distillation.

    Attributes:
        metric: whether the inverse depth is in 1/m.

    Raises:
        DataError: when it is neither on disk, cached nor reachable, is damaged, or needs code from its folder.
    """

    def __init__(self, name: str | Path) -> None:
        from transformers import AutoConfig, AutoImageProcessor, AutoModelForDepthEstimation

        super().__init__()
        name = find_foundation(name) or name
        from_hub(AutoConfig, str(name), trust_remote_code=False)
        model = whole_from_hub(AutoModelForDepthEstimation, str(name))
        self._take(model, from_hub(AutoImageProcessor, str(name), trust_remote_code=False))

    @classmethod
    def of(cls, model: nn.Module, processor: Any) -> "FoundationDepth":
        """A model of transformers that is loaded already, with the processor of its images."""
        network = cls.__new__(cls)
        nn.Module.__init__(network)
        network._take(model, processor)
        return network

    def _take(self, model: nn.Module, processor: Any) -> None:
        self.model, self.processor, config = model.float(), processor, model.config
        depth_type = getattr(config, "depth_estimation_type", "")
        self.gives_depth = config.model_type in _METRIC_TYPES or depth_type == "metric"
        self.metric = self.gives_depth or getattr(config, "use_fov_model", False)
        self.patch = _patch_size(config)
        self.options = {"keep_aspect_ratio": False} if _takes_squares_only(config) else {}
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Inverse depth (B, 1, H, W), near is large, of images in [0, 1], (B, 3, H, W)."""
        inputs = self.processor(images=list(images), do_rescale=False, return_tensors="pt", **self.options)
        output = self.model(self._whole_patches(inputs["pixel_values"].to(images.device)))
        depth = output.predicted_depth.float()  # (B, h, w)
        # inverted before it is resized: a cubic filter makes depths of less than nothing beside edges
        inverse_depth = 1 / depth.clamp(min=_NEAREST) if self.gives_depth else depth * _per_focal_length(output)
        inverse_depth = self._without_padding(output, inverse_depth[:, None], images.shape[-2:])
        least = 1 / _FARTHEST if self.metric else 0
        return F.interpolate(inverse_depth, images.shape[-2:], mode="bilinear", align_corners=False).clamp(min=least)

    def train(self, mode: bool = True) -> "FoundationDepth":
        """The same model: it is fine-tuned without dropout and stochastic depth, as it is used."""
        return super().train(False)

    def make_trainable(self) -> "FoundationDepth":
        """Give gradients to all weights that the depth depends on, and to no others; returns the model itself.

        The models hold some that never run, such as the token of masked training. A distributed run waits for the
        gradients of all that have one.

        Raises:
            DataError: for a ZoeDepth that chooses among heads by the image.
        """
        if len(getattr(self.model.config, "bin_configurations", None) or ()) > 1:
            raise DataError(
                f"{self.model.config.name_or_path} has a head per domain and chooses one by the image; train one with "
                "a single head, such as Intel/zoedepth-kitti"
            )
        self.requires_grad_(True)
        used = _leaves(self(torch.zeros(1, 3, 64, 64, device=self.model.device)))
        for parameter in self.parameters():
            parameter.requires_grad_(id(parameter) in used)
        return self

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Trainable parameters of the encoder, and all others."""
        encoder = getattr(self.model, "backbone", None)
        encoder = self.model.base_model if encoder is None else encoder
        inside = {id(parameter) for parameter in encoder.parameters()}
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [p for p in trainable if id(p) in inside], [p for p in trainable if id(p) not in inside]

    def save(self, folder: Path) -> None:
        """Write model and processor as one folder that transformers loads by itself; it appears whole."""
        temporary = temporary_beside(folder)
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            self.model.save_pretrained(temporary)
            self.processor.save_pretrained(temporary)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(temporary, folder)

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


def _leaves(output: Tensor) -> set[int]:
    """Identities of the parameters that a tensor was computed from."""
    found, seen, waiting = set(), set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting += [parent for parent, _ in node.next_functions]
    return found


def _per_focal_length(output: Any) -> Tensor | float:
    """Width of the images over their focal lengths (B, 1, 1), which makes Depth Pro's inverse depth metric, or 1."""
    degrees = getattr(output, "field_of_view", None)
    return 1.0 if degrees is None else 2 * torch.tan(torch.deg2rad(degrees.float()) / 2).view(-1, 1, 1)


def _patch_size(config: Any) -> int:
    """Side of the patches that a model cuts its input into [px]; 1 where it takes any size."""
    size = getattr(getattr(config, "backbone_config", None), "patch_size", None) or getattr(config, "patch_size", 1)
    return size if isinstance(size, int) and config.model_type != "depth_pro" else 1


def _takes_squares_only(config: Any) -> bool:
    """Whether a model takes the square root of the number of patches for the height of the map: DPT on its own ViT."""
    return config.model_type == "dpt" and (config.is_hybrid or config.backbone_config is None)
