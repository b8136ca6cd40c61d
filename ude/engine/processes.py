"""The processes of a distributed run: who writes, how they agree to stop, and that they end together."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others before it takes them for hung: longer than any of them loads or saves."""
GRACE_S = 10
"""How long the other processes have to end by themselves, with their own message, before they are killed."""

_PARENT_CHECK_S = 5
_LOST = re.compile(r"gloo/|NCCL|closed by peer|reset by peer|Timed out waiting|Broken pipe|Socket")


class LostProcessError(RuntimeError):
    """Another process of a distributed run ended or hangs.

    Args:
        exit_code: that of the other process, or 1.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(
            "another process of this run ended or did not answer; what it says itself stands above. Run again with "
            "--resume to go on from the last checkpoint"
        )
        self.exit_code = exit_code


def first_process() -> bool:
    """Whether this process is the one of a distributed run that writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def strategy(devices: int) -> DDPStrategy | str:
    """Lightning's strategy for a number of devices.

    Every parameter gets a gradient in every step, so none is searched for. The graph is not declared static: the masks
    of a student may leave out a term.
    """
    if devices == 1:
        return "auto"
    return DDPStrategy(find_unused_parameters=False, gradient_as_bucket_view=True, timeout=TIMEOUT)


class LargestOfAll:
    """The largest of a number over all processes; the number itself where there is only one.

    It travels between CPUs in a group of its own, so that no process waits for its GPU.
    """

    def __init__(self) -> None:
        self._group: Any = None

    def __call__(self, number: int) -> int:
        """Every process must call this, at the same point."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return number
        if self._group is None:
            self._group = distributed.new_group(backend="gloo", timeout=TIMEOUT)
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._group)
        return int(largest)


class OwnSignals(Callback):
    """Puts the signal handlers that were there before the trainer back.

    Lightning's own send a broadcast from within the handler, in the middle of whatever else the processes exchange, and
    ask for the answer in every step, for which they wait for the GPU.
    """

    def __init__(self) -> None:
        self._handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning has just set its handlers."""
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers.items():
                signal.signal(number, handler)


class EndTogether(Callback):
    """Ends all processes of a run when one of them fails, and says why in one line.

    Lightning would leave those that hang, and kill this process without a word while it still cleans up.
    """

    def __init__(self) -> None:
        self._children: list[subprocess.Popen] = []

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Take the processes that Lightning started, before its observer kills this one."""
        self._take(trainer)

    @contextmanager
    def __call__(self, trainer: L.Trainer) -> Iterator[None]:
        """A block in which the processes work together; when it ends, the started ones have ended.

        Raises:
            LostProcessError: when the block failed because another process did.
        """
        if not first_process():
            threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        try:
            yield
        except BaseException as error:
            lost = trainer.world_size > 1 and _is_lost(error)
            patient = lost or isinstance(
                error, KeyboardInterrupt | SystemExit
            )  # else they wait for this process in vain
            code = self._end(trainer, GRACE_S if patient else 0)
            if lost:
                raise LostProcessError(code or 1) from error
            raise
        self._end(trainer, TIMEOUT.total_seconds())

    def _take(self, trainer: L.Trainer) -> None:
        processes = getattr(trainer.strategy.launcher, "procs", [])
        self._children += processes
        processes.clear()

    def _end(self, trainer: L.Trainer, patience_s: float) -> int:
        """Waits for the started processes, kills those that hang; returns the exit code of one that failed, or 0."""
        self._take(trainer)
        deadline = time.monotonic() + patience_s
        for child in self._children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return max([0, *(child.returncode for child in self._children)])


def _nothing() -> None:
    """Takes the place of a question that nobody asks any more."""


def _is_lost(error: BaseException) -> bool:
    """Whether an error says that another process did not answer."""
    return isinstance(error, distributed.DistError) or (
        isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None
    )


def _end_with_parent(parent: int) -> None:
    """Kills this process when the one that started it is gone, whatever it waits for."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os.kill(os.getpid(), signal.SIGKILL)
