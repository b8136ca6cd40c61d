"""Generative translator: Stable Diffusion steered by text, a reference image (IP-Adapter) and depth (ControlNet).

Source: SSD (GDT), https://arxiv.org/abs/2403.05056; ControlNet, https://arxiv.org/abs/2302.05543; IP-Adapter,
https://arxiv.org/abs/2308.06721; T2I-Adapter, https://arxiv.org/abs/2302.08453, which Diffusion4RobustDepth uses,
https://arxiv.org/abs/2407.16698; InstructPix2Pix, https://arxiv.org/abs/2211.09800.
"""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

from ..conditions import Condition
from .adapters import check_adapters, fuse_lora, load_ip_adapter
from .fit import control_networks, refuse_contradictions, refuse_idle_options, refuse_size, size_multiple
from .image_prompt import ImagePrompt
from .pipelines import load_pipeline, set_scheduler
from .steering import steering


class DiffusionTranslator:
    """A `Translator` through any of diffusers' pipelines in `PIPELINES`.

    What the arguments `image` and `control_image` of a pipeline mean is found from its signature. One generator per
    image on the CPU makes a result independent of its batch: bit for bit at a constant batch size, within rounding
    otherwise. Weights are hub ids, which may end in `@revision`, or local folders, and safetensors files only.

    Args:
        base_model: weights of Stable Diffusion, or of InstructPix2Pix.
        size: (height, width) to generate at [px]; results are resized to the frames' size.
        pipeline: class of diffusers, a key of `PIPELINES`.
        vae: autoencoder in place of the base model's; "" for that one.
        control: ControlNet or T2I-Adapter for depth; "" for a pipeline without.
        control_scale: weight of the depth.
        edges: ControlNet for Canny edges beside the depth; the same as `control` for a union; "" for none.
        edges_scale: weight of the edges.
        ip_adapter: IP-Adapter with its image encoder; "" for none.
        ip_adapter_weights: file of the IP-Adapter.
        ip_adapter_folder: folder of that file in `ip_adapter`; "." for none.
        ip_adapter_encoder: folder of the image encoder in `ip_adapter`.
        ip_adapter_scale: weight of the reference image.
        lora: LoRA for fewer steps or another style; "" for none.
        lora_weights: file of the LoRA.
        lora_scale: weight of the LoRA.
        scheduler: class of diffusers.
        timestep_spacing: "leading", "trailing" or "linspace"; "" for the base model's if its
            file states one, else the scheduler's default.
        steps: denoising steps.
        guidance_scale: weight of the prompt; at most 1 switches the negative prompt off.
        image_guidance_scale: weight of the day frame in InstructPix2Pix.
        strength: share of the steps that an img2img pipeline runs, from the day frame; 1 starts from noise.
        dtype: "float32", "float16" or "bfloat16" for the networks; "auto" is float16 on CUDA and float32 elsewhere.
        compile_networks: torch.compile the denoising networks.
        vae_slicing: decode image by image, which takes less memory.
        device: where the networks run.

    Attributes:
        takes_depth: whether the depth of the frames steers the pipeline.
        takes_references: whether it needs a reference image per frame.

    Raises:
        DataError: weights are missing, unfit or bring code of their own, or do not fit the size.
        ValueError: arguments contradict each other.
    """

    def __init__(
        self,
        base_model: str,
        *,
        size: tuple[int, int],
        pipeline: str = "StableDiffusionControlNetPipeline",
        vae: str = "",
        control: str = "",
        control_scale: float = 1.0,
        edges: str = "",
        edges_scale: float = 0.5,
        ip_adapter: str = "",
        ip_adapter_weights: str = "ip-adapter_sd15.safetensors",
        ip_adapter_folder: str = "models",
        ip_adapter_encoder: str = "models/image_encoder",
        ip_adapter_scale: float = 0.5,
        lora: str = "",
        lora_weights: str = "pytorch_lora_weights.safetensors",
        lora_scale: float = 1.0,
        scheduler: str = "UniPCMultistepScheduler",
        timestep_spacing: str = "",
        steps: int = 20,
        guidance_scale: float = 7.5,
        image_guidance_scale: float = 1.5,
        strength: float = 0.8,
        dtype: str = "auto",
        compile_networks: bool = False,
        vae_slicing: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        refuse_contradictions(pipeline, control=control, edges=edges, ip_adapter=ip_adapter)
        image_prompt = {"weights": f"{ip_adapter_folder}/{ip_adapter_weights}", "encoder": ip_adapter_encoder}
        check_adapters(lora, lora_weights, ip_adapter, **image_prompt)
        chosen = dtype if dtype != "auto" else "float16" if torch.device(device).type == "cuda" else "float32"
        loaded = load_pipeline(
            base_model, pipeline=pipeline, control=control, edges=edges, vae=vae, dtype=getattr(torch, chosen)
        )
        refuse_size(size, size_multiple(loaded))
        set_scheduler(loaded, scheduler, timestep_spacing)
        if lora:
            fuse_lora(loaded, lora, weights=lora_weights, scale=float(lora_scale))
        if ip_adapter:
            load_ip_adapter(loaded, ip_adapter, **image_prompt, scale=float(ip_adapter_scale))
        _optimise(loaded.to(device), compile_networks=compile_networks, vae_slicing=vae_slicing)
        self.pipeline, self.size = loaded, tuple(size)
        self.takes_depth, self.takes_references = bool(control), bool(ip_adapter)
        self._image_prompt = ImagePrompt(loaded) if ip_adapter else None
        self._scales = [float(scale) for scale in ([control_scale, edges_scale] if edges else [control_scale])]
        self._options = {
            "num_inference_steps": steps,
            "guidance_scale": float(guidance_scale),
            "image_guidance_scale": float(image_guidance_scale),
            "strength": float(strength),
            "height": self.size[0],
            "width": self.size[1],
        }
        self._taken = signature(loaded.__call__).parameters
        refuse_idle_options(self._taken, self._options)
        self._guidance = self._kind_of_guidance()

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
            images: day frames (B, 3, H, W) in [0, 1]; what of them is used depends on the pipeline.
            condition: whose negative prompt to use, and whose phrases where `prompts` is None.
            seeds: seed of every random draw, one per image.
            depth: relative inverse depth (B, 1, h, w), near is large; unused by a pipeline without control.
            prompts: full text prompts, one per image; None for the condition's phrases.
            references: images of the condition (B, 3, h, w) in [0, 1]; needed with an IP-Adapter, refused without.
        """
        KORNIA_CHECK_SHAPE(images, ["B", "3", "H", "W"])
        if depth is None and self.takes_depth:
            raise ValueError("the diffusion translator needs the depth of the frames")
        if (references is not None) != self.takes_references:
            raise ValueError("references are needed with an IP-Adapter, and only then")
        prompts = [condition.prompt(seed) for seed in seeds] if prompts is None else list(prompts)
        given = (seeds, prompts, *(rows for rows in (depth, references) if rows is not None))
        if any(len(rows) != len(images) for rows in given):
            raise ValueError("images, seeds, depth, prompts and references must have the same length")
        generated = self.pipeline(
            prompt=prompts,
            negative_prompt=[condition.negative] * len(prompts) if self._guidance else None,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="pt",
            **{name: value for name, value in self._options.items() if name in self._taken},
            **steering(self._taken, images, depth, self.size, self._scales),
            **({} if references is None else {"ip_adapter_image": [self._image_prompt(references, self._guidance)]}),
        ).images
        if not isinstance(generated, Tensor):  # the SD 1.5 pipeline for T2I-Adapters gives an array (B, H, W, 3)
            generated = torch.from_numpy(generated).movedim(-1, 1)
        generated = generated.to(images.device, torch.float32)
        return F.interpolate(generated, images.shape[2:], mode="bilinear", antialias=True).clamp(0, 1)

    def _kind_of_guidance(self) -> str:
        """How the pipeline stacks its batch: "" without guidance, "text" in two, "edit" in three parts."""
        if self._options["guidance_scale"] <= 1:
            return ""
        if "image_guidance_scale" in self._taken:
            return "edit"
        return "text" if self.pipeline.unet.config.time_cond_proj_dim is None else ""


def _optimise(pipeline: Any, *, compile_networks: bool, vae_slicing: bool) -> None:
    """Lay out the networks for the device, and compile those of the denoising loop in place."""
    denoising = [pipeline.unet, *control_networks(pipeline)]
    if pipeline.device.type == "cuda":
        for network in (*denoising, pipeline.vae):
            network.to(memory_format=torch.channels_last)
    if compile_networks:
        for network in denoising:
            network.compile()
    if vae_slicing:
        pipeline.vae.enable_slicing()
