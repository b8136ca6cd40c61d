"""Cameras: which ray belongs to which pixel, through a pinhole or through a lens with radial distortion."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera: K (3, 3) with pixel centres at whole numbers, and its size (height, width) [px]."""

    K: np.ndarray
    size: tuple[int, int]

    @cached_property
    def slopes(self) -> np.ndarray:
        """Slopes x / z and y / z of every pixel's ray, (2, H, W) float32."""
        return np.stack(np.broadcast_arrays(*self._plane())).astype(np.float32)

    def directions(self, R_world_camera: np.ndarray) -> np.ndarray:
        """World directions (3, H, W) of all rays, scaled so that the ray parameter is the z-depth."""
        rows = R_world_camera.astype(np.float32)
        return np.stack([row[0] * self.slopes[0] + row[1] * self.slopes[1] + row[2] for row in rows])

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last pixel, two (n, 2), between which all rays lie whose slopes are between two limits.

        Args:
            low: least slopes x / z and y / z (n, 2).
            high: greatest slopes (n, 2).
        """
        return self._pixels(low), self._pixels(high)

    def halved(self) -> "Camera":
        """The same view with half as many pixels each way."""
        K = self.K.copy()
        K[:2, :2] /= 2
        K[:2, 2] = (K[:2, 2] + 0.5) / 2 - 0.5
        return replace(self, K=K, size=(self.size[0] // 2, self.size[1] // 2))

    def below(self, row: int) -> "Camera":
        """The same view without the first rows."""
        K = self.K.copy()
        K[1, 2] -= row
        return replace(self, K=K, size=(self.size[0] - row, self.size[1]))

    def _plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the pixels lie in the image plane at distance 1: columns (1, W) and rows (H, 1)."""
        height, width = self.size
        x = (np.arange(width) - self.K[0, 2]) / self.K[0, 0]
        y = (np.arange(height) - self.K[1, 2]) / self.K[1, 1]
        return x[None, :], y[:, None]

    def _pixels(self, plane: np.ndarray) -> np.ndarray:
        return plane * self.K[[0, 1], [0, 1]] + self.K[:2, 2]


@dataclass(frozen=True, eq=False)
class LensCamera(Camera):
    """A camera with barrel distortion: a ray of slope s reaches the image plane at s_d, where s = s_d / (1 - b s_d^2).

    The division model of Fitzgibbon (CVPR 2001) has closed forms both ways and grows at any angle. K is that of the
    picture without distortion; `bend` is b.
    """

    bend: float = 0.0

    @cached_property
    def slopes(self) -> np.ndarray:
        """Slopes x / z and y / z of every pixel's ray, (2, H, W) float32."""
        x, y = np.broadcast_arrays(*self._plane())
        straight = 1 / (1 - self.bend * (x**2 + y**2))
        return np.stack([x * straight, y * straight]).astype(np.float32)

    @property
    def pinhole(self) -> Camera:
        """The camera of the picture without distortion."""
        return Camera(self.K, self.size)

    def bent(self, slopes: np.ndarray) -> np.ndarray:
        """Where rays meet the image plane, (..., 2).

        Args:
            slopes: x / z and y / z (..., 2).
        """
        squared = (slopes**2).sum(-1, keepdims=True)
        return slopes * (2 / (1 + np.sqrt(1 + 4 * self.bend * squared)))

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last pixel, two (n, 2), between which all rays lie whose slopes are between two limits.

        The bent image of a rectangle is widest or narrowest at a corner or where it crosses an axis.

        Args:
            low: least slopes x / z and y / z (n, 2).
            high: greatest slopes (n, 2).
        """
        steps = np.stack([low, high, np.clip(0, low, high)])  # (3, n, 2)
        grid = np.stack([np.stack([a[:, 0], b[:, 1]], -1) for a in steps for b in steps])
        pixels = self._pixels(self.bent(grid))
        return pixels.min(0), pixels.max(0)
