"""Tiny random Stable Diffusion 1.5, depth ControlNet and IP-Adapter on disk, in the layout of the real ones.

Random weights alone would prove little: a ControlNet starts with zero convolutions, and a small cross attention hardly
moves the image. Both are amplified, so that depth, reference, prompt and seed each change the result visibly.
"""

import string
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

TEXT_WIDTH, IMAGE_WIDTH, REFERENCE_TOKENS = 16, 24, 4
IP_ADAPTER_WEIGHTS = "ip-adapter_tiny.safetensors"


def save_tiny_pipeline(root: Path, *, seed: int = 0) -> None:
    """Write `root/base`, `root/control` and `root/ip_adapter`.

    Args:
        root: folder to write into.
        seed: seed of the weights.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet, encoder = tiny_unet(), tiny_image_encoder()
        save_tiny_base(root / "base", unet)
        tiny_control(unet).save_pretrained(root / "control")
        save_tiny_ip_adapter(root / "ip_adapter", unet, encoder)


def save_tiny_base(folder: Path, unet: nn.Module, vae: nn.Module | None = None) -> None:
    """Write a pipeline of the tiny parts around a UNet."""
    from diffusers import StableDiffusionPipeline

    tokenizer = tiny_tokenizer()
    StableDiffusionPipeline(
        vae=vae or tiny_vae(),
        text_encoder=tiny_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=tiny_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def save_tiny_ip_adapter(folder: Path, unet: nn.Module, encoder: nn.Module) -> None:
    """Write an IP-Adapter and its image encoder in the layout of h94/IP-Adapter."""
    encoder.save_pretrained(folder / "models" / "image_encoder")
    save_file(ip_adapter_state(unet), folder / "models" / IP_ADAPTER_WEIGHTS)


def tiny_scheduler():
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def tiny_tokenizer():
    """CLIP tokenizer whose vocabulary is single printable characters."""
    from transformers import CLIPTokenizer

    characters = sorted(set(string.printable) - set(string.whitespace))
    entries = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={entry: i for i, entry in enumerate(entries)}, merges=[], model_max_length=77)


def tiny_text_encoder(tokenizer, *, projected: bool = False) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=TEXT_WIDTH,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def tiny_image_encoder() -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=IMAGE_WIDTH,
    )
    return CLIPVisionModelWithProjection(config).eval()


def tiny_vae(levels: int = 4) -> nn.Module:
    """Autoencoder of four levels: eight pixels per latent, as the real one; of three levels four pixels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[4, 4, 8, 8][-levels:],
        norm_num_groups=2,
        layers_per_block=1,
        latent_channels=4,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
    ).eval()


def tiny_unet(in_channels: int = 4) -> nn.Module:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=[8, 8, 16, 16],
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
        sample_size=16,
    ).eval()
    return amplified(unet)


def amplified(unet: nn.Module) -> nn.Module:
    """The same UNet with larger cross attention."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if name.endswith(("attn2.to_v.weight", "attn2.to_out.0.weight")):
                parameter.mul_(6)
    return unet


def tiny_control(unet: nn.Module, channels: tuple[int, ...] = (4, 4, 8, 8)) -> nn.Module:
    from diffusers import ControlNetModel

    return randomised(ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=channels))


def randomised(control: nn.Module) -> nn.Module:
    """The same ControlNet without zero convolutions: the image depends on depth, but not on depth alone."""
    parts = (control.controlnet_cond_embedding, control.controlnet_down_blocks, control.controlnet_mid_block)
    with torch.no_grad():
        for part, gain in zip(parts, (2.0, 0.3, 0.3), strict=True):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.normal_(0, gain / module.weight[0].numel() ** 0.5)
                    module.bias.zero_()
    return control.eval()


def ip_adapter_state(unet: nn.Module) -> dict[str, torch.Tensor]:
    """Tensors of an IP-Adapter: a projection to tokens; keys and values of every cross attention, at odd indices."""
    width = unet.config.cross_attention_dim
    state = {
        "image_proj.proj.weight": torch.randn(REFERENCE_TOKENS * width, IMAGE_WIDTH),
        "image_proj.proj.bias": torch.zeros(REFERENCE_TOKENS * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    cross = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for i, name in enumerate(cross):
        hidden = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        for role in ("k", "v"):
            state[f"ip_adapter.{2 * i + 1}.to_{role}_ip.weight"] = torch.randn(hidden, width)
    return state
