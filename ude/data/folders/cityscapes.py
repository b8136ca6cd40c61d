"""Cityscapes (https://arxiv.org/abs/1604.01685) as a source of frames by day."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ude.files import DataError, MissingFileError, read_json

from .calibration import checked_intrinsics
from .depth_png import read_png16
from .drives import Drive
from .frames import NO_POSES, FolderFrames
from .listing import image_files, listed_frames, subfolders

SPLITS = ("train", "val", "test")
SIZE = (1024, 2048)
"""(height, width) of all images [px]."""
FRAMES_PER_SECOND = 17
_IMAGE, _CAMERA, _VEHICLE, _DISPARITY = "leftImg8bit", "camera", "vehicle", "disparity"


class CityscapesFrames(FolderFrames):
    """Left images of Cityscapes, all by day in good weather; distances from the car's speed, depth from stereo.

    Layout, with ``<frame>`` for ``<city>_<six digits>_<six digits>``::

        <root>/leftImg8bit_sequence/<split>/<city>/<frame>_leftImg8bit.png   else leftImg8bit/..., without neighbours
        <root>/camera/<split>/<city>/<frame>_camera.json                     of some frames of a snippet, at least one
        <root>/vehicle_sequence/<split>/<city>/<frame>_vehicle.json          or vehicle/...; for distances
        <root>/timestamp_sequence/<split>/<city>/<frame>_timestamp.txt       for distances; else 17 frames a second
        <root>/disparity_sequence/<split>/<city>/<frame>_disparity.png       or disparity/...; for evaluation

    A frame has the calibration of the nearest frame of its recording that has one. Neighbours have the next numbers, so
    that snippets of 30 frames stay apart. The depth is baseline x fx / disparity of semi-global matching, dense and
    from the same images: no measurement like a LiDAR's. The bonnet covers the lower fifth of the images: set DATA.CROP.

    Args:
        root: the folder.
        split: ``train``, ``val``, ``test``, or a text file with ``frame_id condition`` lines.
        conditions: keep frames of these recording conditions only; all frames of Cityscapes are ``day-clear``.
        offsets: neighbours that every frame must have.
        min_speed: smallest speed of the car [m/s]; above 0 it is read from the vehicle files at the first start.
        index_root: folder where the speeds are kept, so that they are read once; None is the user's cache.

    Attributes:
        left_out: number of frames left out, by reason: ``no neighbour``, ``slow``.

    Raises:
        DataError: when something is missing or damaged, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "train",
        conditions: Sequence[str] | None = None,
        offsets: Sequence[int] = (),
        min_speed: float = 0.0,
        index_root: str | Path | None = None,
    ) -> None:
        root, listed = Path(root), listed_frames(split, SPLITS)
        drives = [drive for name in ([split] if listed is None else SPLITS) for drive in _drives(root, name)]
        if not drives:
            raise DataError(f"{root}: holds no {_IMAGE}_sequence/{split}/<city> with images; download and unpack them")
        super().__init__(root, drives, split=split, listed=listed, conditions=conditions, offsets=offsets)

        @cache
        def vehicle_files(images: Path) -> tuple[Path, Path, frozenset[str]]:
            every, annotated = self._folders(images, _VEHICLE)
            return every, annotated, frozenset(os.listdir(every)) if every.is_dir() else frozenset()

        def vehicle_file(drive: Drive, position: int) -> tuple[Path, str]:
            (every, annotated, names), name = vehicle_files(drive.folder), f"{drive.frame_id(position)}_vehicle.json"
            return every if name in names or not (annotated / name).is_file() else annotated, name

        self._leave_out_slow(vehicle_file, _speed, min_speed=min_speed, split=split, index_root=index_root)

    def distance(self, index: int, offset: int) -> float:
        """Distance between a frame and its neighbour [m]: the car's speed at the frame times the time between them.

        Raises:
            DataError: when the frame has no vehicle file.
        """
        drive, position = self._place(index)
        neighbour = self._place(index, offset)[1]
        speed = _speed(self._beside(drive, position, _VEHICLE, "json"))
        times = [self._beside(drive, place, "timestamp", "txt") for place in (position, neighbour)]
        if all(place.is_file() for place in times):
            return speed * abs(_nanoseconds(times[0]) - _nanoseconds(times[1])) * 1e-9
        return speed * abs(offset) / FRAMES_PER_SECOND

    def lidar_path(self, index: int) -> Path | None:
        """The disparity map of a frame; None where it was not downloaded."""
        path = self._beside(*self._place(index), _DISPARITY, "png")
        return path if path.is_file() else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths from stereo [m], float32 (N,).

        Raises:
            DataError: when the disparity map is missing or damaged.
        """
        drive, position = self._place(index)
        pixels = read_png16(self._beside(drive, position, _DISPARITY, "png"), drive.size).ravel()
        pixel = np.flatnonzero(pixels > 1)  # 0 = no match, 1 = infinitely far
        disparity = (pixels[pixel] - 1.0) / 256
        return pixel, (drive.baseline * drive.K[0, 0] / disparity).astype(np.float32)

    def _beside(self, drive: Drive, position: int, kind: str, suffix: str) -> Path:
        """The file of another kind for an image, among those of all frames or else those of the annotated ones."""
        name = f"{drive.frame_id(position)}_{kind}.{suffix}"
        places = [folder / name for folder in self._folders(drive.folder, kind)]
        return next((path for path in places if path.is_file()), places[0])

    def _folders(self, images: Path, kind: str) -> list[Path]:
        """The folders of a city for another kind of files than images: of all frames, and of the annotated ones."""
        return [self.root.joinpath(f"{kind}{of}", *images.parts[-2:]) for of in ("_sequence", "")]


def _drives(root: Path, split: str) -> Iterator[Drive]:
    """The snippets of a split: frames of a recording that follow each other without a gap."""
    cities = subfolders(root / f"{_IMAGE}_sequence" / split) or subfolders(root / _IMAGE / split)
    for city in cities:
        cameras = _camera_files(root / _CAMERA / split / city.name)
        files = sorted((*_numbers(city / name), name) for name in image_files(city))
        for (_, recording), rows in groupby(enumerate(files), key=lambda row: (row[1][1] - row[0], row[1][0])):
            snippet = [file for _, file in rows]
            numbers = np.array([number for _, number, _ in snippet], np.int64)
            scene = f"{city.name}_{recording:06d}"
            K, baseline = _calibration(_nearest_camera(cameras, scene, int(numbers[len(numbers) // 2])))
            yield Drive(
                scene=scene,
                folder=city,
                files=np.array([name for _, _, name in snippet]),
                numbers=numbers,
                condition="day-clear",
                K=K,
                size=SIZE,
                ending=f"_{_IMAGE}",
                baseline=baseline,
            )


def _numbers(path: Path) -> tuple[int, int]:
    """Number of the recording and of the frame, from the name of an image."""
    parts = path.stem.removesuffix(f"_{_IMAGE}").rsplit("_", 2)
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        raise DataError(f"{path}: the name must be <city>_<recording>_<frame>_{_IMAGE}; remove what is none of them")
    return int(parts[1]), int(parts[2])


def _camera_files(folder: Path) -> dict[str, dict[int, Path]]:
    """The camera files of a city, by recording and number of the frame."""
    found: dict[str, dict[int, Path]] = {}
    for path in folder.glob(f"*_{_CAMERA}.json"):
        recording, _, number = path.stem.removesuffix(f"_{_CAMERA}").rpartition("_")
        found.setdefault(recording, {})[int(number)] = path
    if not found:
        raise MissingFileError(f"{folder}: no camera files in it; download camera_trainvaltest of Cityscapes")
    return found


def _nearest_camera(cameras: Mapping[str, Mapping[int, Path]], recording: str, number: int) -> Path:
    """The camera file of a recording whose frame is the nearest to a number."""
    found = cameras.get(recording)
    if not found:
        folder = next(iter(next(iter(cameras.values())).values())).parent
        raise MissingFileError(f"{folder}: no {recording}_*_{_CAMERA}.json in it; download camera_trainvaltest again")
    return found[min(found, key=lambda other: (abs(other - number), other))]


def _calibration(path: Path) -> tuple[np.ndarray, float]:
    """K, float64 (3, 3), and the distance between the two cameras [m], of a camera file."""
    row = read_json(path)
    fx, fy, cx, cy = (_number(row, ("intrinsic", key), path) for key in ("fx", "fy", "u0", "v0"))
    K = checked_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), SIZE, path)
    baseline = _number(row, ("extrinsic", "baseline"), path)
    if not 0 < baseline < np.inf:
        raise DataError(f"{path}: extrinsic.baseline must be above 0 m, got {baseline:g}; download it again")
    return K, baseline


def _speed(path: Path) -> float:
    """Speed of the car [m/s], forwards or backwards, of a vehicle file."""
    try:
        return abs(_number(read_json(path), ("speed",), path))
    except MissingFileError as error:
        message = f"{path}: no such file, so no speed and no distance; download vehicle_sequence, or {NO_POSES}"
        raise MissingFileError(message) from error


def _number(row: Any, keys: Sequence[str], path: Path) -> float:
    """A number inside of a JSON object."""
    for key in keys:
        row = row.get(key) if isinstance(row, dict) else None
    if not isinstance(row, int | float) or isinstance(row, bool):
        raise DataError(f"{path}: {'.'.join(keys)} must be a number, got {row!r}; download it again")
    return float(row)


def _nanoseconds(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise DataError(f"{path}: expected one whole number of nanoseconds; download it again") from error
