"""What is kept of the tables of nuScenes: a few columns of numbers, from which every split can be chosen."""

import json
from dataclasses import dataclass, fields

import numpy as np

ABSENT, LOST = -1, -2
"""In place of a neighbour's row: the stream ends here; the table names a row that it lacks."""

_TRANSFORM = (3, 4)
_COLUMNS = {  # kind of dtype, shape of an element
    "image_file": ("S", ()),
    "image_time": ("i", ()),
    "image_T_global_ego": ("f", _TRANSFORM),
    "image_calibration": ("i", ()),
    "image_previous": ("i", ()),
    "image_next": ("i", ()),
    "key_sample": ("S", ()),
    "key_image": ("i", ()),
    "key_scene": ("i", ()),
    "key_first": ("b", ()),
    "key_last": ("b", ()),
    "key_size": ("i", (2,)),
    "key_lidar_file": ("S", ()),
    "key_lidar_T_global_ego": ("f", _TRANSFORM),
    "key_lidar_calibration": ("i", ()),
    "scene_name": ("S", ()),
    "scene_description": ("S", ()),
    "scene_first_image": ("S", ()),
    "calibration_T_ego_sensor": ("f", _TRANSFORM),
    "calibration_K": ("f", (3, 3)),
}
_REFERENCES = {  # column of row numbers, the columns they point to, smallest number
    "image_calibration": ("calibration", 0),
    "image_previous": ("image", LOST),
    "image_next": ("image", LOST),
    "key_image": ("image", 0),
    "key_scene": ("scene", 0),
    "key_lidar_calibration": ("calibration", 0),
    "first_camera": ("calibration", 0),
}


@dataclass(frozen=True, slots=True)
class TableIndex:
    """Columns of the front camera's stream (12 Hz), the key frames (2 Hz), the scenes and the calibrations.

    Text is fixed-width UTF-8. Transforms are the upper three rows, float64.

    Attributes:
        image_file: file below the root, (N,).
        image_time: time of the image [us], (N,).
        image_T_global_ego: pose of the car at that time, (N, 3, 4).
        image_calibration: row of its calibration, (N,).
        image_previous: row of the image before, ``ABSENT`` or ``LOST``, (N,).
        image_next: row of the image after, likewise, (N,).
        key_sample: token of the sample, (M,), in the order of the table of samples.
        key_image: row of its image, (M,).
        key_scene: row of its scene, (M,).
        key_first: whether it is the first sample of its scene, (M,).
        key_last: whether it is the last one, (M,).
        key_size: (height, width) of its image [px], (M, 2).
        key_lidar_file: file of its LiDAR sweep below the root, (M,).
        key_lidar_T_global_ego: pose of the car at the sweep's time, (M, 3, 4).
        key_lidar_calibration: row of the LiDAR's calibration, (M,).
        scene_name: such as ``scene-0001``, (S,), in the order of their table.
        scene_description: words about the scene, (S,).
        scene_first_image: file of the first key frame, (S,).
        calibration_T_ego_sensor: pose of the sensor on the car, (C, 3, 4).
        calibration_K: intrinsics [px]; zeros for a LiDAR, (C, 3, 3).
        first_camera: row of the first calibration of the front camera, ().
        official_splits: names of the scenes of every official split, JSON, ().
    """

    image_file: np.ndarray
    image_time: np.ndarray
    image_T_global_ego: np.ndarray  # noqa: N815 (T is a transform)
    image_calibration: np.ndarray
    image_previous: np.ndarray
    image_next: np.ndarray
    key_sample: np.ndarray
    key_image: np.ndarray
    key_scene: np.ndarray
    key_first: np.ndarray
    key_last: np.ndarray
    key_size: np.ndarray
    key_lidar_file: np.ndarray
    key_lidar_T_global_ego: np.ndarray  # noqa: N815 (T is a transform)
    key_lidar_calibration: np.ndarray
    scene_name: np.ndarray
    scene_description: np.ndarray
    scene_first_image: np.ndarray
    calibration_T_ego_sensor: np.ndarray  # noqa: N815 (T is a transform)
    calibration_K: np.ndarray  # noqa: N815 (K are intrinsics)
    first_camera: np.ndarray
    official_splits: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """All columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def scenes_of(self, split: str) -> set[str]:
        """Names of the scenes of an official split."""
        return set(json.loads(str(self.official_splits))[split])


def index_from_columns(columns: dict[str, np.ndarray]) -> TableIndex:
    """An index of columns from a file, checked for belonging together.

    Raises:
        ValueError: when they do not.
    """
    index = TableIndex(**columns)
    lengths: dict[str, set[int]] = {}
    for name, (kind, shape) in _COLUMNS.items():
        column = columns[name]
        if column.dtype.kind != kind or column.ndim != 1 + len(shape) or column.shape[1:] != shape:
            raise ValueError(f"{name} is {column.dtype} {column.shape}")
        lengths.setdefault(name.split("_")[0], set()).add(len(column))
    if any(len(found) > 1 for found in lengths.values()):
        raise ValueError(f"columns of different lengths {lengths}")
    for name, (group, smallest) in _REFERENCES.items():
        column = columns[name]
        if column.dtype.kind != "i" or (
            column.size and not smallest <= column.min() <= column.max() < max(lengths[group])
        ):
            raise ValueError(f"{name} points to rows that do not exist")
    if index.official_splits.dtype.kind != "U" or index.official_splits.shape or index.first_camera.shape:
        raise ValueError("official_splits or first_camera is no scalar")
    return index
