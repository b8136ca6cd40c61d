"""The thirteen tables of nuScenes v1.0."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from .camera import Camera
from .options import DESCRIPTIONS, SWEEP, Recording
from .vehicles import quaternion

CAMERA, LIDAR = "CAM_FRONT", "LIDAR_TOP"
VERSION = "v1.0-trainval"
MAP_FILE = "maps/synthetic.png"
SCANNER_DELAY = 0.035  # of the LiDAR behind the camera [s]
HOURS = {"day-clear": 11, "day-rain": 14, "night-clear": 20, "night-rain": 22}
Tables = dict[str, list[dict]]


def token(*parts: object) -> str:
    """A 32-digit identifier that depends on the parts only."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


class SceneTables:
    """Collects the table rows of one scene while its frames are written.

    Args:
        recording: the drive.
        condition: in which condition.
        camera: the camera at the size of the images.
    """

    def __init__(self, recording: Recording, condition: str, camera: Camera):
        self.recording, self.condition = recording, condition
        self.key = (*recording.seed, recording.scenes[condition])
        day = datetime(2026, 1, 1, HOURS[condition], tzinfo=UTC) + timedelta(days=recording.number)
        self.start_us = int(day.timestamp()) * 1_000_000
        self.log_name = f"{recording.vehicle.name}-{day:%Y-%m-%d-%H-%M-%S}+0000"
        self.samples = [token(*self.key, "sample", k) for k in range(len(recording.key_times))]
        self.rows: dict[str, list[dict]] = {CAMERA: [], LIDAR: []}
        self.poses: list[dict] = []
        self._calibrations = self._calibration_rows(camera)

    def file_name(self, sensor: str, time: float, *, key_frame: bool) -> str:
        """Path of a recording below the data set's root, forward slashes.

        Args:
            sensor: CAM_FRONT or LIDAR_TOP.
            time: when it was taken [s].
            key_frame: whether it belongs to a key frame.
        """
        suffix = "jpg" if sensor == CAMERA else "pcd.bin"
        folder = "samples" if key_frame else "sweeps"
        return f"{folder}/{sensor}/{self.log_name}__{sensor}__{self._timestamp(time)}.{suffix}"

    def add(self, sensor: str, time: float, T_world_ego: np.ndarray, *, sample: int, key_frame: bool) -> str:
        """Add the rows of one recording and return its file name.

        Args:
            sensor: CAM_FRONT or LIDAR_TOP.
            time: when it was taken [s].
            T_world_ego: pose of the ego car at that time (4, 4).
            sample: number of the key frame it belongs to.
            key_frame: whether it is the key frame itself.
        """
        name = self.file_name(sensor, time, key_frame=key_frame)
        timestamp, pose = self._timestamp(time), token(*self.key, "ego_pose", name)
        translation, rotation = T_world_ego[:3, 3].tolist(), quaternion(T_world_ego[:3, :3])
        self.poses.append({"token": pose, "timestamp": timestamp, "translation": translation, "rotation": rotation})
        calibration = self._calibrations[sensor]
        height, width = self._size if sensor == CAMERA else (0, 0)
        self.rows[sensor].append(
            {
                "token": token(*self.key, "sample_data", name),
                "sample_token": self.samples[sample],
                "ego_pose_token": pose,
                "calibrated_sensor_token": calibration["token"],
                "timestamp": timestamp,
                "fileformat": "jpg" if sensor == CAMERA else "pcd",
                "is_key_frame": key_frame,
                "height": height,
                "width": width,
                "filename": name,
                "prev": "",
                "next": "",
            }
        )
        return name

    def tables(self) -> Tables:
        """All rows of this scene; recordings are chained only where the sweeps between key frames exist."""
        if self.recording.sweeps:
            for rows in self.rows.values():
                _chain(rows)
        log = token(*self.key, "log")
        scene = token(*self.key, "scene")
        times = [self._timestamp(t + SCANNER_DELAY) for t in self.recording.key_times]
        samples = [
            {"token": sample, "timestamp": time, "prev": "", "next": "", "scene_token": scene}
            for sample, time in zip(self.samples, times, strict=True)
        ]
        _chain(samples)
        return {
            "sample_data": self.rows[CAMERA] + self.rows[LIDAR],
            "ego_pose": self.poses,
            "calibrated_sensor": list(self._calibrations.values()),
            "sample": samples,
            "scene": [
                {
                    "token": scene,
                    "log_token": log,
                    "nbr_samples": len(samples),
                    "first_sample_token": self.samples[0],
                    "last_sample_token": self.samples[-1],
                    "name": self.recording.scenes[self.condition],
                    "description": f"{DESCRIPTIONS[self.condition]}, {self.recording.kind}",
                }
            ],
            "log": [
                {
                    "token": log,
                    "logfile": self.log_name,
                    "vehicle": self.recording.vehicle.name,
                    "date_captured": self.log_name[5:15],
                    "location": "synthetic-street",
                }
            ],
        }

    def _timestamp(self, time: float) -> int:
        return self.start_us + round(time * 1e6)

    def _calibration_rows(self, camera: Camera) -> dict[str, dict]:
        vehicle, self._size = self.recording.vehicle, camera.size
        sensors = {
            CAMERA: (vehicle.camera_translation, vehicle.camera_rotation, camera.K.tolist()),
            LIDAR: (vehicle.lidar_translation, vehicle.lidar_rotation, []),
        }
        return {
            sensor: {
                "token": token(*self.key, "calibrated_sensor", sensor),
                "sensor_token": token("sensor", sensor),
                "translation": list(translation),
                "rotation": list(rotation),
                "camera_intrinsic": K,
            }
            for sensor, (translation, rotation, K) in sensors.items()
        }


def picture_times(recording: Recording) -> list[tuple[float, int, bool]]:
    """Time [s], key frame number and whether it is the key frame itself, of all pictures in the order of time."""
    steps = (-1, 0, 1) if recording.sweeps else (0,)
    return [(time + SWEEP * step, k, step == 0) for k, time in enumerate(recording.key_times) for step in steps]


def write_tables(root: Path, parts: list[Tables]) -> None:
    """Write the thirteen tables of all scenes.

    Args:
        root: folder of the data set.
        parts: the rows of every scene.
    """
    names = ("sample_data", "ego_pose", "calibrated_sensor", "sample", "scene", "log")
    tables: Tables = {name: [row for part in parts for row in part[name]] for name in names}
    sensors = ((CAMERA, "camera"), (LIDAR, "lidar"))
    levels = ("v0-40", "v40-60", "v60-80", "v80-100")
    logs = [row["token"] for row in tables["log"]]
    tables |= {
        "sensor": [{"token": token("sensor", name), "channel": name, "modality": kind} for name, kind in sensors],
        "map": [{"token": token("map"), "log_tokens": logs, "category": "semantic_prior", "filename": MAP_FILE}],
        "category": [{"token": token("category"), "name": "vehicle.car", "description": "car"}],
        "visibility": [{"token": str(k + 1), "level": level, "description": level} for k, level in enumerate(levels)],
        "attribute": [],
        "instance": [],
        "sample_annotation": [],
    }
    (root / VERSION).mkdir(parents=True)
    for name, rows in tables.items():
        (root / VERSION / f"{name}.json").write_text(json.dumps(rows, indent=0, allow_nan=False) + "\n")


def _chain(rows: list[dict]) -> None:
    """Link rows in the order of time through prev and next."""
    for first, second in pairwise(rows):
        first["next"], second["prev"] = second["token"], first["token"]
