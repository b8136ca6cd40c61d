"""LiDAR sweeps from files: what is read, which damage is seen, and what is taken for damage."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from ude.data.lidar import MIN_POINTS, POINT_BYTES, read_points, sweep_problem
from ude.files import DataError, MissingFileError

REAL_SAMPLES = os.environ.get("UDE_REAL_SAMPLES", "")
FIRINGS = 1084


def sweep(firings: int = FIRINGS) -> np.ndarray:
    """A turn as nuScenes' scanner records it: whole firings of 32 beams, silent beams close to the scanner."""
    rng = np.random.default_rng(0)
    azimuth_rad = np.linspace(-np.pi / 2, 1.5 * np.pi, firings, endpoint=False)[:, None]
    distance = np.where(rng.random((firings, 32)) < 0.2, 0.4, rng.uniform(2, 90, (firings, 32)))
    x, y = distance * np.sin(azimuth_rad), distance * np.cos(azimuth_rad)
    columns = [x, y, 0 * x, rng.integers(0, 255, x.shape), np.broadcast_to(np.arange(32), x.shape)]
    return np.stack(columns, -1).reshape(-1, 5).astype(np.float32)


def returns_only(values: np.ndarray, share: float = 0.9) -> np.ndarray:
    """The same without some of the points, as other writers of this format leave them out."""
    return values[np.random.default_rng(1).random(len(values)) < share]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sweep.pcd.bin"


def test_a_sweep_is_read_as_xyz(path):
    for values in (sweep(), returns_only(sweep())):
        values.tofile(path)
        points = read_points(path)
        np.testing.assert_array_equal(points, values[:, :3])
        assert points.dtype == np.float32
        assert sweep_problem(path) == ""


NAN, INF = (np.float32(value).tobytes() for value in ("nan", "inf"))
F05 = {
    "0 bytes": (lambda data: b"", "0 bytes are not a positive multiple of 20"),
    "minus 3": (lambda data: data[:-3], r"\d+7 bytes are not a positive multiple of 20"),
    "minus 4": (lambda data: data[:-4], r"\d+6 bytes are not a positive multiple of 20"),
    "minus a point": (lambda data: data[:-20], r"\d+ points are no whole number of firings of 32 beams"),
    "half": (lambda data: data[: len(data) // 2 // POINT_BYTES * POINT_BYTES], "542 firings are no turn of at least"),
    "nan": (lambda data: data[:200_004] + NAN + data[200_008:], "not finite"),
    "10 points": (lambda data: data[:200], "10 LiDAR points are no sweep of at least 1000"),
}
OTHER_DAMAGE = {
    "inf": (lambda data: data[:40] + INF + data[44:], "not finite"),
    "no floats": (lambda data: data[:80] + b"\xff\xff\x7f\x7f" + data[84:], "values beyond 10000"),
    "no start": (lambda data: data[20:], "no whole number of firings"),
    "zero tail": (lambda data: data[:300_000] + bytes(len(data) - 300_000), "ends in zeros"),
    "zero hole": (lambda data: data[:200_000] + bytes(4096) + data[204_096:], "do not count from 0 to 31"),
    "a point twice": (lambda data: data[:40] + data[20:-20], "do not count from 0 to 31"),
    "all zeros": (lambda data: bytes(len(data)), "ends in zeros"),
}


def refusal(path: Path) -> str:
    """Why a file is refused; by both functions alike."""
    with pytest.raises(DataError) as caught:
        read_points(path)
    assert sweep_problem(path) == str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "again" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("damage", "words"), [*F05.values(), *OTHER_DAMAGE.values()], ids=[*F05, *OTHER_DAMAGE])
def test_a_damaged_sweep_is_refused_by_name_in_one_line(path, damage, words):
    path.write_bytes(damage(sweep().tobytes()))
    message = refusal(path)
    assert re.search(words, message)


@pytest.mark.skipif(not REAL_SAMPLES, reason="UDE_REAL_SAMPLES names no folder with real samples")
def test_all_seven_damages_of_the_real_sweep_are_refused_and_itself_is_not(path):
    (whole,) = (Path(REAL_SAMPLES) / "nuscenes_keyframe").glob("*.pcd.bin")
    assert sweep_problem(whole) == ""
    assert len(read_points(whole)) == 34_688
    for damage, _ in F05.values():
        path.write_bytes(damage(whole.read_bytes()))
        refusal(path)


@pytest.mark.parametrize("damage", [damage for damage, _ in F05.values()], ids=F05)
def test_all_seven_damages_of_a_sweep_of_the_sample_world_are_refused(world_root, path, damage):
    path.write_bytes(damage(next((world_root / "samples" / "LIDAR_TOP").iterdir()).read_bytes()))
    refusal(path)


def test_no_sweep_of_the_sample_world_is_refused(world_root):
    paths = sorted((world_root / "samples" / "LIDAR_TOP").iterdir())
    median = int(np.median([path.stat().st_size // POINT_BYTES for path in paths]))
    assert len(paths) >= 20
    assert [sweep_problem(path, expected=median) for path in paths] == [""] * len(paths)


def test_a_short_sweep_is_seen_against_what_others_have(path):
    sweep(FIRINGS - 40).tofile(path)
    assert sweep_problem(path) == ""  # a turn that is a little short has nothing wrong by itself
    assert "33408 points where a whole sweep has about 34720" in sweep_problem(path, expected=34_720)
    sweep(FIRINGS - 20).tofile(path)
    assert sweep_problem(path, expected=34_720) == ""


def test_half_a_sweep_without_silent_beams_is_seen_against_what_others_have(path):
    values = returns_only(sweep(), 0.75)
    for share, seen in ((0.5, True), (0.8, False)):
        values[: int(share * len(values))].tofile(path)
        assert sweep_problem(path) == ""
        assert bool(sweep_problem(path, expected=len(values))) == seen
    values[: MIN_POINTS - 1].tofile(path)
    assert "999 LiDAR points" in sweep_problem(path)


def test_a_missing_sweep_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.pcd\.bin: no such LiDAR file"):
        read_points(tmp_path / "gone.pcd.bin")
    assert "no such LiDAR file" in sweep_problem(tmp_path / "gone.pcd.bin")
    with pytest.raises(MissingFileError, match="no such LiDAR file"):
        read_points(tmp_path)
