"""Protocols: reading at the LiDAR pixels against dense maps by NumPy, torch and OpenCV, in every mode."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ude.evaluation.metrics import METRICS, frame_table
from ude.evaluation.protocols import EIGEN_CROP, GARG_CROP, PROTOCOLS, cropped_lidar
from ude.evaluation.sampling import depth_at_lidar, lidar_neighbours

BOUNDS = {"min_depth": 0.1, "max_depth": 80.0}
CROPS = {"kitti_eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229)}
CROPS["kitti_garg"] = (0.40810811, 0.99189189, 0.03594771, 0.96405229)


def random_frame(seed: int) -> dict:
    """Two predictions (h, w) and a LiDAR map (H, W), float64, with returns beyond both bounds, some maps all full."""
    rng = np.random.default_rng(seed)
    size, native = rng.integers(2, 20, 2), rng.integers(4, 45, 2)
    lidar = np.exp(rng.uniform(np.log(0.05), np.log(120), native)) * (rng.random(native) < rng.uniform(0.02, 1))
    lidar[int(0.7 * native[0]), native[1] // 2] = 10.0  # within all crops
    plain, mirrored = np.exp(rng.uniform(np.log(1 / 120), np.log(2), (2, *size)))
    return {"plain": plain, "mirrored": mirrored, "lidar": lidar}


def tables(item: dict, *, protocol: str, alignment: str = "median", flip: bool = True) -> np.ndarray:
    """Valid returns, then metrics (modes, 7) of a frame from its sparse LiDAR, with padding."""
    index = np.flatnonzero(item["lidar"])
    row = frame_table(
        torch.from_numpy(item["plain"])[None, None],
        torch.from_numpy(item["mirrored"])[None, None] if flip else None,
        lidar_index=F.pad(torch.from_numpy(index), (0, 3), value=-1)[None],
        lidar_value=F.pad(torch.from_numpy(item["lidar"].flat[index]), (0, 3))[None],
        native_size=torch.tensor([item["lidar"].shape]),
        protocol=PROTOCOLS[protocol],
        alignment=alignment,
        **BOUNDS,
    )[0].numpy()
    return row[0], row[1:].reshape(-1, 7)


def enlarged(values: np.ndarray, native: tuple[int, int], align_corners: bool) -> np.ndarray:
    """A map enlarged axis by axis with np.interp, float64 (H, W)."""
    for axis, length in enumerate(native):
        old = values.shape[axis]
        place = np.linspace(0, old - 1, length) if align_corners else (np.arange(length) + 0.5) * old / length - 0.5
        values = np.apply_along_axis(lambda line, at=place: np.interp(at, np.arange(len(line)), line), axis, values)
    return values


def flip_averaged(plain: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """monodepth's post-processing of two maps, of which the second shows the mirrored image."""
    ramp = 1 - np.clip(20 * (np.linspace(0, 1, plain.shape[1])[None] - 0.05), 0, 1)
    other = mirrored[:, ::-1]
    return ramp[:, ::-1] * plain + ramp * other + (1 - ramp - ramp[:, ::-1]) * (plain + other) / 2


def seven(prediction: np.ndarray, lidar: np.ndarray) -> list[float]:
    """The metrics of depths (N,)."""
    p, g = prediction.clip(0.1, 80), lidar
    worse = np.maximum(p / g, g / p)
    return [
        np.mean(np.abs(p - g) / g),
        np.mean((p - g) ** 2 / g),
        np.sqrt(np.mean((p - g) ** 2)),
        np.sqrt(np.mean((np.log(p) - np.log(g)) ** 2)),
        *(np.mean(worse < 1.25**power) for power in (1, 2, 3)),
    ]


