"""Case ``lidar``: depth maps from LiDAR, the devkit's way and loops over points against ude's projections and cache."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from ude.data.caches.lidar import LidarCache, write_lidar_cache
from ude.data.lidar import (
    dense_depth,
    devkit_projection,
    nearest_projection,
    project_lidar,
    read_points,
)

from .environment import memory_copy
from .equality import Check
from .harness import Variant, clock_of
from .lidar_plain import (
    Projection,
    Raster,
    devkit_maps,
    float64_map,
    loop_projection,
    loop_raster,
    md4all_raster,
    sdk_projection,
)
from .lidar_scene import BEAMS, FIRINGS, K_ROBOTCAR, NATIVE, ROBOTCAR_SIZE, Sweeps, piled_points
from .report import Report, Settings, measure

CPU = torch.device("cpu")
FRAMES, ROBOTCAR_POINTS = 8, 216_000
MOVED = 0.02
"""Share of the pixels that may differ between float32 in global coordinates and float64."""
Sparse = tuple[np.ndarray, np.ndarray]


def run(settings: Settings) -> Iterator[Report]:
    """The sweeps of nuScenes, then the piles of points of RobotCar."""
    for size, count in settings.shapes(((*NATIVE, FRAMES),)):
        with tempfile.TemporaryDirectory() as folder:
            yield _sweeps(settings, Sweeps(Path(folder), size, count))
    yield _piles(settings)


def _sweeps(settings: Settings, sweeps: Sweeps) -> Report:
    """From the files of a frame to its depth."""
    size, steps = sweeps.native_size(0), [sweeps.steps(i) for i in range(len(sweeps))]
    write_lidar_cache(sweeps, sweeps.dataroot / "cache", progress=False)
    cache = LidarCache(sweeps.dataroot / "cache", sweeps)
    devkit = devkit_maps(sweeps)

    def points(i: int) -> np.ndarray:
        return read_points(sweeps.lidar_path(i))

    def float32(i: int) -> Sparse:
        return devkit_projection(points(i), steps[i], sweeps.K, size)

    def dense(i: int) -> np.ndarray:
        return project_lidar(points(i), sweeps.T_camera_lidar[i], sweeps.K, size)

    def cached(i: int) -> Sparse:
        return cache.read(sweeps.frame_id(i))

    def largest(difference: Callable[[int], float]) -> float:
        return max(difference(i) for i in range(len(sweeps)))

    def plain(i: int) -> np.ndarray:
        return float64_map(points(i), sweeps.T_camera_lidar[i], sweeps.K, size)

    checks = [
        Check("float32: values that differ from the devkit's", largest(lambda i: _unequal(float32(i), devkit(i))), 0),
        Check("float64: share of pixels away from the devkit's", largest(lambda i: _moved(dense(i), devkit(i))), MOVED),
        Check("float64: share of pixels away from its definition", largest(lambda i: _moved(dense(i), plain(i))), 0),
        Check("map: values that differ", largest(lambda i: _unequal(sweeps.sparse_lidar(i), dense(i))), 0),
        Check("cache: values that differ", largest(lambda i: _unequal(cached(i), dense(i))), 0),
    ]
    file_bytes, returns = FIRINGS * BEAMS * 20, len(sweeps.sparse_lidar(0)[0])
    ways: list[tuple[str, Callable[[int], object], float]] = [
        ("devkit, map", devkit, file_bytes),
        ("ude float32 as the devkit", float32, file_bytes),
        ("ude, map", dense, file_bytes),
        ("ude", sweeps.sparse_lidar, file_bytes),
        ("ude, cached", cached, 8 * returns),
    ]
    return measure(
        "lidar",
        f"nuScenes, {FIRINGS * BEAMS:,} points, {returns:,} pixels of {size[0]} x {size[1]}, {len(sweeps)} files",
        checks=checks,
        variants=[Variant(name, _in_turn(way, len(sweeps)), work) for name, way, work in ways],
        limit=memory_copy(CPU),
        settings=settings,
        notes=["files come from the system's memory; the bytes counted are those of the sweep, or of the cached depth"],
        clock=clock_of(CPU),
    )


def _piles(settings: Settings) -> Report:
    """From the points of +-4 s in the camera frame to depth."""
    points = piled_points(2000 if settings.quick else ROBOTCAR_POINTS, seed=0)
    peers = _peers(settings)

    def by_loops(projection: Projection = loop_projection, raster: Raster = loop_raster) -> np.ndarray:
        return raster(*projection(points, K_ROBOTCAR, ROBOTCAR_SIZE), ROBOTCAR_SIZE)

    def ours() -> Sparse:
        return nearest_projection(points, K_ROBOTCAR, ROBOTCAR_SIZE)

    expected = by_loops()
    ways: dict[str, Callable[[], object]] = {"loops over points": by_loops}
    checks = []
    for name, parts in peers.items():
        ways[name] = lambda parts=parts: by_loops(*parts)
        checks.append(Check(f"{name}: values that differ", _unequal_maps(by_loops(*parts), expected), 0))
    checks.append(Check("ude: values that differ", _unequal(ours(), expected), 0))
    ways |= {"ude, map": lambda: dense_depth(*ours(), ROBOTCAR_SIZE), "ude": ours}
    return measure(
        "lidar",
        f"RobotCar, {len(points):,} points, {np.count_nonzero(expected):,} pixels of {ROBOTCAR_SIZE[0]} x "
        f"{ROBOTCAR_SIZE[1]}, the nearest wins",
        checks=checks,
        variants=[Variant(name, way, points.nbytes) for name, way in ways.items()],
        limit=memory_copy(CPU),
        settings=settings,
        notes=[] if peers else ["no code of others: put the RobotCar SDK on PYTHONPATH, or give --peer-md4all"],
        clock=clock_of(CPU),
    )


def _peers(settings: Settings) -> dict[str, tuple[Projection, Raster]]:
    """Projection and raster with the code of others where it is there; what is missing is a loop."""
    sdk, md4all = sdk_projection(), settings.peer_md4all
    names = [name for name, there in (("the SDK's projection", sdk), ("md4all's raster", md4all)) if there]
    if not names:
        return {}
    return {" and ".join(names): (sdk or loop_projection, md4all_raster(md4all) if md4all else loop_raster)}


def _in_turn(way: Callable[[int], object], count: int) -> Callable[[], object]:
    """A call that takes the next frame each time."""
    frames = cycle(range(count))
    return lambda: way(next(frames))


def _unequal(sparse: Sparse, expected: np.ndarray) -> int:
    """Number of pixels of which the depth is not exactly that of a map (H, W)."""
    return _unequal_maps(dense_depth(*sparse, expected.shape), expected)


def _unequal_maps(dense: np.ndarray, expected: np.ndarray) -> int:
    return int((dense != expected).sum())


def _moved(dense: np.ndarray, expected: np.ndarray) -> float:
    """Share of the pixels with a return that have none, or another one than to a millimetre, in the other map."""
    return float((np.abs(dense - expected) > 1e-3).sum() / np.count_nonzero(expected))
