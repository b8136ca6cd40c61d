"""Fixtures for all tests: no network, one thread, fixed seeds, and a tiny rendered world on disk."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before any import that reads it
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
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
