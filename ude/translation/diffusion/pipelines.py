"""Pipelines of diffusers that can translate: which there are, how they load, and what fits together."""

from collections.abc import Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ude.files import DataError

from .fit import PIPELINES, control_networks, refuse_misfits
from .weights import checked_config, checked_index, refuse_code_in, weights_named, weights_of, whole

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DiffusionPipeline

_VAES = ("AutoencoderKL", "AutoencoderTiny")
_NETWORKS = {"unet", "vae", "text_encoder", "text_encoder_2"}
_UNION_TENSOR = "task_embedding"  # which no other ControlNet has


def load_pipeline(
    base_model: str, *, pipeline: str, control: str = "", edges: str = "", vae: str = "", dtype: torch.dtype
) -> "DiffusionPipeline":
    """A pipeline on the CPU; only diffusers' own classes and safetensors files are loaded.

    Without a safety checker, which would return black images without a word, and without a watermark.

    Args:
        base_model: hub id or local folder.
        pipeline: a key of `PIPELINES` in `fit`.
        control: hub id or local folder of the network for depth.
        edges: the same of the one for edges, "" for none; a union network is its own.
        vae: hub id or local folder of an autoencoder in place of the base model's, "" for that one.
        dtype: of all networks.

    Raises:
        DataError: weights are missing or unfit, or bring code of their own.
    """
    import diffusers

    kind, parts = getattr(diffusers, pipeline), {}
    with weights_of("base model", base_model):  # before any large file is asked for
        checked_index(base_model)
    if PIPELINES[pipeline]:
        network = PIPELINES[pipeline]
        names = [control, edges] if edges and network == "ControlNetModel" else [control]
        nets = [_load_network(name, network, dtype) for name in names]
        parts["adapter" if network == "T2IAdapter" else "controlnet"] = nets[0] if len(nets) == 1 else nets
    if vae:
        parts["vae"] = _load_vae(vae, dtype)
    with weights_of("base model", base_model):
        folder = _pipeline_folder(kind, base_model, parts)
        parts |= _base_networks(kind, folder, parts, dtype)
        loaded = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **parts, **_without_extras(kind))
    refuse_misfits(loaded, base_model, control, edges)
    if dtype != torch.float16:  # the only type in which an autoencoder can overflow
        loaded.vae.register_to_config(force_upcast=False)
    for network in control_networks(loaded):
        _separate_rows(network)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def set_scheduler(pipeline: "DiffusionPipeline", name: str, timestep_spacing: str = "") -> None:
    """Give a pipeline a scheduler with the noise schedule of its base model.

    Args:
        pipeline: changed in place.
        name: class of diffusers.
        timestep_spacing: "leading", "trailing" or "linspace"; "" for the base model's if its
            file states one, else the scheduler's default.
    """
    import diffusers

    options = {"timestep_spacing": timestep_spacing} if timestep_spacing else {}
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **options)


def _load_network(name: str, network: str, dtype: torch.dtype) -> nn.Module:
    import diffusers

    with weights_of("T2I-Adapter" if network == "T2IAdapter" else "ControlNet", name):
        config = checked_config(name)
        found, union = config.get("_class_name", network), network == "ControlNetUnionModel"
        # unions from before diffusers had the class call themselves ControlNetModel: their tensors tell
        if found != network and not (union and found == "ControlNetModel"):
            raise DataError(f"it is a {found}, not a {network}")
        place, revision = weights_named(name)
        loaded, unexpected = whole(getattr(diffusers, network), place, revision=revision, dtype=dtype)
        if _UNION_TENSOR in unexpected:
            raise DataError(f"it is a ControlNetUnionModel, not a {network}")
        return loaded


def _separate_rows(network: nn.Module) -> None:
    """Make the images of a batch independent of each other in a union ControlNet; others are so already.

    The attention over its kinds of control takes the first axis, the batch, for the sequence: each image would see the
    others of its batch without a word. Row by row it gives what a single call gives.
    """
    for layer in getattr(network, "transformer_layes", ()):  # the library's spelling
        layer.attention = partial(_attention_by_row, layer.attn)


def _attention_by_row(attention: nn.Module, x: Tensor) -> Tensor:
    rows = x.flatten(0, 1).unsqueeze(0)  # (1, B n, C)
    return attention(rows, rows, rows, need_weights=False)[0].view_as(x)


def _load_vae(name: str, dtype: torch.dtype) -> nn.Module:
    import diffusers

    with weights_of("autoencoder", name):
        found = checked_config(name).get("_class_name")
        if found not in _VAES:
            raise DataError(f"it is a {found}, not one of {', '.join(_VAES)}")
        place, revision = weights_named(name)
        return whole(getattr(diffusers, found), place, revision=revision, dtype=dtype)[0]


def _base_networks(kind: type, folder: str, parts: Mapping[str, Any], dtype: torch.dtype) -> dict[str, nn.Module]:
    """The networks of a base model that are not replaced, each of them whole."""
    import diffusers
    import transformers

    index, networks = checked_index(folder), {}
    for part in sorted(_NETWORKS & signature(kind.__init__).parameters.keys() - parts.keys()):
        library, name = index.get(part) or (None, None)
        network = getattr({"diffusers": diffusers, "transformers": transformers}.get(library), name or "", None)
        if network is None:
            raise DataError(f"its model_index.json names no {part} for {kind.__name__}")
        networks[part] = whole(network, folder, subfolder=part, dtype=dtype)[0]
    return networks


def _pipeline_folder(kind: type, name: str, parts: Mapping[str, Any]) -> str:
    """Local folder of the base model, downloaded if it has to be, once it is known to bring no code."""
    place, revision = weights_named(name)
    if not Path(place).exists():
        place = str(kind.download(place, revision=revision, use_safetensors=True, **parts, **_without_extras(kind)))
    refuse_code_in(place)
    return place


def _without_extras(kind: type) -> dict[str, Any]:
    off = {"safety_checker": None, "requires_safety_checker": False, "add_watermarker": False}
    taken = signature(kind.__init__).parameters
    return {name: value for name, value in off.items() if name in taken}
