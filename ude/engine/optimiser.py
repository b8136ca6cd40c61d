"""The optimiser of every stage: AdamW with one learning rate per part of the model, warm-up, decay and clipping."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

FUSED = ("cpu", "cuda")
"""Devices whose AdamW updates all weights in one pass over the memory."""
DROP = 0.1
"""What is left of the learning rates behind the drop."""


@dataclass(frozen=True)
class Solver:
    """Optimiser settings: AdamW with a warm-up, then a learning rate that is constant, falls linearly or drops once.

    Attributes:
        lr_encoder: learning rate of the depth encoder.
        lr_decoder: learning rate of the depth decoder and heads.
        lr_pose: learning rate of the pose network.
        weight_decay: decoupled weight decay, of all parameters.
        schedule: ``linear`` (to 0 at the last step), ``constant`` or ``drop``.
        warmup: steps over which the rates rise from 0.
        drop_at: steps after which the rates of ``drop`` fall to a tenth.
    """

    lr_encoder: float
    lr_decoder: float
    lr_pose: float = 0.0
    weight_decay: float = 0.01
    schedule: str = "linear"
    warmup: int = 0
    drop_at: int = 0

    def rate(self, step: int, total_steps: float) -> float:
        """Factor of the learning rates at a step.

        Args:
            step: steps that are done.
            total_steps: steps of the whole training.
        """
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "constant":
            return warm
        if self.schedule == "drop":
            return warm * (DROP if step >= self.drop_at else 1)
        return warm * max(0.0, 1 - step / total_steps)


def adamw(parts: dict[str, list[nn.Parameter]], solver: Solver) -> torch.optim.AdamW:
    """AdamW with one group per part.

    Args:
        parts: parameters of ``encoder``, ``decoder`` and, where there is one, ``pose``.
        solver: rates and weight decay.
    """
    groups = [{"params": params, "lr": getattr(solver, f"lr_{part}")} for part, params in parts.items()]
    devices = {p.device.type for params in parts.values() for p in params}
    return torch.optim.AdamW(groups, weight_decay=solver.weight_decay, fused=devices <= {*FUSED})


def gradient_norms(optimizer: torch.optim.Optimizer) -> Tensor:
    """Euclidean norm of the gradient of each parameter group, (groups,); one that is not finite shows here."""
    norms = []
    for group in optimizer.param_groups:
        gradients = [p.grad for p in group["params"] if p.grad is not None]
        norms.append(get_total_norm(gradients) if gradients else group["params"][0].new_zeros(()))
    return torch.stack(norms)


def clip_gradients(optimizer: torch.optim.Optimizer, norms: Tensor, largest: float) -> None:
    """Scale all gradients such that the norm over all groups is at most ``largest``.

    Args:
        optimizer: holds the parameters.
        norms: what :func:`gradient_norms` found, (groups,).
        largest: bound of the norm.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    clip_grads_with_norm_(parameters, largest, torch.linalg.vector_norm(norms))


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Bring loaded moments into the memory layout of their weights.

    The fused update walks through the memory of both side by side: on the CPU it would pair the moments of a checkpoint
    that was written in another layout (contiguous, channels last) with the wrong weights without a word.
    """
    for parameter, state in optimizer.state.items():
        for name, moment in state.items():
            if moment.shape == parameter.shape and moment.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
