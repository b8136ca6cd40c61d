"""Sweeps of nuScenes: reading, and telling a whole file from a damaged one.

The scanner of nuScenes fires 32 beams, the lowest first, about 1,085 times per turn, and its files keep every beam of
every firing: one without an echo is a point within a metre. So point i has the ring index i % 32, and a file that lacks
a single point shows it by itself. Files of the same form in which points are left out are taken as well; what they lack
shows only against the number of points that other files have.
"""

from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

POINT_BYTES = 20
"""A nuScenes LiDAR point: x, y, z [m], intensity and ring index, five float32."""

MIN_POINTS = 1000
_RINGS = 32
_FIRING = np.arange(_RINGS, dtype=np.float32)
_MIN_FIRINGS = 700
"""A turn has about 1,085; only a file that lacks a third or more is refused without a count to compare it with."""
_PROBE = 16 * _RINGS
"""Where 2 % of the echoes are lost and left out, one such stretch in 30,000 is complete."""
_FARTHEST = 1e4  # [m], also the largest intensity: beyond are only bits that are no number
_REMEDY = "copy or download it again"


def read_points(path: Path) -> np.ndarray:
    """Points of a nuScenes sweep in the LiDAR frame [m], float32 (N, 3).

    Raises:
        DataError: when the file is missing, or ``sweep_problem`` finds something wrong with it.
    """
    values, problem = _read(path)
    if problem:
        raise DataError(problem)
    return values[:, :3]


def sweep_problem(path: Path, *, expected: int | None = None) -> str:
    """What is wrong with the file of a sweep, as one line that names it; "" where nothing is.

    Args:
        path: the file.
        expected: number of points that a whole sweep has, such as the median of the files beside it. Scanners turn a
            little unevenly, so that 3 % may be missing; where beams without an echo are left out, as in rain, 40 %.
    """
    try:
        values, problem = _read(path)
    except MissingFileError as error:
        return str(error)
    if problem or expected is None:
        return problem
    share = 0.97 if _whole_firings(values) else 0.6
    if len(values) < share * expected:
        return f"{path}: {len(values)} points where a whole sweep has about {expected}, so the file is cut; {_REMEDY}"
    return ""


def _read(path: Path) -> tuple[np.ndarray, str]:
    """All values of a sweep, float32 (N, 5), and what is wrong with them.

    Raises:
        MissingFileError: when there is no such file.
    """
    try:
        values = np.fromfile(path, np.uint8)
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such LiDAR file; download the LiDAR blobs of this data set again") from None
    except OSError as error:
        return np.zeros((0, 5), np.float32), f"{path}: cannot be read ({error.strerror}); {_REMEDY}"
    if len(values) == 0 or len(values) % POINT_BYTES:
        problem = f"{len(values)} bytes are not a positive multiple of {POINT_BYTES} (a point), so the file is cut"
    else:
        values = values.view("<f4").reshape(-1, POINT_BYTES // 4)
        problem = _problem(values)
    return values, f"{path}: {problem}; {_REMEDY}" if problem else ""


def _problem(values: np.ndarray) -> str:
    """What is wrong with the values of a sweep, float32 (N, 5)."""
    lowest, highest = values.min(), values.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):  # the least and the largest are NaN if any value is
        return "holds LiDAR points that are not finite"
    if lowest < -_FARTHEST or highest > _FARTHEST:
        return f"holds LiDAR values beyond {_FARTHEST:g}"
    if len(values) < MIN_POINTS:
        return f"{len(values)} LiDAR points are no sweep of at least {MIN_POINTS}"
    ring = values[:, 4]
    if not values[-1].any():
        return "ends in zeros, so it was not written to its end"
    if not _whole_firings(values):
        return ""
    if len(values) % _RINGS:
        return f"{len(values)} points are no whole number of firings of {_RINGS} beams, so the file is cut"
    if (ring.reshape(-1, _RINGS) != _FIRING).any():
        return f"the ring indices do not count from 0 to {_RINGS - 1} over and over"
    if len(values) < _MIN_FIRINGS * _RINGS:
        return f"{len(values) // _RINGS} firings are no turn of at least {_MIN_FIRINGS}, so the file is cut"
    return ""


def _whole_firings(values: np.ndarray) -> bool:
    """Whether the file keeps every beam of every firing: it does so somewhere, at its start, middle or end."""
    places = (0, (len(values) - _PROBE) // 2, len(values) - _PROBE)
    return any((np.diff(values[place : place + _PROBE, 4]) % _RINGS == 1).all() for place in places)
