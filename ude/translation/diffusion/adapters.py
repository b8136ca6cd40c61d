"""What is added to a pipeline's networks: an IP-Adapter for image prompts, a LoRA for fewer steps or another style."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ude.files import DataError

from .weights import checked_config, safe_file, weights_named, weights_of, whole

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DiffusionPipeline


def check_adapters(lora: str, lora_weights: str, ip_adapter: str, *, weights: str, encoder: str) -> None:
    """Raises a DataError for a LoRA or an IP-Adapter that is missing or unsafe, before larger networks are loaded.

    Args:
        lora: hub id or local folder, "" for none.
        lora_weights: its file.
        ip_adapter: hub id or local folder, "" for none.
        weights: its file, with its folder.
        encoder: folder of its image encoder.
    """
    if lora:
        with weights_of("LoRA", lora):
            safe_file(lora, lora_weights)
    if ip_adapter:
        with weights_of("IP-Adapter", ip_adapter):
            safe_file(ip_adapter, weights)
            checked_config(ip_adapter, encoder)


def fuse_lora(pipeline: "DiffusionPipeline", lora: str, *, weights: str, scale: float) -> None:
    """Add a LoRA to the weights of a pipeline, which then runs as fast as without.

    Args:
        pipeline: changed in place.
        lora: hub id or local folder.
        weights: name of the LoRA's safetensors file.
        scale: of what it adds.

    Raises:
        DataError: weights are missing, unfit, or not safetensors.
    """
    with weights_of("LoRA", lora):
        path = safe_file(lora, weights)
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name, use_safetensors=True)
        if not pipeline.get_active_adapters():  # the loader is silent when no name in the file fits
            raise DataError(f"nothing in {weights} fits the networks of {type(pipeline).__name__}")
        pipeline.fuse_lora(lora_scale=scale, safe_fusing=True)
        pipeline.unload_lora_weights()


def load_ip_adapter(
    pipeline: "DiffusionPipeline", ip_adapter: str, *, weights: str, encoder: str, scale: float
) -> None:
    """Add an IP-Adapter and its image encoder to a pipeline, with one reference per image.

    Args:
        pipeline: changed in place.
        ip_adapter: hub id or local folder.
        weights: the adapter's safetensors file in it.
        encoder: folder of the image encoder in it.
        scale: weight of the reference image.

    Raises:
        DataError: weights are missing, unfit, or not safetensors.
    """
    from transformers import CLIPVisionModelWithProjection

    with weights_of("IP-Adapter", ip_adapter):
        path = safe_file(ip_adapter, weights)
        checked_config(ip_adapter, encoder)
        place, revision = weights_named(ip_adapter)
        options = {"subfolder": encoder, "revision": revision, "dtype": pipeline.unet.dtype}
        network, _ = whole(CLIPVisionModelWithProjection, place, **options)
        pipeline.register_modules(image_encoder=network)
        pipeline.load_ip_adapter(str(path.parent), subfolder="", weight_name=path.name, image_encoder_folder=None)
        _refuse_other_encoder(pipeline, encoder)
    pipeline.set_ip_adapter_scale(scale)
    # the pipeline's own method repeats the embeddings for the batch, and the attention then folds all of them into
    # every image: references would be blended without a word
    pipeline.prepare_ip_adapter_image_embeds = _rows_as_they_are


def _rows_as_they_are(
    ip_adapter_image: list[Tensor], ip_adapter_image_embeds: None, device: torch.device, *_: Any
) -> list[Tensor]:
    return [rows.to(device) for rows in ip_adapter_image]


def _refuse_other_encoder(pipeline: "DiffusionPipeline", encoder: str) -> None:
    projection = pipeline.unet.encoder_hid_proj.image_projection_layers[0]
    config = pipeline.image_encoder.config
    for layer, width in (("image_embeds", config.projection_dim), ("proj_in", config.hidden_size)):
        wanted = getattr(getattr(projection, layer, None), "in_features", width)
        if wanted != width:
            raise DataError(f"it was made for image features of {wanted} numbers, and those of {encoder} have {width}")
