"""Predictions read at the LiDAR pixels alone, with the weights of a bilinear enlargement to the native size."""

from dataclasses import dataclass

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from torch import Tensor

BORDER = 0.05
"""Share of the columns on each side where one of the two flip-averaged predictions is blind."""


@dataclass(frozen=True)
class Neighbours:
    """The two rows and two columns of a prediction (h, w) around each of N LiDAR returns.

    Attributes:
        rows: (B, 2, 1, N), int64.
        columns: (B, 1, 2, N), int64.
        weights: of the four pixels, float64 (B, 2, 2, N); they add up to 1.
        width: w.
    """

    rows: Tensor
    columns: Tensor
    weights: Tensor
    width: int

    def values(self, prediction: Tensor) -> Tensor:
        """The four pixels of a prediction (B, 1, h, w) around each return, float64 (B, 2, 2, N)."""
        return self._at(prediction, self.columns)

    def flip_average(self, plain: Tensor, mirrored: Tensor) -> Tensor:
        """The same four pixels of the mean of two predictions, without the borders where each of them is blind.

        The left 5 % of the columns come from the mirrored image alone, the right 5 % from the plain one; ramps over
        the next 5 % lead to the mean of both. Source: monodepth (https://arxiv.org/abs/1609.03677), section 3.

        Args:
            plain: values() of the inverse depth of the image, (B, 2, 2, N).
            mirrored: inverse depth of the mirrored image, not mirrored back, (B, 1, h, w).
        """
        place = torch.linspace(0, 1, self.width, dtype=torch.float64, device=self.columns.device)
        blind = ((2 * BORDER - place) / BORDER).clamp(0, 1)  # of the plain prediction, on its left
        share = ((1 + blind.flip(0) - blind) / 2).index_select(0, self.columns.flatten()).view(self.columns.shape)
        other = self._at(mirrored, self.width - 1 - self.columns)
        return other + share * (plain - other)

    def mean(self, values: Tensor) -> Tensor:
        """Weighted mean (..., B, N) of values (..., B, 2, 2, N) at the four pixels."""
        return (values * self.weights).sum((-3, -2))

    def _at(self, prediction: Tensor, columns: Tensor) -> Tensor:
        index = self.rows * self.width + columns
        return prediction.flatten(1).gather(1, index.flatten(1)).view(index.shape).double()


def lidar_neighbours(
    lidar_index: Tensor, native_size: Tensor, size: tuple[int, int], *, align_corners: bool
) -> Neighbours:
    """Where an enlargement of predictions to the native size reads each LiDAR pixel.

    A LiDAR pixel is a pixel of the native image, whichever way its data set rounds. With align_corners the first and
    last pixels of both sizes coincide: native column c reads c (w - 1) / (W - 1). Without, both images cover the same
    area and pixel centres are half a pixel inside: c reads (c + 0.5) w / W - 0.5, and positions beyond the outermost
    centres read those. In float64, for which positions are exact to 1e-12 pixels.

    Args:
        lidar_index: flat pixel index into the native image, (B, N), -1 for padding (which reads pixel 0).
        native_size: height and width of each frame's native image [px], (B, 2).
        size: height and width of the predictions [px].
        align_corners: which of the two.
    """
    KORNIA_CHECK_SHAPE(lidar_index, ["B", "N"])
    index, native = lidar_index.clamp(min=0).double(), native_size.double()
    row = (index / native[:, 1:]).floor()
    column = index - row * native[:, 1:]
    rows, down = _along(row, native[:, :1], size[0], align_corners)
    columns, right = _along(column, native[:, 1:], size[1], align_corners)
    return Neighbours(
        rows=rows.unsqueeze(2),
        columns=columns.unsqueeze(1),
        weights=torch.stack([1 - down, down], 1).unsqueeze(2) * torch.stack([1 - right, right], 1).unsqueeze(1),
        width=size[1],
    )


def depth_at_lidar(depth: Tensor, lidar_index: Tensor, native_size: Tensor) -> Tensor:
    """Depth (B, N), float64, at the LiDAR pixels as if the map were enlarged there with align_corners=True.

    Args:
        depth: predicted depth [m], (B, 1, h, w).
        lidar_index: flat pixel index into the native image, (B, N), -1 for padding (which reads pixel 0).
        native_size: height and width of each frame's native image [px], (B, 2).
    """
    KORNIA_CHECK_SHAPE(depth, ["B", "1", "h", "w"])
    neighbours = lidar_neighbours(lidar_index, native_size, tuple(depth.shape[-2:]), align_corners=True)
    return neighbours.mean(neighbours.values(depth))


def _along(native: Tensor, native_size: Tensor, size: int, align_corners: bool) -> tuple[Tensor, Tensor]:
    """Both pixels (B, 2, N) and the fraction (B, N) on the way between them along an axis of `size` pixels."""
    if align_corners:
        position = native * ((size - 1) / (native_size - 1).clamp(min=1))  # an image of one pixel reads position 0
    else:
        position = ((native + 0.5) * (size / native_size) - 0.5).clamp(0, size - 1)
    first = position.floor()
    pixels = torch.stack([first, (first + 1).clamp(max=size - 1)], 1)
    return pixels.long(), position - first
