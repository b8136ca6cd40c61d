"""Whether LiDAR files hold what they should: whole records, finite numbers, about as many points as the others."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ude.data.lidar import POINT_BYTES, sweep_problem
from ude.data.sample import FrameSource
from ude.files import DataError

from .problems import LIDAR, FrameFiles, Problem, users, without_path
from .scan import scan_files

SWEEP = ".pcd.bin"
"""How the name of a nuScenes sweep ends."""
MIN_SHARE = 0.1
"""Depth with fewer returns than this share of the split's median is broken; between streets and squares, and between
a standing and a driving car, they differ by a lot."""


@dataclass(frozen=True, slots=True)
class LidarFacts:
    """What reading a LiDAR file has shown.

    Attributes:
        problem: why it cannot be used, None for a good file.
        returns: number of pixels with a return, where they were counted.
    """

    problem: str | None
    returns: int | None = None


def lidar_facts(
    source: FrameSource, frames: Sequence[FrameFiles], *, workers: int, description: str, progress: bool
) -> dict[Path, LidarFacts]:
    """What the LiDAR files of frames hold: nuScenes sweeps as they are, all others through their source.

    Args:
        source: the frames' source.
        frames: frames whose LiDAR file is there.
        workers: processes that read sweeps; 0 = this one.
        description: what the progress bar says.
        progress: whether to show it.
    """
    sweeps = [frame.lidar for frame in frames if frame.lidar.name.endswith(SWEEP)]
    examine = partial(examine_sweep, expected=median_points(sweeps))
    facts = scan_files(sweeps, examine, workers=workers, description=description, progress=progress)
    for frame in frames:
        if frame.lidar not in facts:
            facts[frame.lidar] = examine_depth(source, frame)
    return facts


def examine_sweep(path: Path, *, expected: int | None) -> LidarFacts:
    """Reads a nuScenes sweep; ``expected`` is the number of points that a whole one has."""
    return LidarFacts(without_path(sweep_problem(path, expected=expected), path) or None)


def median_points(paths: Iterable[Path]) -> int | None:
    """Median of the numbers of points of sweeps, by the sizes of their files; None without any."""
    sizes = [os.path.getsize(path) for path in paths if path.is_file()]
    return int(np.median(sizes)) // POINT_BYTES if sizes else None


def examine_depth(source: FrameSource, frame: FrameFiles) -> LidarFacts:
    """Reads a frame's LiDAR depth through its source."""
    try:
        index, value = source.sparse_lidar(frame.index)
    except DataError as error:
        return LidarFacts(without_path(str(error), frame.lidar))
    if not (np.isfinite(value).all() and (value > 0).all()):
        return LidarFacts("holds depths that are not finite and positive")
    if len(index) and frame.size and not 0 <= index.min() <= index.max() < frame.size[0] * frame.size[1]:
        return LidarFacts("holds pixels outside of the image")
    return LidarFacts(None, len(index)) if len(index) else LidarFacts("has no return in the image")


def lidar_problems(frames: Sequence[FrameFiles], facts: Mapping[Path, LidarFacts]) -> list[Problem]:
    """LiDAR files that cannot be read, or have far fewer returns than the median of the split."""
    counts = [fact.returns for fact in facts.values() if fact.returns is not None]
    median = float(np.median(counts)) if counts else 0.0
    problems = []
    for path, frame_ids in users((frame.lidar, frame.frame_id) for frame in frames if frame.lidar in facts).items():
        problem, returns = facts[path].problem, facts[path].returns
        if returns is not None and returns < MIN_SHARE * median:
            problem = f"has {returns} returns, where the median of the split is {median:.0f}"
        if problem:
            problems.append(Problem(LIDAR, str(path), problem, frame_ids))
    return problems
