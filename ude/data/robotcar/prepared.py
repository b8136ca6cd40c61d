"""The folder of prepared RobotCar traverses: what its files say, and which frames the published filters leave out.

``<root>/<traverse>/frames.jsonl`` has a row per frame, ``frames.npz`` the columns that are needed at each start,
``traverse.json`` what they have in common; beside them lie ``images/`` and ``lidar/``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ude.files import DataError, MissingFileError, read_json

from .columns import OVER_EXPOSED, STATIC, poses_of, read_columns

SCHEMA = 1
ABOUT = "traverse.json"
_STATIC_M = 1e-3
_BRIGHT, _FLICKER = 0.9, 0.05
_MAX_STEP_US = 250_000
"""Images farther apart are no neighbours: the cameras run at 16 Hz and pause [us]."""


@dataclass(frozen=True)
class PreparedTraverse:
    """A prepared traverse, in arrays: a loader process holds no table.

    Attributes:
        folder: its folder.
        condition: recording condition.
        size: (height, width) of the images [px].
        K: intrinsics [px], float64 (3, 3).
        start: time of the first image that the raw traverse lists [us].
        margin: scans this long before and after an image were accumulated [s].
        image_format: ``png`` or ``jpg``.
        times: of the frames [us], int64 (N,), ascending.
        runs: number of the run of neighbouring frames that each belongs to, int64 (N,).
        sections: section of the odometry, int64 (N,); -1 without odometry.
        T_start_camera: poses of the camera in its section, float64 (N, 3, 4).
        has_lidar: whether there is depth, bool (N,).
        static: left out of training since the car stood, bool (N,).
        over_exposed: left out of training for its brightness, bool (N,).
    """

    folder: Path
    condition: str
    size: tuple[int, int]
    K: np.ndarray
    start: int
    margin: float
    image_format: str
    times: np.ndarray
    runs: np.ndarray
    sections: np.ndarray
    T_start_camera: np.ndarray
    has_lidar: np.ndarray
    static: np.ndarray
    over_exposed: np.ndarray


def read_prepared(
    root: Path, *, names: Collection[str] | None = None, conditions: Collection[str] | None = None
) -> list[PreparedTraverse]:
    """Prepared traverses of a folder, by name.

    Args:
        root: the folder.
        names: only these; None for any.
        conditions: only those that were recorded in one of these conditions; None for any.

    Raises:
        DataError: there is none, or a file of one is damaged.
    """
    folders = sorted(path.parent for path in root.glob(f"*/{ABOUT}"))
    if not folders:
        raise MissingFileError(
            f"{root}: no prepared RobotCar traverse; run: python tools/prepare_robotcar.py --raw RAW --output {root}"
        )
    chosen = [folder for folder in folders if names is None or folder.name in names]
    traverses = (_traverse(folder, conditions) for folder in chosen)
    return [traverse for traverse in traverses if traverse is not None]


def neighbour_runs(times: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Number of the run that each frame belongs to, int64 (N,): within one, each is the camera's next image.

    Args:
        times: of the frames [us], int64 (N,).
        numbers: their places in the traverse's own list, int64 (N,).
    """
    broken = (np.diff(numbers, prepend=numbers[:1]) > 1) | (np.diff(times, prepend=times[:1]) > _MAX_STEP_US)
    return np.cumsum(broken)


def filter_reasons(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Why frames would be left out of training, by the published filters (md4all, https://arxiv.org/abs/2308.09711).

    ``static``: the camera moved less than a millimetre to the frame before or after. ``over-exposed``: the mean
    brightness of the upper four fifths is at least 0.9, or differs by more than 0.05 from that of a neighbour.

    Args:
        rows: of a traverse's frames, in order, with ``timestamp``, ``number``, ``brightness``, ``section`` and
            ``T_start_camera``.
    """
    if not rows:
        return []
    runs = neighbour_runs(*(np.array([row[key] for row in rows], np.int64) for key in ("timestamp", "number")))
    brightness = np.array([row["brightness"] for row in rows])
    sections, poses = poses_of(rows)
    neighbours = runs[1:] == runs[:-1]
    moved = np.linalg.norm(np.diff(poses[:, :, 3], axis=0), axis=1)
    still = neighbours & (sections[1:] == sections[:-1]) & (sections[1:] >= 0) & (moved < _STATIC_M)
    flicker = neighbours & (np.abs(np.diff(brightness)) > _FLICKER)
    static, exposed = np.zeros(len(rows), bool), brightness >= _BRIGHT
    for steps, frames in ((still, static), (flicker, exposed)):
        frames[1:] |= steps
        frames[:-1] |= steps
    return [[STATIC] * bool(s) + [OVER_EXPOSED] * bool(e) for s, e in zip(static, exposed, strict=True)]


def _traverse(folder: Path, conditions: Collection[str] | None) -> PreparedTraverse | None:
    """A traverse, None if its condition is none of those."""
    about = read_json(folder / ABOUT)
    try:
        if about["schema"] != SCHEMA:
            raise DataError(
                f"{folder / ABOUT}: schema {about['schema']} is not {SCHEMA}; run tools/prepare_robotcar.py again"
            )
        if conditions is not None and about["condition"] not in conditions:
            return None
        columns = read_columns(folder)
        return PreparedTraverse(
            folder=folder,
            condition=about["condition"],
            size=tuple(about["size"]),
            K=np.array(about["K"], np.float64).reshape(3, 3),
            start=int(about["start"]),
            margin=float(about["margin"]),
            image_format=about["image_format"],
            runs=neighbour_runs(columns["times"], columns.pop("numbers")),
            **columns,
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{folder}: cannot be read ({reason}); run tools/prepare_robotcar.py again") from error
