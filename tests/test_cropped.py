"""Frames cut to a rectangle: pixels, intrinsics and depth move together."""

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
import torch

from ude.data.cropped import CroppedFrames
from ude.data.lidar import sparse_depth
from ude.files import DataError
from ude.geometry import resize_intrinsics

ROBOTCAR_K = np.array([[983.044006, 0, 643.646973], [0, 983.044006, 493.378998], [0, 0, 1]])


class OneFrame:
    """A source of one frame whose pixels tell their places."""

    offsets = (1,)
    left_out: ClassVar = Counter()

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        row, column = np.indices(size)
        self.pixels = np.stack([row % 256, column % 256, 0 * row], -1).astype(np.uint8)
        self.depth = np.where((row + column) % 3 == 0, 1.0 + row + column / 10, 0).astype(np.float32)

    def __len__(self) -> int:
        return 1

    def frame_id(self, index: int) -> str:
        return "frame"

    def native_size(self, index: int) -> tuple[int, int]:
        return self.size

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        assert min_size is None  # a crop is in native pixels
        return self.pixels + np.uint8(offset)

    def intrinsics(self, index: int) -> np.ndarray:
        return ROBOTCAR_K

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return sparse_depth(self.depth)


def test_the_focal_length_of_robotcar_follows_from_the_crop_not_from_the_recorded_height():
    source = CroppedFrames(OneFrame((960, 1280)), (0, 0, 768, 1280))
    K = resize_intrinsics(torch.from_numpy(source.intrinsics(0)), source.native_size(0), (320, 544))
    assert source.native_size(0) == (768, 1280)
    assert K[1, 1].item() == pytest.approx(409.60, abs=0.005)  # not 327.68
    assert K[1, 2].item() == pytest.approx((493.378998 + 0.5) * 320 / 768 - 0.5, abs=1e-9)
    assert K[0, 0].item() == pytest.approx(983.044006 * 544 / 1280)


def test_a_pixel_keeps_its_ray():
    top, left, height, width = 5, 7, 20, 30
    whole = OneFrame((40, 50))
    part = CroppedFrames(whole, (top, left, height, width))
    row, column = 11, 13  # of the part
    assert part.image(0, 1, min_size=(1, 1))[row, column].tolist() == [row + top + 1, column + left + 1, 1]
    ray = np.linalg.inv(part.intrinsics(0)) @ [column, row, 1]
    np.testing.assert_allclose(ray, np.linalg.inv(ROBOTCAR_K) @ [column + left, row + top, 1], rtol=1e-12)
    assert ROBOTCAR_K[0, 2] == 643.646973  # the source's own is untouched


def test_depth_is_that_of_the_part_of_the_map():
    whole = OneFrame((40, 50))
    part = CroppedFrames(whole, (5, 7, 20, 30))
    index, depth = part.sparse_lidar(0)
    expected = whole.depth[5:25, 7:37]
    np.testing.assert_array_equal(part.lidar_depth(0), expected)
    np.testing.assert_array_equal(index, np.flatnonzero(expected))
    assert index.dtype == np.int64
    assert depth.dtype == np.float32


def test_the_whole_frame_as_a_crop_changes_nothing():
    whole = OneFrame((40, 50))
    part = CroppedFrames(whole, (0, 0, 40, 50))
    np.testing.assert_array_equal(part.image(0), whole.pixels)
    np.testing.assert_array_equal(part.intrinsics(0), ROBOTCAR_K)
    np.testing.assert_array_equal(part.lidar_depth(0), whole.depth)


@pytest.mark.parametrize("crop", [(0, 0, 41, 50), (0, 0, 40, 51), (21, 0, 20, 50), (0, 50, 40, 1)])
def test_a_crop_that_leaves_the_frame_is_refused_in_one_line(crop):
    with pytest.raises(DataError, match=r"frame: rows .* leave the frame of 40 x 50 .*; correct DATA\.CROP"):
        CroppedFrames(OneFrame((40, 50)), crop)


@pytest.mark.parametrize("crop", [(-1, 0, 4, 4), (0, -1, 4, 4), (0, 0, 0, 4), (0, 0, 4, 0)])
def test_a_crop_is_a_rectangle(crop):
    with pytest.raises(ValueError, match="crop must be"):
        CroppedFrames(OneFrame((40, 50)), crop)
