"""nuScenes tables, read through the devkit, and what the records in them mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ude.data.sample import CONDITIONS
from ude.files import DataError, MissingFileError

if TYPE_CHECKING:
    from nuscenes import NuScenes

CAMERA = "CAM_FRONT"
LIDAR = "LIDAR_TOP"
_DAMAGE = (AssertionError, AttributeError, KeyError, IndexError, OSError, TypeError, ValueError)
"""What the devkit raises on tables that are damaged or do not belong together."""


class KeyFrame(NamedTuple):
    """A camera key frame of the tables.

    Attributes:
        frame_id: stem of its image file.
        record: its row of ``sample_data``.
        scene: name of its scene.
        condition: recording condition, one of ``CONDITIONS``.
    """

    frame_id: str
    record: dict[str, Any]
    scene: str
    condition: str


def load_tables(root: Path, version: str) -> "NuScenes":
    """The devkit's tables of a nuScenes version.

    Raises:
        DataError: when the folder or a table is missing or damaged; one line that names it and what to do.
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
    from PIL import Image

    pixel_limit = Image.MAX_IMAGE_PIXELS
    from nuscenes import NuScenes

    Image.MAX_IMAGE_PIXELS = pixel_limit  # the devkit's import lifts Pillow's guard against decompression bombs
    try:
        return NuScenes(version, str(root), verbose=False)
    except FileNotFoundError as error:
        raise MissingFileError(f"{error.filename}: no such table; unpack the metadata of {version} again") from error
    except _DAMAGE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"{folder}: nuScenes cannot be read ({reason}); unpack the metadata and maps again") from error


@contextmanager
def broken_links_named(folder: Path) -> Iterator[None]:
    """Turns a token that leads nowhere into an error that names the folder of the tables."""
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{folder}: the tables lack {error.args[0]!r}, which another table refers to; unpack the metadata again"
        ) from error


def scene_condition(description: str) -> str:
    """Recording condition of a scene, from the words ``night`` and ``rain`` in its description."""
    text = description.lower()
    return f"{'night' if 'night' in text else 'day'}-{'rain' if 'rain' in text else 'clear'}"


def key_frames(tables: "NuScenes") -> list[KeyFrame]:
    """All front-camera key frames, by scene and time."""
    frames = []
    for sample in tables.sample:
        record = tables.get("sample_data", sample["data"][CAMERA])
        scene = tables.get("scene", sample["scene_token"])
        frame_id = Path(record["filename"]).stem
        frames.append(KeyFrame(frame_id, record, scene["name"], scene_condition(scene["description"])))
    return sorted(frames, key=lambda frame: (frame.scene, frame.record["timestamp"]))


def neighbour(tables: "NuScenes", record: dict[str, Any], offset: int) -> dict[str, Any] | None:
    """The ``sample_data`` row ``offset`` images later (earlier, if negative) of the same camera, None past an end."""
    for _ in range(abs(offset)):
        token = record["next" if offset > 0 else "prev"]
        if not token:
            return None
        record = tables.get("sample_data", token)
    return record


def global_pose(tables: "NuScenes", record: dict[str, Any]) -> np.ndarray:
    """``T_global_sensor``, float64 (4, 4), of the sensor of a ``sample_data`` row at its own time."""
    ego = tables.get("ego_pose", record["ego_pose_token"])
    sensor = tables.get("calibrated_sensor", record["calibrated_sensor_token"])
    return _transform(ego) @ _transform(sensor)


def camera_intrinsics(tables: "NuScenes", record: dict[str, Any]) -> np.ndarray:
    """K [px], float64 (3, 3), of the calibration that a camera row of ``sample_data`` refers to.

    Raises:
        DataError: when it is no K of an image of the row's size.
    """
    row = tables.get("calibrated_sensor", record["calibrated_sensor_token"])
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
    if K.shape != (3, 3) or not np.isfinite(K).all():
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


def _transform(row: dict[str, Any]) -> np.ndarray:
    """Rigid transform, float64 (4, 4), of a row with ``translation`` [m] and ``rotation`` (quaternion w, x, y, z)."""
    from nuscenes.utils.geometry_utils import transform_matrix
    from pyquaternion import Quaternion

    T = transform_matrix(row["translation"], Quaternion(row["rotation"]))
    if not np.isfinite(T).all() or abs(np.linalg.det(T) - 1) > 1e-6:
        raise DataError(
            f"pose or calibration {row['token']}: translation {row['translation']} and rotation {row['rotation']} "
            "are no rigid motion; unpack the metadata again"
        )
    return T


def read_split(path: Path) -> dict[str, tuple[str, int]]:
    """Condition and line number of every frame_id of a split file with ``frame_id condition`` lines.

    Raises:
        DataError: when the file is missing, or a line has another form, an unknown condition or a frame_id again.
    """
    if not path.is_file():
        raise MissingFileError(
            f"{path}: neither the name of a nuScenes split nor a file; give train, val, ... or a file"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file; give a file with 'frame_id condition' lines") from error
    frames: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in CONDITIONS:
            raise DataError(
                f"{path}:{number}: expected 'frame_id condition' with a condition of {', '.join(CONDITIONS)}, "
                f"got {line!r}"
            )
        if words[0] in frames:
            raise DataError(f"{path}:{number}: {words[0]} stands in line {frames[words[0]][1]} already; remove one")
        frames[words[0]] = (words[1], number)
    return frames
