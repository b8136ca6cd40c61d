"""Booster (https://cvlab-unibo.github.io/booster-web) as a source of frames with transparent and mirroring surfaces."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ude.data.images import read_rgb
from ude.files import DataError, MissingFileError, read_array
from ude.files.images import DAMAGE

from .calibration import checked_intrinsics, entry
from .drives import Drive
from .frames import FolderFrames
from .grey import read_mask
from .listing import image_files, listed_frames, subfolders

SPLITS = ("train",)
SHRINK = 4
"""Share of the recorded size: frames have a quarter of it."""
CLASSES = 4
"""Materials are numbered 0 to 3; 2 and 3 are transparent or mirroring. Other numbers are none."""
_LARGEST_FILE = 1 << 20  # bytes of a calibration
_APART = 1_000_000  # between the numbers of frames that are no neighbours


class BoosterFrames(FolderFrames):
    """Left images of Booster at a quarter of their size, with depth from its disparity maps; for evaluation only.

    Layout, as the archive unpacks::

        <root>/train/balanced/<scene>/camera_00/im0.png, im1.png, ...    one view in several kinds of light
        <root>/train/balanced/<scene>/disp_00.npy                        disparity [px], float (H, W), 0 = none
        <root>/train/balanced/<scene>/mask_cat.png                       material of each pixel
        <root>/train/balanced/<scene>/calib_00-02.xml                    proj_matL [px], baselineLR [mm]

    ``<root>`` may also be the folder of the scenes. The 228 images of ``train`` have ground truth, the test set has
    none. A frame is called ``<scene>_<image>``, and counts as day-clear. Depth and materials are those of every fourth
    pixel in both directions, images are means of 4 x 4 pixels. Source of the layout and of the quarter: Depth4ToM,
    https://arxiv.org/abs/2307.15052, and its list of files.

    Args:
        root: the folder.
        split: ``train``, or a text file with ``frame_id condition`` lines.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours that every frame must have; there are none, so that only an empty one leaves frames.

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
        drives = [*_drives(root)]
        if not drives:
            raise DataError(
                f"{root}: holds no train/balanced/<scene>/camera_00/im*.png; download and unpack Booster there"
            )
        super().__init__(root, drives, split=split, listed=listed, conditions=conditions, offsets=offsets)

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of a frame at a quarter of the recorded size, uint8 (H, W, 3); ``min_size`` is not used.

        Raises:
            DataError: when the file is missing, damaged or of another size than the first of its scene.
        """
        path, size = self.image_path(index, offset), self.native_size(index)
        pixels, whole = read_rgb(path), tuple(SHRINK * side for side in size)
        if pixels.shape[:2] != whole:
            found, expected = (f"{height} x {width}" for height, width in (pixels.shape[:2], whole))
            raise DataError(
                f"{path} is {found}, but its scene has {expected} (height x width); use the original images"
            )
        return np.array(Image.fromarray(pixels).reduce(SHRINK))

    def lidar_path(self, index: int) -> Path | None:
        """The disparity map of a frame; None where it was not downloaded."""
        path = self._scene(index) / "disp_00.npy"
        return path if path.is_file() else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths [m], float32 (N,), from its disparity.

        Raises:
            DataError: when the disparity is missing, damaged or of another size than the image.
        """
        path, size = self._scene(index) / "disp_00.npy", self.native_size(index)
        if not path.is_file():
            raise MissingFileError(f"{path}: no such disparity map; only the training scenes of Booster have one")
        disparity = read_array(path)
        if disparity.shape != tuple(SHRINK * side for side in size) or disparity.dtype.kind != "f":
            raise DataError(
                f"{path} is {disparity.dtype} of shape {disparity.shape}, but its image has {SHRINK * size[0]} x "
                f"{SHRINK * size[1]} pixels; use the original file"
            )
        disparity = disparity[::SHRINK, ::SHRINK].astype(np.float64).ravel()
        pixel = np.flatnonzero(np.isfinite(disparity) & (disparity > 0))
        drive = self._place(index)[0]
        return pixel, (SHRINK * drive.K[0, 0] * drive.baseline / disparity[pixel]).astype(np.float32)

    def pixel_class(self, index: int) -> np.ndarray:
        """Material of each pixel, int8 (H, W): 0 to 3, where 2 and 3 are transparent or mirroring; -1 = none.

        Raises:
            DataError: when the mask is missing, damaged or of another size than the image.
        """
        whole = tuple(SHRINK * side for side in self.native_size(index))
        mask = read_mask(self._scene(index) / "mask_cat.png", whole)[::SHRINK, ::SHRINK]
        return np.where(mask < CLASSES, mask, -1).astype(np.int8)

    def _scene(self, index: int) -> Path:
        return self._place(index)[0].folder.parent


def _drives(root: Path) -> Iterator[Drive]:
    """The scenes that are there."""
    for base in (root / "train" / "balanced", root / "balanced", root):
        scenes = [scene for scene in subfolders(base) if image_files(scene / "camera_00")]
        if scenes:
            break
    for scene in scenes:
        folder, calibration = scene / "camera_00", scene / "calib_00-02.xml"
        files = image_files(folder)
        size = _quarter(folder / files[0])
        projection, baseline = _calibration(calibration)
        K = projection[:, :3] / [[SHRINK], [SHRINK], [1]]
        K[:2, 2] -= (SHRINK - 1) / (2 * SHRINK)  # the centre of a pixel of 4 x 4 is 1.5 px behind that of its first
        yield Drive(
            scene=scene.name,
            folder=folder,
            files=np.array(files),
            numbers=_APART * np.arange(len(files)),
            condition="day-clear",
            K=checked_intrinsics(K, size, calibration),
            size=size,
            prefix=f"{scene.name}_",
            baseline=baseline,
        )


def _quarter(path: Path) -> tuple[int, int]:
    """(height, width) of a quarter of an image [px], from its header."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except DAMAGE as error:
        raise DataError(f"{path} cannot be decoded ({error}); copy or download it again") from error
    if height % SHRINK or width % SHRINK:
        raise DataError(f"{path} is {height} x {width} (height x width), no multiples of 4; use the original images")
    return height // SHRINK, width // SHRINK


def _calibration(path: Path) -> tuple[np.ndarray, float]:
    """Projection of the left camera [px], float64 (3, 4), and the distance of both [m], as OpenCV writes them."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such calibration file; download the calibration of this data set")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("too large")
        document = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path} is no calibration file ({error}); download it again") from error
    rows = {}
    for key, place in (("proj_matL", "proj_matL/data"), ("baselineLR", "baselineLR")):
        if not (words := (document.findtext(place) or "").split()):
            continue
        try:
            rows[key] = np.array([float(word) for word in words])
        except ValueError as error:
            raise DataError(f"{path}: {key} holds what is no number ({error}); download it again") from error
    baseline = float(entry(rows, "baselineLR", (), path)) / 1000
    if baseline <= 0:
        raise DataError(f"{path}: baselineLR must be above 0 mm, got {1000 * baseline:g}; download it again")
    return entry(rows, "proj_matL", (3, 4), path), baseline
