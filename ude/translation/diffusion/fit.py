"""What pipelines, networks and sizes of the generative translator fit together, and one line for what does not."""

from collections.abc import Container, Mapping, Sequence
from math import lcm
from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

from ude.files import DataError

from .weights import weights_of

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DiffusionPipeline

PIPELINES: Mapping[str, str] = MappingProxyType(
    {
        "StableDiffusionPipeline": "",
        "StableDiffusionXLPipeline": "",
        "StableDiffusionControlNetPipeline": "ControlNetModel",
        "StableDiffusionControlNetImg2ImgPipeline": "ControlNetModel",
        "StableDiffusionAdapterPipeline": "T2IAdapter",
        "StableDiffusionInstructPix2PixPipeline": "",
        "StableDiffusionXLControlNetPipeline": "ControlNetModel",
        "StableDiffusionXLControlNetImg2ImgPipeline": "ControlNetModel",
        "StableDiffusionXLControlNetUnionPipeline": "ControlNetUnionModel",
        "StableDiffusionXLControlNetUnionImg2ImgPipeline": "ControlNetUnionModel",
        "StableDiffusionXLAdapterPipeline": "T2IAdapter",
    }
)
"""Class of the network through which depth steers each pipeline; "" where the day frame itself or the prompt does."""


def control_networks(pipeline: "DiffusionPipeline") -> list[nn.Module]:
    """The networks through which depth and edges steer a pipeline, in this order."""
    network = getattr(pipeline, "controlnet", None) or getattr(pipeline, "adapter", None)
    return [] if network is None else list(getattr(network, "nets", [network]))


def size_multiple(pipeline: "DiffusionPipeline") -> int:
    """What both sides of a generated image [px] must be multiples of: others would be floored without a word."""
    adapter = getattr(pipeline, "adapter", None)
    return lcm(pipeline.vae_scale_factor, 1 if adapter is None else adapter.downscale_factor)


def refuse_contradictions(pipeline: str, *, control: str, edges: str, ip_adapter: str) -> None:
    """Raises a ValueError for a pipeline that does not exist, or that does not take what it is given."""
    if pipeline not in PIPELINES:
        raise ValueError(f"pipeline must be one of {', '.join(PIPELINES)}, got {pipeline!r}")
    network = PIPELINES[pipeline]
    if bool(control) != bool(network):
        raise ValueError(f"{pipeline} {'needs' if network else 'takes no'} control, got {control!r}")
    if edges and network not in ("ControlNetModel", "ControlNetUnionModel"):
        raise ValueError(f"{pipeline} takes no edges, got {edges!r}")
    if edges and network == "ControlNetUnionModel" and edges != control:
        raise ValueError(f"the control of {pipeline} is its network for edges, too, got {edges!r}")
    if ip_adapter and pipeline == "StableDiffusionAdapterPipeline":
        raise ValueError(f"{pipeline} takes no image prompt, got {ip_adapter!r}")


def refuse_idle_options(taken: Container[str], options: Mapping[str, float]) -> None:
    """Raises a ValueError for numbers with which a pipeline would do nothing, or switch its guidance off.

    Args:
        taken: names of the pipeline's arguments.
        options: their values.
    """
    if "strength" in taken and int(options["num_inference_steps"] * options["strength"]) < 1:
        raise ValueError(f"a strength of {options['strength']} leaves none of {options['num_inference_steps']} steps")
    if "image_guidance_scale" in taken and options["guidance_scale"] > 1 > options["image_guidance_scale"]:
        raise ValueError("an image_guidance_scale below 1 switches all guidance off")


def refuse_size(size: Sequence[int], multiple: int) -> None:
    """Raises a DataError for a size that the pipeline would floor without a word."""
    if any(side <= 0 or side % multiple for side in size):
        nearest = tuple(max(multiple, round(side / multiple) * multiple) for side in size)
        raise DataError(
            f"this pipeline generates sizes (height, width) in multiples of {multiple} px, got {tuple(size)}; "
            f"use {nearest}"
        )


def refuse_misfits(pipeline: "DiffusionPipeline", base_model: str, control: str, edges: str) -> None:
    """Raises a DataError for networks that would fail, or fail without a word, when the first image is generated."""
    unet, name = pipeline.unet.config, type(pipeline).__name__
    with weights_of("base model", base_model):
        if ("XL" in name) != (unet.addition_embed_type == "text_time"):
            raise DataError(f"{name} needs {'an SDXL' if 'XL' in name else 'an SD 1.5'} base model")
        channels = pipeline.vae.config.latent_channels * (2 if "Pix2Pix" in name else 1)
        if unet.in_channels != channels:
            raise DataError(f"its UNet takes {unet.in_channels} channels, {name} gives it {channels}")
    for network, source in zip(control_networks(pipeline), (control, edges), strict=False):
        with weights_of("control network", source):
            if "cross_attention_dim" not in network.config:
                _refuse_other_adapter(network, sdxl="XL" in name)
            elif network.config.cross_attention_dim != unet.cross_attention_dim:
                raise DataError(f"it was made for another base model than {base_model}")
            elif 2 ** (len(network.config.conditioning_embedding_out_channels) - 1) != pipeline.vae_scale_factor:
                raise DataError(f"it was made for latents of another size than {base_model} has")


def _refuse_other_adapter(adapter: nn.Module, *, sdxl: bool) -> None:
    if (adapter.config.adapter_type == "full_adapter_xl") != sdxl:
        raise DataError(f"it was made for {'SD 1.5' if sdxl else 'SDXL'}")
    if adapter.config.in_channels != 3:
        raise DataError(f"it takes {adapter.config.in_channels} channels, not the 3 of a depth picture")
