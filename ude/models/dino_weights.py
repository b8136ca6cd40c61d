"""Published weights of DINOv2 and Depth Anything, V1 and V2, as the start of a DINOv2 + DPT network.

Source: DINOv2, https://arxiv.org/abs/2304.07193; Depth Anything, https://arxiv.org/abs/2401.10891 (V1) and
https://arxiv.org/abs/2406.09414 (V2).
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ude.files import DataError, load_foreign, load_weights

from .checkpoint import from_hub, misfit
from .depth_net import DepthNet
from .dino_dpt import DinoDpt

# from the names in the authors' files to those that transformers publishes, applied in this order
_ENCODER_NAMES = (
    (r"^(cls_token|mask_token)$", r"embeddings.\1"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.ls([12])\.gamma$", r".layer_scale\1.lambda1"),
    (r"\.attn\.proj\.", ".attention.output.dense."),
)
_NECK_NAMES = (
    (r"^projects\.(\d)\.", r"neck.reassemble_stage.layers.\1.projection."),
    (r"^resize_layers\.(\d)\.", r"neck.reassemble_stage.layers.\1.resize."),
    (r"^scratch\.layer(\d)_rn\.", lambda match: f"neck.convs.{int(match[1]) - 1}."),
    (r"^scratch\.refinenet(\d)\.", lambda match: f"neck.fusion_stage.layers.{4 - int(match[1])}."),
    (r"\.out_conv\.", ".projection."),
    (r"\.resConfUnit(\d)\.conv(\d)\.", r".residual_layer\1.convolution\2."),
    (r"^scratch\.output_conv1\.", "head.conv1."),
    (r"^scratch\.output_conv2\.0\.", "head.conv2."),
    (r"^scratch\.output_conv2\.2\.", "head.conv3."),
)
_UNUSED = re.compile(r"(^|\.)mask_token$|^head\.|^neck\.fusion_stage\.layers\.0\.residual_layer1\.")
"""What no row has: the token of masked training, the head of relative depth, a layer that never runs."""


def load_dino(depth_net: DepthNet, source: str | Path) -> dict[str, int]:
    """Start the encoder from DINOv2, or encoder and neck from Depth Anything; the heads stay as they are.

    Args:
        depth_net: network of a DINOv2 row.
        source: hub id or folder in the layout of transformers, or a file: its safetensors, or the authors' ``.pth``.

    Returns:
        Numbers of tensors: ``encoder`` and ``neck`` taken, ``unused`` left in the source, ``fresh`` not in the source.

    Raises:
        DataError: when the weights cannot be had, are of another size, or of a Depth Anything that reads other blocks.
    """
    trunk = depth_net.trunk
    if not isinstance(trunk, DinoDpt):
        raise DataError(f"{source} is for a DINOv2 row, but the backbone is {depth_net.backbone}; choose another")
    if Path(source).is_file():
        depth_anything, model, info = _from_file(depth_net, Path(source))
    else:
        depth_anything, model, info = _from_folder(depth_net, str(source))
    _check(model, info, source, depth_net.backbone)
    encoder = model.backbone if depth_anything else model
    trunk.encoder.load_state_dict(encoder.state_dict())
    if depth_anything:
        used = trunk.decoder.state_dict().keys()
        trunk.decoder.load_state_dict({name: t for name, t in model.neck.state_dict().items() if name in used})
    taken = {"encoder": len(trunk.encoder.state_dict()), "neck": len(trunk.decoder.state_dict()) * depth_anything}
    total = len(model.state_dict()) + len(info["unexpected_keys"])
    unused = total - sum(taken.values())
    return {**taken, "unused": unused, "fresh": len(depth_net.state_dict()) - sum(taken.values())}


def _from_folder(depth_net: DepthNet, name: str) -> tuple[bool, nn.Module, dict[str, Any]]:
    from transformers import AutoConfig

    config = from_hub(AutoConfig, name)
    if config.model_type not in ("dinov2", "depth_anything"):
        raise DataError(f"{name} holds a {config.model_type}; choose weights of DINOv2 or Depth Anything")
    depth_anything = config.model_type == "depth_anything"
    if depth_anything:
        blocks, own = tuple(config.backbone_config.out_indices), tuple(depth_net.trunk.encoder.config.out_indices)
        if blocks != own:
            raise DataError(
                f"{name} was trained on blocks {blocks} of the encoder, but {depth_net.backbone} reads {own}; rows of "
                "the name ..._last4 are for Depth Anything V1, those without for V2"
            )
    model_class, config = _architecture(depth_net, depth_anything)
    model, info = from_hub(model_class, name, config=config, output_loading_info=True, ignore_mismatched_sizes=True)
    return depth_anything, model, info


def _from_file(depth_net: DepthNet, path: Path) -> tuple[bool, nn.Module, dict[str, Any]]:
    entries = load_weights(path) if path.suffix == ".safetensors" else load_foreign(path)
    if not all(isinstance(entry, Tensor) for entry in entries.values()):
        raise DataError(f"{path} holds more than tensors by name; save its state_dict alone")
    state = published_names(entries)
    depth_anything = any(name.startswith("neck.") for name in state)
    model_class, config = _architecture(depth_net, depth_anything)
    model, info = model_class.from_pretrained(
        None, config=config, state_dict=state, output_loading_info=True, ignore_mismatched_sizes=True
    )
    return depth_anything, model, info


def _architecture(depth_net: DepthNet, depth_anything: bool) -> tuple[type[nn.Module], Any]:
    """Class and configuration of transformers that correspond to the network's trunk."""
    from transformers import DepthAnythingForDepthEstimation, Dinov2Backbone

    if depth_anything:
        return DepthAnythingForDepthEstimation, depth_net.trunk.decoder.config
    return Dinov2Backbone, depth_net.trunk.encoder.config


def published_names(state: dict[str, Any]) -> dict[str, Tensor]:
    """A state by the names that transformers publishes; names that the authors' files do not have stay as they are."""
    result = {}
    for name, tensor in state.items():
        prefix, rest = ("backbone.", name[11:]) if name.startswith("pretrained.") else ("", name)
        if rest.startswith("depth_head."):
            result[_renamed(rest[11:], _NECK_NAMES)] = tensor
            continue
        rest = _renamed(rest, _ENCODER_NAMES)
        if ".attn.qkv." in rest:
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                result[prefix + rest.replace(".attn.qkv.", f".attention.attention.{part}.")] = third
        else:
            result[prefix + rest] = tensor
    return result


def _renamed(name: str, rules: tuple[tuple[str, Any], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _check(model: nn.Module, info: dict[str, Any], source: str | Path, backbone: str) -> None:
    """Refuse a source that lacks tensors, has others, or is of another size."""
    missing = [name for name in info["missing_keys"] if not _UNUSED.search(name)]
    unexpected = [name for name in info["unexpected_keys"] if not _UNUSED.search(name)]
    misshapen = [name for name, *_ in info["mismatched_keys"] if not _UNUSED.search(name)]
    if missing or unexpected or misshapen:
        raise DataError(
            f"{source} does not fit backbone {backbone}: {misfit(missing, unexpected, misshapen)}; choose the weights "
            "of its size"
        )
