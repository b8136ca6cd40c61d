"""Sums over the processes of a distributed run."""

import torch.distributed
from torch import Tensor


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean of a value over all processes, without gradient; the value itself where there is only one.

    Distributed training averages the gradients of its processes. A masked sum that is divided by the mean count of
    all processes, and not by the process's own, then averages to the masked mean over the whole batch.

    Args:
        value: any shape, the same in every process; every process must call.
    """
    value = value.detach()
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    total = value.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
