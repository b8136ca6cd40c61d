"""Raw KITTI (https://www.cvlibs.net/datasets/kitti/raw_data.php) as a source of frames."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ude.files import DataError

from .calibration import checked_intrinsics, entry, read_key_values, rigid_transform
from .drives import Drive
from .frames import FolderFrames
from .listing import image_files, listed_frames, subfolders
from .oxts import T_world_imu, read_oxts, speed
from .velodyne import kitti_projection, read_velodyne

SPLITS = ("all",)
CAMERAS = ("02", "03")
CONDITION = "day-clear"


class KittiFrames(FolderFrames):
    """Synced and rectified colour images of KITTI's drives, by day, with LiDAR depth and, with oxts files, poses.

    Layout::

        <root>/<date>/calib_cam_to_cam.txt, calib_velo_to_cam.txt, calib_imu_to_velo.txt
        <root>/<date>/<drive>/image_02/data/<frame, ten digits>.png or .jpg     (and image_03)
        <root>/<date>/<drive>/velodyne_points/data/<frame>.bin
        <root>/<date>/<drive>/oxts/data/<frame>.txt

    K is the left part of the camera's P_rect; the shift of that camera against camera 0 is in its pose. A frame is
    called ``<drive>_<camera>_<frame>``, such as ``2011_09_26_drive_0001_sync_02_0000000005``; a drive whose folder
    does not start with its date gets the date in front. Both cameras of a drive are one scene. Neighbours are the
    frames with the next numbers, at 10 Hz.

    Args:
        root: folder of the dates.
        split: ``all``, or a text file with ``frame_id condition`` lines.
        conditions: keep frames of these recording conditions only; all frames of KITTI are ``day-clear``.
        offsets: neighbours that every frame must have.
        min_speed: smallest speed of the car [m/s]; above 0 it is read from the oxts files at the first start.
        index_root: folder where the speeds are kept, so that they are read once; None is the user's cache.

    Attributes:
        left_out: number of frames left out, by reason: ``no neighbour``, ``slow``.

    Raises:
        DataError: when the data set is missing or damaged, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "all",
        conditions: Sequence[str] | None = None,
        offsets: Sequence[int] = (),
        min_speed: float = 0.0,
        index_root: str | Path | None = None,
    ) -> None:
        root, listed = Path(root), listed_frames(split, SPLITS)
        drives = _drives(root)
        if not drives:
            raise DataError(f"{root} holds no <date>/<drive>/image_02/data with images; DATA.ROOT must be raw KITTI")
        super().__init__(root, drives, split=split, listed=listed, conditions=conditions, offsets=offsets)
        self._transforms: dict[tuple[Path, str], np.ndarray] = {}
        self._leave_out_slow(_oxts_file, _speed, min_speed=min_speed, split=split, index_root=index_root)

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m], from the GPS/IMU unit.

        Raises:
            DataError: when the drive has no oxts files.
        """
        return float(np.linalg.norm(self.T_source_target(index, offset)[:3, 3]))

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, from the GPS/IMU unit, float64 (4, 4).

        Raises:
            DataError: when the drive has no oxts files.
        """
        drive, target = self._place(index)
        source = self._place(index, offset)[1]
        oxts = [read_oxts(Path(*_oxts_file(drive, place))) for place in (source, target)]
        T_world_source, T_world_target = (T_world_imu(row, oxts[1][0]) for row in oxts)
        T_camera_imu = self._transform(drive, "imu")
        return T_camera_imu @ np.linalg.inv(T_world_source) @ T_world_target @ np.linalg.inv(T_camera_imu)

    def lidar_path(self, index: int) -> Path | None:
        """The velodyne sweep of a frame; None where the drive has none for it (a few drives lack some)."""
        drive, position = self._place(index)
        path = _beside(drive, "velodyne_points", position, ".bin")
        return path if path.is_file() else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths [m], float32 (N,), by KITTI's own rules.

        Raises:
            DataError: when the LiDAR file is missing or damaged.
        """
        drive, position = self._place(index)
        points = read_velodyne(_beside(drive, "velodyne_points", position, ".bin"))
        return kitti_projection(points, self._transform(drive, "velodyne"), drive.K, drive.size)

    def _transform(self, drive: Drive, sensor: str) -> np.ndarray:
        """``T_camera_velodyne`` or ``T_camera_imu`` of a drive, float64 (4, 4), from its files the first time."""
        key = (drive.folder, sensor)
        if key not in self._transforms:
            T_camera_velodyne = _T_camera_velodyne(drive)
            self._transforms[key] = (
                T_camera_velodyne if sensor == "velodyne" else T_camera_velodyne @ _T_velodyne_imu(drive)
            )
        return self._transforms[key]


def _drives(root: Path) -> list[Drive]:
    """The drives of all dates, one for each camera."""
    found = []
    for date in subfolders(root):
        if not (date / "calib_cam_to_cam.txt").is_file():
            continue
        rows = read_key_values(date / "calib_cam_to_cam.txt")
        for drive in subfolders(date):
            found += [row for camera in CAMERAS if (row := _drive(drive, camera, rows)) is not None]
    return found


def _drive(folder: Path, camera: str, rows: Mapping[str, np.ndarray]) -> Drive | None:
    """One camera of a drive, None where it has no images."""
    images, date, calibration = (
        folder / f"image_{camera}" / "data",
        folder.parent,
        folder.parent / "calib_cam_to_cam.txt",
    )
    files = [name for name in image_files(images) if name.split(".")[0].isdecimal()]
    if not files:
        return None
    width, height = (int(side) for side in entry(rows, f"S_rect_{camera}", (2,), calibration))
    P = entry(rows, f"P_rect_{camera}", (3, 4), calibration)
    scene = folder.name if folder.name.startswith(date.name) else f"{date.name}_{folder.name}"
    return Drive(
        scene=scene,
        folder=images,
        files=np.array(files),
        numbers=np.array([int(name.split(".")[0]) for name in files], np.int64),
        condition=CONDITION,
        K=checked_intrinsics(P[:, :3], (height, width), calibration),
        size=(height, width),
        prefix=f"{scene}_{camera}_",
    )


def _T_camera_velodyne(drive: Drive) -> np.ndarray:  # noqa: N802 (T is a transform)
    """Maps velodyne points to the drive's camera, float64 (4, 4): its shift and the rectification included."""
    date, camera = drive.folder.parents[2], drive.folder.parent.name[-2:]
    cameras, velodyne = date / "calib_cam_to_cam.txt", date / "calib_velo_to_cam.txt"
    rows = read_key_values(cameras)
    P = entry(rows, f"P_rect_{camera}", (3, 4), cameras)
    T_rectified = rigid_transform(entry(rows, "R_rect_00", (3, 3), cameras), np.zeros(3), cameras)
    T_rectified[:3, 3] = np.linalg.solve(P[:, :3], P[:, 3])
    return T_rectified @ _rigid(velodyne)


def _T_velodyne_imu(drive: Drive) -> np.ndarray:  # noqa: N802 (T is a transform)
    """Maps points of the GPS/IMU unit to the velodyne, float64 (4, 4)."""
    return _rigid(drive.folder.parents[2] / "calib_imu_to_velo.txt")


def _rigid(path: Path) -> np.ndarray:
    rows = read_key_values(path)
    return rigid_transform(entry(rows, "R", (3, 3), path), entry(rows, "T", (3,), path), path)


def _oxts_file(drive: Drive, position: int) -> tuple[Path, str]:
    """Folder and name of the GPS/IMU file of an image of a drive."""
    return _oxts_folder(drive.folder), f"{drive.stem(position)}.txt"


@lru_cache(maxsize=1024)
def _oxts_folder(images: Path) -> Path:
    return images.parents[1] / "oxts" / "data"


def _speed(path: Path) -> float:
    return speed(read_oxts(path))


def _beside(drive: Drive, sensor: str, position: int, suffix: str) -> Path:
    """A file of another sensor for an image of a drive."""
    return drive.folder.parents[1] / sensor / "data" / f"{drive.stem(position)}{suffix}"
