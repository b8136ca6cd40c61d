"""Training steps as the engine does them, and what they are compared with."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ude.engine import Solver
from ude.engine.base import DepthModule
from ude.engine.optimiser import adamw, gradient_norms
from ude.models import DepthNet

from .scene import Street

OFFSETS = (-1, 1)
SOLVER = Solver(lr_encoder=1e-5, lr_decoder=1e-4, lr_pose=1e-4, schedule="constant")


def training_batch(scene: Street) -> dict[str, Any]:
    """A batch as it comes to a stage, without augmentation."""
    return {
        "frame_id": [f"frame-{index}" for index in range(len(scene.target))],
        "target": scene.target,
        "sources": scene.sources,
        "depth_input": scene.target,
        "flipped": torch.zeros(len(scene.target), dtype=torch.bool, device=scene.target.device),
        "pose_input": torch.cat([scene.target[:, None], scene.sources], 1),
        "K": scene.K,
        "distance": scene.distance,
    }


def engine_step(module: DepthModule, batch: Callable[[], dict[str, Any]]) -> Callable[[], Tensor]:
    """A call that does one step of a stage, with its guard and its fused optimiser, and returns the loss.

    Args:
        module: the stage.
        batch: makes the batch of a step.
    """
    module.train()
    parts = parameters(module.depth_net, module.pose_net)
    optimizer = adamw(parts, SOLVER)
    numbers = itertools.count()

    def step() -> Tensor:
        inputs = batch()
        module.guard.begin(next(numbers), inputs)
        terms, _ = module.losses(inputs)
        module.guard.add_terms(terms)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        module.guard.check(optimizer, dict(zip(parts, gradient_norms(optimizer), strict=True)), scaled=False)
        optimizer.step()
        return loss.detach()

    return step


def plain_step(depth_net: DepthNet, pose_net: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A call that does one step with the optimiser as it is by default, and returns the loss.

    Args:
        depth_net: is trained.
        pose_net: is trained.
        loss: forward pass and loss.
    """
    depth_net.train(), pose_net.train()
    groups = [
        {"params": values, "lr": getattr(SOLVER, f"lr_{part}")}
        for part, values in parameters(depth_net, pose_net).items()
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=SOLVER.weight_decay)

    def step() -> Tensor:
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def parameters(depth_net: DepthNet, pose_net: nn.Module | None) -> dict[str, list[nn.Parameter]]:
    """Parameters by the name of their learning rate."""
    encoder, decoder = depth_net.parameter_groups()
    parts = {"encoder": encoder, "decoder": decoder}
    return parts if pose_net is None else parts | {"pose": list(pose_net.parameters())}
