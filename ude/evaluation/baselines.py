"""Predictors that never look at the image, fitted on training LiDAR: what a network has to beat."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

ROWS = 48
"""Bands of the row mean."""
CELLS = (12, 20)
"""Rows and columns of the mean depth map."""


@dataclass(frozen=True)
class FixedDepth:
    """The same depth map for every image; called like a network."""

    log_depth: Tensor
    """Logarithm of depth in metres, (1, 1, rows, columns), spread evenly over the image."""

    def __call__(self, images: Tensor) -> Tensor:
        """Inverse depth [1/m], (B, 1, H, W), for images (B, 3, H, W)."""
        log_depth = self.log_depth.to(images)
        enlarged = F.interpolate(log_depth, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return (-enlarged).exp().expand(len(images), -1, -1, -1)


@dataclass
class CellMeans:
    """Mean log depth in the cells of a grid laid over the image."""

    rows: int
    columns: int
    sums: np.ndarray = field(init=False)
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sums, self.counts = np.zeros((2, self.rows * self.columns))

    def add(self, vertical: np.ndarray, horizontal: np.ndarray, log_depth: np.ndarray) -> None:
        """Adds returns at positions in [0, 1), as a share of the image's height and width."""
        cell = (vertical * self.rows).astype(int) * self.columns + (horizontal * self.columns).astype(int)
        self.sums += np.bincount(cell, weights=log_depth, minlength=self.sums.size)
        self.counts += np.bincount(cell, minlength=self.counts.size)

    def row_means(self) -> np.ndarray:
        """Mean of every row (rows,); rows without returns are interpolated and, at the ends, repeat the nearest."""
        sums, counts = (values.reshape(self.rows, -1).sum(1) for values in (self.sums, self.counts))
        filled = np.flatnonzero(counts)
        return np.interp(np.arange(self.rows), filled, sums[filled] / counts[filled])

    def cell_means(self) -> np.ndarray:
        """Mean of every cell (rows, columns); a cell without returns takes the mean of its row."""
        sums, counts = (values.reshape(self.rows, -1) for values in (self.sums, self.counts))
        return np.where(counts > 0, sums / np.maximum(counts, 1), self.row_means()[:, None])


def fit_baselines(
    loader: Iterable[Mapping[str, Any]], *, min_depth: float, max_depth: float, progress: bool = True
) -> dict[str, FixedDepth]:
    """The constant, row-mean and mean-map predictors, by name, fitted on the LiDAR of the training split.

    The constant is the median of all returns. The others are means of log depth, in 48 bands and 12 x 20 cells,
    enlarged bilinearly.

    Args:
        loader: batches of EvaluationFrames of the training split.
        min_depth: LiDAR returns at this depth or nearer do not count [m].
        max_depth: LiDAR returns at this depth or farther do not count [m].
        progress: show a progress bar.

    Raises:
        ValueError: no return lies between the bounds.
    """
    rows, cells, log_depths = CellMeans(ROWS, 1), CellMeans(*CELLS), []
    for batch in tqdm(loader, desc="fit baselines", unit="batch", disable=not progress):
        valid = (batch["lidar_value"] > min_depth) & (batch["lidar_value"] < max_depth)
        vertical, horizontal = _relative_positions(batch["lidar_index"], batch["native_size"])
        log_depth = batch["lidar_value"][valid].double().log().numpy()
        rows.add(vertical[valid].numpy(), horizontal[valid].numpy(), log_depth)
        cells.add(vertical[valid].numpy(), horizontal[valid].numpy(), log_depth)
        log_depths.append(log_depth.astype(np.float32))
    if not sum(map(len, log_depths)):
        raise ValueError(f"no LiDAR return between {min_depth:g} m and {max_depth:g} m to fit the baselines on")
    constant = np.median(np.concatenate(log_depths))
    maps = {
        "constant": np.full((1, 1), constant),
        "row mean": rows.row_means()[:, None],
        "mean depth map": cells.cell_means(),
    }
    return {name: FixedDepth(torch.from_numpy(values).float()[None, None]) for name, values in maps.items()}


def _relative_positions(lidar_index: Tensor, native_size: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of the LiDAR pixels (B, N) as shares of the image's height and width, in (0, 1)."""
    height, width = native_size[:, :1], native_size[:, 1:]  # (B, 1)
    index = lidar_index.clamp(min=0)
    return (index // width + 0.5) / height, (index % width + 0.5) / width
