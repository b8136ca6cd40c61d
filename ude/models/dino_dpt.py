"""DINOv2 encoder with the DPT decoder of Depth Anything, built from transformers' own parts.

Source: DINOv2, https://arxiv.org/abs/2304.07193; DPT, https://arxiv.org/abs/2103.13413; Depth Anything V2,
https://arxiv.org/abs/2406.09414 (which blocks are read, widths of the decoder).
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .heads import hidden_head

PATCH = 14
"""Side of the patches [px]."""


@dataclass(frozen=True)
class DinoDptSize:
    """One size of the network.

    Attributes:
        hub_id: weights of the encoder on the hub; empty when there are none.
        width: channels of the encoder.
        depth: transformer blocks.
        heads: attention heads.
        blocks: the four blocks (from 1) whose tokens the decoder reads.
        neck: channels of the decoder's four inputs.
        fusion: channels of the decoder.
        mlp_ratio: width of the feed-forward layers in units of ``width``.
        image_size: image side [px] that the positional embedding is made for.
    """

    hub_id: str
    width: int
    depth: int
    heads: int
    blocks: tuple[int, ...]
    neck: tuple[int, ...]
    fusion: int
    mlp_ratio: int = 4
    image_size: int = 518


def depth_anything_config(size: DinoDptSize, **head: str | float) -> Any:
    """Configuration of transformers for a Depth Anything of a size.

    Args:
        size: row of the backbone table.
        head: further arguments, of the head that our networks do not have.
    """
    from transformers import DepthAnythingConfig, Dinov2Config

    encoder = Dinov2Config(
        hidden_size=size.width,
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        mlp_ratio=size.mlp_ratio,
        image_size=size.image_size,
        patch_size=PATCH,
        out_indices=list(size.blocks),
        reshape_hidden_states=False,
        use_mask_token=False,
    )
    return DepthAnythingConfig(
        backbone_config=encoder,
        reassemble_hidden_size=size.width,
        neck_hidden_sizes=list(size.neck),
        fusion_hidden_size=size.fusion,
        **head,
    )


class DinoDpt(nn.Module):
    """Images to four fused feature maps, fine to coarse, and the last block's patch features.

    Depth Anything's stock network crops the remainder of the patch size; here the input is resized to the nearest
    multiple instead. Its first fusion layer has a residual unit that never runs; it is removed, so that every
    parameter gets a gradient.

    Args:
        size: row of the backbone table.
    """

    head = staticmethod(hidden_head)

    def __init__(self, size: DinoDptSize) -> None:
        from transformers import Dinov2Backbone
        from transformers.models.depth_anything.modeling_depth_anything import DepthAnythingNeck

        super().__init__()
        # a shared config object would switch the encoder to slow attention: each part gets its own copy
        self.encoder = Dinov2Backbone(depth_anything_config(size).backbone_config)
        self.decoder = DepthAnythingNeck(depth_anything_config(size))
        self.decoder.fusion_stage.layers[0].residual_layer1 = nn.Identity()
        self.channels = (size.fusion,) * 4
        self.feature_channels = size.width

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Feature maps, finest first, and patch features (B, C, h, w) of normalised images (B, 3, H, W)."""
        rows, columns = (max(1, round(side / PATCH)) for side in images.shape[-2:])
        size = (rows * PATCH, columns * PATCH)
        if size != images.shape[-2:]:
            images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        tokens = self.encoder(images).feature_maps  # four times (B, 1 + rows * columns, C), class token first
        maps = self.decoder(list(tokens), rows, columns)
        features = tokens[-1][:, 1:].transpose(1, 2).unflatten(2, (rows, columns))
        return list(maps)[::-1], features
