"""Looking into, and damaging, a world in the format of nuScenes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ude.data.nuscenes import NuScenesFrames

if TYPE_CHECKING:
    from nuscenes import NuScenes

VERSION = "v1.0-trainval"


def edit_table(root: Path, table: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = root / VERSION / f"{table}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def camera_row(devkit: "NuScenes", frame_id: str) -> dict[str, Any]:
    return next(row for row in devkit.sample_data if Path(row["filename"]).stem == frame_id)


def frame_ids(frames: NuScenesFrames) -> list[str]:
    return [frames.frame_id(index) for index in range(len(frames))]
