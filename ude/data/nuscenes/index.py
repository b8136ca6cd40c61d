"""From the tables of nuScenes to the few numbers that are kept of every frame."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ude.files import DataError

from .tables import (
    LIDAR,
    KeyFrame,
    camera_intrinsics,
    global_pose,
    key_frames,
    neighbour,
    read_split,
)

if TYPE_CHECKING:
    from nuscenes import NuScenes


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """What is kept of a key frame; the tables themselves (gigabytes) are let go.

    Attributes:
        frame_id: stem of the image file.
        condition: recording condition.
        scene: name of the scene.
        images: image files below the root, the frame itself first, then its neighbours in the order of the offsets.
        T_global_camera: camera poses of these images, float64 (1 + S, 4, 4).
        K: intrinsics [px], float64 (3, 3).
        size: (height, width) of the images [px].
        lidar: LiDAR file below the root.
        T_camera_lidar: maps LiDAR points of the sweep's time to the camera at the frame's time, float64 (4, 4).
    """

    frame_id: str
    condition: str
    scene: str
    images: tuple[str, ...]
    T_global_camera: np.ndarray
    K: np.ndarray
    size: tuple[int, int]
    lidar: str
    T_camera_lidar: np.ndarray


def is_official_split(split: str) -> bool:
    """Whether a split is one of nuScenes' own, such as ``train``; anything else is a file."""
    from nuscenes.utils.splits import create_splits_scenes

    return split in create_splits_scenes()


def select_key_frames(tables: "NuScenes", split: str, conditions: Sequence[str]) -> list[KeyFrame]:
    """The key frames of a split in the given conditions."""
    from nuscenes.utils.splits import create_splits_scenes

    frames = key_frames(tables)
    if is_official_split(split):
        scenes = set(create_splits_scenes()[split])
        chosen = [frame for frame in frames if frame.scene in scenes]
    else:
        by_id = {frame.frame_id: frame for frame in frames}
        chosen = []
        for frame_id, (condition, line) in read_split(Path(split)).items():
            if frame_id not in by_id:
                raise DataError(
                    f"{split}:{line}: {frame_id} is no CAM_FRONT key frame of {tables.table_root}; "
                    "remove the line or set DATA.VERSION"
                )
            chosen.append(by_id[frame_id]._replace(condition=condition))
    return [frame for frame in chosen if frame.condition in conditions]


def frame_records(
    tables: "NuScenes", chosen: Sequence[KeyFrame], *, offsets: Sequence[int], min_speed: float
) -> tuple[list[FrameRecord], Counter[str]]:
    """Records of the key frames that can be used, and how many cannot, as ``no neighbour`` or ``slow``.

    Args:
        tables: tables of the version.
        chosen: key frames of the split.
        offsets: neighbours that a frame needs, counted in camera frames.
        min_speed: smallest mean speed between a frame and its neighbours [m/s].
    """
    frames, left_out = [], Counter()
    for key_frame in chosen:
        rows = [neighbour(tables, key_frame.record, offset) for offset in (0, *offsets)]
        if None in rows:
            left_out["no neighbour"] += 1
            continue
        frame = _record(tables, key_frame, rows)
        if offsets and _speed(frame, rows) < min_speed:
            left_out["slow"] += 1
            continue
        frames.append(frame)
    return frames, left_out


def _record(tables: "NuScenes", key_frame: KeyFrame, rows: list[dict]) -> FrameRecord:
    """The compact record of a key frame; ``rows`` are the ``sample_data`` rows of it and its neighbours."""
    record = key_frame.record
    sweep = tables.get("sample_data", tables.get("sample", record["sample_token"])["data"][LIDAR])
    T_global_camera = np.stack([global_pose(tables, row) for row in rows])
    return FrameRecord(
        frame_id=key_frame.frame_id,
        condition=key_frame.condition,
        scene=key_frame.scene,
        images=tuple(row["filename"] for row in rows),
        T_global_camera=T_global_camera,
        K=camera_intrinsics(tables, record),
        size=(record["height"], record["width"]),
        lidar=sweep["filename"],
        T_camera_lidar=np.linalg.inv(T_global_camera[0]) @ global_pose(tables, sweep),
    )


def _speed(frame: FrameRecord, rows: list[dict]) -> float:
    """Mean speed of the camera [m/s] between a frame and its neighbours, from poses and timestamps."""
    seconds = np.array([abs(row["timestamp"] - rows[0]["timestamp"]) * 1e-6 for row in rows[1:]])
    if not seconds.all():
        raise DataError(f"{frame.frame_id} and a neighbour have the same timestamp; unpack the metadata again")
    centres = frame.T_global_camera[:, :3, 3]
    return float((np.linalg.norm(centres[1:] - centres[0], axis=1) / seconds).mean())
