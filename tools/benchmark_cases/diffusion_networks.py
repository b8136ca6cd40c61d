"""Translators with random weights on the disk: of a small world's size, and Stable Diffusion 1.5 with its helpers."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ude.files import save_weights
from ude.translation.finetune.autoencoder import small_autoencoder
from ude.translation.finetune.layout import IP_ADAPTER_WEIGHTS, image_prompt_state, save_small, small_scheduler
from ude.translation.finetune.small import SmallDiffusion, SmallSizes, add_image_prompt
from ude.translation.finetune.words import small_tokenizer

AUTOENCODER_WIDTH = 32


def save_networks(row: str, folder: Path, *, dtype: torch.dtype, texts: list[str]) -> dict[str, Any]:
    """Write the networks of a row; returns the weights' keyword arguments of `DiffusionTranslator`.

    Args:
        row: small | sd15.
        folder: folder to write into.
        dtype: of the weights.
        texts: prompts whose words the tokenizer knows.
    """
    torch.manual_seed(0)
    {"small": _save_small, "sd15": _save_sd15}[row](folder, dtype, small_tokenizer(texts))
    return {
        "base_model": str(folder / "base"),
        "control": str(folder / "control"),
        "ip_adapter": str(folder / "ip_adapter"),
        "ip_adapter_weights": IP_ADAPTER_WEIGHTS,
    }


def _save_small(folder: Path, dtype: torch.dtype, tokenizer: Any) -> None:
    sizes = SmallSizes()
    autoencoder = small_autoencoder(AUTOENCODER_WIDTH, sizes.latent_channels)
    save_small(SmallDiffusion(tokenizer, sizes).to(dtype), autoencoder.to(dtype), folder)


def _save_sd15(folder: Path, dtype: torch.dtype, tokenizer: Any) -> None:
    """Networks of the published sizes; only the vocabulary of the text encoder is smaller."""
    from diffusers import AutoencoderKL, ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(cross_attention_dim=768)  # diffusers' other defaults are those of SD 1.5
    control = ControlNetModel.from_unet(unet)
    autoencoder = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
    )
    encoder = _image_encoder()
    pipeline = StableDiffusionPipeline(
        vae=autoencoder.to(dtype),
        text_encoder=_text_encoder(tokenizer).to(dtype),
        tokenizer=tokenizer,
        unet=unet.to(dtype),
        scheduler=small_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "base")
    control.to(dtype).save_pretrained(folder / "control")
    encoder.to(dtype).save_pretrained(folder / "ip_adapter" / "models" / "image_encoder")
    add_image_prompt(unet, encoder.config.projection_dim)
    state = {name: tensor.detach().to(dtype).contiguous() for name, tensor in image_prompt_state(unet).items()}
    save_weights(folder / "ip_adapter" / "models" / IP_ADAPTER_WEIGHTS, state)


def _text_encoder(tokenizer: Any) -> nn.Module:
    """CLIP ViT-L/14's."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def _image_encoder() -> nn.Module:
    """CLIP ViT-H/14's."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
        projection_dim=1024,
    )
    return CLIPVisionModelWithProjection(config)
