"""Front-camera key frames of nuScenes (https://arxiv.org/abs/1903.11027) as a source of frames."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ude.data.images import read_rgb
from ude.data.lidar import project_lidar, read_points
from ude.data.sample import CONDITIONS
from ude.files import DataError, safe_path

from .index import frame_records, is_official_split, select_key_frames
from .tables import broken_links_named, load_tables

__all__ = ["NuScenesFrames", "is_official_split"]

logger = logging.getLogger(__name__)


class NuScenesFrames:
    """CAM_FRONT key frames of nuScenes, their neighbouring sweeps (12 Hz), poses and LiDAR depth.

    Every frame has the calibration of its own vehicle and drive. With ``offsets``, frames at the ends of a scene, which
    lack a neighbour, and frames slower than ``min_speed`` are left out and counted.

    Args:
        root: folder that holds ``samples/``, ``sweeps/`` and the folder of the version.
        version: folder of the tables, such as ``v1.0-trainval``.
        split: name of an official split, or a text file with ``frame_id condition`` lines, whose order and conditions
            are then used.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours to offer, counted in camera frames; empty for evaluation.
        min_speed: smallest mean speed [m/s] between a frame and its neighbours.

    Attributes:
        num_without_neighbour: number of frames left out because a neighbour is missing.
        num_slow: number of frames left out because the car was too slow.

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
    ) -> None:
        if unknown := set(conditions or ()) - set(CONDITIONS):
            raise ValueError(f"conditions must be among {', '.join(CONDITIONS)}, got {', '.join(sorted(unknown))}")
        if 0 in offsets or len(set(offsets)) != len(offsets):
            raise ValueError(f"offsets must be non-zero and differ, got {tuple(offsets)}")
        self.root = Path(root)
        self.offsets = tuple(offsets)
        tables = load_tables(self.root, version)
        with broken_links_named(self.root / version):
            chosen = select_key_frames(tables, split, conditions or CONDITIONS)
            self._frames, left_out = frame_records(tables, chosen, offsets=self.offsets, min_speed=min_speed)
        self.num_without_neighbour, self.num_slow = left_out["no neighbour"], left_out["slow"]
        summary = (
            f"{len(chosen)} frames of split {split} ({', '.join(conditions or ['all conditions'])}) in "
            f"{self.root / version}"
        )
        if self.offsets:
            summary += f", of which {self.num_without_neighbour} lack a neighbour and {self.num_slow} are slower than "
            summary += f"{min_speed:g} m/s"
        if not self._frames:
            raise DataError(f"no frame is left: {summary}; choose another split, other conditions or another version")
        logger.info(summary)

    def __len__(self) -> int:
        return len(self._frames)

    def frame_id(self, index: int) -> str:
        """Stem of the key frame's image file."""
        return self._frames[index].frame_id

    def condition(self, index: int) -> str:
        """Recording condition, one of ``CONDITIONS``."""
        return self._frames[index].condition

    def scene(self, index: int) -> str:
        """Name of the scene, such as ``scene-0001``."""
        return self._frames[index].scene

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the recorded image [px], from the tables."""
        return self._frames[index].size

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of the frame or one of its neighbours, uint8 (H, W, 3).

        Args:
            index: number of the frame.
            offset: 0 or one of ``offsets``.
            min_size: not used; decoding in full is as fast as Pillow's decoding at a reduced scale, and exact.

        Raises:
            DataError: when the file is missing, damaged or of another size than the tables say.
        """
        frame = self._frames[index]
        path = safe_path(self.root, frame.images[self._position(offset)])
        pixels = read_rgb(path)
        if pixels.shape[:2] != frame.size:
            found, expected = (f"{height} x {width}" for height, width in (pixels.shape[:2], frame.size))
            raise DataError(
                f"{path} is {found}, but the tables say {expected} (height x width), so its intrinsics do not fit; "
                "use the original images"
            )
        return pixels

    def intrinsics(self, index: int) -> np.ndarray:
        """This frame's own K at the native size [px], float64 (3, 3)."""
        return self._frames[index].K.copy()

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m], from the ego poses."""
        centres = self._frames[index].T_global_camera[:, :3, 3]
        return float(np.linalg.norm(centres[self._position(offset)] - centres[0]))

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, from the ego poses, float64 (4, 4)."""
        T_global_camera = self._frames[index].T_global_camera
        return np.linalg.inv(T_global_camera[self._position(offset)]) @ T_global_camera[0]

    def lidar_depth(self, index: int) -> np.ndarray:
        """Depth of the key frame's LiDAR sweep in the camera [m], float32 (H, W); 0 = no return.

        The chain sensor, ego and global frame at the sweep's time, ego and camera at the image's time is one float64
        matrix: global coordinates of kilometres would cost float32 a tenth of a millimetre.

        Raises:
            DataError: when the LiDAR file is missing or damaged.
        """
        frame = self._frames[index]
        points = read_points(safe_path(self.root, frame.lidar))
        return project_lidar(points, frame.T_camera_lidar, frame.K, frame.size)

    def _position(self, offset: int) -> int:
        """Place of an offset in the records."""
        if offset not in (0, *self.offsets):
            raise ValueError(f"offset must be 0 or one of {self.offsets}, got {offset}")
        return (0, *self.offsets).index(offset)
