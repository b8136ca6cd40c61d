"""Intrinsics from files of several forms, checked against the images that they belong to."""

from pathlib import Path

import numpy as np

from ude.files import DataError, MissingFileError


def read_key_values(path: Path) -> dict[str, np.ndarray]:
    """Numbers of a calibration file of ``key: number number ...`` lines, as KITTI and DrivingStereo have them.

    Raises:
        DataError: when there is no such file, or it is no text.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such calibration file; download the calibration of this data set")
    rows: dict[str, np.ndarray] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, text = line.partition(":")
        try:
            rows[key.strip()] = np.array([float(word) for word in text.split()])
        except ValueError:
            continue  # a date
    return rows


def entry(rows: dict[str, np.ndarray], key: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """One entry of a calibration file in its shape, float64.

    Raises:
        DataError: when it is missing, has another number of numbers or one that is not finite.
    """
    values = rows.get(key)
    if values is None or values.size != np.prod(shape) or not np.isfinite(values).all():
        found = "nothing" if values is None else " ".join(f"{value:g}" for value in values)
        raise DataError(f"{path}: {key} must be {np.prod(shape)} numbers, got {found}; download the calibration again")
    return values.reshape(shape)


def checked_intrinsics(K: np.ndarray, size: tuple[int, int], path: Path) -> np.ndarray:
    """K, float64 (3, 3), if it may belong to an image of a size.

    Args:
        K: intrinsics [px], (3, 3).
        size: (height, width) of the image [px].
        path: file that K comes from.

    Raises:
        DataError: when the focal lengths are not positive or differ by more than a factor of two, or the centre is
            more than a quarter of the image away from the image's.
    """
    K = np.asarray(K, np.float64)
    height, width = size
    fits = (
        np.isfinite(K).all()
        and K[0, 0] > 0
        and 0.5 < K[1, 1] / K[0, 0] < 2
        and abs(K[0, 2] / width - 0.5) < 0.25
        and abs(K[1, 2] / height - 0.5) < 0.25
        and K[0, 1] == K[1, 0] == 0
        and tuple(K[2]) == (0, 0, 1)
    )
    if not fits:
        raise DataError(
            f"{path}: {K.round(3).tolist()} are no intrinsics of an image of {height} x {width} (height x width); "
            "give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels of that size"
        )
    return K


def rigid_transform(rotation: np.ndarray, translation: np.ndarray, path: Path) -> np.ndarray:
    """Transform, float64 (4, 4), of a rotation (3, 3) and a translation [m] (3,).

    Raises:
        DataError: when the rotation is none, by more than the rounding of published files.
    """
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise DataError(f"{path}: {rotation.round(3).tolist()} is no rotation; download the calibration again")
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, translation
    return T
