"""Making the files of prepared RobotCar frames: straightened colour images and the depth of accumulated laser scans."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ude.data.lidar import nearest_projection
from ude.files import DataError, MissingFileError, sha256, write_bytes, write_image

from .calibration import Calibration
from .ground_truth import write_ground_truth
from .progress import IMAGE_KEYS
from .recording import Recording
from .scans import ScanCloud, scan_cloud
from .trajectory import Motions
from .undistortion import Undistortion, demosaic, read_mosaic

_TOP = 0.8
"""Share of the rows, from the top, whose brightness is judged: the rest shows the car's bonnet."""


@dataclass(frozen=True)
class Preparation:
    """How frames are prepared; a folder holds frames of one way only.

    Attributes:
        margin: scans this long before and after an image are accumulated [s].
        poses: ``vo``, ``ins`` or ``rtk``: what moves the scans together.
        interpolation: ``linear``, or ``floor`` for parity with the RobotCar SDK.
        camera: one of ``CAMERAS``.
        image_format: ``png``, exact, or ``jpg``, quality 95 without chroma subsampling: a quarter of the space.
    """

    margin: float = 4.0
    poses: str = "vo"
    interpolation: str = "linear"
    camera: str = "stereo_wide_left"
    image_format: str = "png"


class FrameMaker:
    """Prepares frames of one traverse.

    Args:
        recording: the raw traverse.
        calibration: of the camera and the sensors.
        preparation: how.
        motions: of the traverse.
        size: (height, width) of the images [px].
        folder: where the files go, into ``images/`` and ``lidar/``.
    """

    def __init__(
        self,
        recording: Recording,
        calibration: Calibration,
        preparation: Preparation,
        motions: Motions,
        *,
        size: tuple[int, int],
        folder: Path,
    ) -> None:
        self.recording, self.calibration, self.preparation = recording, calibration, preparation
        self.motions, self.size, self.folder = motions, size, folder
        self._straighten = Undistortion(calibration.lookup, size)
        self._margin_us = round(preparation.margin * 1e6)

    def make(self, frames: Mapping[int, dict[str, Any] | None]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
        """Writes the files of consecutive frames.

        Args:
            frames: by their times [us], ascending, what rows say about the images that are made already, or None.

        Returns:
            A row for each frame made, and a line for each damaged image and each damaged scan.
        """
        cloud, damaged_scans = self._cloud(list(frames))
        rows, damaged_images = [], []
        for time, made in frames.items():
            try:
                image = made or self._image(time)
            except MissingFileError:
                continue
            except DataError as error:
                damaged_images.append(str(error))
                continue
            rows.append({"timestamp": time, **image, **self._pose(time), **self._depth(time, cloud)})
        return rows, damaged_images, damaged_scans

    def _image(self, time: int) -> dict[str, Any]:
        """Writes the image; its part of the row."""
        path, raw = self.recording.image_path(time), self.recording.image_state(time)
        mosaic = read_mosaic(path)
        if mosaic.shape != self.size:
            raise DataError(f"image {path} is {mosaic.shape}, others of the traverse {self.size}; download it again")
        image = self._straighten(demosaic(mosaic))
        name = f"images/{time}.{self.preparation.image_format}"
        _write(self.folder / name, image)
        top = image[:, : round(_TOP * self.size[0])]
        brightness = int(top.sum()) / (255 * top.numel())
        return dict(zip(IMAGE_KEYS, (_entry(self.folder, name), brightness, raw), strict=True))

    def _cloud(self, times: list[int]) -> tuple[ScanCloud | None, list[str]]:
        """All scans that the frames can see."""
        listed = self.recording.scan_times
        trajectory = self.motions.scans
        if trajectory is None or not len(listed):
            return None, []
        begin = np.searchsorted(listed, times[0] - self._margin_us, side="left")
        end = np.searchsorted(listed, times[-1] + self._margin_us, side="right")
        T_sensor_laser = self.calibration.T_vehicle_laser
        if self.preparation.poses != "vo":
            T_sensor_laser = np.linalg.inv(self.calibration.T_vehicle_ins) @ T_sensor_laser
        interpolation = self.preparation.interpolation
        return scan_cloud(self.recording.scans, listed[begin:end], trajectory, T_sensor_laser, interpolation)

    def _depth(self, time: int, cloud: ScanCloud | None) -> dict[str, Any]:
        """Writes the depth; its part of the row."""
        if cloud is None:
            return {"lidar": None, "scans": {}}
        floor = self.preparation.interpolation == "floor"
        T_start_sensor, section = self.motions.scans.at(np.array([time]), self.preparation.interpolation)
        window = cloud.around(time, int(section[0]), self._margin_us, drop_last=floor)
        if section[0] < 0 or not len(window.points):
            return {"lidar": None, "scans": window.counts()}
        T_camera_start = self._T_camera_sensor(self.preparation.poses) @ np.linalg.inv(T_start_sensor[0])
        points = window.points @ T_camera_start[:3, :3].T + T_camera_start[:3, 3]
        index, depth = nearest_projection(points, self.calibration.K, self.size)
        if not len(index):
            return {"lidar": None, "scans": window.counts()}
        name = f"lidar/{time}.npz"
        write_ground_truth(self.folder / name, index, depth, self._header(window))
        return {"lidar": {**_entry(self.folder, name), "pixels": len(index)}, "scans": window.counts()}

    def _pose(self, time: int) -> dict[str, Any]:
        """Where the camera was, from VO where there is VO; None in a gap."""
        if self.motions.camera is None:
            return {"section": -1, "T_start_camera": None}
        T, section = self.motions.camera.at(np.array([time]))
        if section[0] < 0:
            return {"section": -1, "T_start_camera": None}
        T_start_camera = T[0] @ np.linalg.inv(self._T_camera_sensor(self.motions.camera_source))
        return {"section": int(section[0]), "T_start_camera": T_start_camera[:3].tolist()}

    def _T_camera_sensor(self, poses: str) -> np.ndarray:  # noqa: N802 (T is a transform)
        """To the camera from what the poses are poses of: the vehicle for VO, else the inertial sensor."""
        T = self.calibration.T_camera_vehicle
        return T if poses == "vo" else T @ self.calibration.T_vehicle_ins

    def _header(self, window: ScanCloud) -> dict[str, Any]:
        return {
            "schema": 1,
            "traverse": self.recording.name,
            "camera": self.preparation.camera,
            "size": list(self.size),
            "margin_s": self.preparation.margin,
            "poses": self.preparation.poses,
            "interpolation": self.preparation.interpolation,
            "scans": window.counts(),
            "calibration_sha256": self.calibration.digest,
        }


def _write(path: Path, image: Tensor) -> None:
    """Writes an image, uint8 (3, H, W), as its suffix says."""
    if path.suffix == ".png":
        from torchvision.io import encode_png

        write_bytes(path, encode_png(image, compression_level=1).numpy().tobytes())
    else:
        write_image(path, image.permute(1, 2, 0).numpy())


def _entry(folder: Path, name: str) -> dict[str, Any]:
    return {"path": name, "bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