def inside(protocol: str, shape: tuple[int, int]) -> np.ndarray:
    """Mask of the pixels that a protocol counts."""
    if protocol not in CROPS:
        return np.ones(shape, bool)
    rows, columns = shape
    top, bottom, left, right = (np.array(CROPS[protocol]) * [rows, rows, columns, columns]).astype(np.int32)
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def oracle(item: dict, *, protocol: str, alignment: str) -> tuple[int, np.ndarray]:
    """Valid returns and metrics (4, 7) by NumPy on dense maps, float64."""
    lidar = item["lidar"]
    mask = (lidar > 0.1) & (lidar < 80) & inside(protocol, lidar.shape)
    gt, rows = lidar[mask], []
    for inverse in (item["plain"], flip_averaged(item["plain"], item["mirrored"])):
        if protocol == "md4all":
            depth = enlarged(1 / inverse, lidar.shape, True)[mask]
            read = enlarged(inverse, lidar.shape, True)[mask]
            median = torch.median(torch.from_numpy(gt)).item() / torch.median(torch.from_numpy(depth)).item()
        else:
            read = enlarged(inverse, lidar.shape, False)[mask]
            depth = 1 / read
            median = np.median(gt) / np.median(depth)
        if alignment == "median":
            aligned = depth * median
        else:
            system = np.stack([read, np.ones_like(read)], 1)
            aligned = 1 / (system @ np.linalg.lstsq(system, 1 / gt, rcond=None)[0]).clip(1 / 80, 10)
        rows += [(seven(depth, gt), seven(aligned, gt))]
    return len(gt), np.array([rows[0][0], rows[1][0], rows[0][1], rows[1][1]])


