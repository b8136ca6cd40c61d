"""The benchmark case ``lidar``: it runs, and times nothing when a projection or the cache is wrong."""

import json
import sys
from types import ModuleType

import benchmark
import numpy as np
import pytest

from benchmark_cases import lidar as case
from benchmark_cases.lidar_plain import loop_projection, loop_raster, sdk_projection
from benchmark_cases.lidar_scene import BEAMS, FIRINGS, canyon_sweep, piled_points
from ude.data.lidar import sweep_problem


def test_it_runs_and_finds_all_ways_equal(tmp_path):
    out = tmp_path / "out.json"
    assert benchmark.main(["lidar", "--quick", "--json", str(out)]) == 0
    nuscenes, robotcar = json.loads(out.read_text())["results"]
    assert [variant["name"] for variant in nuscenes["variants"]] == [
        "devkit, map",
        "ude float32 as the devkit",
        "ude, map",
        "ude",
        "ude, cached",
    ]
    assert [variant["name"] for variant in robotcar["variants"]] == ["loops over points", "ude, map", "ude"]
    bounds = {check["name"]: check["bound"] for check in (*nuscenes["equality"], *robotcar["equality"])}
    assert sum(bound == 0 for bound in bounds.values()) == len(bounds) - 1 == 5


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("devkit_projection", "float32: values that differ from the devkit's"),
        ("project_lidar", "float64: share of pixels away from its definition"),
        ("nearest_projection", "ude: values that differ"),
    ],
)
def test_a_wrong_projection_is_not_timed(name, failed, monkeypatch, capsys):
    right = getattr(case, name)

    def wrong(*args, **kwargs):
        found = right(*args, **kwargs)
        return 1.01 * found if isinstance(found, np.ndarray) else (found[0], 1.01 * found[1])

    monkeypatch.setattr(case, name, wrong)
    assert benchmark.main(["lidar", "--quick"]) == 1
    assert failed in capsys.readouterr().err


def test_the_sweeps_are_as_nuscenes_writes_them(tmp_path):
    canyon_sweep(seed=3).tofile(tmp_path / "sweep.pcd.bin")
    assert sweep_problem(tmp_path / "sweep.pcd.bin", expected=FIRINGS * BEAMS) == ""


def test_the_code_of_others_is_run_where_it_is(monkeypatch):
    assert sdk_projection() is None
    K, size = np.array([[100.0, 0, 79.5], [0, 100, 44.5], [0, 0, 1]]), (90, 160)
    points = piled_points(500, seed=0)
    expected = loop_projection(points, K, size)

    class CameraModel:
        def project(self, xyz, image_size):
            assert xyz.shape == (4, 500)
            assert image_size == (89, 159, 3)
            assert (*self.focal_length, *self.principal_point) == (100, 100, 79.5, 44.5)
            return expected

    module = ModuleType("camera_model")
    module.CameraModel, module.__spec__ = CameraModel, pytest.__spec__
    monkeypatch.setitem(sys.modules, "camera_model", module)
    assert sdk_projection()(points, K, size) is expected
    assert np.count_nonzero(loop_raster(*expected, size)) > 20
