"""Depth files of prepared RobotCar frames: pixels with a return, and a header that says how they were made."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ude.files import DataError, read_arrays, write_arrays

_REMEDY = "remove it and run tools/prepare_robotcar.py again"


def write_ground_truth(path: Path, index: np.ndarray, depth: np.ndarray, header: dict[str, Any]) -> None:
    """Writes the depth of a frame atomically.

    Args:
        path: the ``.npz`` file.
        index: flat row-major indices of the pixels with a return, int64 (N,), ascending.
        depth: their depths [m], float32 (N,).
        header: how it was made; ``size`` is (height, width) of the frame [px].
    """
    text = np.array(json.dumps(header, allow_nan=False))
    write_arrays(path, {"header": text, "index": index.astype(np.int32), "depth": depth.astype(np.float32)})


def read_ground_truth(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Indices, int64 (N,) ascending, and depths [m], float32 (N,), of a frame's pixels with a return.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is damaged or belongs to a frame of another size.
    """
    header, index, depth = _arrays(path)
    if tuple(header.get("size", ())) != tuple(size):
        raise DataError(f"{path}: is for frames of {header.get('size')} px, not {list(size)}; {_REMEDY}")
    whole = index.ndim == 1 and index.shape == depth.shape and (np.diff(index) > 0).all()
    if not whole or (len(index) and not 0 <= index[0] <= index[-1] < size[0] * size[1]):
        raise DataError(f"{path}: its indices are no ascending pixels of the frame; {_REMEDY}")
    if not (np.isfinite(depth).all() and (depth > 0).all()):
        raise DataError(f"{path}: holds depths that are not positive and finite; {_REMEDY}")
    return index.astype(np.int64), depth.astype(np.float32)


def read_header(path: Path) -> dict[str, Any]:
    """How the depth of a frame was made: margin, source and interpolation of the poses, camera, size and scans."""
    return _arrays(path)[0]


def _arrays(path: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    arrays = read_arrays(path)
    try:
        return json.loads(str(arrays["header"])), arrays["index"], arrays["depth"]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: is no depth file of a RobotCar frame ({error}); {_REMEDY}") from error
