"""Case ``infer``: what a prediction costs, per row of the table of backbones, in both memory formats."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from .environment import matrix_product
from .equality import Check, relative_difference
from .harness import Variant
from .networks import channels_first, counted_flops, depth_net
from .report import Report, Settings, measure
from .scene import street

ROWS = ("tiny", "resnet_small", "resnet18", "dinov2_vits14")
SIZES = ((320, 576, 1),)
BOUND = 1e-4
"""Difference of the inverse depths, in units of the largest."""


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per backbone and size."""
    rows = ("tiny", "resnet_small") if settings.quick else ROWS
    for size, batch in settings.shapes(SIZES):
        images = street(size, batch).to(settings.device).target
        for row in (settings.backbone,) if settings.backbone else rows:
            network = depth_net(row, size, settings.device, head_std=0.05).eval()
            calls = {"NCHW": _prediction(channels_first(network), images), "ude": _prediction(network, images)}
            apart = relative_difference(calls["ude"](), calls["NCHW"]())
            flops = counted_flops(calls["ude"])
            inside = " x ".join(map(str, network.input_size))
            yield measure(
                "infer",
                f"{row} at {inside}, {size[0]} x {size[1]}, batch {batch}, {flops / batch / 1e9:.1f} GFLOP per image",
                checks=[Check("ude: inverse depth, in units of the largest", apart, BOUND)],
                variants=[Variant(name, call, flops) for name, call in calls.items()],
                limit=matrix_product(settings.device),
                settings=settings,
                images=batch,
            )


def _prediction(network: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    @torch.inference_mode()
    def predict() -> Tensor:
        return network(images).inverse_depths[0]

    return predict
