"""The real images of ClearGrasp (https://arxiv.org/abs/1910.02550) as a source of frames with transparent objects."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from ude.files import DataError, MissingFileError

from .calibration import checked_intrinsics
from .drives import Drive
from .exr import read_exr_depth
from .frames import FolderFrames
from .grey import read_mask
from .listing import first_size, image_files, listed_frames, subfolders

PARTS = ("real-val", "real-test")
SPLITS = ("real", *PARTS)
_IMAGE = "-transparent-rgb-img"
_APART = 1_000_000  # between the numbers of frames that are no neighbours


class ClearGraspFrames(FolderFrames):
    """Images of transparent objects with the depth of painted ones in their place; for evaluation only.

    Layout, as the archive of the test and validation sets unpacks::

        <root>/real-val/<camera>/<number>-transparent-rgb-img.jpg
        <root>/real-val/<camera>/<number>-opaque-depth-img.exr      depth [m] with the objects painted, NaN or 0 = none
        <root>/real-val/<camera>/<number>-mask.png                  above 0 on the transparent objects
        <root>/real-val/<camera>/camera_intrinsics.yaml             fx, fy, cx, cy, xres, yres [px]
        <root>/real-test/...                                        the same with objects of other shapes

    ``<root>`` may also be the folder around, which holds ``cleargrasp-dataset-test-val``. Both parts together have 286
    images, of two cameras. A frame is called ``<part>_<camera>_<number>``, and counts as day-clear. Depth files are
    OpenEXR, for which see ``read_exr_depth``.

    Args:
        root: the folder.
        split: ``real`` (both parts), ``real-val``, ``real-test``, or a text file with ``frame_id condition`` lines.
        conditions: keep frames of these recording conditions only; None keeps all.
        offsets: neighbours that every frame must have; there are none, so that only an empty one leaves frames.

    Raises:
        DataError: when something is missing or damaged, or no frame is left.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "real",
        conditions: Sequence[str] | None = None,
        offsets: Sequence[int] = (),
    ) -> None:
        root, listed = Path(root), listed_frames(split, SPLITS)
        parts = PARTS if listed is not None or split == "real" else (split,)
        inner = root / "cleargrasp-dataset-test-val"
        drives = [*_drives(inner if inner.is_dir() else root, parts)]
        if not drives:
            raise DataError(
                f"{root}: holds no {parts[0]}/<camera>/<number>{_IMAGE}.jpg; download the test and validation sets of "
                "ClearGrasp and unpack them there"
            )
        super().__init__(root, drives, split=split, listed=listed, conditions=conditions, offsets=offsets)

    def lidar_path(self, index: int) -> Path | None:
        """The depth map of a frame; None where it was not downloaded."""
        path = self._beside(index, "opaque-depth-img.exr")
        return path if path.is_file() else None

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major pixel indices, int64 (N,) ascending, and depths [m], float32 (N,), of its depth map.

        Raises:
            DataError: when it is missing, damaged or of another size than the image.
        """
        depth = read_exr_depth(self._beside(index, "opaque-depth-img.exr"), self.native_size(index)).ravel()
        pixel = np.flatnonzero(np.isfinite(depth) & (depth > 0))
        return pixel, depth[pixel]

    def pixel_class(self, index: int) -> np.ndarray:
        """1 on transparent objects and 0 elsewhere, int8 (H, W).

        Raises:
            DataError: when the mask is missing, damaged or of another size than the image.
        """
        return (read_mask(self._beside(index, "mask.png"), self.native_size(index)) > 0).astype(np.int8)

    def _beside(self, index: int, ending: str) -> Path:
        """Another file of a frame."""
        drive, position = self._place(index)
        return drive.folder / f"{drive.stem(position).removesuffix(_IMAGE)}-{ending}"


def _drives(root: Path, parts: Sequence[str]) -> Iterator[Drive]:
    """The cameras of the parts that are there."""
    for part in parts:
        for folder in subfolders(root / part):
            files = [name for name in image_files(folder) if Path(name).stem.endswith(_IMAGE)]
            if not files:
                continue
            size = first_size(folder, files)
            yield Drive(
                scene=f"{part}_{folder.name}",
                folder=folder,
                files=np.array(files),
                numbers=_APART * np.arange(len(files)),
                condition="day-clear",
                K=_intrinsics(folder / "camera_intrinsics.yaml", size),
                size=size,
                prefix=f"{part}_{folder.name}_",
                ending=_IMAGE,
            )


def _intrinsics(path: Path, size: tuple[int, int]) -> np.ndarray:
    """K, float64 (3, 3), of a camera."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        width, height, fx, fy, cx, cy = (float(values[key]) for key in ("xres", "yres", "fx", "fy", "cx", "cy"))
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: no such calibration file; download the calibration of this data set"
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: must name xres, yres, fx, fy, cx and cy ({reason}); download it again") from error
    if (height, width) != size:
        raise DataError(
            f"{path}: belongs to images of {height:g} x {width:g}, but they are {size[0]} x {size[1]} (height x "
            "width); use the original images"
        )
    return checked_intrinsics(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), size, path)
