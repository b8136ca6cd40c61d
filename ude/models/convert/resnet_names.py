"""How monodepth2 and md4all name the tensors of a ResNet and its U-Net decoder.

The decoder is a list: at the levels 1/16 to 1/1 one convolution before and one after the upsampling (0 to 9), then one
head per scale, finest first (10 to 13).
"""

from collections.abc import Mapping

from torch import Tensor

from ude.models.depth_net import DepthNet


def resnet_name(state: Mapping[str, Tensor], prefix: str) -> str:
    """The row of ``BACKBONES`` of a ResNet encoder with this prefix: only the deeper one has three layers per block."""
    return "resnet50" if f"{prefix}layer1.0.conv3.weight" in state else "resnet18"


def depth_names(depth_net: DepthNet, encoder: str, decoder: str) -> dict[str, str]:
    """Our names of a ResNet depth network's tensors to theirs.

    Args:
        depth_net: network of a ResNet row.
        encoder: what stands before the names of torchvision.
        decoder: what stands before the decoder's numbers.
    """
    return {name: _depth_name(name, encoder, decoder) for name in depth_net.state_dict()}


def _depth_name(name: str, encoder: str, decoder: str) -> str:
    part, *rest = name.removeprefix("trunk.").split(".")
    if part == "encoder":
        return encoder + ".".join(rest)
    if part == "heads":
        scale, _, kind = rest
        return f"{decoder}{10 + int(scale)}.conv.{kind}"
    stage, level, _, kind = rest
    return f"{decoder}{2 * (4 - int(level)) + (stage == 'join')}.conv.conv.{kind}"
