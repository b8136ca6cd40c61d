"""nuScenes tables, read through the devkit, and what the records in them mean."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ude.files import DataError, MissingFileError

if TYPE_CHECKING:
    from nuscenes import NuScenes

CAMERA = "CAM_FRONT"
LIDAR = "LIDAR_TOP"
TABLES = (
    *("attribute", "calibrated_sensor", "category", "ego_pose", "instance", "log", "map", "sample"),
    *("sample_annotation", "sample_data", "scene", "sensor", "visibility"),
)
_DAMAGE = (AssertionError, AttributeError, KeyError, IndexError, OSError, TypeError, ValueError)
"""What the devkit raises on tables that are damaged or do not belong together."""


def table_files(root: Path, version: str) -> dict[str, Path]:
    """The file of every table of a version, by table.

    Raises:
        MissingFileError: when the folder or a table is missing; one line that names it and what to do.
    """
    folder = root / version
    if not root.is_dir():
        raise MissingFileError(
            f"{root}: no such folder; set DATA.ROOT to the folder that holds {version}/ and samples/"
        )
    if not folder.is_dir():
        present = ", ".join(sorted(path.name for path in root.glob("v*") if path.is_dir())) or "none"
        raise MissingFileError(
            f"{folder}: no such folder (versions in {root}: {present}); set DATA.VERSION, or unpack the metadata there"
        )
    files = {table: folder / f"{table}.json" for table in TABLES}
    for path in files.values():
        if not path.is_file():
            raise MissingFileError(f"{path}: no such table; unpack the metadata of {version} again")
    return files


def load_tables(root: Path, version: str) -> "NuScenes":
    """The devkit's tables of a nuScenes version.

    Raises:
        DataError: when the folder or a table is missing or damaged; one line that names it and what to do.
    """
    table_files(root, version)
    from PIL import Image

    pixel_limit = Image.MAX_IMAGE_PIXELS
    from nuscenes import NuScenes

    Image.MAX_IMAGE_PIXELS = pixel_limit  # the devkit's import lifts Pillow's guard against decompression bombs
    try:
        return NuScenes(version, str(root), verbose=False)
    except FileNotFoundError as error:
        raise MissingFileError(f"{error.filename}: no such file; unpack the metadata of {version} again") from error
    except _DAMAGE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(
            f"{root / version}: nuScenes cannot be read ({reason}); unpack the metadata and maps again"
        ) from error


@contextmanager
def broken_links_named(folder: Path) -> Iterator[None]:
    """Turns a token that leads nowhere, or a field that is missing or no text or number, into an error with a place."""
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{folder}: the tables lack {error.args[0]!r}, which another table refers to; unpack the metadata again"
        ) from error
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{folder}: a field of the tables is damaged ({reason}); unpack the metadata again") from error


def require_unique(tables: "NuScenes") -> None:
    """Check that no token or scene name stands in a table twice; the devkit takes the last one without a word.

    Raises:
        DataError: when one does.
    """
    for table in TABLES:
        rows = getattr(tables, table)
        if len(tables._token2ind[table]) < len(rows):
            refuse_repeated([row["token"] for row in rows], f"{tables.table_root}/{table}.json")
    refuse_repeated([row["name"] for row in tables.scene], f"{tables.table_root}/scene.json")


def refuse_repeated(values: list[str], place: str) -> None:
    """Check that no value stands twice in a column.

    Raises:
        DataError: when one does; names the place and the value.
    """
    count = Counter(values)
    for value in values:
        if count[value] > 1:
            raise DataError(f"{place}: {value!r} stands there {count[value]} times; unpack the metadata again")


def rigid_transform(row: dict[str, Any]) -> np.ndarray:
    """Rigid transform, float64 (3, 4), of a row with ``translation`` [m] and ``rotation`` (quaternion w, x, y, z).

    Raises:
        DataError: when it is none.
    """
    from nuscenes.utils.geometry_utils import transform_matrix
    from pyquaternion import Quaternion

    T = transform_matrix(row["translation"], Quaternion(row["rotation"]))
    if not np.isfinite(T).all() or abs(np.linalg.det(T[:3, :3]) - 1) > 1e-6:
        raise DataError(
            f"pose or calibration {row['token']}: translation {row['translation']} and rotation {row['rotation']} "
            "are no rigid motion; unpack the metadata again"
        )
    return T[:3]


def camera_intrinsics(row: dict[str, Any], record: dict[str, Any]) -> np.ndarray:
    """K [px], float64 (3, 3), of a row of ``calibrated_sensor``.

    Args:
        row: the calibration.
        record: a row of ``sample_data`` of that camera.

    Raises:
        DataError: when it is no K of an image of the record's size.
    """
    try:
        K = np.array(row["camera_intrinsic"], np.float64)
    except (TypeError, ValueError):
        K = np.zeros(0)
    if not _fits(K, record["height"], record["width"]):
        raise DataError(
            f"calibrated_sensor {row['token']} of {record['filename']}: {row['camera_intrinsic']} are no intrinsics of "
            f"an image of {record['height']} x {record['width']} (height x width); unpack the metadata again"
        )
    return K


def _fits(K: np.ndarray, height: int, width: int) -> bool:
    """Whether K may belong to an image: square pixels within 10 %, the centre within 20 % of the image's."""
    if K.shape != (3, 3) or not np.isfinite(K).all() or min(height, width) <= 0:
        return False
    (fx, skew, cx), (_, fy, cy), last = K
    return bool(
        fx > 0
        and abs(fy / fx - 1) < 0.1
        and abs(cx / width - 0.5) < 0.2
        and abs(cy / height - 0.5) < 0.2
        and skew == K[1, 0] == 0
        and (last == (0, 0, 1)).all()
    )
