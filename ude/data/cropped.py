"""A fixed part of every frame, such as the road without the car's bonnet, as a source of frames."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ude.files import DataError

from .lidar import dense_depth
from .sample import FrameSource


class CroppedFrames:
    """The frames of a source, cut to a rectangle: pixels, intrinsics and LiDAR depth alike.

    Args:
        source: the whole frames.
        crop: (top, left, height, width) of the part [px] at their native size.

    Raises:
        DataError: when the rectangle leaves a frame.
    """

    def __init__(self, source: FrameSource, crop: tuple[int, int, int, int]) -> None:
        top, left, height, width = crop
        if min(top, left) < 0 or min(height, width) < 1:
            raise ValueError(f"crop must be (top, left, height, width) with positive height and width, got {crop}")
        self.source = source
        self.crop = (top, left, height, width)
        self.offsets, self.left_out = source.offsets, source.left_out
        if len(source):
            self.native_size(0)

    def __len__(self) -> int:
        return len(self.source)

    def frame_id(self, index: int) -> str:
        """Name of the frame."""
        return self.source.frame_id(index)

    def condition(self, index: int) -> str:
        """Recording condition."""
        return self.source.condition(index)

    def scene(self, index: int) -> str:
        """Name of the drive."""
        return self.source.scene(index)

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the part [px]."""
        top, left, height, width = self.crop
        whole = self.source.native_size(index)
        if top + height > whole[0] or left + width > whole[1]:
            raise DataError(
                f"{self.source.frame_id(index)}: rows {top} to {top + height} and columns {left} to {left + width} "
                f"leave the frame of {whole[0]} x {whole[1]} (height x width); correct DATA.CROP"
            )
        return height, width

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of the part, uint8 (H, W, 3); ``min_size`` is not used, since the crop is in native pixels."""
        self.native_size(index)
        top, left, height, width = self.crop
        return np.ascontiguousarray(self.source.image(index, offset)[top : top + height, left : left + width])

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File of the whole frame."""
        return self.source.image_path(index, offset)

    def intrinsics(self, index: int) -> np.ndarray:
        """K of the part [px], float64 (3, 3): the principal point moves with the corner."""
        K = self.source.intrinsics(index).copy()
        K[:2, 2] -= self.crop[1], self.crop[0]
        return K

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m]."""
        return self.source.distance(index, offset)

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, float64 (4, 4)."""
        return self.source.T_source_target(index, offset)

    def lidar_path(self, index: int) -> Path | None:
        """File of the whole frame's points or depth."""
        return self.source.lidar_path(index)

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat indices of the part's pixels with a return, int64 (N,) ascending, and depths [m], float32 (N,)."""
        (height, width), (top, left) = self.native_size(index), self.crop[:2]
        index_whole, depth = self.source.sparse_lidar(index)
        row, column = np.divmod(index_whole, self.source.native_size(index)[1])
        row, column = row - top, column - left
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return (row * width + column)[inside], depth[inside]

    @property
    def pixel_class(self) -> Callable[[int], np.ndarray]:
        """Classes of the part's pixels by the number of a frame, int8 (H, W); there only if the source has them."""
        of_whole, (top, left, height, width) = self.source.pixel_class, self.crop
        return lambda index: of_whole(index)[top : top + height, left : left + width]

    def lidar_depth(self, index: int) -> np.ndarray:
        """The same as a map [m], float32 (H, W); 0 = no return."""
        return dense_depth(*self.sparse_lidar(index), self.native_size(index))
