"""A raw RobotCar traverse on disk: which frames and scans it lists, which are there, and under what condition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ude.data.sample import CONDITIONS
from ude.files import DataError, MissingFileError

from .calibration import CAMERAS, LASER, find_tags

_NAME = re.compile(r"\d{4}(-\d\d){5}")
KNOWN_CONDITIONS = {"2014-12-09-13-21-02": "day-clear", "2014-12-16-18-44-24": "night-clear"}
"""The two traverses of the published evaluations (md4all, RNW); others get theirs from the SDK's tags."""
_UNCLEAR = {"dusk", "snow"}
_TELLING = {"sun", "clouds", "overcast", "rain", "night"}


@dataclass(frozen=True)
class Recording:
    """A raw traverse.

    Attributes:
        folder: its folder, named by the start of the drive.
        condition: recording condition.
        images: folder of the images.
        image_times: times of all images that the traverse lists [us], int64 (N,), ascending.
        scans: folder of the laser's scans.
        scan_list: file that lists them.
        scan_times: times of all scans that it lists [us], int64 (S,), ascending; empty where it lists none.
    """

    folder: Path
    condition: str
    images: Path
    image_times: np.ndarray
    scans: Path
    scan_list: Path
    scan_times: np.ndarray

    @property
    def name(self) -> str:
        """Name of the traverse, such as ``2014-12-09-13-21-02``."""
        return self.folder.name

    def image_path(self, time: int) -> Path:
        """File of the image that was taken at a time [us]."""
        return self.images / f"{time}.png"

    def image_state(self, time: int) -> dict[str, int] | None:
        """Size and time of change of a raw image's file, to see when it is replaced; None where there is none."""
        try:
            state = self.image_path(time).stat()
        except OSError:
            return None
        return {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns}


def find_traverses(raw: Path, names: Sequence[str] = ()) -> list[Path]:
    """Folders of the traverses below a folder, all or those with the given names.

    Raises:
        MissingFileError: there is none, or one is missing.
    """
    if not raw.is_dir():
        raise MissingFileError(f"{raw}: no such folder; give the folder that holds the raw traverses")
    found = {path.name: path for path in sorted(raw.iterdir()) if path.is_dir() and _NAME.fullmatch(path.name)}
    if unknown := [name for name in names if name not in found]:
        raise MissingFileError(
            f"{raw}: no traverse {unknown[0]} (there are: {', '.join(found) or 'none'}); check --traverse"
        )
    if not found:
        raise MissingFileError(f"{raw}: no folder named like a traverse, such as 2014-12-09-13-21-02; check --raw")
    return [found[name] for name in dict.fromkeys(names)] or list(found.values())


def open_recording(folder: Path, *, camera: str, condition: str) -> Recording:
    """A raw traverse with the images of a camera.

    Raises:
        DataError: the list of its images is missing or damaged.
    """
    scan_list = folder / f"{LASER}.timestamps"
    return Recording(
        folder=folder,
        condition=condition,
        images=folder / CAMERAS[camera],
        image_times=read_times(folder / "stereo.timestamps"),
        scans=folder / LASER,
        scan_list=scan_list,
        scan_times=read_times(scan_list) if scan_list.is_file() else np.zeros(0, np.int64),
    )


def traverse_condition(traverse: str, *, sdk: str | Path = "", raw: Path) -> str:
    """Recording condition of a traverse: known, or by the SDK's tags, where ``night`` and ``rain`` count.

    Raises:
        DataError: nothing says which it is.
    """
    if traverse in KNOWN_CONDITIONS:
        return KNOWN_CONDITIONS[traverse]
    tags = find_tags(traverse, sdk=sdk, raw=raw)
    unclear = tags is None or _UNCLEAR & set(tags) or not _TELLING & set(tags)
    if unclear:
        said = f"its tags are {', '.join(tags) or 'empty'}" if tags is not None else "the SDK's tags do not have it"
        choices = ", ".join(CONDITIONS)
        raise DataError(
            f"{traverse}: condition unknown, {said}; give --condition {traverse}=NAME, NAME one of {choices}"
        )
    return f"{'night' if 'night' in tags else 'day'}-{'rain' if 'rain' in tags else 'clear'}"


def read_times(path: Path) -> np.ndarray:
    """The first numbers of the lines of a file of times [us], int64 (N,).

    Raises:
        DataError: the file is missing, empty or damaged, or its times do not ascend.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; it comes with every part of a traverse: download one again")
    words = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    try:
        times = np.array([int(line[0]) for line in words if line], np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: holds a line without a time ({error}); download it again") from error
    if not len(times) or (np.diff(times) <= 0).any():
        raise DataError(f"{path}: is empty or its times do not ascend; download it again")
    return times
