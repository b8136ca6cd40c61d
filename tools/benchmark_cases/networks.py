"""The networks of the cases, in the memory format of others, and what they cost at least."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ude.models import DepthNet, PoseNet

DINO_INPUT = (518, 784)
"""(height, width) that the DINOv2 rows see, as in the paper [px]; the others see the images as they are."""


def depth_net(backbone: str, size: tuple[int, int], device: torch.device, *, head_std: float | None = None) -> DepthNet:
    """An untrained depth network with four scales; the same weights at every call.

    Args:
        backbone: row of the table of backbones.
        size: (height, width) of the images [px].
        device: where it shall be.
        head_std: standard deviation of the last weights; None leaves the small one, with which all depths are alike.
    """
    torch.manual_seed(0)
    height, width = DINO_INPUT if backbone.startswith("dinov2") else size
    network = DepthNet(backbone=backbone, num_scales=4, input_height=height, input_width=width)
    for head in network.heads if head_std is not None else ():
        nn.init.normal_(head[-1].weight, std=head_std)
    return network.to(device)


def pose_net(device: torch.device) -> PoseNet:
    """An untrained pose network; the same weights at every call."""
    torch.manual_seed(1)
    return PoseNet().to(device)


def channels_first(network: nn.Module) -> nn.Module:
    """A copy that computes in NCHW, as networks do by default; ours bring themselves and their input to NHWC."""
    network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    entrance = network.trunk if isinstance(network, DepthNet) else network.encoder.conv1
    entrance.register_forward_pre_hook(lambda _, inputs: tuple(x.contiguous() for x in inputs))
    return network


@contextmanager
def channels_last_inputs(*networks: nn.Module) -> Iterator[list[str]]:
    """A list that fills with the names of convolutions whose input was not NCHW."""
    found: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: None if inputs[0].is_contiguous() else found.append(name)

    hooks = [
        module.register_forward_pre_hook(watch(name))
        for network in networks
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def counted_flops(run: Callable[[], object]) -> float:
    """Operations of matrix products, convolutions and attention in one call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())
