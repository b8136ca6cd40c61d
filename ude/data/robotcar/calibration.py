"""Cameras and mounting positions of the RobotCar, from the files of its software development kit (SDK).

Frames of the vehicle and its sensors: x forward, y right, z down; of the camera: x right, y down, z forward.
"""

import hashlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError

CAMERAS = {
    "stereo_wide_left": "stereo/left",
    "stereo_wide_right": "stereo/right",
    "stereo_narrow_left": "stereo/centre",
}
"""Folder of a traverse that holds the images, by the SDK's name of the camera."""
LASER = "lms_front"
_MOUNTS = ("stereo", LASER, "ins")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """What the SDK says about a camera and where the sensors sit.

    Attributes:
        camera: name of the camera.
        K: intrinsics of its undistorted image [px], float64 (3, 3).
        lookup: for each pixel of the undistorted image, row by row, its place (u, v) in the raw one [px], float64
            (2, N).
        T_camera_vehicle: float64 (4, 4).
        T_vehicle_laser: float64 (4, 4).
        T_vehicle_ins: float64 (4, 4).
        digest: SHA-256 of the files it was read from.
    """

    camera: str
    K: np.ndarray
    lookup: np.ndarray
    T_camera_vehicle: np.ndarray
    T_vehicle_laser: np.ndarray
    T_vehicle_ins: np.ndarray
    digest: str


def read_calibration(camera: str, *, sdk: str | Path = "", raw: Path) -> Calibration:
    """Calibration of a camera from ``models/`` and ``extrinsics/``.

    The SDK's repository holds no look-up tables, which come with the data, so that each file is looked for by itself,
    in this order: ``sdk``; the folder of the raw traverses; the parents of the entries of the Python path, where the
    SDK's ``python`` folder may be. Where each was found is logged. The name of a file says which camera it is for.

    Args:
        camera: one of ``CAMERAS``.
        sdk: the SDK, or its ``python`` folder; "" leaves it out.
        raw: folder of the raw traverses.

    Raises:
        DataError: when a file is nowhere or damaged, or ``sdk`` has none; one line that names it and what to do.
    """
    names = [f"models/{camera}.txt", f"models/{camera}_distortion_lut.bin"]
    names += [f"extrinsics/{mount}.txt" for mount in _MOUNTS]
    files = _found(names, sdk, raw)
    model, lookup, *mounts = files
    numbers = _numbers(model, 20)
    K = np.array([[numbers[0], 0, numbers[2]], [0, numbers[1], numbers[3]], [0, 0, 1]])
    T_vehicle_stereo, T_vehicle_laser, T_vehicle_ins = (rigid_transforms(_numbers(path, 6)) for path in mounts)
    # the model maps image axes to the camera's own; the vehicle's extrinsics are given for the stereo camera
    T_own_camera = numbers[4:].reshape(4, 4)
    return Calibration(
        camera=camera,
        K=K,
        lookup=_lookup(lookup),
        T_camera_vehicle=np.linalg.inv(T_own_camera) @ T_vehicle_stereo,
        T_vehicle_laser=T_vehicle_laser,
        T_vehicle_ins=T_vehicle_ins,
        digest=hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest(),
    )


def find_tags(traverse: str, *, sdk: str | Path = "", raw: Path) -> list[str] | None:
    """Words such as ``night`` and ``rain`` that the SDK's ``tags`` give a traverse; None where it has no such file."""
    file = _first(f"tags/{traverse}.yaml", _places(sdk, raw))
    if file is None:
        return None
    lines = file.read_text(encoding="utf-8", errors="replace").replace("- ", "\n").splitlines()
    return [line.strip() for line in lines if line.strip()]


def rigid_transforms(values: np.ndarray) -> np.ndarray:
    """Transforms (..., 4, 4) of x, y, z [m], roll, pitch, yaw [rad] (..., 6): R = Rz(yaw) Ry(pitch) Rx(roll)."""
    values = np.asarray(values, np.float64)
    (sr, sp, sy), (cr, cp, cy) = (np.moveaxis(f(values[..., 3:]), -1, 0) for f in (np.sin, np.cos))
    T = np.zeros((*values.shape[:-1], 4, 4))
    T[..., 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], -1)
    T[..., 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], -1)
    T[..., 2, :3] = np.stack([-sp, cp * sr, cp * cr], -1)
    T[..., :3, 3] = values[..., :3]
    T[..., 3, 3] = 1
    return T


def _sdk_places(sdk: str | Path) -> list[Path]:
    return [Path(sdk), Path(sdk).absolute().parent] if sdk else []


def _places(sdk: str | Path, raw: Path) -> list[Path]:
    """Folders that may hold files of the SDK, in order."""
    return [*_sdk_places(sdk), raw, *(Path(entry).absolute().parent for entry in sys.path if entry)]


def _first(name: str, places: Sequence[Path]) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _found(names: Sequence[str], sdk: str | Path, raw: Path) -> list[Path]:
    """The files of these names, each from the first place that has it."""
    if sdk and not any(_first(name, _sdk_places(sdk)) for name in names):
        raise MissingFileError(
            f"{sdk}: no {names[0]} there; get the RobotCar SDK and set DATA.ROBOTCAR_SDK (or --sdk) to its folder"
        )
    files = [_first(name, _places(sdk, raw)) for name in names]
    if lacking := [name for name, file in zip(names, files, strict=True) if file is None]:
        raise MissingFileError(
            f"{' or '.join(str(place) for place in (sdk, raw) if place)}: no {', '.join(lacking)} there, nor beside an "
            "entry of PYTHONPATH; get the RobotCar SDK and set DATA.ROBOTCAR_SDK (or --sdk) to its folder; the look-up "
            "tables are not in its git repository, they come with the camera models of the data set's download page"
        )
    for file in files:
        _LOG.info("calibration: %s", file)
    return files


def _numbers(path: Path, count: int) -> np.ndarray:
    try:
        values = np.array(path.read_text(encoding="utf-8", errors="replace").split(), np.float64)
    except ValueError:
        values = np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise DataError(f"{path}: must hold {count} numbers; get this file of the RobotCar SDK again")
    return values


def _lookup(path: Path) -> np.ndarray:
    size = path.stat().st_size
    if size == 0 or size % 16:
        raise DataError(f"{path}: {size} bytes are no pairs of float64, so the file is cut; download it again")
    return np.fromfile(path, np.float64).reshape(2, -1)
