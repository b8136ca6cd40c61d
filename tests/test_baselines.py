"""The trivial baselines: what each can express, and how holes are filled."""

from pathlib import Path

import pytest
import torch
from evaluation_frames import BOUNDS, NATIVE, batches, frame, measure

from ude.build import comparison
from ude.build.sources import training_source
from ude.config import load_config
from ude.evaluation.baselines import fit_baselines

CONFIG = Path(__file__).parents[1] / "configs" / "adapt_nuscenes.yaml"


def test_the_constant_baseline_is_the_median_of_the_training_returns():
    frames = [frame("a", depth=5.0, returns=10), frame("b", depth=20.0, returns=30), frame("c", depth=95.0, returns=99)]
    baseline = fit_baselines(batches(frames), progress=False, **BOUNDS)["constant"]
    prediction = baseline(torch.rand(2, 3, 8, 12))
    assert prediction.shape == (2, 1, 8, 12)
    assert (1 / prediction).flatten().tolist() == pytest.approx([20.0] * 192, rel=1e-6)


def test_each_baseline_finds_the_structure_it_can_express():
    row = torch.linspace(3.5, 1.5, NATIVE[0])[:, None].exp().expand(NATIVE)
    column = (torch.linspace(0, 0.5, NATIVE[1])[None].exp() * row).contiguous()
    count = NATIVE[0] * NATIVE[1]
    errors = {}
    for world, depth in (("rows", row.contiguous()), ("rows and columns", column)):
        frames = [frame(str(number), depth=depth, returns=count) for number in range(3)]
        baselines = fit_baselines(batches(frames), progress=False, **BOUNDS)
        errors[world] = {name: measure(frames, fit).means["all"]["abs_rel"] for name, fit in baselines.items()}
    assert errors["rows"]["constant"] > 0.4
    assert errors["rows"]["row mean"] < 0.08
    assert errors["rows"]["mean depth map"] < 0.08
    assert errors["rows and columns"]["row mean"] > 0.1
    assert errors["rows and columns"]["mean depth map"] < 0.08


def test_holes_of_the_baselines_are_filled_from_their_neighbours():
    depth = torch.full(NATIVE, 10.0)
    item = frame("a", depth=depth, returns=NATIVE[0] * NATIVE[1])
    keep = (item["lidar_index"] // NATIVE[1] > 7) & (item["lidar_index"] % NATIVE[1] < 12)  # lower left quarter only
    item["lidar_value"] = item["lidar_value"] * keep
    for baseline in fit_baselines(batches([item]), progress=False, **BOUNDS).values():
        assert (1 / baseline(torch.rand(1, 3, 9, 13))).flatten().tolist() == pytest.approx([10.0] * 117, rel=1e-6)


def test_baselines_need_returns():
    with pytest.raises(ValueError, match=r"no LiDAR return between 0\.1 m and 80 m to fit"):
        fit_baselines(batches([frame("a", depth=90.0)]), progress=False, **BOUNDS)


def test_baselines_are_fitted_by_day_though_the_stage_learns_from_adverse_frames(world_root, monkeypatch):
    options = ["DATA.ROOT", str(world_root), "DATA.SPLIT_TRAIN", "val", "DATA.SIZE", "[64, 96]", "RUN.NUM_WORKERS", "0"]
    cfg = load_config(CONFIG, [*options, "DATA.MIN_SPEED", "0", "RUN.ACCELERATOR", "cpu"])
    fitted_on = []

    def fit(loader, **bounds):
        fitted_on.extend(condition for batch in loader for condition in batch["condition"])
        return fit_baselines(loader, progress=False, **bounds)

    monkeypatch.setattr(comparison, "fit_baselines", fit)
    assert {baseline.kind for baseline in comparison.baseline_predictors(cfg).values()} == {"baseline"}
    adverse = training_source(cfg)
    assert {adverse.condition(index) for index in range(len(adverse))} == {*cfg.DATA.CONDITIONS}
    assert {*fitted_on} == {"day-clear"}
