"""What all sources made of folders of images share: the choice of frames, reading and the errors."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ude.data.images import read_rgb
from ude.data.lidar import dense_depth
from ude.data.sample import CONDITIONS
from ude.data.splits import EmptySplitError
from ude.files import DataError

from .drives import Drive, frame_places, with_neighbours
from .speeds import measured_speeds

NO_POSES = "set LOSS.VELOCITY 0, DATA.MIN_SPEED 0 and MODEL.POSE learned"

logger = logging.getLogger(__name__)


class FolderFrames:
    """Frames of some drives as a source of frames; without poses and without LiDAR, which subclasses add.

    Args:
        root: folder of the data set, for messages.
        drives: the drives to choose from.
        split: name of the split, for messages.
        listed: condition and line of every frame of a split file, in its order; None takes all frames of the drives.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours that every frame must have; frames without are left out.

    Attributes:
        left_out: number of frames left out, by reason: ``no neighbour``, and ``slow`` where a subclass knows.

    Raises:
        DataError: when a listed frame is not there, two frames have the same id, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        drives: Sequence[Drive],
        *,
        split: str,
        listed: Mapping[str, tuple[str, int]] | None = None,
        conditions: Sequence[str] | None = None,
        offsets: Sequence[int] = (),
    ) -> None:
        if unknown := set(conditions or ()) - set(CONDITIONS):
            raise ValueError(f"conditions must be among {', '.join(CONDITIONS)}, got {', '.join(sorted(unknown))}")
        if 0 in offsets or len(set(offsets)) != len(offsets):
            raise ValueError(f"offsets must be non-zero and differ, got {tuple(offsets)}")
        self.root, self.offsets = Path(root), tuple(offsets)
        self._drives = tuple(drives)
        places = frame_places(self._drives)
        if listed is None:
            self._frames = np.array([*places.values()], np.int32)
            names = [self._drives[drive].condition for drive, _ in places.values()]
        else:
            if strange := next((frame_id for frame_id in listed if frame_id not in places), None):
                place = f"{split}:{listed[strange][1]}"
                raise DataError(f"{place}: {strange} is no frame of {root}; remove the line or correct DATA.ROOT")
            self._frames = np.array([places[frame_id] for frame_id in listed], np.int32)
            names = [condition for condition, _ in listed.values()]
        self._conditions = np.array([CONDITIONS.index(name) for name in names], np.int8)
        self._keep(np.array([name in (conditions or CONDITIONS) for name in names], bool))
        count = len(self)
        self._keep(with_neighbours(self._drives, self._frames, self.offsets))
        self.left_out = Counter({"no neighbour": count - len(self)})
        wanted = ", ".join(conditions or ["all conditions"])
        summary = f"{count} frames of split {split} ({wanted}) in {self.root}"
        if self.offsets:
            summary += f", of which {count - len(self)} lack a neighbour at {', '.join(map(str, self.offsets))}"
        self.require_frames(summary)
        logger.info(summary)

    def require_frames(self, summary: str) -> None:
        """Refuse a source without frames.

        Raises:
            EmptySplitError: says what was looked for and what was left out.
        """
        if not len(self):
            raise EmptySplitError(
                f"no frame is left: {summary}; choose another split, other conditions or another folder"
            )

    def __len__(self) -> int:
        return len(self._frames)

    def frame_id(self, index: int) -> str:
        """Name of a frame, unique in the source and fit for a file name."""
        drive, position = self._place(index)
        return drive.frame_id(position)

    def condition(self, index: int) -> str:
        """Recording condition, one of ``CONDITIONS``."""
        return CONDITIONS[self._conditions[index]]

    def scene(self, index: int) -> str:
        """Name of the drive."""
        return self._place(index)[0].scene

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the recorded image [px]."""
        return self._place(index)[0].size

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of the frame or one of its neighbours, uint8 (H, W, 3).

        Args:
            index: number of the frame.
            offset: 0 or one of ``offsets``.
            min_size: not used; images are decoded in full.

        Raises:
            DataError: when the file is missing, damaged or of another size than the intrinsics belong to.
        """
        path, size = self.image_path(index, offset), self.native_size(index)
        pixels = read_rgb(path)
        if pixels.shape[:2] != size:
            found, expected = (f"{height} x {width}" for height, width in (pixels.shape[:2], size))
            raise DataError(
                f"{path} is {found}, but the intrinsics of its drive belong to {expected} (height x width); "
                "use the original images, or give it a folder of its own"
            )
        return pixels

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File that a frame or its neighbour is read from."""
        drive, position = self._place(index, offset)
        return drive.path(position)

    def intrinsics(self, index: int) -> np.ndarray:
        """This frame's own K at the native size [px], float64 (3, 3)."""
        return self._place(index)[0].K.copy()

    def distance(self, index: int, offset: int) -> float:
        """Not there; raises a DataError with the remedy."""
        self._place(index, offset)
        raise DataError(f"{self.root} has no poses, so no distance between frames; {NO_POSES}")

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Not there; raises a DataError with the remedy."""
        self._place(index, offset)
        raise DataError(f"{self.root} has no poses; {NO_POSES}")

    def lidar_path(self, index: int) -> Path | None:
        """File of a frame's LiDAR points or depth; None for a frame without."""
        self._place(index)
        return None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths [m], float32 (N,); raises where none are."""
        raise DataError(f"{self.frame_id(index)} of {self.root} has no depth to compare with; use it for training only")

    def lidar_depth(self, index: int) -> np.ndarray:
        """The same as ``sparse_lidar`` as a map at the native size [m], float32 (H, W); 0 = no return."""
        return dense_depth(*self.sparse_lidar(index), self.native_size(index))

    def _leave_out_slow(
        self,
        file: Callable[[Drive, int], tuple[Path, str]],
        read: Callable[[Path], float],
        *,
        min_speed: float,
        split: str,
        index_root: str | Path | None,
    ) -> None:
        """Leave out and count the frames at which the car was slower than ``min_speed`` [m/s]; at 0 none is asked.

        Args:
            file: folder and name of the file beside the image at a position of a drive that knows the speed.
            read: gives the speed [m/s] of such a file.
            min_speed: smallest speed [m/s].
            split: name of the split, for messages.
            index_root: folder where what was read is kept, see ``measured_speeds``.
        """
        if min_speed <= 0:
            return
        files = [file(self._drives[drive], position) for drive, position in self._frames.tolist()]
        fast = measured_speeds(files, read, root=self.root, index_root=index_root) >= min_speed
        self.left_out["slow"] = int((~fast).sum())
        self._keep(fast)
        self.require_frames(
            f"all {self.left_out['slow']} frames of split {split} in {self.root} are slower than {min_speed:g} m/s"
        )

    def _place(self, index: int, offset: int = 0) -> tuple[Drive, int]:
        """The drive of a frame or its neighbour, and its position there."""
        drive_index, position = self._frames[index]
        drive = self._drives[drive_index]
        if offset not in (0, *self.offsets):
            raise ValueError(f"offset must be 0 or one of {self.offsets}, got {offset}")
        if offset:
            position = np.searchsorted(drive.numbers, drive.numbers[position] + offset)
        return drive, int(position)

    def _keep(self, keep: np.ndarray) -> None:
        """Leave out the frames that are False in ``keep``, bool (N,)."""
        self._frames = self._frames.reshape(-1, 2)[keep]
        self._conditions = self._conditions[keep]
