"""Looking into, and damaging, a world in the format of nuScenes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ude.data.nuscenes import NuScenesFrames

if TYPE_CHECKING:
    from nuscenes import NuScenes

VERSION = "v1.0-trainval"


def edit_table(root: Path, table: str, change: Callable[[list[dict[str, Any]]], None], version: str = VERSION) -> None:
    path = root / version / f"{table}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def camera_row(devkit: "NuScenes", frame_id: str) -> dict[str, Any]:
    return next(row for row in devkit.sample_data if Path(row["filename"]).stem == frame_id)


def frame_ids(frames: NuScenesFrames) -> list[str]:
    return [frames.frame_id(index) for index in range(len(frames))]


def camera_stream(devkit: "NuScenes", scene: dict[str, Any]) -> list[dict[str, Any]]:
    """All CAM_FRONT rows of a scene in the order of time."""
    samples = {row["token"] for row in devkit.sample if row["scene_token"] == scene["token"]}
    rows = [row for row in devkit.sample_data if row["channel"] == "CAM_FRONT" and row["sample_token"] in samples]
    return sorted(rows, key=lambda row: row["timestamp"])


def remove_sweeps(root: Path, tokens: set[str], *, mend: bool = True) -> None:
    """Take rows out of sample_data; ``mend`` closes the links of their neighbours, too."""

    def change(rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if row["token"] not in tokens]
        for row in rows:
            for side in ("prev", "next") if mend else ():
                row[side] = "" if row[side] in tokens else row[side]

    edit_table(root, "sample_data", change)


def stand_still(root: Path, rows: list[dict[str, Any]]) -> None:
    """Keep the car where it is at the first of some sample_data rows."""
    tokens = {row["ego_pose_token"] for row in rows}

    def change(poses: list[dict[str, Any]]) -> None:
        first = next(pose for pose in poses if pose["token"] == rows[0]["ego_pose_token"])
        for pose in poses:
            if pose["token"] in tokens:
                pose["translation"], pose["rotation"] = first["translation"], first["rotation"]

    edit_table(root, "ego_pose", change)


def rename_version(root: Path, version: str, scene_names: list[str]) -> None:
    """Make the tables those of another version, with these names of the scenes in the order of their table."""
    (root / VERSION).rename(root / version)

    def change(rows: list[dict[str, Any]]) -> None:
        for row, name in zip(rows, scene_names, strict=False):
            row["name"] = name
        del rows[len(scene_names) :]

    edit_table(root, "scene", change, version)
