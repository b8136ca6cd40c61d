"""Means of per-frame metrics for every condition."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ude.data.sample import CONDITIONS

GROUPS = {**{name: (name,) for name in CONDITIONS}, "night": ("night-clear", "night-rain"), "all": CONDITIONS}
"""Rows of a result table: every condition, both nights, all frames."""


def condition_means(
    values: Tensor, conditions: Sequence[str], columns: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """The mean of every column for every row of GROUPS, None where it has no frame, and its number of "frames".

    Args:
        values: one row per frame that had a valid LiDAR return, float64 (N, columns).
        conditions: condition of each frame, N names of CONDITIONS.
        columns: names of the values.

    Raises:
        ValueError: a condition is unknown.
    """
    unknown = sorted(set(conditions) - set(CONDITIONS))
    if unknown:
        raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}, got {', '.join(unknown)}")
    rows = torch.tensor([CONDITIONS.index(name) for name in conditions], dtype=torch.long)
    counts = torch.bincount(rows, minlength=len(CONDITIONS))
    sums = torch.zeros(len(CONDITIONS), len(columns), dtype=torch.float64).index_add_(0, rows, values)
    means: dict[str, dict[str, float | None]] = {}
    for row, names in GROUPS.items():
        members = [CONDITIONS.index(name) for name in names]
        frames, totals = int(counts[members].sum()), sums[members].sum(0).tolist()
        of_columns = [total / frames if frames else None for total in totals]
        means[row] = {"frames": frames, **dict(zip(columns, of_columns, strict=True))}
    return means
