"""Which prepared RobotCar frames a split holds, and which of them cannot serve a purpose."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ude.data.splits import read_split
from ude.files import DataError

from .prepared import PreparedTraverse, read_prepared
from .splits import SPLITS, in_split

LEFT_OUT = {
    "no neighbour": "lack a neighbour",
    "static": "are static",
    "over-exposed": "are over-exposed",
    "no odometry": "have no odometry",
    "slow": "are too slow",
    "no LiDAR": "have no LiDAR depth",
}
"""Words for a summary, by reason."""


class Place(NamedTuple):
    """Where a frame stands: number of its traverse and its number therein; and its recording condition."""

    traverse: int
    frame: int
    condition: str


def frames_of_split(root: Path, split: str, conditions: Collection[str]) -> tuple[list[PreparedTraverse], list[Place]]:
    """The frames of a split, by traverse and time, or in the order of its file, and the traverses that they are of.

    Args:
        root: folder of the prepared traverses.
        split: one of ``SPLITS``, or a split file, which may give frames of any traverse any condition.
        conditions: traverses in other conditions are not read, unless they are in a split file.

    Raises:
        DataError: nothing is prepared; a split file is damaged or names a frame that is not prepared.
    """
    if split in SPLITS:
        traverses = read_prepared(root, conditions=conditions)
        return traverses, [
            Place(number, frame, traverse.condition)
            for number, traverse in enumerate(traverses)
            for frame in np.flatnonzero(in_split(traverse, split)).tolist()
        ]
    listed = read_split(Path(split))
    traverses = read_prepared(root, names={frame_id.rpartition("_")[0] for frame_id in listed})
    places = {
        f"{traverse.folder.name}_{time}": (number, frame)
        for number, traverse in enumerate(traverses)
        for frame, time in enumerate(traverse.times.tolist())
    }
    if unknown := next((frame_id for frame_id in listed if frame_id not in places), None):
        raise DataError(
            f"{split}:{listed[unknown][1]}: {unknown} is not prepared in {root}; prepare it, or remove the line"
        )
    return traverses, [Place(*places[frame_id], condition) for frame_id, (condition, _) in listed.items()]


def objection(traverse: PreparedTraverse, frame: int, *, offsets: Sequence[int], min_speed: float) -> str | None:
    """Why a frame cannot serve for training, or without offsets for evaluation: a key of ``LEFT_OUT``, None if it can.

    Args:
        traverse: the traverse.
        frame: number of the frame therein.
        offsets: neighbours that are needed.
        min_speed: smallest mean speed to them [m/s]; 0 also keeps frames without odometry.
    """
    if not offsets:
        return None if traverse.has_lidar[frame] else "no LiDAR"
    neighbours = [frame + offset for offset in offsets]
    if not all(0 <= n < len(traverse.times) and traverse.runs[n] == traverse.runs[frame] for n in neighbours):
        return "no neighbour"
    if traverse.static[frame]:
        return "static"
    if traverse.over_exposed[frame]:
        return "over-exposed"
    if not min_speed:
        return None
    if not all(connected(traverse, neighbour, frame) for neighbour in neighbours):
        return "no odometry"
    return "slow" if np.mean([_speed(traverse, neighbour, frame) for neighbour in neighbours]) < min_speed else None


def connected(traverse: PreparedTraverse, first: int, second: int) -> bool:
    """Whether the odometry says how two frames lie to one another."""
    return bool(traverse.sections[first] == traverse.sections[second] >= 0)


def _speed(traverse: PreparedTraverse, first: int, second: int) -> float:
    """Mean speed of the camera [m/s] between two frames."""
    way = np.linalg.norm(traverse.T_start_camera[first, :, 3] - traverse.T_start_camera[second, :, 3])
    return float(way) * 1e6 / abs(int(traverse.times[first] - traverse.times[second]))
