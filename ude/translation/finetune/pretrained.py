"""Fine-tuning of a pretrained pipeline on unlabelled frames: a LoRA of its U-Net, its depth ControlNet, or both.

Source: LoRA, https://arxiv.org/abs/2106.09685; ControlNet, https://arxiv.org/abs/2302.05543.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch import Tensor, nn

from ude.files.errors import writing

from ..conditions import Condition
from .controls import control_of
from .draws import generator_for
from .logged import log_terms
from .objective import Noising, denoising_loss
from .prompts import dropped, training_prompts, without_some
from .schedule import cosine_rate

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import StableDiffusionControlNetPipeline

LORA, CONTROL = "lora", "control"
"""Folders of a run that the results go to."""

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
DROP_TEXT = 0.1


@dataclass(frozen=True)
class PretrainedSolver:
    """How the weights are trained.

    Attributes:
        parts: what is trained: ``lora``, ``control`` or both.
        steps: steps of the training.
        rate: highest learning rate.
        warmup: steps over which it rises from 0.
        rank: of the LoRA.
        recompute: calculate activations again in the backward pass instead of keeping them.
    """

    parts: tuple[str, ...]
    steps: int
    rate: float = 1e-4
    warmup: int = 100
    rank: int = 16
    recompute: bool = False


class PretrainedTraining(L.LightningModule):
    """Training of a part of a pipeline; the rest stays as it is, and out of checkpoints.

    Args:
        pipeline: Stable Diffusion with a depth ControlNet, in float32.
        solver: how the weights are trained.
        conditions: by name, those of the frames among them.
        controls: control images of all frames, uint8 (N, 1, H, W).
        captions: caption of each frame; None for phrases alone.
    """

    strict_loading = False  # checkpoints hold what is trained, nothing else

    def __init__(
        self,
        pipeline: "StableDiffusionControlNetPipeline",
        *,
        solver: PretrainedSolver,
        conditions: Mapping[str, Condition],
        controls: Tensor,
        captions: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.solver, self.conditions, self.controls, self.captions = solver, conditions, controls, captions
        self.tokenizer, self.noising = pipeline.tokenizer, Noising(pipeline.scheduler)
        self.autoencoder, self.text_encoder = pipeline.vae, pipeline.text_encoder
        self.unet, self.control = pipeline.unet, pipeline.controlnet
        self.requires_grad_(False)
        if LORA in solver.parts:
            add_lora(self.unet, solver.rank)
        self.control.requires_grad_(CONTROL in solver.parts)
        if solver.recompute:
            self.unet.enable_gradient_checkpointing()
            self.control.enable_gradient_checkpointing()
        self.eval()
        self.trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step."""
        loss = self.loss(batch)
        log_terms(self, {"denoising": loss})
        return loss

    def loss(self, batch: dict[str, Any]) -> Tensor:
        """The standard objective: the prompt and the depth of each frame are given, its noise is to be found."""
        images = batch["images"].float() / 127.5 - 1
        latents = self._latents(images, generator_for("latents", batch["seed"]))
        text = self._text(batch, generator_for("prompts", batch["seed"]))
        control = control_of(self.controls, batch)

        def predict(noised: Tensor, steps: Tensor) -> Tensor:
            down, middle = self.control(noised, steps, text, control, return_dict=False)
            return self.unet(
                noised, steps, text, down_block_additional_residuals=down, mid_block_additional_residual=middle
            ).sample

        return denoising_loss(self.noising, predict, latents, seed=batch["seed"])

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW over what is trained."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self.solver.rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: cosine_rate(step, self.solver.steps, warmup=self.solver.warmup)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What is trained."""
        return {name: tensor for name, tensor in super().state_dict(*args, **kwargs).items() if name in self.trained}

    def train(self, mode: bool = True) -> "PretrainedTraining":
        """Nothing here behaves differently in training: no network has dropout that is wanted."""
        return super().train(False)

    def save_networks(self, folder: Path) -> None:
        """Write ``lora`` and ``control``, whichever was trained, in diffusers' layout."""
        with writing(folder):
            if LORA in self.solver.parts:
                save_lora(self.unet, folder / LORA)
            if CONTROL in self.solver.parts:
                self.control.save_pretrained(folder / CONTROL)

    @torch.no_grad()
    def _latents(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Scaled latents (B, C, h, w) of images (B, 3, H, W) in [-1, 1], in float32 whatever the precision."""
        encoded = self.autoencoder.encode(images)
        if not hasattr(encoded, "latent_dist"):
            return encoded.latents.float() * self.autoencoder.config.scaling_factor
        mean, deviation = encoded.latent_dist.mean.float(), encoded.latent_dist.std.float()
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        return (mean + deviation * noise) * self.autoencoder.config.scaling_factor

    @torch.no_grad()
    def _text(self, batch: dict[str, Any], generator: torch.Generator) -> Tensor:
        """Embeddings (B, T, D) of the prompts, some of them empty."""
        captions = None if self.captions is None else [self.captions[i] for i in batch["index"].tolist()]
        prompts = training_prompts(batch["conditions"], self.conditions, generator=generator, captions=captions)
        prompts = without_some(prompts, dropped(DROP_TEXT, len(prompts), generator), [""], generator)
        tokens = self.tokenizer(
            prompts,
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        return self.text_encoder(tokens.to(self.device))[0]


def add_lora(unet: nn.Module, rank: int) -> None:
    """Give the attention of a U-Net a LoRA that changes nothing yet; only it is to be trained."""
    from peft import LoraConfig

    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(ATTENTION)))


def save_lora(unet: nn.Module, folder: Path) -> None:
    """Write the LoRA of a U-Net into a folder, as ``load_lora_weights`` of diffusers' pipelines reads it."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft.utils import get_peft_model_state_dict

    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers)
