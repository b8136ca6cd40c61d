"""Protocols: reading at the LiDAR pixels against dense maps by NumPy, torch and OpenCV, in every mode."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ude.evaluation.metrics import METRICS, frame_table, lidar_depths
from ude.evaluation.protocols import EIGEN_CROP, GARG_CROP, PROTOCOLS, cropped_lidar
from ude.evaluation.sampling import depth_at_lidar, lidar_neighbours

BOUNDS = {"min_depth": 0.1, "max_depth": 80.0}
CROPS = {"kitti_eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229)}
CROPS["kitti_garg"] = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
CLASSES = {
    "booster": {"all": None, "tom": (2, 3), "other": (0, 1)},
    "cleargrasp": {"all": None, "tom": (1,), "other": (0,)},
}
COLUMNS = dict.fromkeys(CLASSES, ("delta_1", "delta_1.15", "delta_1.05", "mae", "abs_rel", "rmse"))


def random_frame(seed: int) -> dict:
    """Two predictions (h, w), a LiDAR map (H, W) with returns beyond both bounds, some maps all full, and classes."""
    rng = np.random.default_rng(seed)
    size, native = rng.integers(2, 20, 2), rng.integers(4, 45, 2)
    lidar = np.exp(rng.uniform(np.log(0.05), np.log(120), native)) * (rng.random(native) < rng.uniform(0.02, 1))
    lidar[int(0.7 * native[0]), native[1] // 2] = 10.0  # within all crops
    plain, mirrored = np.exp(rng.uniform(np.log(1 / 120), np.log(2), (2, *size)))
    # in some frames a class has no pixel, in some a pixel has no class
    classes = rng.integers(rng.integers(-1, 2), rng.integers(2, 5), native)
    return {"plain": plain, "mirrored": mirrored, "lidar": lidar, "class": classes}


def parts(item: dict, *, protocol: str, alignment: str = "median", flip: bool = True) -> dict:
    """Valid returns and metrics (modes, K) of the parts of a frame from its sparse LiDAR, with padding."""
    index, rules = np.flatnonzero(item["lidar"]), PROTOCOLS[protocol]
    classes = item.get("class", np.zeros(item["lidar"].shape, int)).flat[index].astype(np.int8)
    depths = lidar_depths(
        torch.from_numpy(item["plain"])[None, None],
        torch.from_numpy(item["mirrored"])[None, None] if flip else None,
        lidar_index=F.pad(torch.from_numpy(index), (0, 3), value=-1)[None],
        lidar_value=F.pad(torch.from_numpy(item["lidar"].flat[index]), (0, 3))[None],
        lidar_class=F.pad(torch.from_numpy(classes), (0, 3), value=-1)[None],
        native_size=torch.tensor([item["lidar"].shape]),
        protocol=rules,
        alignment=alignment,
        **BOUNDS,
    )
    rows = frame_table(depths)[0].view(len(rules.parts), -1).numpy()
    metrics = len(rules.metrics)
    return {part: (row[0], row[1:].reshape(-1, metrics)) for part, row in zip(rules.parts, rows, strict=True)}


def tables(item: dict, **rules: object) -> tuple[float, np.ndarray]:
    """Valid returns and metrics (modes, K) of a frame as a whole."""
    return parts(item, **rules)["all"]


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
    """The seven metrics of depths (N,)."""
    found = by_name(prediction, lidar)
    return [found[name] for name in METRICS]


def by_name(prediction: np.ndarray, lidar: np.ndarray) -> dict[str, float]:
    """All metrics of depths (N,)."""
    p, g = prediction.clip(0.1, 80), lidar
    worse = np.maximum(p / g, g / p)
    return {
        "abs_rel": np.mean(np.abs(p - g) / g),
        "sq_rel": np.mean((p - g) ** 2 / g),
        "rmse": np.sqrt(np.mean((p - g) ** 2)),
        "rmse_log": np.sqrt(np.mean((np.log(p) - np.log(g)) ** 2)),
        "mae": np.mean(np.abs(p - g)),
        "delta_1.05": np.mean(worse < 1.05),
        "delta_1.15": np.mean(worse < 1.15),
        **{f"delta_{power}": np.mean(worse < 1.25**power) for power in (1, 2, 3)},
    }


def inside(protocol: str, shape: tuple[int, int]) -> np.ndarray:
    """Mask of the pixels that a protocol counts."""
    if protocol not in CROPS:
        return np.ones(shape, bool)
    rows, columns = shape
    top, bottom, left, right = (np.array(CROPS[protocol]) * [rows, rows, columns, columns]).astype(np.int32)
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def oracle(item: dict, *, protocol: str, alignment: str) -> dict:
    """Valid returns and metrics (M, K) of all parts by NumPy on dense maps, float64."""
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
        rows += [(depth, aligned)]
    modes = [rows[0][0], rows[1][0]] + ([rows[0][1], rows[1][1]] if alignment != "none" else [])
    found = {}
    for part, numbers in CLASSES.get(protocol, {"all": None}).items():
        chosen = np.isin(item["class"][mask], numbers) if numbers else np.ones(len(gt), bool)
        values = [by_name(mode[chosen], gt[chosen]) for mode in modes] if chosen.any() else []
        found[part] = (
            chosen.sum(),
            np.array([[value[name] for name in COLUMNS.get(protocol, METRICS)] for value in values]),
        )
    return found


@pytest.mark.parametrize("alignment", ["none", "median", "least_squares"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hundred_random_frames_agree_with_dense_maps_by_numpy(protocol, alignment):
    shares = np.array(["delta" in name for name in PROTOCOLS[protocol].metrics])
    absent = 0
    for seed in range(100):
        item = random_frame(seed)
        found, expected = (way(item, protocol=protocol, alignment=alignment) for way in (parts, oracle))
        assert found.keys() == expected.keys()
        for part, (count, exact) in expected.items():
            valid, values = found[part]
            assert valid == count
            absent += not count
            if not count:
                assert np.isnan(values).all()
                continue
            np.testing.assert_allclose(values[:, ~shares], exact[:, ~shares], rtol=1e-6, atol=1e-9)
            assert (np.abs(values - exact)[:, shares] * count).max() <= 1 + 1e-9
    assert (absent > 5) == (protocol in CLASSES)


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


def test_the_booster_protocol_is_what_opencv_gives_at_a_quarter_of_the_size():
    rng = np.random.default_rng(0)
    depth = np.exp(cv2.resize(rng.uniform(-0.5, 1.5, (7, 9)), (257, 188), interpolation=cv2.INTER_CUBIC))
    item = {"lidar": depth * (rng.random(depth.shape) < 0.8), "class": rng.integers(0, 4, depth.shape)}
    small = cv2.resize(1 / depth, (96, 72)) * rng.uniform(0.9, 1.1, (72, 96)) * 40 + 7
    found = parts({**item, "plain": small}, protocol="booster", alignment="least_squares", flip=False)
    focal, baseline = 500.0, 80.0  # px and mm: the disparity is fitted, errors are in mm
    valid = item["lidar"] > 0
    disparity = focal * baseline / (1000 * depth[valid])
    read = cv2.resize(small, depth.shape[::-1])[valid]
    read = (read - read.min()) / (read.max() - read.min())
    system = np.stack([read, np.ones_like(read)], 1)
    fitted = focal * baseline / (system @ np.linalg.lstsq(system, disparity, rcond=None)[0])
    for part, numbers in CLASSES["booster"].items():
        chosen = np.isin(item["class"][valid], numbers) if numbers else np.ones(valid.sum(), bool)
        p, g = fitted[chosen].clip(1, 10000), 1000 * depth[valid][chosen]
        expected = [(np.maximum(p / g, g / p) < bound).mean() for bound in (1.25, 1.15, 1.05)]
        expected += [np.abs(p - g).mean() / 1000, (np.abs(p - g) / g).mean(), np.sqrt(((p - g) ** 2).mean()) / 1000]
        assert found[part][0] == chosen.sum()
        assert found[part][1][1][3:] == pytest.approx(expected[3:], rel=1e-6)
        assert np.abs(found[part][1][1][:3] - expected[:3]).max() * chosen.sum() <= 1 + 1e-9


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
    row = neighbours.mean(neighbours.flip_average(neighbours.values(plain), mirrored))[0]
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
    classes = np.arange(600).reshape(20, 30) % 4
    item = {"plain": 1 / lidar, "mirrored": (1 / lidar)[:, ::-1].copy(), "lidar": lidar, "class": classes}
    far = {**item, "plain": 0.5 * item["plain"], "mirrored": 0.5 * item["mirrored"]}
    names = PROTOCOLS[protocol].metrics
    perfect = np.tile([float("delta" in name) for name in names], (4, 1))
    for alignment in ("median", "least_squares"):
        for part, (_, exact) in parts(item, protocol=protocol, alignment=alignment).items():
            assert exact == pytest.approx(perfect, abs=1e-9)
            _, values = parts(far, protocol=protocol, alignment=alignment)[part]
            assert values[:2, names.index("abs_rel")] == pytest.approx([1, 1], abs=1e-9)
            assert values[:2, names.index("delta_1")].tolist() == [0, 0]
            assert values[2:] == pytest.approx(perfect[2:], abs=1e-9)


def test_a_scale_and_shift_is_fitted_to_all_classes_at_once():
    lidar = np.linspace(2, 9, 64).reshape(8, 8)
    classes = np.tile([0, 0, 0, 0, 2, 2, 2, 2], (8, 1))
    inverse = 3 / lidar + 5 + 0.5 * (classes == 2)  # fits each class by itself, but not both together
    item = {"plain": inverse, "mirrored": inverse, "lidar": lidar, "class": classes}
    found = parts(item, protocol="booster", alignment="least_squares", flip=False)
    errors = {part: values[1, 4] for part, (_, values) in found.items()}
    assert min(errors.values()) > 0.01
    assert errors["all"] == pytest.approx((errors["tom"] + errors["other"]) / 2)  # 32 pixels each


def test_a_frame_is_measured_by_class_only_where_there_are_classes():
    with pytest.raises(ValueError, match="needs the class of each pixel"):
        lidar_depths(
            torch.ones(1, 1, 2, 2),
            None,
            lidar_index=torch.zeros(1, 1, dtype=torch.long),
            lidar_value=torch.ones(1, 1),
            native_size=torch.tensor([[4, 4]]),
            protocol=PROTOCOLS["booster"],
            alignment="none",
            **BOUNDS,
        )


def test_every_protocol_has_what_summaries_show_and_rows_that_end_in_all():
    for rules in PROTOCOLS.values():
        assert {"abs_rel", "rmse", "delta_1"} <= set(rules.metrics)
        assert [*rules.rows][-1] == "all"
        assert rules.edges(7.5)[-2:] == (max(edge for edge in rules.range_edges if edge < 7.5), 7.5)
    assert [*PROTOCOLS["booster"].rows] == ["tom", "other", "all"]
    weather = PROTOCOLS["drivingstereo"]
    assert weather.condition("rainy_2018-08-17-09-45-58_1", "day-rain") == "rainy"
    assert weather.condition("2018-07-11-14-48-52_1", "day-clear") == "day-clear"
    assert PROTOCOLS["md4all"].condition("rainy_1", "day-rain") == "day-rain"


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


@pytest.mark.parametrize("alignment", ["none", "median", "least_squares"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_waits_for_the_device(protocol, alignment):
    with Waits() as waits:
        tables(random_frame(0), protocol=protocol, alignment=alignment)
        assert waits.names == []
        torch.ones(3)[torch.ones(3) > 0].sum().item()
    assert waits.names == ["index", "_local_scalar_dense"]


def test_the_order_of_the_columns_is_that_of_the_names():
    assert METRICS == ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")
