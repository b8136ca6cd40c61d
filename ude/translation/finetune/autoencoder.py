"""A small autoencoder of a small world, trained from scratch: four pixels per latent."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .draws import generator_for

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import AutoencoderTiny

LATENT_NOISE = 0.1
"""Deviation of noise on the latents in training: what a diffusion model generates is not exact, either."""


def small_autoencoder(width: int, latent_channels: int) -> "AutoencoderTiny":
    """AutoencoderTiny of some width, little of it at full resolution, and no normalisation: dark stays dark."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        latent_channels=latent_channels,
        encoder_block_out_channels=(width,) * 3,
        decoder_block_out_channels=(width,) * 3,
        num_encoder_blocks=(0, 1, 2),
        num_decoder_blocks=(3, 2, 1),
    )


def reconstruction_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """L1 of the pixels, of their differences to the neighbours, which blurred edges get wrong, and of their colour.

    Without the last, a street comes out grey: its colours are pale, and cost little in each pixel.

    Args:
        reconstruction: (B, 3, H, W) in [-1, 1].
        images: (B, 3, H, W) in [-1, 1].
    """
    error = reconstruction - images
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    colour = (error - error.mean(1, keepdim=True)).abs().mean()
    return error.abs().mean() + edges + 3 * colour


def spread_penalty(latents: Tensor) -> Tensor:
    """How far the channels of latents (B, C, h, w) are from mean 0 and deviation 1, which the diffusion relies on."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    return mean.square().mean() + (deviation - 1).square().mean()


def random_half(images: Tensor, generator: torch.Generator) -> Tensor:
    """The same window of half the height and width of all images (B, 3, H, W), at whole latents.

    What an autoencoder learns is local: four times as many steps on a quarter of the pixels teach it more.

    Args:
        images: frames whose sides are multiples of 4.
        generator: draws the place.
    """
    starts, sides = [], [max(4, side // 8 * 4) for side in images.shape[2:]]
    for side, length in zip(images.shape[2:], sides, strict=True):
        starts.append(4 * torch.randint((side - length) // 4 + 1, (1,), generator=generator).item())
    (top, left), (height, width) = starts, sides
    return images[:, :, top : top + height, left : left + width]


def autoencoder_losses(autoencoder: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Loss terms of a batch.

    Args:
        autoencoder: an AutoencoderTiny.
        batch: with ``images`` uint8 (B, 3, H, W) and ``seed``.
    """
    generator = generator_for("autoencoder", batch["seed"])
    images = random_half(batch["images"], generator).float() / 127.5 - 1
    latents = autoencoder.encode(images.contiguous(memory_format=torch.channels_last)).latents.float()
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    reconstruction = autoencoder.decode(latents + LATENT_NOISE * noise).sample.float()
    return {"reconstruction": reconstruction_loss(reconstruction, images), "spread": 0.1 * spread_penalty(latents)}
