"""Means of per-frame metrics for every condition."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ude.data.sample import CONDITIONS

GROUPS = {**{name: (name,) for name in CONDITIONS}, "night": ("night-clear", "night-rain"), "all": CONDITIONS}
"""Rows of a result table: every condition, both nights, all frames."""


def condition_means(
    values: Tensor,
    conditions: Sequence[str],
    columns: Sequence[str],
    rows: Mapping[str, Sequence[str]] = GROUPS,
) -> dict[str, dict[str, float | None]]:
    """The mean of every column for every row, None where it has no frame, and its number of "frames".

    Args:
        values: one row per frame that had a valid LiDAR return, float64 (N, columns).
        conditions: condition of each frame, (N).
        columns: names of the values.
        rows: rows of a result table, each with its conditions.

    Raises:
        ValueError: a condition is in no row.
    """
    known = tuple(dict.fromkeys(name for names in rows.values() for name in names))
    unknown = sorted(set(conditions) - set(known))
    if unknown:
        raise ValueError(f"condition must be one of {', '.join(known)}, got {', '.join(unknown)}")
    places = torch.tensor([known.index(name) for name in conditions], dtype=torch.long)
    counts = torch.bincount(places, minlength=len(known))
    sums = torch.zeros(len(known), len(columns), dtype=torch.float64).index_add_(0, places, values)
    means: dict[str, dict[str, float | None]] = {}
    for row, names in rows.items():
        members = [known.index(name) for name in names]
        frames, totals = int(counts[members].sum()), sums[members].sum(0).tolist()
        of_columns = [total / frames if frames else None for total in totals]
        means[row] = {"frames": frames, **dict(zip(columns, of_columns, strict=True))}
    return means
