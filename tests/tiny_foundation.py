"""Tiny depth models of transformers on disk, with random weights and their processors."""

import torch
from tiny_networks import tiny_depth_anything
from transformers import (
    BeitConfig,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessor,
)


def lively(model):
    """A model whose last layer does not end in a row of zeros, which random weights before a ReLU often do."""
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.abs_()
    return model


def save_depth_anything(folder, **processor):
    lively(tiny_depth_anything()).save_pretrained(folder)
    sizes = {"size": {"height": 70, "width": 70}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    DPTImageProcessor(**{**sizes, **processor}).save_pretrained(folder)


def save_dpt(folder, **processor):
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[4, 8, 8, 16],
        fusion_hidden_size=8,
        head_in_index=-1,
        reassemble_factors=[4, 2, 1, 0.5],
    )
    lively(DPTForDepthEstimation(config)).save_pretrained(folder)
    DPTImageProcessor(**{"size": {"height": 96, "width": 96}, **processor}).save_pretrained(folder)


def save_zoedepth(folder, **processor):
    backbone = BeitConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_indices=[1, 2, 3, 4],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[4, 8, 8, 16],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=4,
        bin_embedding_dim=8,
        num_attractors=[2, 2, 2, 2],
        bin_configurations=[{"n_bins": 4, "min_depth": 0.5, "max_depth": 40.0, "name": "kitti"}],
    )
    model = ZoeDepthForDepthEstimation(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:  # larger than usual, so that images get different maps
                parameter.normal_(0, 2 * parameter[0].numel() ** -0.5)
    model.save_pretrained(folder)
    sizes = {"size": {"height": 64, "width": 96}, "ensure_multiple_of": 32}
    ZoeDepthImageProcessor(**{**sizes, **processor}).save_pretrained(folder)


MODELS = {"depth_anything": save_depth_anything, "dpt": save_dpt, "zoedepth": save_zoedepth}
"""By kind, what writes a tiny one with its processor into a folder."""
