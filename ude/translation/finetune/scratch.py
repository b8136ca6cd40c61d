"""A small translator from scratch: first its autoencoder, then U-Net, ControlNet, text and image prompt jointly."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch import Tensor

from ude.files.errors import writing

from ..conditions import Condition
from .autoencoder import autoencoder_losses, small_autoencoder
from .averages import average_into
from .controls import control_of
from .draws import generator_for
from .layout import save_small, small_scheduler
from .logged import log_terms
from .objective import Noising, denoising_loss
from .prompts import dropped, training_prompts, without_some
from .schedule import cosine_rate
from .small import SmallDiffusion, SmallSizes

if TYPE_CHECKING:  # takes seconds to import
    from transformers import CLIPTokenizer

SHIFT = 2.5
"""Of the time steps towards noise: where a street is laid out takes longest to learn."""

DROP_BOTH, DROP_TEXT, DROP_REFERENCE = 0.1, 0.05, 0.15
"""Shares of frames without prompt and reference, without the prompt, without the reference: guidance needs them."""


@dataclass(frozen=True)
class SmallSolver:
    """How the parts are trained.

    Attributes:
        autoencoder_steps: steps of the autoencoder, which come first.
        steps: steps of the diffusion model.
        autoencoder_rate: its highest learning rate.
        rate: that of the diffusion model.
        warmup: steps over which a rate rises from 0.
        decay: share of the moving averages that a step keeps.
    """

    autoencoder_steps: int
    steps: int
    autoencoder_rate: float = 2e-3
    rate: float = 6e-4
    warmup: int = 200
    decay: float = 0.998


class SmallTraining(L.LightningModule):
    """Both trainings in one run: which of them a step belongs to follows from its number.

    Args:
        tokenizer: of the text encoder.
        sizes: of the networks.
        autoencoder_width: channels of the autoencoder.
        solver: how the parts are trained.
        conditions: by name, those of the frames among them.
        controls: control images of all frames, uint8 (N, 1, H, W).
    """

    def __init__(
        self,
        tokenizer: "CLIPTokenizer",
        *,
        sizes: SmallSizes,
        autoencoder_width: int,
        solver: SmallSolver,
        conditions: Mapping[str, Condition],
        controls: Tensor,
    ) -> None:
        super().__init__()
        self.solver, self.conditions, self.controls = solver, conditions, controls
        self.autoencoder = small_autoencoder(autoencoder_width, sizes.latent_channels)
        self.diffusion = SmallDiffusion(tokenizer, sizes)
        self.averaged_autoencoder = copy.deepcopy(self.autoencoder).requires_grad_(False)
        self.averaged_diffusion = copy.deepcopy(self.diffusion).requires_grad_(False)
        self.noising = Noising(small_scheduler())
        self.empty = ["", *(condition.negative for condition in conditions.values())]
        self.to(memory_format=torch.channels_last)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The loss of the part whose turn it is."""
        first = self.global_step < self.solver.autoencoder_steps
        terms = autoencoder_losses(self.autoencoder, batch) if first else {"denoising": self._denoising(batch)}
        log_terms(self, terms)
        return torch.stack([*terms.values()]).sum()

    def _denoising(self, batch: dict[str, Any]) -> Tensor:
        """Loss of the diffusion model on the latents of the averaged autoencoder, which is finished."""
        images = _channels_last(batch["images"].float() / 127.5 - 1)
        with torch.no_grad():
            latents = self.averaged_autoencoder.encode(images).latents.float()
        text, references = self._prompts(batch, generator_for("prompts", batch["seed"]))
        control = _channels_last(control_of(self.controls, batch))

        def predict(noised: Tensor, steps: Tensor) -> Tensor:
            return self.diffusion(_channels_last(noised), steps, text=text, references=references, control=control)

        return denoising_loss(self.noising, predict, latents, seed=batch["seed"], shift=SHIFT)

    def _prompts(self, batch: dict[str, Any], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Embeddings of the text and image prompts of a batch, some of them left out."""
        count = len(batch["conditions"])
        prompts = training_prompts(batch["conditions"], self.conditions, generator=generator)
        both, text, reference = (dropped(share, count, generator) for share in (DROP_BOTH, DROP_TEXT, DROP_REFERENCE))
        prompts = without_some(prompts, [a or b for a, b in zip(both, text, strict=True)], self.empty, generator)
        embeddings = self.diffusion.references(batch["references"].float() / 255)
        present = embeddings.new_tensor([not (a or b) for a, b in zip(both, reference, strict=True)])
        return self.diffusion.text(prompts), embeddings * present[:, None]

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Forward and backward pass and update, then the averages of the part that was trained."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        step, first = self.global_step, self.solver.autoencoder_steps
        if step < first:
            averages, weights = self.averaged_autoencoder, self.autoencoder
        else:
            averages, weights, step = self.averaged_diffusion, self.diffusion, step - first
        average_into(averages.parameters(), weights.parameters(), decay=self.solver.decay, step=step)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with a group and a course of the learning rate for each part."""
        solver = self.solver
        groups = [
            {"params": list(self.autoencoder.parameters()), "lr": solver.autoencoder_rate},
            {"params": list(self.diffusion.parameters()), "lr": solver.rate},
        ]
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.01)  # a fused one could not be clipped
        first = solver.autoencoder_steps
        rates = [
            lambda step: cosine_rate(step, max(1, first), warmup=solver.warmup, flat=0),
            lambda step: cosine_rate(max(0, step - first), solver.steps, warmup=solver.warmup),
        ]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def save_networks(self, folder: Path) -> None:
        """Write the averaged networks as ``base``, ``control`` and ``ip_adapter``."""
        with writing(folder / "base"):
            save_small(self.averaged_diffusion, self.averaged_autoencoder, folder)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
