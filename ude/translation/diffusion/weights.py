"""Weights of the generative translator: loaded safely, or refused in one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ude.files import DataError

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import StableDiffusionControlNetPipeline


def load_pipeline(base_model: str, *, control: str, dtype: torch.dtype) -> "StableDiffusionControlNetPipeline":
    """SD 1.5 with a ControlNet on the CPU; only diffusers' own classes and safetensors files are loaded.

    Without a safety checker, which would return black images without a word, and with the UniPC scheduler, since the
    PNDM of the model's repository fails at few steps.

    Args:
        base_model: hub id or local folder.
        control: hub id or local folder.
        dtype: of all networks.

    Raises:
        DataError: weights are missing or unfit.
    """
    from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, UniPCMultistepScheduler

    with weights_of("ControlNet", control):
        control_net = ControlNetModel.from_pretrained(control, dtype=dtype, use_safetensors=True)
    with weights_of("base model", base_model):
        pipeline = StableDiffusionControlNetPipeline.from_pretrained(
            base_model,
            controlnet=control_net,
            dtype=dtype,
            use_safetensors=True,
            safety_checker=None,
            requires_safety_checker=False,
        )
    pipeline.scheduler = UniPCMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_ip_adapter(
    pipeline: "StableDiffusionControlNetPipeline", ip_adapter: str, *, weights: str, scale: float
) -> None:
    """Add an IP-Adapter and its image encoder to a pipeline, with one reference per image.

    Args:
        pipeline: changed in place.
        ip_adapter: hub id or local folder, with `models/<weights>` and `models/image_encoder/`.
        weights: name of the adapter's file.
        scale: weight of the reference image.

    Raises:
        DataError: weights are missing or unfit.
    """
    with weights_of("IP-Adapter", ip_adapter):
        pipeline.load_ip_adapter(ip_adapter, subfolder="models", weight_name=weights)
    pipeline.set_ip_adapter_scale(scale)
    # the pipeline's own method repeats the embeddings for the batch, and the attention then folds all of them into
    # every image: references would be blended without a word
    pipeline.prepare_ip_adapter_image_embeds = _rows_as_they_are


def _rows_as_they_are(
    ip_adapter_image: Any, ip_adapter_image_embeds: list[Tensor], device: torch.device, *_: Any
) -> list[Tensor]:
    return [rows.to(device) for rows in ip_adapter_image_embeds]


@contextmanager
def weights_of(kind: str, name: str) -> Iterator[None]:
    """Turns what loading raises on absent or unfit weights into one line that names them and the remedy.

    Raises:
        DataError: the weights could not be loaded.
    """
    from huggingface_hub.errors import HFValidationError
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError, HFValidationError) as error:
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= 160 else reason[:157] + "..."
        raise DataError(f"cannot load the {kind} {name!r}: {reason.rstrip('.')}; {remedy(name)}") from error


def remedy(name: str) -> str:
    """What to do when the weights of a hub id or local folder cannot be loaded."""
    if Path(name).exists() or name.count("/") > 1 or name.startswith((".", "~", "/")):
        return f"put a complete model in the folder {name} (hf download <hub id> --local-dir {name})"
    return f"run: hf download {name}, or name a local folder that holds the model"
