"""The processes of one evaluation under torchrun: which batches each has, which one writes, and how they end."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch import distributed

from ude.data.unreadable import UnreadableFrames

_TIMEOUT = timedelta(hours=2)
"""How long a process waits for the slowest one, which has a batch more, or a slower disk."""
_CODE = "ude/exit_code"
_LOST = re.compile(r"gloo/|NCCL|closed by peer|reset by peer|Timed out waiting|Broken pipe|Socket")


class LostProcessError(RuntimeError):
    """Another process of an evaluation ended.

    Args:
        exit_code: that of the other process, or 1.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of this evaluation ended; what it says itself stands above")
        self.exit_code = exit_code


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """A block in which the processes that torchrun started work together; without torchrun, nothing.

    What the processes exchange goes between CPUs (gloo), tensors of a GPU between the GPUs (nccl).

    Args:
        device: where this process calculates, such as "cpu" or "cuda:1".

    Raises:
        LostProcessError: the block failed because another process did.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    backend = "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    store, rank, size = next(distributed.rendezvous("env://"))
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    try:
        yield
    except Exception as error:
        if not _is_lost(error):
            store.set(_CODE, str(getattr(error, "exit_code", 1)))
            raise
        code = "1"
        with suppress(RuntimeError):  # the process that kept it may be the one that ended
            code = store.get(_CODE).decode() if store.check([_CODE]) else code
        raise LostProcessError(int(code)) from error
    finally:
        distributed.destroy_process_group()


def share() -> tuple[int, int]:
    """Number of this process and number of all processes that evaluate together."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def first_process() -> bool:
    """Whether this process is the one that writes and prints."""
    return share()[0] == 0


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """A block that the first process has done before the others begin it."""
    if not first_process():
        _meet()
    yield
    if first_process():
        _meet()


def count_unreadable(unreadable: UnreadableFrames) -> None:
    """Adds the frames that the other processes could not read.

    Raises:
        DataError: together they are too many; in all processes.
    """
    if share()[1] > 1:
        flags = unreadable.flags()
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        unreadable.merge(flags)


def _meet() -> None:
    """Waits for the other processes, by their CPUs."""
    if share()[1] > 1:
        distributed.all_reduce(torch.zeros(1))


def _is_lost(error: Exception) -> bool:
    """Whether an error says that another process did not answer."""
    return isinstance(error, distributed.DistError) or (
        isinstance(error, RuntimeError) and _LOST.search(str(error)) is not None
    )
