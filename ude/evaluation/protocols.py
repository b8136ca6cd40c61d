"""Evaluation protocols: how predictions are read at the LiDAR pixels, which pixels count, and what a median is."""

from dataclasses import dataclass

from torch import Tensor

Crop = tuple[float, float, float, float]
"""Top, bottom, left and right as shares of the native height and width; bottom and right are outside."""


@dataclass(frozen=True)
class Protocol:
    """A way to compare predictions with LiDAR.

    Attributes:
        samples_depth: predictions are enlarged as depth; otherwise as inverse depth.
        align_corners: the first and last pixels of prediction and native image coincide; otherwise the images' edges.
        lower_median: the lower of the two values in the middle is the median of an even number; otherwise their mean.
        crop: the part of the image whose LiDAR pixels count; None is all of it.
    """

    samples_depth: bool
    align_corners: bool
    lower_median: bool
    crop: Crop | None = None


EIGEN_CROP: Crop = (0.3324324, 0.91351351, 0.0359477, 0.96405229)
"""Source: Eigen et al., https://arxiv.org/abs/1406.2283."""
GARG_CROP: Crop = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
"""Source: Garg et al., https://arxiv.org/abs/1603.04992."""

PROTOCOLS: dict[str, Protocol] = {
    # that of md4all (https://arxiv.org/abs/2308.09711) and the tables that compare with it
    "md4all": Protocol(samples_depth=True, align_corners=True, lower_median=True),
    # half-pixel consistent: images are made smaller with pixel centres half a pixel inside, and so is this enlargement
    "ude": Protocol(samples_depth=False, align_corners=False, lower_median=False),
    # that of monodepth2 (https://arxiv.org/abs/1806.01260), published with EVAL.MIN_DEPTH 0.001 and MAX_DEPTH 80
    "kitti_eigen": Protocol(samples_depth=False, align_corners=False, lower_median=False, crop=EIGEN_CROP),
    "kitti_garg": Protocol(samples_depth=False, align_corners=False, lower_median=False, crop=GARG_CROP),
}


def cropped_lidar(lidar_value: Tensor, lidar_index: Tensor, native_size: Tensor, crop: Crop | None) -> Tensor:
    """LiDAR depths (B, N), 0 = no return outside a crop, whose bounds are truncated to whole pixels.

    Args:
        lidar_value: depth of the returns [m], (B, N).
        lidar_index: flat pixel index into the native image, (B, N), -1 for padding.
        native_size: height and width of each frame's native image [px], (B, 2).
        crop: the part of the image that counts; None is all of it.
    """
    if crop is None:
        return lidar_value
    height, width = native_size[:, :1], native_size[:, 1:]  # (B, 1)
    row, column = lidar_index // width, lidar_index % width
    top, bottom = ((share * height.double()).long() for share in crop[:2])
    left, right = ((share * width.double()).long() for share in crop[2:])
    inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    return lidar_value * inside
