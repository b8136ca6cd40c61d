"""What variants of the translator need beside the tiny Stable Diffusion 1.5: edges, T2I-Adapter, LoRA, other bases."""

from pathlib import Path

import torch
from tiny_pipeline import save_tiny_base, tiny_control, tiny_unet, tiny_vae
from torch import nn


def save_tiny_variants(root: Path, *, seed: int = 1) -> None:
    """Write `root/edges`, `root/t2i_adapter`, `root/lora` and `root/vae` for `root/base`, and `root/instruct`.

    Args:
        root: folder with what `save_tiny_pipeline` writes.
        seed: seed of the weights.
    """
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_pretrained(root / "base" / "unet")
        tiny_control(unet).save_pretrained(root / "edges")
        tiny_adapter((8, 8, 16, 16), downscale=8, kind="full_adapter").save_pretrained(root / "t2i_adapter")
        tiny_vae().save_pretrained(root / "vae")
        save_tiny_base(root / "instruct", tiny_unet(in_channels=8))
        save_tiny_lora(root / "lora", unet)


def save_tiny_lora(folder: Path, unet: nn.Module) -> None:
    """Write a LoRA for the attention of a UNet, large enough to change every image; the UNet itself gains the LoRA."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["to_v", "to_out.0"]))
    layers = {name: tensor.normal_(0, 0.2) for name, tensor in get_peft_model_state_dict(unet).items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers)


def tiny_adapter(channels: tuple[int, ...], *, downscale: int, kind: str) -> nn.Module:
    from diffusers import T2IAdapter

    adapter = T2IAdapter(
        channels=list(channels), num_res_blocks=1, downscale_factor=downscale, adapter_type=kind
    ).eval()
    with torch.no_grad():
        adapter.adapter.conv_in.weight.mul_(8)
    return adapter
