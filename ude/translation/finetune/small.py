"""A small latent diffusion model, in the classes and the layout of Stable Diffusion, ControlNet and IP-Adapter."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:  # takes seconds to import
    from transformers import CLIPTokenizer

REFERENCE_TOKENS = 4  # what diffusers expects of an IP-Adapter with this kind of projection
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class SmallSizes:
    """Sizes of the networks.

    Attributes:
        widths: channels of the U-Net's levels, multiples of 16.
        latent_channels: of the autoencoder.
        text_width: of the text encoder and of all cross attention.
        image_width: of the image encoder.
        image_size: side of the reference image that it sees [px].
    """

    widths: tuple[int, ...] = (32, 96, 160)
    latent_channels: int = 6
    text_width: int = 64
    image_width: int = 64
    image_size: int = 64


class SmallDiffusion(nn.Module):
    """U-Net with image prompt, depth ControlNet, text encoder and image encoder with random weights.

    Args:
        tokenizer: of the text encoder.
        sizes: of the networks.
    """

    def __init__(self, tokenizer: "CLIPTokenizer", sizes: SmallSizes) -> None:
        super().__init__()
        self.tokenizer, self.sizes = tokenizer, sizes
        self.control = small_control(sizes)
        self.unet = small_unet(sizes)
        add_image_prompt(self.unet, sizes.image_width)
        self.text_encoder = _text_encoder(tokenizer, sizes.text_width)
        self.image_encoder = _image_encoder(sizes)
        self.to(memory_format=torch.channels_last)

    def text(self, prompts: Iterable[str]) -> Tensor:
        """Embeddings (B, T, D) of prompts."""
        tokens = self.tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids
        return self.text_encoder(tokens.to(self.unet.device))[0]

    def references(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of reference images (B, 3, h, w) in [0, 1]."""
        side = self.sizes.image_size
        pixels = F.interpolate(images.float(), (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
        return self.image_encoder((pixels - mean) / deviation).image_embeds

    def forward(self, noised: Tensor, steps: Tensor, *, text: Tensor, references: Tensor, control: Tensor) -> Tensor:
        """What the U-Net predicts from noised latents (B, C, h, w).

        Args:
            noised: noised latents (B, C, h, w).
            steps: time steps (B,).
            text: embeddings of the prompts (B, T, D).
            references: embeddings of the reference images (B, D).
            control: control images (B, 3, H, W) in [0, 1].
        """
        down, middle = self.control(noised, steps, text, control, return_dict=False)
        return self.unet(
            noised,
            steps,
            text,
            added_cond_kwargs={"image_embeds": [references[:, None]]},
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample


def small_unet(sizes: SmallSizes) -> nn.Module:
    """U-Net with cross attention at all levels but the finest."""
    from diffusers import UNet2DConditionModel

    levels = len(sizes.widths)
    return UNet2DConditionModel(
        in_channels=sizes.latent_channels,
        out_channels=sizes.latent_channels,
        block_out_channels=sizes.widths,
        down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * (levels - 1),
        up_block_types=["CrossAttnUpBlock2D"] * (levels - 1) + ["UpBlock2D"],
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=sizes.text_width,
        attention_head_dim=4,
    )


def small_control(sizes: SmallSizes) -> nn.Module:
    """ControlNet of the U-Net's shape; without attention, since what it knows is local."""
    from diffusers import ControlNetModel

    return ControlNetModel(
        in_channels=sizes.latent_channels,
        block_out_channels=sizes.widths,
        down_block_types=["DownBlock2D"] * len(sizes.widths),
        mid_block_type="UNetMidBlock2D",
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=sizes.text_width,
        attention_head_dim=4,
        conditioning_embedding_out_channels=(16, 32, 48),
    )


def add_image_prompt(unet: nn.Module, image_width: int) -> None:
    """Give a U-Net the IP-Adapter's projection and its keys and values in every cross attention, all to be trained.

    Source: IP-Adapter, https://arxiv.org/abs/2308.06721.
    """
    from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
    from diffusers.models.embeddings import ImageProjection, MultiIPAdapterImageProjection

    processors = dict(unet.attn_processors)
    text_width = unet.config.cross_attention_dim
    for name in cross_attentions(unet):
        hidden = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        processors[name] = IPAdapterAttnProcessor2_0(hidden, text_width, num_tokens=(REFERENCE_TOKENS,), scale=1.0)
    unet.set_attn_processor(processors)
    projection = ImageProjection(image_width, text_width, num_image_text_embeds=REFERENCE_TOKENS)
    unet.encoder_hid_proj = MultiIPAdapterImageProjection([projection])
    unet.config.encoder_hid_dim_type = "ip_image_proj"


def cross_attentions(unet: nn.Module) -> list[str]:
    """Names of the processors of all cross attentions, in the order that an IP-Adapter's file counts them in."""
    return [name for name in unet.attn_processors if name.endswith("attn2.processor")]


def _text_encoder(tokenizer: "CLIPTokenizer", width: int) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _image_encoder(sizes: SmallSizes) -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=sizes.image_width,
            intermediate_size=2 * sizes.image_width,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=sizes.image_size,
            patch_size=sizes.image_size // 4,
            projection_dim=sizes.image_width,
        )
    )
