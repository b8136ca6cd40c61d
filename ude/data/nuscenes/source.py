"""Front-camera key frames of nuScenes (https://arxiv.org/abs/1903.11027) as a source of frames."""

import logging
from collections import Counter
from collections.abc import Sequence
from os.path import basename, splitext
from pathlib import Path

import numpy as np

from ude.data.images import read_rgb
from ude.data.lidar import dense_depth, devkit_projection, read_points, sparse_projection
from ude.data.sample import CONDITIONS
from ude.data.splits import EmptySplitError
from ude.files import DataError, safe_path

from .cache import load_index
from .index import TableIndex
from .poses import camera_poses, lidar_steps, squared
from .rules import RULES
from .selection import Selection, select_frames

logger = logging.getLogger(__name__)


class NuScenesFrames:
    """CAM_FRONT key frames of nuScenes, their neighbouring sweeps (12 Hz), poses and LiDAR depth.

    Every frame has the calibration of its own vehicle and drive. With ``offsets``, frames at the ends of a scene, which
    lack a neighbour, and frames slower than ``min_speed`` are left out and counted.

    With ``rules="md4all"`` conditions, order, static filter, ends of scenes, intrinsics and the rounding of the LiDAR
    projection are those of md4all, as data_splits/README.md describes. Without its static filter a scene's second and
    last but one frame occur twice there, with one frame_id.

    Args:
        root: folder that holds ``samples/``, ``sweeps/`` and the folder of the version.
        version: folder of the tables, such as ``v1.0-trainval``.
        split: one of ``SPLITS``, or a text file with ``frame_id condition`` lines, whose order and conditions are then
            used.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours to offer, counted in camera frames; empty for evaluation.
        min_speed: smallest mean speed [m/s] between a frame and its neighbours.
        rules: ``corrected`` or ``md4all``.
        index_root: folder where what is kept of the tables lies, so that they are read once; None is the user's cache.

    Attributes:
        rules: ``corrected`` or ``md4all``; they decide on the depth, too.
        left_out: number of frames left out, by reason: ``no neighbour``, ``slow``.

    Raises:
        DataError: when the data set is missing, incomplete or damaged, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        version: str = "v1.0-trainval",
        split: str = "train",
        conditions: Sequence[str] | None = None,
        offsets: Sequence[int] = (),
        min_speed: float = 0.0,
        rules: str = "corrected",
        index_root: str | Path | None = None,
    ) -> None:
        if unknown := set(conditions or ()) - set(CONDITIONS):
            raise ValueError(f"conditions must be among {', '.join(CONDITIONS)}, got {', '.join(sorted(unknown))}")
        if 0 in offsets or len(set(offsets)) != len(offsets):
            raise ValueError(f"offsets must be non-zero and differ, got {tuple(offsets)}")
        if rules not in RULES:
            raise ValueError(f"rules must be {' or '.join(RULES)}, got {rules}")
        self.root, self.offsets, self.rules = Path(root), tuple(offsets), rules
        index = load_index(self.root, version, index_root)
        chosen = select_frames(
            index,
            version=version,
            split=split,
            conditions=conditions or CONDITIONS,
            offsets=self.offsets,
            min_speed=min_speed,
            rules=rules,
        )
        self.left_out = Counter({"no neighbour": chosen.num_without_neighbour, "slow": chosen.num_slow})
        what = f"split {split} ({', '.join(conditions or ['all conditions'])}) in {self.root / version}"
        if self.offsets:
            what += f", of which {chosen.num_without_neighbour} lack a neighbour and {chosen.num_slow} are slower than "
            what += f"{min_speed:g} m/s"
        _report(chosen, what)
        self._keep(index, chosen)

    def __len__(self) -> int:
        return len(self._files)

    def frame_id(self, index: int) -> str:
        """Stem of the key frame's image file."""
        return splitext(basename(self._files[index, 0].decode()))[0]  # pathlib takes three times as long

    def condition(self, index: int) -> str:
        """Recording condition, one of ``CONDITIONS``."""
        return CONDITIONS[self._condition[index]]

    def scene(self, index: int) -> str:
        """Name of the scene, such as ``scene-0001``."""
        return self._scene[index].decode()

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the recorded image [px], from the tables."""
        return tuple(self._size[index].tolist())

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of the frame or one of its neighbours, uint8 (H, W, 3).

        Args:
            index: number of the frame.
            offset: 0 or one of ``offsets``.
            min_size: not used; decoding in full is as fast as Pillow's decoding at a reduced scale, and exact.

        Raises:
            DataError: when the file is missing, damaged or of another size than the tables say.
        """
        path = self.image_path(index, offset)
        pixels = read_rgb(path)
        if (size := pixels.shape[:2]) != (native := self.native_size(index)):
            found, expected = (f"{height} x {width}" for height, width in (size, native))
            raise DataError(
                f"{path} is {found}, but the tables say {expected} (height x width), so its intrinsics do not fit; "
                "use the original images"
            )
        return pixels

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File of the frame or one of its neighbours."""
        return safe_path(self.root, self._files[index, self._position(offset)].decode())

    def intrinsics(self, index: int) -> np.ndarray:
        """K at the native size [px], float64 (3, 3): this frame's own, or by md4all's rules the table's first one."""
        return (self._own_K[index] if self.rules == "corrected" else self._first_K).copy()

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m], from the ego poses."""
        centres = self._T_global_camera[index, :, :3, 3]
        return float(np.linalg.norm(centres[self._position(offset)] - centres[0]))

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, from the ego poses, float64 (4, 4)."""
        T_global_camera = self._T_global_camera[index]
        return np.linalg.inv(T_global_camera[self._position(offset)]) @ T_global_camera[0]

    def lidar_path(self, index: int) -> Path:
        """File of the key frame's LiDAR sweep."""
        return safe_path(self.root, self._lidar_file[index].decode())

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat indices of the native pixels with a return, int64 (N,) ascending, and depths [m], float32 (N,).

        The chain sensor, ego and global frame at the sweep's time, ego and camera at the image's time is one float64
        matrix, with this frame's own calibration; by md4all's rules it is the devkit's sequence in float32.

        Raises:
            DataError: when the LiDAR file is missing or damaged.
        """
        points, steps = read_points(self.lidar_path(index)), self._lidar_steps[index]
        K, size = self._own_K[index], self.native_size(index)
        if self.rules == "md4all":
            return devkit_projection(points, [(T[:, :3], T[:, 3]) for T in steps], K, size)
        T_ego_lidar, T_global_ego, T_global_ego_image, T_ego_camera = squared(steps)
        T_camera_lidar = np.linalg.inv(T_global_ego_image @ T_ego_camera) @ T_global_ego @ T_ego_lidar
        return sparse_projection(points, T_camera_lidar, K, size)

    def lidar_depth(self, index: int) -> np.ndarray:
        """The same as a map at the native size [m], float32 (H, W); 0 = no return."""
        return dense_depth(*self.sparse_lidar(index), self.native_size(index))

    def _keep(self, index: TableIndex, chosen: Selection) -> None:
        """Keep the columns of the chosen frames; the index itself is let go."""
        image, key = chosen.images[:, 0], chosen.key
        self._files = index.image_file[chosen.images]
        self._condition = chosen.condition
        self._scene = index.scene_name[index.key_scene[key]]
        self._size = index.key_size[key]
        self._first_K = index.calibration_K[index.first_camera]
        self._own_K = index.calibration_K[index.image_calibration[image]]
        self._T_global_camera = camera_poses(index, chosen.images)
        self._lidar_file = index.key_lidar_file[key]
        self._lidar_steps = lidar_steps(index, key)

    def _position(self, offset: int) -> int:
        """Place of an offset in the columns."""
        if offset not in (0, *self.offsets):
            raise ValueError(f"offset must be 0 or one of {self.offsets}, got {offset}")
        return (0, *self.offsets).index(offset)


def _report(chosen: Selection, what: str) -> None:
    """Say what was chosen and left out; an error if nothing is left."""
    summary = f"{chosen.num_chosen} frames of {what}"
    if not len(chosen.key):
        raise EmptySplitError(f"no frame is left: {summary}; choose another split, other conditions or another version")
    logger.info(summary)
    for name in chosen.lost:
        logger.warning("%s: the table sample_data names a neighbour that it lacks; the frame is left out", name)
