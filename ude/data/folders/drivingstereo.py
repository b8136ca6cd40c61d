"""DrivingStereo (https://drivingstereo-dataset.github.io) as a source of frames by day."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

from .calibration import checked_intrinsics, entry, read_key_values
from .depth_png import sparse_png_depth
from .drives import Drive
from .frames import FolderFrames
from .listing import first_size, image_files, listed_frames, subfolders

WEATHER = {"sunny": "day-clear", "cloudy": "day-clear", "foggy": "day-rain", "rainy": "day-rain"}
"""Condition of each weather subset; fog has none of its own and counts as bad weather by day."""
SPLITS = ("train", "test", *WEATHER)
MAX_GAP_S = 0.5
"""Images further apart are no neighbours; the data set has about five a second."""
_BREAK = 1_000_000
_DEPTH_FOLDERS = {
    "train-left-image": "train-depth-map",
    "test-left-image": "test-depth-map",
    "left-image-full-size": "depth-map-full-size",
    "left-image-half-size": "depth-map-half-size",
}


class DrivingStereoFrames(FolderFrames):
    """Left images of DrivingStereo with their depth maps; all by day, without poses.

    Layout, as the archives unpack::

        <root>/train-left-image/<sequence>/<sequence>_<time>.jpg          train-depth-map/<sequence>/....png
        <root>/test-left-image/left-image-half-size/<sequence>_<time>.jpg test-depth-map/depth-map-half-size/....png
        <root>/<weather>/left-image-full-size/<sequence>_<time>.png       <weather>/depth-map-full-size/....png
        <root>/calib/half-image-calib/<sequence>.txt, full-image-calib/<sequence>.txt

    The folders of the calibration may lie in the root or in any folder of it, a weather folder may hold itself once
    more, and of full and half size, full is taken. Depth maps hold 256 times the metres in 16 bits, from several LiDAR
    sweeps, filtered. A frame is called by its file, in the weather subsets with the weather in front. Neighbours are
    images of a sequence that follow each other within half a second; the weather subsets and the test set are samples
    of drives, where few have any, so that training means ``train``.

    Args:
        root: the folder.
        split: ``train``, ``test``, ``sunny``, ``cloudy``, ``foggy``, ``rainy``, or a text file with ``frame_id
            condition`` lines.
        conditions: keep frames of these recording conditions only; None keeps all. See ``WEATHER``.
        offsets: neighbours that every frame must have.

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
    ) -> None:
        root, listed = Path(root), listed_frames(split, SPLITS)
        drives = [drive for name in ([split] if listed is None else SPLITS) for drive in _drives(root, name)]
        if not drives:
            raise DataError(f"{root}: holds no left images of split {split}; download and unpack them there")
        super().__init__(root, drives, split=split, listed=listed, conditions=conditions, offsets=offsets)

    def lidar_path(self, index: int) -> Path | None:
        """The depth map of a frame; None where it was not downloaded."""
        path = self._depth_path(index)
        return path if path.is_file() else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths [m], float32 (N,), of its depth map.

        Raises:
            DataError: when it is missing, damaged or of another size than the image.
        """
        return sparse_png_depth(self._depth_path(index), self.native_size(index))

    def _depth_path(self, index: int) -> Path:
        drive, position = self._place(index)
        parts = [_DEPTH_FOLDERS.get(part, part) for part in drive.folder.relative_to(self.root).parts]
        return self.root.joinpath(*parts, f"{drive.stem(position)}.png")


def _drives(root: Path, split: str) -> Iterator[Drive]:
    """The drives of a split that are there."""
    prefix = f"{split}_" if split in WEATHER else ""
    for folder in _image_folders(root, split):
        for sequence, names in groupby(image_files(folder), key=lambda name: name.split("_")[0]):
            files = [*names]
            size = first_size(folder, files)
            yield Drive(
                scene=prefix + sequence,
                folder=folder,
                files=np.array(files),
                numbers=_numbers([folder / name for name in files]),
                condition=WEATHER.get(split, "day-clear"),
                K=_intrinsics(root, sequence, size, full="left-image-full-size" in folder.parts),
                size=size,
                prefix=prefix,
            )


def _image_folders(root: Path, split: str) -> list[Path]:
    """The folders that hold the images of a split."""
    if split == "train":
        return [folder for folder in subfolders(root / "train-left-image") if image_files(folder)]
    base = root / ("test-left-image" if split == "test" else split)
    places = [base / inner / f"left-image-{size}-size" for size in ("full", "half") for inner in ("", split)]
    return [place for place in [*places, base] if image_files(place)][:1]


def _numbers(paths: Sequence[Path]) -> np.ndarray:
    """Numbers of the images of a sequence, int64 (N,): the next image has the next number, but not after a gap."""
    times = np.array([_time(path) for path in paths])
    return np.cumsum(np.where(np.diff(times, prepend=times[:1]) > MAX_GAP_S, _BREAK, 1))


def _time(path: Path) -> float:
    """Time of an image [s], from its name."""
    moment, _, milliseconds = path.stem.partition("_")[2].rpartition("-")
    try:
        return datetime.strptime(moment, "%Y-%m-%d-%H-%M-%S").timestamp() + int(milliseconds) / 1000
    except ValueError as error:
        raise DataError(f"{path}: the name must be <sequence>_<year-month-day-hour-minute-second-ms>") from error


def _intrinsics(root: Path, sequence: str, size: tuple[int, int], *, full: bool) -> np.ndarray:
    """K of the left camera, float64 (3, 3), for images of the full or of half the size."""
    kind = f"{'full' if full else 'half'}-image-calib"
    patterns = (f"{kind}/{sequence}.txt", f"*/{kind}/{sequence}.txt", f"{kind}/{kind}/{sequence}.txt")
    path = next((path for pattern in patterns for path in sorted(root.glob(pattern))), None)
    if path is None:
        raise MissingFileError(f"{root}: no {kind}/{sequence}.txt in it; download the calibration of DrivingStereo")
    rows = read_key_values(path)
    width, height = entry(rows, "S_rect_101", (2,), path)
    if abs(height / size[0] - 1) > 0.01 or abs(width / size[1] - 1) > 0.01:
        raise DataError(
            f"{path}: belongs to images of {height:g} x {width:g}, but {sequence} has {size[0]} x {size[1]} (height x "
            "width); use the original images and their calibration"
        )
    return checked_intrinsics(entry(rows, "P_rect_101", (3, 4), path)[:, :3], size, path)
