"""What the LiDAR depth of frames is computed from: files, native sizes, rules, crop and calibrations."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ude.data.sample import FrameSource
from ude.files import DataError, MissingFileError

from .lidar_files import Row, State

_THREADS, _CHUNK = 8, 100
_MAX_SHARE, _MAX_RETURNS = 1 / 8, 100_000  # no sweep has as many in view; small pictures are full of a sweep


def kind_of(source: FrameSource) -> dict[str, Any]:
    """What decides on depths apart from the files: the class of the innermost source, its rules, and a crop."""
    layers: list[Any] = [source]
    while (inner := getattr(layers[-1], "source", None)) is not None:
        layers.append(inner)
    kind: dict[str, Any] = {"source": type(layers[-1]).__name__}
    for name in ("rules", "crop"):
        values = [getattr(layer, name) for layer in layers if getattr(layer, name, None) is not None]
        kind[name] = list(values[0]) if values and isinstance(values[0], tuple) else next(iter(values), None)
    return kind


def state_of(source: FrameSource, index: int) -> State | None:
    """What a frame's depth is computed from now; None for a frame without LiDAR.

    Raises:
        MissingFileError: its LiDAR file is gone.
    """
    path = source.lidar_path(index)
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError as error:
        raise MissingFileError(f"{path}: no such LiDAR file; download the LiDAR of this data set again") from error
    return State(found.st_size, found.st_mtime_ns, *source.native_size(index))


def states_of(source: FrameSource) -> list[State | None]:
    """The states of all frames, some at a time, since a network disk takes about a millisecond for each.

    Raises:
        MissingFileError: a LiDAR file is gone.
    """
    numbers = range(len(source))
    chunks = [numbers[start : start + _CHUNK] for start in numbers[::_CHUNK]]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda chunk: [state_of(source, index) for index in chunk], chunks)
        return [state for states in found for state in states]


def calibrated_alike(source: FrameSource, frames: Iterable[int]) -> list[list[int]]:
    """The frames in groups of one scene and one K: no data set calibrates more often than that.

    Groups with a K that none before them has come first, so that the first ones stand for all vehicles and dates.
    """
    groups: dict[tuple[bytes, str], list[int]] = {}
    for index in frames:
        groups.setdefault((source.intrinsics(index).tobytes(), source.scene(index)), []).append(index)
    new, known, seen = [], [], set()
    for (K, _), group in groups.items():
        (known if K in seen else new).append(group)
        seen.add(K)
    return new + known


def spread(groups: Sequence[list[int]], count: int) -> list[list[int]]:
    """At most so many of the groups: half of them the first ones, the others evenly from the rest."""
    if len(groups) <= count:
        return list(groups)
    head = count // 2
    return [*groups[:head], *(groups[place] for place in np.linspace(head, len(groups) - 1, count - head).astype(int))]


def require_sparse(source: FrameSource, index: int) -> None:
    """Refuse a source with depth almost everywhere, which takes less room in its own files.

    Raises:
        DataError: more than an eighth of the frame's pixels have depth, and more than a sweep has in view; or its LiDAR
            file is damaged.
    """
    height, width = source.native_size(index)
    returns = len(source.sparse_lidar(index)[0])
    share = returns / (height * width)
    if share > _MAX_SHARE and returns > _MAX_RETURNS:
        raise DataError(
            f"{source.lidar_path(index)}: {share:.0%} of the pixels have depth, too many to keep them like LiDAR; "
            "leave --lidar away, and depth is read from its own files"
        )


def differing(index: np.ndarray, depth: np.ndarray, rows: dict[int, Row], source: FrameSource) -> str | None:
    """The frame with most returns of some frames of one calibration, if the source computes another depth now.

    Calibration and rules can change while LiDAR files do not.
    """
    i = max(rows, key=lambda number: rows[number].count)
    place = slice(rows[i].start, rows[i].start + rows[i].count)
    new_index, new_depth = source.sparse_lidar(i)
    same = np.array_equal(index[place], new_index) and np.array_equal(depth[place], new_depth)
    return None if same else source.frame_id(i)
