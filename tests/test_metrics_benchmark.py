"""The case ``metrics`` of the benchmark, in miniature; no test looks at a speed."""

import json

import benchmark
import pytest
import torch

from benchmark_cases import metrics as case


def test_it_runs_and_finds_both_ways_equal(tmp_path):
    out = tmp_path / "out.json"
    assert benchmark.main(["metrics", "--quick", "--json", str(out)]) == 0
    (found,) = json.loads(out.read_text())["results"]
    assert [variant["name"] for variant in found["variants"]] == [
        "dense maps, four passes",
        "ude",
        "ude, least squares",
        "ude, protocol ude",
        "ude, protocol kitti_garg",
    ]
    assert [check["bound"] for check in found["equality"]] == [1e-5, 1e-6, 1]


@pytest.mark.parametrize(
    ("columns", "failed"),
    [(slice(3, 4), "ude: continuous metrics, relative, to float64"), (slice(7, 8), "ude: pixels in or out")],
)
def test_wrong_metrics_are_not_timed(columns, failed, monkeypatch, capsys):
    right = case.batch_table

    def wrong(*args):
        table = right(*args)
        table[:, columns] *= 1.01
        return table

    monkeypatch.setattr(case, "batch_table", wrong)
    assert benchmark.main(["metrics", "--quick"]) == 1
    assert failed in capsys.readouterr().err


def test_the_dense_maps_hold_the_sparse_returns():
    settings = case.Settings(device=torch.device("cpu"))
    frames = case.made_frames((32, 48), 2, (90, 160), settings)
    dense = frames.lidar_depth.flatten(1)
    valid = frames.batch["lidar_index"] >= 0
    read = dense.gather(1, frames.batch["lidar_index"].clamp(min=0))
    assert torch.equal(read[valid], frames.batch["lidar_value"][valid])
    assert dense.count_nonzero() == valid.sum()
