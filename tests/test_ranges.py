"""Errors by range of measured depth: against a loop over returns, by row of a table, and as JSON."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from evaluation_frames import frame, measure
from test_protocols import BOUNDS, Waits, random_frame

from ude.evaluation.metrics import lidar_depths
from ude.evaluation.protocols import PROTOCOLS
from ude.evaluation.ranges import mean_ranges, range_sums, ranges_from_json
from ude.evaluation.sampling import lidar_neighbours


def read(item: dict, *, protocol: str, alignment: str, flip: bool = True):
    """Depths of a frame at its LiDAR pixels."""
    index = torch.from_numpy(np.flatnonzero(item["lidar"]))
    maps = [torch.from_numpy(item[name])[None, None] for name in ("plain", "mirrored")]
    return lidar_depths(
        maps[0],
        maps[1] if flip else None,
        lidar_index=index[None],
        lidar_value=torch.from_numpy(item["lidar"].flat[index.numpy()])[None],
        lidar_class=torch.from_numpy(item["class"].flat[index.numpy()])[None],
        native_size=torch.tensor([item["lidar"].shape]),
        protocol=PROTOCOLS[protocol],
        alignment=alignment,
        **BOUNDS,
    )


def loop(modes: list[np.ndarray], lidar: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Sums of every bin (R, 1 + 2 A), return by return."""
    sums = np.zeros((len(edges) - 1, 1 + 2 * len(modes)))
    for pixel, depth in enumerate(lidar):
        if not 0.1 < depth < 80:
            continue
        row = sums[next(i for i in range(len(edges) - 1) if edges[i] <= depth < edges[i + 1])]
        row[0] += 1
        for mode, prediction in enumerate(modes):
            clamped = min(max(prediction[pixel], 0.1), 80)
            row[1 + 2 * mode] += abs(clamped - depth) / depth
            row[2 + 2 * mode] += max(clamped / depth, depth / clamped) < 1.25
    return sums


@pytest.mark.parametrize("alignment", ["none", "median", "least_squares"])
@pytest.mark.parametrize("protocol", ["md4all", "kitti_garg", "booster"])
@pytest.mark.parametrize("flip", [True, False])
def test_the_sums_of_every_bin_are_those_of_a_loop_over_the_returns(protocol, alignment, flip):
    rules = PROTOCOLS[protocol]
    for seed in range(15):
        item = random_frame(seed)
        depths = read(item, protocol=protocol, alignment=alignment, flip=flip)
        sums = range_sums(depths)[0].numpy()
        plain = depths.predicted[0, 0].numpy()
        modes = [plain] if alignment == "none" else [plain, depths.predicted[1 + flip, 0].numpy()]
        edges = rules.edges(80.0)
        expected = [loop(modes, part[0].numpy(), edges) for part in depths.parts]
        np.testing.assert_allclose(sums.reshape(np.shape(expected)), expected, rtol=1e-9, atol=1e-12)
        assert sums.reshape(np.shape(expected))[0, :, 0].sum() == depths.valid[0].sum()


def test_the_plain_mode_is_read_without_the_mirrored_prediction():
    item = random_frame(3)
    with_both, alone = (range_sums(read(item, protocol="ude", alignment="median", flip=flip)) for flip in (True, False))
    assert torch.equal(with_both, alone)
    neighbours = lidar_neighbours(
        torch.from_numpy(np.flatnonzero(item["lidar"]))[None],
        torch.tensor([item["lidar"].shape]),
        item["plain"].shape,
        align_corners=False,
    )
    depth = 1 / neighbours.mean(neighbours.values(torch.from_numpy(item["plain"])[None, None]))
    expected = loop([depth[0].numpy()], item["lidar"][item["lidar"] > 0], PROTOCOLS["ude"].edges(80.0))
    np.testing.assert_allclose(alone.view(-1, 5)[:, :3].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_a_depth_on_an_edge_is_in_the_farther_bin():
    item = {**random_frame(0), "lidar": np.array([[4.999, 5.0], [9.0, 10.0]]), "class": np.zeros((2, 2))}
    counts = range_sums(read(item, protocol="md4all", alignment="none")).view(-1, 3)[:, 0]
    assert counts.tolist() == [1, 2, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_waits_for_the_device(protocol):
    depths = read(random_frame(0), protocol=protocol, alignment="median")
    with Waits() as waits:
        range_sums(depths)
    assert waits.names == []


@pytest.mark.parametrize(("largest", "edges"), [(80.0, (60, 80)), (100.0, (80, 100)), (50.0, (40, 50)), (3.0, (0, 3))])
def test_the_last_bin_ends_at_the_largest_depth_that_counts(largest, edges):
    assert PROTOCOLS["md4all"].edges(largest)[-2:] == edges


def test_a_row_pools_the_returns_of_its_frames_and_an_empty_bin_is_none():
    lines = [[2, 0.2, 1, 0, 0, 0], [6, 1.0, 3, 1, 0.5, 0], [5, 5.0, 0, 5, 5.0, 0]]
    ranges = mean_ranges(
        lines,
        ["a", "a", "b"],
        rows={"a": ("a",), "b": ("b",), "c": ("c",), "all": ("a", "b")},
        edges=(0, 10, 20),
        modes=("",),
    )
    assert ranges.returns == {"a": (8, 1), "b": (5, 5), "c": (0, 0), "all": (13, 6)}
    assert ranges.curves["a"][""].abs_rel == pytest.approx((1.2 / 8, 0.5))
    assert ranges.curves["a"][""].delta_1 == (0.5, 0)
    assert ranges.curves["c"][""].abs_rel == ranges.curves["c"][""].delta_1 == (None, None)
    assert ranges.curves["all"][""].abs_rel[0] == pytest.approx(6.2 / 13)
    first = mean_ranges(lines[:1], ["a"], rows={"all": ("a",)}, edges=(0, 10, 20), modes=("",))
    assert first.curves["all"][""].abs_rel == (0.1, None)


def test_an_evaluation_has_the_errors_of_each_condition_and_keeps_them_through_json():
    frames = [
        frame("a", "day-clear", depth=10.0, returns=30),
        frame("b", "night-clear", depth=25.0, returns=20),
        frame("c", "night-clear", depth=45.0, returns=10),
    ]
    results = measure(frames, predict=lambda images: images.new_full((len(images), 1, 8, 12), 1 / 20))
    ranges = results.ranges
    assert ranges.edges == (0, 5, 10, 20, 30, 40, 60, 80)
    assert ranges.returns["night"] == (0, 0, 0, 20, 0, 10, 0)
    assert ranges.returns["all"] == (0, 0, 30, 20, 0, 10, 0)
    assert ranges.curves["all"][""].abs_rel[2:6] == pytest.approx((1, 0.2, None, 25 / 45), nan_ok=True)
    assert ranges.curves["night"][""].delta_1[3] == 0  # 25 m against 20 m is a ratio of 1.25, which is not below it
    assert ranges.curves["all"]["_median"].abs_rel[2:6] == pytest.approx((0, 0, None, 0), abs=1e-12)
    document = json.loads(json.dumps(dataclasses.asdict(ranges), allow_nan=False))
    assert ranges_from_json(document) == ranges


def test_a_relative_prediction_has_the_curve_of_its_aligned_mode_alone():
    ranges = measure([frame("a")], alignment="least_squares", metric=False).ranges
    assert {row: [*modes] for row, modes in ranges.curves.items()}["all"] == ["_least_squares"]
    assert [*measure([frame("a")], alignment="none").ranges.curves["all"]] == [""]
