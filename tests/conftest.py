"""Fixtures for all tests: no network, one thread, fixed seeds, and a tiny rendered world on disk in two formats."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before any import that reads it
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from nuscenes import NuScenes

    from ude.data.nuscenes import NuScenesFrames


def pytest_configure(config: pytest.Config) -> None:
    """Keep torch to one thread: more are slower on small tensors and disturb tests that run beside this one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Start every test with the same random numbers."""
    import torch

    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def cache_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of all caches of this session, so that no test reads or leaves anything in the user's own."""
    before, root = os.environ.get("UDE_CACHE"), tmp_path_factory.mktemp("cache")
    os.environ["UDE_CACHE"] = str(root)
    yield root
    if before is None:
        del os.environ["UDE_CACHE"]
    else:
        os.environ["UDE_CACHE"] = before


@pytest.fixture(scope="session")
def world_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny nuScenes-formatted world of 96 x 160 pictures, read only.

    Two day-clear training scenes of 4 key frames (city and suburb, one per vehicle); one validation and one test
    street of 2 key frames, each in all four conditions. Every camera key frame has its previous and next sweep.
    """
    from sample_world.nuscenes_world import WorldOptions, write_nuscenes

    root = tmp_path_factory.mktemp("world") / "nuscenes"
    options = WorldOptions(
        train_scenes=2,
        val_streets=1,
        test_streets=1,
        train_key_frames=4,
        eval_key_frames=2,
        eval_sweeps=True,
        size=(96, 160),
        workers=1,
    )
    write_nuscenes(root, options, progress=False)
    return root


@pytest.fixture(scope="session")
def robotcar_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small raw RobotCar world of 240 x 320 pictures, read only.

    `models` and `extrinsics` of the SDK, and the same drive of 28 frames (16 per second) by day
    (2014-12-09-13-21-02) and at night (2014-12-16-18-44-24), frame by frame the same view. The car stands still at
    frames 9 to 13; frames 21 and 22 of the day are over-exposed; scans (50 per second) run from 1 s before the first
    frame to 1 s after the last one.
    """
    from sample_world.robotcar_world import RobotCarOptions, write_robotcar

    root = tmp_path_factory.mktemp("world") / "robotcar"
    options = RobotCarOptions(
        seed=6,
        frames=28,
        standing=5,
        over_exposed=2,
        scan_margin=1.0,
        size=(240, 320),
        workers=1,
    )
    write_robotcar(root, options, progress=False)
    return root


@pytest.fixture(scope="session")
def robotcar_prepared(robotcar_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small RobotCar world as the data loader reads it, read only."""
    from ude.data.robotcar import Preparation, prepare

    root = tmp_path_factory.mktemp("prepared") / "robotcar"
    prepare(robotcar_raw, root, Preparation(), progress=False)
    return root


@pytest.fixture(scope="session")
def devkit(world_root: Path) -> "NuScenes":
    """The unmodified devkit on the tiny world."""
    from nuscenes import NuScenes

    return NuScenes("v1.0-trainval", str(world_root), verbose=False)


@pytest.fixture(scope="session")
def train(world_root: Path) -> "NuScenesFrames":
    """Training frames of the tiny world with both neighbours."""
    from ude.data.nuscenes import NuScenesFrames

    return NuScenesFrames(world_root, split="train", offsets=(-1, 1))


@pytest.fixture(scope="session")
def val(world_root: Path) -> "NuScenesFrames":
    """Validation frames of the tiny world."""
    from ude.data.nuscenes import NuScenesFrames

    return NuScenesFrames(world_root, split="val")


@pytest.fixture
def broken_root(world_root: Path, tmp_path: Path) -> Path:
    """A copy of the tiny world to damage."""
    return Path(shutil.copytree(world_root, tmp_path / "world"))
