"""Means of per-frame metrics for every condition, summed over batches and processes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from ude.data.sample import CONDITIONS

GROUPS = {**{name: (name,) for name in CONDITIONS}, "night": ("night-clear", "night-rain"), "all": CONDITIONS}
"""Rows of a result table: every condition, both nights, all frames."""


class ConditionMeans(Metric):
    """Means over frames of named values, for every row of GROUPS; the states are float64 sums, so keep it off MPS."""

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, columns: Sequence[str]) -> None:
        """Starts empty.

        Args:
            columns: names of the values that every frame has.
        """
        super().__init__()
        self.columns = tuple(columns)
        zeros = torch.zeros(len(CONDITIONS), len(self.columns), dtype=torch.float64)
        self.add_state("sums", zeros, dist_reduce_fx="sum")
        self.add_state("counts", zeros[:, 0].long(), dist_reduce_fx="sum")

    def update(self, values: Tensor, conditions: Sequence[str]) -> None:
        """Adds the frames of a batch; a frame whose values are all NaN had no valid LiDAR return and is not counted.

        Args:
            values: one row per frame, (B, columns).
            conditions: condition of each frame, B names of CONDITIONS.

        Raises:
            ValueError: a condition is unknown.
        """
        unknown = sorted(set(conditions) - set(CONDITIONS))
        if unknown:
            raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}, got {', '.join(unknown)}")
        values = values.to(self.sums)
        counted = ~values.isnan().all(1)
        rows = torch.tensor([CONDITIONS.index(name) for name in conditions], device=values.device, dtype=torch.long)
        self.sums.index_add_(0, rows[counted], values[counted])
        self.counts += torch.bincount(rows[counted], minlength=len(CONDITIONS))

    def compute(self) -> dict[str, dict[str, float | None]]:
        """The mean of every column for every row of GROUPS, None where it has no frame, and its number of "frames"."""
        return {name: self._row([CONDITIONS.index(member) for member in GROUPS[name]]) for name in GROUPS}

    def _row(self, members: list[int]) -> dict[str, float | None]:
        """Frame count and means over some of the conditions."""
        frames = int(self.counts[members].sum())
        totals = self.sums[members].sum(0).tolist()
        return {"frames": frames} | {
            name: total / frames if frames else None for name, total in zip(self.columns, totals, strict=True)
        }
