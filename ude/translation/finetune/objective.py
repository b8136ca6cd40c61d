"""The standard objective of latent diffusion: predict the noise, or the velocity, of a noised latent.

Source: DDPM, https://arxiv.org/abs/2006.11239; v-prediction, https://arxiv.org/abs/2202.00512.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import generator_for

Prediction = Callable[[Tensor, Tensor], Tensor]
"""Noised latents (B, C, h, w) and time steps (B,) to what the network takes for the target."""


class Noising:
    """Noise of a scheduler's training steps.

    Args:
        scheduler: a scheduler of diffusers with ``alphas_cumprod`` and a ``prediction_type``.
    """

    def __init__(self, scheduler: object) -> None:
        self.prediction_type = scheduler.config.prediction_type
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction_type must be epsilon or v_prediction, got {self.prediction_type}")
        self.kept = scheduler.alphas_cumprod.double()

    def __call__(self, latents: Tensor, noise: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Noised latents (B, C, h, w), and what a network is to predict from them.

        Args:
            latents: clean latents (B, C, h, w).
            noise: of deviation 1, of the same shape.
            steps: time steps (B,).
        """
        kept = self.kept.to(steps.device)[steps].view(-1, 1, 1, 1)
        signal, spread = kept.sqrt().to(latents), (1 - kept).sqrt().to(latents)
        noised = signal * latents + spread * noise
        return noised, noise if self.prediction_type == "epsilon" else signal * noise - spread * latents


def denoising_loss(noising: Noising, predict: Prediction, latents: Tensor, *, seed: int, shift: float = 1.0) -> Tensor:
    """Mean squared error of the prediction, at time steps that are spread evenly over the batch.

    Args:
        noising: adds the noise.
        predict: the network.
        latents: clean latents (B, C, h, w).
        seed: of the batch, for noise and time steps.
        shift: above 1, more of the time steps have much noise; see :func:`even_steps`.
    """
    generator = generator_for("noise", seed)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    steps = even_steps(len(latents), len(noising.kept), generator, shift=shift).to(latents.device)
    noised, target = noising(latents, noise, steps)
    return F.mse_loss(predict(noised, steps).float(), target.float())


def even_steps(batch: int, total: int, generator: torch.Generator, *, shift: float = 1.0) -> Tensor:
    """Time steps (B,) with one in each B-th of the range, in random order: less noise in the loss.

    Source of the shift: https://arxiv.org/abs/2403.03206, eq. 23.

    Args:
        batch: how many to draw.
        total: time steps that there are.
        generator: draws them.
        shift: 1 for uniform steps; above, u becomes shift u / (1 + (shift - 1) u), nearer to pure noise.
    """
    even = (torch.randperm(batch, generator=generator) + torch.rand(batch, generator=generator)) / batch
    return (shift * even / (1 + (shift - 1) * even) * total).long().clamp(max=total - 1)
