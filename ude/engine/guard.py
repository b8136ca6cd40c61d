"""Stops a training within one step of the first number that is not finite, without waiting for the device."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from .kept_statistics import KeptStatistics
from .processes import first_process
from .verdict import LOWER, NonFiniteLossError, Record, non_finite_error

SKIPPED_IN_A_ROW = 20
"""Steps that float16's loss scaling may leave out before it is an error; each of them halves the scale."""


class FiniteGuard:
    """Watches the inputs, predictions, loss terms and gradients of every step.

    On the CPU a step is judged three times: before its forward pass, its backward pass (torch's ``grid_sample`` crashes
    in it on coordinates that are NaN) and its update. On a GPU that would make the CPU wait, so the verdict is copied
    in the background and read in the next step before that step's update; the update of the bad step itself is left
    out by the fused optimiser, which reads the verdict on the device. Either way the weights stay as they were before
    the bad step, and so do the statistics of BatchNorm, of which a copy is kept. All processes of a distributed run
    stop.

    Args:
        networks: what is trained, by name.
    """

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        self.folder: Path | None = None  # of the dump
        self.deferred: bool | None = None  # whether a verdict is read one step later; None: on a GPU
        modules = [module for network in networks.values() for module in network.modules()]
        self._kept = [KeptStatistics(modules), KeptStatistics(modules)]  # of even and of odd steps
        for name, network in networks.items():
            network.register_forward_hook(partial(self._add_prediction, name))
        self._record: Record | None = None
        self._pending: Record | None = None
        self._skipped: Tensor | float = 0.0

    def begin(self, step: int, batch: dict[str, Any]) -> None:
        """Watch the inputs and keep the statistics of BatchNorm; called before the forward pass.

        Raises:
            NonFiniteLossError: an input is not finite, and the verdict not deferred.
        """
        self._record = Record(step, list(batch["frame_id"]))
        self._kept[step % 2].keep()
        for name, value in batch.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                self._record.add("input", name, value.sum(dtype=torch.float32))
        self._judge_now()

    def add_terms(self, terms: dict[str, Tensor]) -> None:
        """Watch the loss terms; called before the backward pass.

        Raises:
            NonFiniteLossError: a prediction or a term is not finite, and the verdict not deferred.
        """
        for name, term in terms.items():
            self._record.add("loss", name, term)
        self._judge_now()

    def check(self, optimizer: torch.optim.Optimizer, norms: dict[str, Tensor], *, scaled: bool) -> None:
        """Judge the step; called behind the backward pass, before the update.

        Args:
            optimizer: does the update; with a deferred verdict it must be a fused one.
            norms: norm of the gradient per part.
            scaled: whether a gradient scaler leaves out updates that overflowed in float16, which is normal.

        Raises:
            NonFiniteLossError: this step (or, where the verdict is deferred, the one before) is not finite.
        """
        self.settle()
        record, self._record = self._record, None
        bad = _any_process(self._is_bad(torch.stack(record.values), torch.stack(list(norms.values())), scaled=scaled))
        for name, norm in norms.items():
            record.add("gradient", name, norm)
        numbers = torch.stack([*record.values, bad])
        record.values.clear()
        self._pending = record
        if not self._is_deferred(numbers):
            record.numbers = numbers
            self.settle()
            return
        if not scaled:
            optimizer.found_inf = bad
        record.numbers = torch.empty(numbers.shape, pin_memory=numbers.is_cuda)
        record.numbers.copy_(numbers, non_blocking=True)
        if numbers.is_cuda:
            record.copied = torch.cuda.Event()
            record.copied.record()

    def settle(self) -> None:
        """Read the verdict that is still open.

        Raises:
            NonFiniteLossError: that step is not finite.
        """
        record, self._pending = self._pending, None
        if record is not None and record.is_bad():
            self._kept[record.step % 2].restore()
            raise non_finite_error(_of_all_processes(record.report()), self.folder if first_process() else None)

    def check_inputs(self) -> None:
        """Look for the cause of an error inside the forward pass.

        Raises:
            NonFiniteLossError: an input of the step is not finite.
        """
        record, self._record = self._record, None
        if record is None:
            return
        try:
            record.numbers = torch.stack(record.values)
            bad = not record.numbers.isfinite().all()
        except RuntimeError:  # CUDA repeats an error at every later call; the first one says more
            return
        if bad:
            self._kept[record.step % 2].restore()
            raise non_finite_error([record.report()], self.folder)  # the other processes do not know of it

    def check_state(self, state: dict[str, Tensor], step: int) -> None:
        """Judge what is about to be written as a checkpoint.

        Raises:
            NonFiniteLossError: the last step, a weight or a statistic is not finite; in any process.
        """
        self.settle()
        tensors = [value for value in state.values() if value.is_floating_point()]
        bad = ~torch.isfinite(get_total_norm(tensors, norm_type=math.inf))
        if _any_process(bad.float()):
            names = ", ".join(name for name, value in state.items() if not value.isfinite().all())
            raise NonFiniteLossError(
                f"the state after step {step} is not finite{f' ({names})' * bool(names)}; it is not written, the "
                f"checkpoint before stays; {LOWER}"
            )

    def _is_deferred(self, numbers: Tensor) -> bool:
        return numbers.is_cuda if self.deferred is None else self.deferred

    def _judge_now(self) -> None:
        """Read the verdict on what is known so far, where reading costs nothing."""
        values = torch.stack(self._record.values)
        if self._is_deferred(values):
            return
        bad = _any_process((~values.isfinite().all()).float())
        if bad:
            self._record.numbers = torch.cat([values, bad[None]])
            self._pending, self._record = self._record, None
            self.settle()

    def _add_prediction(self, name: str, network: nn.Module, inputs: Any, output: Any) -> None:
        """Watch what a network predicts: a warp may turn NaN into a colour."""
        if self._record is not None:
            maps = [output] if isinstance(output, Tensor) else output.inverse_depths
            self._record.add("prediction", name, torch.stack([m.sum(dtype=torch.float32) for m in maps]).sum())

    def _is_bad(self, values: Tensor, norms: Tensor, *, scaled: bool) -> Tensor:
        """Verdict of this process on inputs and loss terms, and on the gradients: 1 or 0."""
        overflow = ~norms.isfinite().all()
        if scaled:
            self._skipped = (self._skipped + 1) * overflow
            overflow = self._skipped >= SKIPPED_IN_A_ROW
        return (~values.isfinite().all() | overflow).float()


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _any_process(flag: Tensor) -> Tensor:
    """The largest flag of all processes."""
    if _distributed():
        if "nccl" in torch.distributed.get_backend():
            flag = flag.cuda()  # behind the training the networks lie on the CPU
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return flag


def _of_all_processes(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The reports of all processes, which meet here because they share the verdict."""
    if not _distributed():
        return [report]
    reports: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(reports, report)
    return reports
