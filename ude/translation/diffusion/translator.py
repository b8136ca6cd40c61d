"""Generative translator: Stable Diffusion 1.5 steered by text, a reference image (IP-Adapter) and depth (ControlNet).

Source: SSD (GDT), https://arxiv.org/abs/2403.05056; ControlNet, https://arxiv.org/abs/2302.05543; IP-Adapter,
https://arxiv.org/abs/2308.06721. The image is generated from noise: what stays of the day frame is its depth.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

from ..conditions import Condition
from ..depth_control import depth_control
from .weights import load_ip_adapter, load_pipeline

LATENT_STEP = 8  # pixels per latent: other sizes would be floored by the pipeline without a word


class DiffusionTranslator:
    """A `Translator` through diffusers' SD 1.5 ControlNet pipeline.

    One generator per image on the CPU makes a result independent of its batch: bit for bit at a constant batch size,
    within rounding otherwise.

    Args:
        base_model: hub id or local folder of Stable Diffusion 1.5.
        control: hub id or local folder of a depth ControlNet for it.
        size: (height, width) to generate at [px], multiples of 8; results are resized to the frames' size.
        ip_adapter: hub id or local folder of an IP-Adapter with its image encoder in `models/`; "" for none.
        ip_adapter_weights: file of the IP-Adapter in `models/`.
        steps: denoising steps.
        guidance_scale: weight of the prompt; at most 1 switches the negative prompt off.
        control_scale: weight of the depth.
        ip_adapter_scale: weight of the reference image.
        device: where the networks run.
        dtype: of the networks; None means float16 on CUDA and float32 elsewhere.

    Raises:
        DataError: weights are missing or unfit.
    """

    def __init__(
        self,
        base_model: str,
        *,
        control: str,
        size: tuple[int, int],
        ip_adapter: str = "",
        ip_adapter_weights: str = "ip-adapter_sd15.safetensors",
        steps: int = 20,
        guidance_scale: float = 7.5,
        control_scale: float = 1.0,
        ip_adapter_scale: float = 0.5,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        if any(side <= 0 or side % LATENT_STEP for side in size):
            raise ValueError(f"size must be (height, width) in multiples of {LATENT_STEP} px, got {tuple(size)}")
        if dtype is None:
            dtype = torch.float16 if torch.device(device).type == "cuda" else torch.float32
        self.size, self.steps = tuple(size), steps
        self.guidance_scale, self.control_scale = float(guidance_scale), float(control_scale)
        self.takes_references = bool(ip_adapter)
        self.pipeline = load_pipeline(base_model, control=control, dtype=dtype)
        if ip_adapter:
            load_ip_adapter(self.pipeline, ip_adapter, weights=ip_adapter_weights, scale=float(ip_adapter_scale))
        self.pipeline.to(device)

    @torch.inference_mode()
    def __call__(
        self,
        images: Tensor,
        *,
        condition: Condition,
        seeds: Sequence[int],
        depth: Tensor | None = None,
        prompts: Sequence[str] | None = None,
        references: Tensor | None = None,
    ) -> Tensor:
        """Generated images (B, 3, H, W) in [0, 1], on the device of the frames.

        Args:
            images: day frames (B, 3, H, W) in [0, 1]; only their size and device are used.
            condition: whose negative prompt to use, and whose phrases where `prompts` is None.
            seeds: seed of the initial noise, one per image.
            depth: relative inverse depth (B, 1, h, w), near is large.
            prompts: full text prompts, one per image; None for the condition's phrases.
            references: images of the condition (B, 3, h, w) in [0, 1]; needed with an IP-Adapter, refused without.
        """
        KORNIA_CHECK_SHAPE(images, ["B", "3", "H", "W"])
        if depth is None:
            raise ValueError("the diffusion translator needs the depth of the frames")
        if (references is not None) != self.takes_references:
            raise ValueError("references are needed with an IP-Adapter, and only then")
        prompts = [condition.prompt(seed) for seed in seeds] if prompts is None else list(prompts)
        if not len(images) == len(seeds) == len(depth) == len(prompts):
            raise ValueError("images, seeds, depth and prompts must have the same length")
        guided = self.guidance_scale > 1
        generated = self.pipeline(
            prompt=prompts,
            negative_prompt=[condition.negative] * len(prompts) if guided else None,
            image=depth_control(depth, self.size),
            height=self.size[0],
            width=self.size[1],
            ip_adapter_image_embeds=None if references is None else [self._reference_rows(references, guided=guided)],
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            controlnet_conditioning_scale=self.control_scale,
            output_type="pt",
        ).images
        generated = generated.to(images.device, torch.float32)
        return F.interpolate(generated, images.shape[2:], mode="bilinear", antialias=True).clamp(0, 1)

    def _reference_rows(self, references: Tensor, *, guided: bool) -> Tensor:
        """Embeddings (2B, 1, D) of the references, those of no reference first; (B, 1, D) without guidance."""
        from diffusers.models.embeddings import ImageProjection

        pipeline = self.pipeline
        side = pipeline.image_encoder.config.image_size
        pixels = F.interpolate(references.float(), (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (
            pixels.new_tensor(values).view(1, 3, 1, 1)
            for values in (pipeline.feature_extractor.image_mean, pipeline.feature_extractor.image_std)
        )
        # the "plus" adapters start from the encoder's patch features
        patches = not isinstance(pipeline.unet.encoder_hid_proj.image_projection_layers[0], ImageProjection)
        present, absent = pipeline.encode_image(
            (pixels - mean) / deviation, pipeline._execution_device, 1, output_hidden_states=patches
        )
        return (torch.cat([absent, present]) if guided else present).unsqueeze(1)
