"""From the devkit's tables to the index."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ude.files import DataError, safe_path

from .index import ABSENT, LOST, TableIndex
from .tables import (
    CAMERA,
    LIDAR,
    broken_links_named,
    camera_intrinsics,
    load_tables,
    refuse_repeated,
    require_unique,
    rigid_transform,
)

if TYPE_CHECKING:
    from nuscenes import NuScenes

Row = dict[str, Any]

logger = logging.getLogger(__name__)


def build_index(root: Path, version: str) -> TableIndex:
    """What is kept of the tables of a version; for all of nuScenes that takes minutes and gigabytes of memory.

    Raises:
        DataError: when a table is missing or damaged, or a path in it leads out of ``root``.
    """
    logger.info("reading the tables in %s; this is done once", root / version)
    tables = load_tables(root, version)
    from nuscenes.utils.splits import create_splits_scenes

    with broken_links_named(root / version):
        require_unique(tables)
        images = [row for row in tables.sample_data if row["channel"] == CAMERA]
        sensors = {row["token"]: row["channel"] for row in tables.sensor}
        calibrations = [row for row in tables.calibrated_sensor if sensors[row["sensor_token"]] in (CAMERA, LIDAR)]
        calibration_row = {row["token"]: number for number, row in enumerate(calibrations)}
        image_row = {row["token"]: number for number, row in enumerate(images)}
        return TableIndex(
            **_images(tables, images, image_row, calibration_row, root),
            **_key_frames(tables, image_row, calibration_row, root),
            **_scenes(tables),
            **_calibrations(tables, calibrations, images),
            official_splits=np.array(json.dumps(create_splits_scenes())),
        )


def _images(
    tables: "NuScenes", images: list[Row], image_row: dict[str, int], calibration_row: dict[str, int], root: Path
) -> dict[str, np.ndarray]:
    """The camera's stream, in the order of the table."""
    links = {
        side: np.array([image_row.get(row[side], LOST if row[side] else ABSENT) for row in images], np.int32)
        for side in ("prev", "next")
    }
    return {
        "image_file": _names([row["filename"] for row in images], root),
        "image_time": np.array([row["timestamp"] for row in images], np.int64),
        "image_T_global_ego": _poses(tables, images),
        "image_calibration": np.array([calibration_row[row["calibrated_sensor_token"]] for row in images], np.int32),
        "image_previous": links["prev"],
        "image_next": links["next"],
    }


def _key_frames(
    tables: "NuScenes", image_row: dict[str, int], calibration_row: dict[str, int], root: Path
) -> dict[str, np.ndarray]:
    """The key frames, in the order of the table of samples."""
    images = [_recording(tables, sample, CAMERA) for sample in tables.sample]
    sweeps = [_recording(tables, sample, LIDAR) for sample in tables.sample]
    refuse_repeated([Path(row["filename"]).stem for row in images], f"{tables.table_root}/sample_data.json")
    scene_row = {row["token"]: number for number, row in enumerate(tables.scene)}
    return {
        "key_sample": _text([sample["token"] for sample in tables.sample]),
        "key_image": np.array([image_row[row["token"]] for row in images], np.int32),
        "key_scene": np.array([scene_row[sample["scene_token"]] for sample in tables.sample], np.int32),
        "key_first": np.array([not sample["prev"] for sample in tables.sample], bool),
        "key_last": np.array([not sample["next"] for sample in tables.sample], bool),
        "key_size": np.array([(row["height"], row["width"]) for row in images], np.int32).reshape(-1, 2),
        "key_lidar_file": _names([row["filename"] for row in sweeps], root),
        "key_lidar_T_global_ego": _poses(tables, sweeps),
        "key_lidar_calibration": np.array(
            [calibration_row[row["calibrated_sensor_token"]] for row in sweeps], np.int32
        ),
    }


def _recording(tables: "NuScenes", sample: Row, channel: str) -> Row:
    """The key-frame row of ``sample_data`` of a sample and a sensor."""
    if channel not in sample["data"]:
        raise DataError(
            f"{tables.table_root}: sample_data lacks the {channel} key frame of sample {sample['token']}; "
            "unpack the metadata again"
        )
    return tables.get("sample_data", sample["data"][channel])


def _scenes(tables: "NuScenes") -> dict[str, np.ndarray]:
    """The scenes, in the order of their table."""
    samples = [tables.get("sample", scene["first_sample_token"]) for scene in tables.scene]
    return {
        "scene_name": _text([scene["name"] for scene in tables.scene]),
        "scene_description": _text([scene["description"] for scene in tables.scene]),
        "scene_first_image": _text([_recording(tables, sample, CAMERA)["filename"] for sample in samples]),
    }


def _calibrations(tables: "NuScenes", calibrations: list[Row], images: list[Row]) -> dict[str, np.ndarray]:
    """Calibrations of both sensors, in the order of their table; K of a LiDAR is zero."""
    recording = {row["calibrated_sensor_token"]: row for row in reversed(images)}  # the first one of each
    camera = next(row["token"] for row in tables.sensor if row["channel"] == CAMERA)
    cameras = [number for number, row in enumerate(calibrations) if row["sensor_token"] == camera]
    K = np.zeros((len(calibrations), 3, 3))
    for number in cameras:
        row = calibrations[number]
        K[number] = camera_intrinsics(row, recording.get(row["token"], images[0]))
    return {
        "calibration_T_ego_sensor": _stacked([rigid_transform(row) for row in calibrations]),
        "calibration_K": K,
        "first_camera": np.array(cameras[0]),
    }


def _poses(tables: "NuScenes", rows: list[Row]) -> np.ndarray:
    """``T_global_ego`` of rows of ``sample_data``, float64 (N, 3, 4)."""
    return _stacked([rigid_transform(tables.get("ego_pose", row["ego_pose_token"])) for row in rows])


def _stacked(transforms: list[np.ndarray]) -> np.ndarray:
    return np.array(transforms, np.float64).reshape(-1, 3, 4)


def _names(names: list[str], root: Path) -> np.ndarray:
    """File names that stay below the root, as fixed-width UTF-8."""
    for name in names:
        safe_path(root, name)
    return _text(names)


def _text(values: list[str]) -> np.ndarray:
    return np.array([value.encode("utf-8", "backslashreplace") for value in values], np.bytes_)
