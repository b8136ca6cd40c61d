"""Evaluation protocols: how predictions are read at the LiDAR pixels, which pixels count, and what is reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import Tensor

from .accumulate import GROUPS

Crop = tuple[float, float, float, float]
"""Top, bottom, left and right as shares of the native height and width; bottom and right are outside."""
METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")
"""The seven metrics of Eigen et al., https://arxiv.org/abs/1406.2283."""
ALL = "all"
"""The row that every frame has."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to compare predictions with LiDAR or other measured depth.

    Attributes:
        samples_depth: predictions are enlarged as depth; otherwise as inverse depth.
        align_corners: the first and last pixels of prediction and native image coincide; otherwise the images' edges.
        lower_median: the lower of the two values in the middle is the median of an even number; otherwise their mean.
        crop: the part of the image whose LiDAR pixels count; None is all of it.
        metrics: names of the columns; abs_rel, rmse and delta_1 are in every protocol.
        classes: numbers of Sample's ``lidar_class`` by the row that they make; empty measures frames as a whole. The
            alignment fits all pixels of a frame whatever their class.
        subsets: first words of frame ids that have rows of their own, such as ``rainy`` of ``rainy_2018-...``.
        range_edges: bounds of the bins of errors by range [m].
    """

    samples_depth: bool = False
    align_corners: bool = False
    lower_median: bool = False
    crop: Crop | None = None
    metrics: tuple[str, ...] = METRICS
    classes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    subsets: tuple[str, ...] = ()
    range_edges: tuple[float, ...] = (0, 5, 10, 20, 30, 40, 60, 80)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of a frame that are measured: all of it, then its classes."""
        return (ALL, *self.classes)

    @property
    def rows(self) -> dict[str, tuple[str, ...]]:
        """Rows of a result table, each with the values of FrameRow's condition that are in it."""
        if self.classes:
            return {name: (name,) for name in (*self.classes, ALL)}
        if self.subsets:
            return {**{name: (name,) for name in self.subsets}, ALL: (*self.subsets, *GROUPS[ALL])}
        return GROUPS

    def condition(self, frame_id: str, recorded: str) -> str:
        """What FrameRow's condition is: the frame's subset where the protocol has it, or the recording condition."""
        subset = frame_id.partition("_")[0]
        return subset if subset in self.subsets else recorded

    def edges(self, max_depth: float) -> tuple[float, ...]:
        """Bounds of the bins of errors by range up to a largest depth [m]."""
        return (*(edge for edge in self.range_edges if edge < max_depth), max_depth)


EIGEN_CROP: Crop = (0.3324324, 0.91351351, 0.0359477, 0.96405229)
"""Source: Eigen et al., https://arxiv.org/abs/1406.2283."""
GARG_CROP: Crop = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
"""Source: Garg et al., https://arxiv.org/abs/1603.04992."""

_TOM = {
    "metrics": ("delta_1", "delta_1.15", "delta_1.05", "mae", "abs_rel", "rmse"),
    "range_edges": (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
}
PROTOCOLS: dict[str, Protocol] = {
    # that of md4all (https://arxiv.org/abs/2308.09711) and the tables that compare with it
    "md4all": Protocol(samples_depth=True, align_corners=True, lower_median=True),
    # half-pixel consistent: images are made smaller with pixel centres half a pixel inside, and so is this enlargement
    "ude": Protocol(),
    # that of monodepth2 (https://arxiv.org/abs/1806.01260), published with EVAL.MIN_DEPTH 0.001 and MAX_DEPTH 80
    "kitti_eigen": Protocol(crop=EIGEN_CROP),
    "kitti_garg": Protocol(crop=GARG_CROP),
    # the four weather subsets, as in WeatherDepth (https://arxiv.org/abs/2310.05556) at full size, without a crop and
    # with the bounds of KITTI; theirs also counts LiDAR beyond 80 m, against predictions that end there
    "drivingstereo": Protocol(subsets=("sunny", "cloudy", "foggy", "rainy")),
    # that of Depth4ToM (https://arxiv.org/abs/2307.15052), which Diffusion4RobustDepth (https://arxiv.org/abs/2407.16698)
    # keeps: every fourth pixel at a quarter of the size, EVAL.MIN_DEPTH 0.001, MAX_DEPTH 10, least squares over all
    # valid pixels; but where a fit has an inverse depth below 0, theirs takes the nearest depth, ours the farthest
    "booster": Protocol(classes={"tom": (2, 3), "other": (0, 1)}, **_TOM),
    # the same at full size; transparent pixels are those of the mask
    "cleargrasp": Protocol(classes={"tom": (1,), "other": (0,)}, **_TOM),
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
