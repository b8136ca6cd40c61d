"""Prepared frames of Oxford RobotCar (https://doi.org/10.1177/0278364916679498) as a source of frames."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ude.data.images import read_rgb
from ude.data.lidar import dense_depth
from ude.data.sample import CONDITIONS
from ude.data.splits import EmptySplitError
from ude.files import DataError

from .ground_truth import read_ground_truth
from .prepared import PreparedTraverse
from .selection import LEFT_OUT, connected, frames_of_split, objection
from .splits import BLOCK_S

_LOG = logging.getLogger(__name__)


class RobotCarFrames:
    """Frames of RobotCar traverses that ``tools/prepare_robotcar.py`` has prepared.

    With ``offsets``, as for training, frames are left out that lack a neighbour or that the published filters refuse
    (static, over-exposed), and with ``min_speed`` those without odometry or too slow. Without, as for evaluation, those
    without LiDAR depth are. Poses come from visual odometry, or from what moved the scans (INS, RTK).

    Args:
        root: output folder of the tool.
        split: one of ``SPLITS``, see ``in_split``, or a text file with ``frame_id condition`` lines, whose order and
            conditions are then used.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours to offer, counted in camera frames (16 Hz); empty for evaluation.
        min_speed: smallest mean speed [m/s] between a frame and its neighbours.

    Attributes:
        left_out: number of frames left out, by reason.

    Raises:
        DataError: when nothing is prepared, a file is damaged, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        *,
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
        self._traverses, places = frames_of_split(self.root, split, conditions or CONDITIONS)
        chosen = [place for place in places if place.condition in (conditions or CONDITIONS)]
        reasons = [
            objection(self._traverses[place.traverse], place.frame, offsets=self.offsets, min_speed=min_speed)
            for place in chosen
        ]
        self.left_out = Counter(reason for reason in reasons if reason)
        kept = [place for place, reason in zip(chosen, reasons, strict=True) if not reason]
        # arrays, which loader processes share; they would copy lists piece by piece
        self._places = np.array([(place.traverse, place.frame) for place in kept], np.int32).reshape(-1, 2)
        self._conditions = np.array([CONDITIONS.index(place.condition) for place in kept], np.int8)
        self._report(f"{len(chosen)} frames of split {split} ({', '.join(conditions or ['all conditions'])})")

    def __len__(self) -> int:
        return len(self._places)

    def frame_id(self, index: int) -> str:
        """Name of the traverse and time of the image, ``<traverse>_<microseconds>``."""
        traverse, frame = self._at(index)
        return f"{traverse.folder.name}_{traverse.times[frame]}"

    def condition(self, index: int) -> str:
        """Recording condition, one of ``CONDITIONS``."""
        return CONDITIONS[self._conditions[index]]

    def scene(self, index: int) -> str:
        """Name of the traverse and number of the minute of its drive."""
        traverse, frame = self._at(index)
        return f"{traverse.folder.name}_{(traverse.times[frame] - traverse.start) // (BLOCK_S * 1_000_000):03d}"

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the undistorted image [px]."""
        return self._at(index)[0].size

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of the undistorted frame or one of its neighbours, uint8 (H, W, 3).

        Args:
            index: number of the frame.
            offset: 0 or one of ``offsets``.
            min_size: not used; the image is decoded in full.

        Raises:
            DataError: when the file is missing, damaged or of another size than it was made.
        """
        path, size = self.image_path(index, offset), self.native_size(index)
        pixels = read_rgb(path)
        if pixels.shape[:2] != size:
            found, expected = (f"{height} x {width}" for height, width in (pixels.shape[:2], size))
            raise DataError(
                f"{path} is {found}, but was prepared as {expected} (height x width), so its intrinsics do not fit; "
                "remove it and run tools/prepare_robotcar.py again"
            )
        return pixels

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File of the undistorted frame or one of its neighbours."""
        traverse, frame = self._at(index, offset)
        return traverse.folder / "images" / f"{traverse.times[frame]}.{traverse.image_format}"

    def intrinsics(self, index: int) -> np.ndarray:
        """K of the undistorted image [px], float64 (3, 3)."""
        return self._at(index)[0].K.copy()

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m].

        Raises:
            DataError: when the odometry has a gap there.
        """
        T = self.T_source_target(index, offset)
        return float(np.linalg.norm(T[:3, 3]))

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, float64 (4, 4).

        Raises:
            DataError: when the odometry has a gap there.
        """
        (traverse, target), (_, source) = self._at(index), self._at(index, offset)
        if not connected(traverse, source, target):
            raise DataError(
                f"{self.frame_id(index)}: no odometry to its neighbour {offset:+d}; set DATA.MIN_SPEED above 0, which "
                "leaves such frames out, or LOSS.VELOCITY 0 and MODEL.POSE learned"
            )
        T_start_source, T_start_target = (
            np.vstack([traverse.T_start_camera[n], [0, 0, 0, 1]]) for n in (source, target)
        )
        return np.linalg.inv(T_start_source) @ T_start_target

    def lidar_path(self, index: int) -> Path | None:
        """File of a frame's depth, ``.npz``; None for a frame without."""
        traverse, frame = self._at(index)
        return traverse.folder / "lidar" / f"{traverse.times[frame]}.npz" if traverse.has_lidar[frame] else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major indices of the pixels with a return, int64 (N,) ascending, and depths [m], float32 (N,).

        Raises:
            DataError: when the frame has no depth, or the file is missing or damaged.
        """
        path = self.lidar_path(index)
        if path is None:
            raise DataError(
                f"{self.frame_id(index)}: no LiDAR depth, its scans were not there; download them and run "
                "tools/prepare_robotcar.py again"
            )
        return read_ground_truth(path, self.native_size(index))

    def lidar_depth(self, index: int) -> np.ndarray:
        """The same as a map [m], float32 (H, W); 0 = no return."""
        return dense_depth(*self.sparse_lidar(index), self.native_size(index))

    def _at(self, index: int, offset: int = 0) -> tuple[PreparedTraverse, int]:
        """Traverse and number therein of a frame or its neighbour."""
        if offset not in (0, *self.offsets):
            raise ValueError(f"offset must be 0 or one of {self.offsets}, got {offset}")
        number, frame = self._places[index].tolist()
        return self._traverses[number], frame + offset

    def _report(self, summary: str) -> None:
        summary += f" in {self.root}"
        if losses := [
            f"{self.left_out[reason]} {words}" for reason, words in LEFT_OUT.items() if self.left_out[reason]
        ]:
            summary += f", of which {', '.join(losses)}"
        if not len(self):
            raise EmptySplitError(
                f"no frame is left: {summary}; choose another split or conditions, or prepare more frames"
            )
        _LOG.info(summary)
