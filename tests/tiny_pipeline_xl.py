"""Tiny random SDXL, its control networks and IP-Adapter on disk, in the layout of the real ones."""

from pathlib import Path

import torch
from tiny_pipeline import (
    TEXT_WIDTH,
    amplified,
    randomised,
    save_tiny_ip_adapter,
    tiny_control,
    tiny_image_encoder,
    tiny_scheduler,
    tiny_text_encoder,
    tiny_tokenizer,
    tiny_vae,
)
from tiny_pipeline_variants import tiny_adapter
from torch import nn

TIME_WIDTH = 8  # of each of the six numbers of SDXL's size conditioning


def save_tiny_xl(root: Path, *, seed: int = 0) -> None:
    """Write `root/base`, `root/control`, `root/union`, `root/t2i_adapter` and `root/ip_adapter`.

    Args:
        root: folder to write into.
        seed: seed of the weights.
    """
    from diffusers import StableDiffusionXLPipeline

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer, unet = tiny_tokenizer(), tiny_xl_unet()
        StableDiffusionXLPipeline(
            vae=tiny_vae(),
            text_encoder=tiny_text_encoder(tokenizer),
            text_encoder_2=tiny_text_encoder(tokenizer, projected=True),
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            unet=unet,
            scheduler=tiny_scheduler(),
            add_watermarker=False,
        ).save_pretrained(root / "base")
        tiny_control(unet).save_pretrained(root / "control")
        tiny_union(unet).save_pretrained(root / "union")
        adapter = tiny_adapter((8, 16, 16, 16), downscale=16, kind="full_adapter_xl")
        adapter.save_pretrained(root / "t2i_adapter")
        save_tiny_ip_adapter(root / "ip_adapter", unet, tiny_image_encoder())


def tiny_xl_unet() -> nn.Module:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        block_out_channels=[8, 16, 16],
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=2 * TEXT_WIDTH,
        attention_head_dim=2,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_WIDTH,
        projection_class_embeddings_input_dim=6 * TIME_WIDTH + TEXT_WIDTH,
        sample_size=16,
    ).eval()
    return amplified(unet)


def tiny_union(unet: nn.Module) -> nn.Module:
    """A union ControlNet, whose kinds of control have embeddings of their own."""
    from diffusers import ControlNetUnionModel

    config = dict(ControlNetUnionModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8, 8)).config)
    del config["_use_default_values"]  # which would undo the sizes
    sizes = {"num_trans_channel": 8, "num_trans_head": 2, "num_proj_channel": 8}
    union = randomised(ControlNetUnionModel.from_config({**config, **sizes}))
    with torch.no_grad():
        union.spatial_ch_projs.weight.normal_(0, 0.3)
        union.task_embedding.normal_()
    return union
