"""The numbers of a training step for TensorBoard and ``metrics.jsonl``; they are computed on logged steps only."""

import math
import time
from collections.abc import Callable, Iterable

import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor

HOLE = 0.95
"""Share of the decoder's largest depth from which a pixel of the road's half counts as a hole."""


def depth_scalars(maps: dict[str, Tensor], max_depth: float) -> dict[str, Tensor]:
    """``mask/*`` (share of the pixels that count) and ``depth/*`` [m] of a step.

    Args:
        maps: ``inverse_depth`` [1/m] and boolean masks among others, (B, 1, H, W).
        max_depth: largest depth that the decoder can express [m].
    """
    inverse_depth = maps["inverse_depth"].detach().float()
    depth = 1 / inverse_depth
    masks = {f"mask/{name}": m.float().mean() for name, m in maps.items() if m.dtype == torch.bool}
    return masks | {
        "depth/min": depth.min(),
        "depth/median": depth.median(),
        "depth/max": depth.max(),
        "depth/holes": hole_share(inverse_depth, max_depth),
    }


def hole_share(inverse_depth: Tensor, max_depth: float) -> Tensor:
    """Share of the pixels in the lower half of the images that are predicted almost as far as the decoder can.

    Road and traffic lie there, never the sky. Cars that drive as fast as the camera look infinitely far to a
    photometric loss; a share that grows during training shows that the automask did not catch them.

    Args:
        inverse_depth: prediction [1/m], (B, 1, H, W).
        max_depth: largest depth that the decoder can express [m].
    """
    lower = inverse_depth[..., inverse_depth.shape[-2] // 2 :, :]
    return (lower < 1 / (HOLE * max_depth)).float().mean()


class StepClock:
    """Mean wall times over the steps since they were last read; never waits for the device."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.begun = self.waits_since = now()
        self.steps = self.images = 0
        self.waited = 0.0

    def wait(self) -> None:
        """The step is over, and the next batch is asked for."""
        self.waits_since = self.now()

    def arrived(self) -> None:
        """The batch is there."""
        self.waited += self.now() - self.waits_since

    def step(self, images: int) -> None:
        """A step over so many frames is done."""
        self.steps += 1
        self.images += images

    def read(self, processes: int = 1) -> dict[str, float]:
        """``time/data`` [s] (waiting for a batch), ``time/step`` [s] (all of a step) and ``time/images_per_s``.

        Args:
            processes: number of processes, each of which does as many frames.
        """
        now = self.now()
        passed = max(now - self.begun, 1e-9)
        times = {
            "time/data": self.waited / self.steps,
            "time/step": passed / self.steps,
            "time/images_per_s": self.images * processes / passed,
        }
        self.begun, self.steps, self.images, self.waited = now, 0, 0, 0.0
        return times


def write_scalars(
    loggers: Iterable[Logger],
    values: dict[str, Tensor | float],
    *,
    step: int,
    epoch: int,
    device: torch.device,
    mean: Callable[[Tensor], Tensor],
) -> None:
    """Give the numbers to every logger, as means over the processes; the device is read once.

    Args:
        loggers: where they go.
        values: name to number.
        step: the step they belong to.
        epoch: its epoch.
        device: where tensors among the values lie.
        mean: mean of a vector over the processes.
    """
    numbers = [torch.as_tensor(value, dtype=torch.float32, device=device).detach() for value in values.values()]
    means = mean(torch.stack(numbers)).tolist()
    # a norm that overflowed in float16 has no place in JSON: it stays out of the row
    row = {name: value for name, value in zip(values, means, strict=True) if math.isfinite(value)}
    for logger in loggers:
        logger.log_metrics(row | {"epoch": epoch}, step)
