"""What a bad forward pass spoils before its loss is known: the statistics of BatchNorm, kept aside and put back."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class KeptStatistics:
    """A copy of the running statistics of all BatchNorm layers, which a bad forward pass spoils before its loss.

    Args:
        modules: all modules of what is trained.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.layers = [m for m in modules if isinstance(m, _BatchNorm) and m.track_running_stats]
        self.copies: list[list[Tensor]] = []

    def keep(self) -> None:
        """Take the copy."""
        if not self.copies:
            self.copies = [[s.clone() for s in statistics] for statistics in self._statistics()]
            return
        for copies, statistics in zip(self.copies, self._statistics(), strict=True):
            torch._foreach_copy_(copies, statistics)

    def restore(self) -> None:
        """Put the copy back."""
        for copies, statistics in zip(self.copies, self._statistics(), strict=True):
            torch._foreach_copy_(statistics, copies)

    def _statistics(self) -> list[list[Tensor]]:
        """Moments and counters; a list of one type is copied in one go."""
        if not self.layers:
            return []
        moments = [s for layer in self.layers for s in (layer.running_mean, layer.running_var)]
        return [moments, [layer.num_batches_tracked for layer in self.layers]]