@pytest.mark.parametrize("alignment", ["median", "least_squares"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_hundred_random_frames_agree_with_dense_maps_by_numpy(protocol, alignment):
    for seed in range(200):
        item = random_frame(seed)
        valid, values = tables(item, protocol=protocol, alignment=alignment)
        count, expected = oracle(item, protocol=protocol, alignment=alignment)
        assert valid == count > 0
        np.testing.assert_allclose(values[:, :4], expected[:, :4], rtol=1e-6, atol=1e-9)
        assert (np.abs(values[:, 4:] - expected[:, 4:]) * count).max() <= 1 + 1e-9


def street(native: tuple[int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth (h, w), float32, and a LiDAR map (H, W), float32, of about its scale."""
    rng = np.random.default_rng(7)
    small = rng.uniform(0.02, 0.4, (6, 9)).astype(np.float32)
    inverse = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0.015)
    lidar = rng.uniform(1, 90, native).astype(np.float32) * (rng.random(native) < 0.05)
    return inverse, lidar


@pytest.mark.parametrize(("protocol", "crop"), [("kitti_eigen", EIGEN_CROP), ("kitti_garg", GARG_CROP)])
@pytest.mark.parametrize("native", [(375, 1242), (370, 1226)])
def test_the_kitti_protocols_are_what_opencv_and_masks_give(protocol, crop, native):
    inverse, lidar = street(native, (192, 640))
    depth = 1 / cv2.resize(inverse, native[::-1])
    mask = (lidar > 1e-3) & (lidar < 80) & inside(protocol, native)
    p, g = depth[mask], lidar[mask]
    scaled = p * (np.median(g) / np.median(p))
    item = {"plain": inverse, "mirrored": inverse, "lidar": lidar}
    valid, values = tables(item, protocol=protocol, flip=False)
    assert valid == mask.sum()
    assert crop == CROPS[protocol]
    for row, prediction in zip(values, (p, scaled), strict=True):
        expected = seven(prediction, g)
        assert row[:4] == pytest.approx(expected[:4], rel=1e-4)  # OpenCV's weights and depths are float32
        assert np.abs(row[4:] - expected[4:]).max() * valid <= 2


def test_the_md4all_protocol_is_what_enlarging_depth_by_torch_gives():
    inverse, lidar = street((90, 160), (32, 57))
    depth = F.interpolate(
        1 / torch.from_numpy(inverse)[None, None].double(), (90, 160), mode="bilinear", align_corners=True
    )
    mask = (lidar > 0.1) & (lidar < 80)
    p, g = depth[0, 0][torch.from_numpy(mask)], torch.from_numpy(lidar[mask]).double()
    _, values = tables({"plain": inverse, "mirrored": inverse, "lidar": lidar}, protocol="md4all", flip=False)
    for row, prediction in zip(values, (p, p * torch.median(g) / torch.median(p)), strict=True):
        np.testing.assert_allclose(row, seven(prediction.numpy(), g.numpy()), rtol=1e-6)


@pytest.mark.parametrize("native", [(17, 31), (6, 9), (5, 3), (1, 7), (12, 18)])
@pytest.mark.parametrize("align_corners", [True, False])
def test_reading_at_the_lidar_pixels_equals_resizing_the_whole_map(native, align_corners):
    generator = torch.Generator().manual_seed(0)
    depth = torch.rand(2, 1, 6, 9, generator=generator, dtype=torch.float64) * 79 + 1
    dense = F.interpolate(depth, size=native, mode="bilinear", align_corners=align_corners).flatten(1)
    index = torch.randint(native[0] * native[1], (2, 50), generator=generator)
    index[1, 30:] = -1
    neighbours = lidar_neighbours(index, torch.tensor([native, native]), (6, 9), align_corners=align_corners)
    sampled = neighbours.mean(neighbours.values(depth))
    torch.testing.assert_close(sampled, dense.gather(1, index.clamp(min=0)), rtol=1e-12, atol=0)
    if align_corners:
        torch.testing.assert_close(
            depth_at_lidar(depth, index, torch.tensor([native, native])), sampled, rtol=0, atol=0
        )


def test_frames_of_one_batch_may_have_different_native_sizes():
    depth = torch.arange(12.0).reshape(1, 1, 3, 4).repeat(2, 1, 1, 1) + 1
    last = torch.tensor([[3 * 4 - 1], [30 * 40 - 1]])
    assert depth_at_lidar(depth, last, torch.tensor([[3, 4], [30, 40]])).flatten().tolist() == [12.0, 12.0]


@pytest.mark.parametrize(("align_corners", "first", "second"), [(True, 0, 3 / 7), (False, 0, 0.25)])
def test_the_two_ways_to_enlarge_are_half_a_pixel_apart(align_corners, first, second):
    index = torch.tensor([[0, 1]])
    neighbours = lidar_neighbours(index, torch.tensor([[1, 8]]), (1, 4), align_corners=align_corners)
    columns = neighbours.mean(neighbours.values(torch.arange(4.0).view(1, 1, 1, 4)))
    assert columns[0].tolist() == pytest.approx([first, second])


def test_the_flip_average_takes_each_border_from_the_prediction_that_saw_it():
    plain, mirrored = torch.full((1, 1, 2, 201), 1.0), torch.full((1, 1, 2, 201), 3.0)
    neighbours = lidar_neighbours(torch.arange(201)[None], torch.tensor([[2, 201]]), (2, 201), align_corners=True)
    row = neighbours.mean(neighbours.flip_average(plain, mirrored))[0]
    assert row[:11].tolist() == pytest.approx([3.0] * 11)  # up to 5 %
    assert row[15].item() == pytest.approx(2.5)  # halfway down the ramp at 7.5 %
    assert row[20:181].tolist() == pytest.approx([2.0] * 161)
    assert row[190:].tolist() == pytest.approx([1.0] * 11)


def test_a_crop_keeps_its_first_row_and_column_and_leaves_out_those_behind_its_last():
    index, native = torch.arange(100)[None], torch.tensor([[10, 10]])
    kept = cropped_lidar(torch.ones(1, 100), index, native, (0.25, 0.79, 0.3, 1.0)).view(10, 10)
    assert kept.nonzero().aminmax(dim=0).min.tolist() == [2, 3]
    assert kept.nonzero().aminmax(dim=0).max.tolist() == [6, 9]
    assert kept.sum() == 5 * 7
    assert cropped_lidar(torch.zeros(1, 2), torch.tensor([[-1, 99]]), native, (0.0, 1.0, 0.0, 1.0)).sum() == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_ground_truth_has_no_error_and_twice_of_it_none_after_scaling(protocol):
    lidar = np.exp(np.random.default_rng(5).uniform(0, np.log(39), (20, 30)))
    item = {"plain": 1 / lidar, "mirrored": (1 / lidar)[:, ::-1].copy(), "lidar": lidar}
    _, exact = tables(item, protocol=protocol)
    assert exact == pytest.approx(np.tile([0, 0, 0, 0, 1, 1, 1], (4, 1)), abs=1e-12)
    far = {**item, "plain": 0.5 * item["plain"], "mirrored": 0.5 * item["mirrored"]}
    _, values = tables(far, protocol=protocol)
    assert values[:2, 0] == pytest.approx([1, 1], abs=1e-12)
    assert values[2:] == pytest.approx(exact[2:], abs=1e-12)


class Waits(TorchDispatchMode):
    """Operators that wait for an accelerator, because they give numbers, or sizes that depend on values."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "equal", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1])
        if by_mask or any(name.startswith(waiting) for waiting in self.WAITING):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("alignment", ["median", "least_squares"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_waits_for_the_device(protocol, alignment):
    with Waits() as waits:
        tables(random_frame(0), protocol=protocol, alignment=alignment)
        assert waits.names == []
        torch.ones(3)[torch.ones(3) > 0].sum().item()
    assert waits.names == ["index", "_local_scalar_dense"]


def test_the_order_of_the_columns_is_that_of_the_names():
    assert METRICS == ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")
