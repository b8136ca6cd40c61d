"""The authors' files of Depth Anything with their own head, to predict with.

Source: https://arxiv.org/abs/2401.10891 (V1), https://arxiv.org/abs/2406.09414 (V2): names of the files and tensors,
input of 518 px, and the depths that the metric models of V2 end at.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ude.files import DataError, load_foreign, load_weights

from .checkpoint import NEVER_READ, misfit
from .depth_net import BACKBONES
from .dino_dpt import DinoDptSize, depth_anything_config
from .dino_weights import published_names
from .foundation import FoundationDepth
from .normalisation import NORMALISATIONS

_SIDE = 518
"""Shorter side of the input [px]."""
_V1, _V2 = re.compile(r"depth_anything_vit[sbl]14"), re.compile(r"depth_anything_v2_")
_METRIC = {"metric_hypersim": 20, "metric_vkitti": 80}
"""Part of a file's name to the largest depth [m] of the model."""


def depth_anything_from_file(path: Path) -> FoundationDepth:
    """The network of a ``.pth`` or safetensors file, whose name says which one it is.

    Args:
        path: the file, of the name that its authors gave it: the tensors of V1 and V2 have the same names and shapes.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is damaged, its name says nothing, or its tensors do not fit.
    """
    name = path.stem
    if not _V1.search(name) and not _V2.search(name):
        raise DataError(
            f"{path}: the name does not say which Depth Anything it is; call it as its authors did "
            "(depth_anything_vits14, depth_anything_v2_vits, depth_anything_v2_metric_vkitti_vits ...), or name a "
            "folder with config.json and preprocessor_config.json"
        )
    state = _state(path)
    size = _size(path, state, last_blocks=not _V2.search(name))
    depths = [depth for part, depth in _METRIC.items() if part in name]
    kind = {"depth_estimation_type": "metric", "max_depth": depths[0]} if depths else {}
    return FoundationDepth.of(_loaded(path, state, depth_anything_config(size, **kind)), _processor())


def _state(path: Path) -> dict[str, Tensor]:
    entries = load_weights(path) if path.suffix == ".safetensors" else load_foreign(path)
    if not all(isinstance(entry, Tensor) for entry in entries.values()):
        raise DataError(f"{path} holds more than tensors by name; save its state_dict alone")
    return {name: tensor for name, tensor in published_names(entries).items() if not NEVER_READ.search(name)}


def _size(path: Path, state: dict[str, Tensor], *, last_blocks: bool) -> DinoDptSize:
    """The row of ``BACKBONES`` as wide as the class token, that reads the blocks of V1 or V2."""
    token = state.get("backbone.embeddings.cls_token")
    width = None if token is None else token.shape[-1]
    rows = [size for size in BACKBONES.values() if isinstance(size, DinoDptSize) and size.width == width]
    rows = [size for size in rows if (size.blocks[0] == size.depth - 3) == last_blocks] or rows
    if not rows:
        raise DataError(f"{path} holds no Depth Anything of a known size (class token of width {width})")
    return rows[0]


def _loaded(path: Path, state: dict[str, Tensor], config: Any) -> nn.Module:
    """The model of a configuration with exactly these tensors."""
    from transformers import DepthAnythingForDepthEstimation

    model, info = DepthAnythingForDepthEstimation.from_pretrained(
        None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
    )
    lists = (info["missing_keys"], info["unexpected_keys"], [key for key, *_ in info["mismatched_keys"]])
    missing, unexpected, misshapen = ([key for key in keys if not NEVER_READ.search(key)] for keys in lists)
    if missing or unexpected or misshapen:
        raise DataError(
            f"{path} does not fit the Depth Anything of its name: {misfit(missing, unexpected, misshapen)}; download "
            "it again"
        )
    return model


def _processor() -> Any:
    """What makes the input: the shorter side of 518 px, both multiples of a patch, ImageNet's normalisation."""
    from transformers import DPTImageProcessor

    mean, std = NORMALISATIONS["imagenet"]
    return DPTImageProcessor(
        size={"height": _SIDE, "width": _SIDE},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        resample=3,  # bicubic
        do_normalize=True,
        image_mean=list(mean),
        image_std=list(std),
        do_pad=False,
    )
