"""Small networks for tests, all of random weights."""

import torch
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from ude.models import DepthNet

SIZE = (96, 160)


def depth_net(backbone="resnet_small", **kwargs):
    torch.manual_seed(0)
    return DepthNet(backbone=backbone, input_height=SIZE[0], input_width=SIZE[1], **kwargs)


def tiny_dinov2(**kwargs):
    return Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        use_mask_token=False,
        **kwargs,
    )


def tiny_depth_anything():
    backbone = tiny_dinov2(out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[4, 8, 8, 16], fusion_hidden_size=8
    )
    return DepthAnythingForDepthEstimation(config)
