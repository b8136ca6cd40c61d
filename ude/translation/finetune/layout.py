"""A small translator on disk, in the layout of Stable Diffusion, ControlNet and IP-Adapter."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ude.files import save_weights

from .small import SmallDiffusion, cross_attentions, small_unet

if TYPE_CHECKING:  # takes seconds to import
    from diffusers import DDIMScheduler

IP_ADAPTER_WEIGHTS = "ip-adapter_small.safetensors"


def save_small(model: SmallDiffusion, autoencoder: nn.Module, folder: Path) -> None:
    """Write ``base``, ``control`` and ``ip_adapter``, as `DiffusionTranslator` and diffusers load them.

    Args:
        model: the diffusion model.
        autoencoder: whose latents it makes.
        folder: folder to write into.
    """
    from diffusers import StableDiffusionPipeline

    unet = small_unet(model.sizes)
    plain = unet.state_dict().keys()
    unet.load_state_dict({name: tensor for name, tensor in model.unet.state_dict().items() if name in plain})
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        unet=unet,
        scheduler=small_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder / "base")
    model.control.save_pretrained(folder / "control")
    model.image_encoder.save_pretrained(folder / "ip_adapter" / "models" / "image_encoder")
    state = {name: tensor.detach().float().contiguous() for name, tensor in image_prompt_state(model.unet).items()}
    save_weights(folder / "ip_adapter" / "models" / IP_ADAPTER_WEIGHTS, state)


def small_scheduler() -> "DDIMScheduler":
    """Velocity prediction and a last step without any signal, without which dark images come out grey.

    Source: https://arxiv.org/abs/2305.08891.
    """
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def image_prompt_state(unet: nn.Module) -> dict[str, Tensor]:
    """Tensors of a U-Net's image prompt by their names in an IP-Adapter's file."""
    projection = unet.encoder_hid_proj.image_projection_layers[0]
    names = {"image_embeds": "proj", "norm": "norm"}
    state = {}
    for name, tensor in projection.state_dict().items():
        layer, kind = name.split(".")
        state[f"image_proj.{names[layer]}.{kind}"] = tensor
    for i, name in enumerate(cross_attentions(unet)):
        processor = unet.attn_processors[name]
        for role, layers in (("k", processor.to_k_ip), ("v", processor.to_v_ip)):
            state[f"ip_adapter.{2 * i + 1}.to_{role}_ip.weight"] = layers[0].weight
    return state
