"""Frames that are left out because a check of the data has found them broken."""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from ude.files import DataError, read_json

from .sample import FrameSource

_LOG = logging.getLogger(__name__)
_REMEDY = "write it again: python tools/check_data.py --cfg configs/X.yaml --deep"


def without_excluded(source: FrameSource, path: str | Path, *, root: str | Path) -> "WithoutFrames":
    """A source without the frames of a ``broken.json`` of tools/check_data.py; tells if it seems to be of other data.

    Args:
        source: the frames.
        path: the ``broken.json``.
        root: folder of the source's data.

    Raises:
        DataError: the file is missing or of another form, or no frame is left.
    """
    document = _document(path)
    made_for, names = document.get("root"), document["frames"]
    kept = WithoutFrames(source, names)
    if made_for and Path(made_for).resolve() != Path(root).resolve():
        _LOG.warning(
            "DATA.EXCLUDE %s was written for %s, not for DATA.ROOT %s (%d of its %d names are in this split); %s",
            *(path, made_for, root, kept.num_excluded, len(set(names)), _REMEDY),
        )
    elif names and not kept.num_excluded:
        _LOG.warning(
            "DATA.EXCLUDE %s leaves out no frame: none of its %d names is in this split; right if they are of another "
            "split, else %s",
            *(path, len(set(names)), _REMEDY),
        )
    return kept


def _document(path: str | Path) -> dict[str, Any]:
    document = read_json(path)
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list) or not all(isinstance(name, str) for name in frames):
        raise DataError(f'{path}: expected {{"frames": [frame_id, ...], ...}}; {_REMEDY}')
    if document.get("schema") != 1:
        raise DataError(f"{path}: is of schema {document.get('schema')!r}, expected 1; {_REMEDY}")
    return document


class WithoutFrames:
    """The frames of a source without some of them.

    Args:
        source: the frames.
        frame_ids: names of those to leave out; other splits of the same data may hold some of them.

    Attributes:
        offsets: neighbours that every frame has.
        left_out: number of frames that the source itself leaves out, by reason.
        num_excluded: number of frames that are left out.
        num_unknown: number of names that no frame of the source has.

    Raises:
        DataError: no frame is left.
    """

    def __init__(self, source: FrameSource, frame_ids: Collection[str]) -> None:
        self.source = source
        self.offsets, self.left_out = source.offsets, source.left_out
        unwanted = set(frame_ids)
        names = [source.frame_id(index) for index in range(len(source))]
        self._kept = [index for index, name in enumerate(names) if name not in unwanted]
        self.num_excluded = len(names) - len(self._kept)
        self.num_unknown = len(unwanted - set(names))
        if not self._kept:
            raise DataError(
                f"no frame is left: all {len(names)} are in DATA.EXCLUDE; mend the data, or set DATA.EXCLUDE to ''"
            )
        if unwanted:
            _LOG.info(
                "%d of %d frames are left out by DATA.EXCLUDE (%d of its %d names are not in this split)",
                self.num_excluded,
                len(names),
                self.num_unknown,
                len(unwanted),
            )

    def __len__(self) -> int:
        return len(self._kept)

    def frame_id(self, index: int) -> str:
        """Name of a frame."""
        return self.source.frame_id(self._kept[index])

    def condition(self, index: int) -> str:
        """Recording condition."""
        return self.source.condition(self._kept[index])

    def scene(self, index: int) -> str:
        """Name of the drive."""
        return self.source.scene(self._kept[index])

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) [px]."""
        return self.source.native_size(self._kept[index])

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of a frame or its neighbour, uint8 (H, W, 3)."""
        return self.source.image(self._kept[index], offset, min_size=min_size)

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File of a frame or its neighbour."""
        return self.source.image_path(self._kept[index], offset)

    def intrinsics(self, index: int) -> np.ndarray:
        """K at the native size [px], float64 (3, 3)."""
        return self.source.intrinsics(self._kept[index])

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m]."""
        return self.source.distance(self._kept[index], offset)

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, float64 (4, 4)."""
        return self.source.T_source_target(self._kept[index], offset)

    def lidar_path(self, index: int) -> Path | None:
        """File of the LiDAR points or depth, None without."""
        return self.source.lidar_path(self._kept[index])

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat pixel indices with a return, int64 (N,), and depths [m], float32."""
        return self.source.sparse_lidar(self._kept[index])

    @property
    def pixel_class(self) -> Callable[[int], np.ndarray]:
        """Classes of the pixels by the number of a frame, int8 (H, W); there only if the source has them."""
        of_all = self.source.pixel_class
        return lambda index: of_all(self._kept[index])

    def lidar_depth(self, index: int) -> np.ndarray:
        """Depth map [m], float32 (H, W); 0 = no return."""
        return self.source.lidar_depth(self._kept[index])
