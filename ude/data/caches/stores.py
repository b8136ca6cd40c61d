"""How the pixels of cached frames lie on the disk: in one map of bytes, or as JPEG files."""

import errno
import io
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ude.data.images import read_rgb
from ude.files import DataError
from ude.files.errors import writing

REMEDY = "run again: python tools/cache_frames.py --cfg <the config> --split <train, val or the split to evaluate on>"
JPEG_QUALITY = 95
JPEG_SHARE = 0.3
"""Most that a JPEG of this quality takes of the raw bytes; of street scenes it is a sixth."""

_JPEGS_PER_FOLDER = 1000


class MapStore:
    """Frames as a map of bytes (N, 3, H, W) in one file, ``np.memmap(path, np.uint8, "r", shape=...)``.

    The file is read, not mapped: it is as fast, a failing disk is an error and not a SIGBUS, and what the system keeps
    of it in memory is shared by all processes but not counted as theirs. Any number of threads may read and write.

    Args:
        folder: where the file lies.
        size: (height, width) of the frames [px].
        to_write: open it for writing, too, and make it where it is missing.
    """

    def __init__(self, folder: Path, size: tuple[int, int], *, to_write: bool = False) -> None:
        self.path = folder / "frames.uint8"
        self.shape = (3, *size)
        self.frame_bytes = 3 * size[0] * size[1]
        self._flags = (os.O_RDWR | os.O_CREAT if to_write else os.O_RDONLY) | getattr(os, "O_CLOEXEC", 0)

    def read_into(self, row: int, out: np.ndarray) -> None:
        """Fill uint8 ``out`` (3, H, W), whose elements lie in order, with a row.

        Raises:
            DataError: the file is missing, cut or cannot be read.
        """
        left, start = memoryview(out).cast("B"), row * self.frame_bytes
        try:
            while left and (count := os.preadv(self._open(), [left], start)):  # may read less than was asked for
                left, start = left[count:], start + count
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror}); {REMEDY}") from error
        if left:
            raise DataError(f"{self.path} ends before row {row}; {REMEDY}")

    def write(self, row: int, frame: np.ndarray) -> int:
        """Write uint8 (3, H, W) to a row; returns the checksum of what lies on the disk."""
        data = memoryview(np.ascontiguousarray(frame)).cast("B")
        left, start = data, row * self.frame_bytes
        with writing(self.path):
            while left:  # a call may write less than it was given
                count = os.pwrite(self._open(), left, start)
                if not count:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                left, start = left[count:], start + count
        return zlib.crc32(data)

    def checksum(self, row: int) -> int | None:
        """Checksum of what lies on the disk for a row; None where that is nothing."""
        frame = np.empty(self.shape, np.uint8)
        try:
            self.read_into(row, frame)
        except DataError:
            return None
        return zlib.crc32(frame.data)

    def close(self) -> None:
        """Give the file back until it is needed again."""
        descriptor = vars(self).pop("_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_descriptor"}

    def __del__(self) -> None:
        self.close()

    def _open(self) -> int:
        kept = vars(self).get("_descriptor")
        if kept is None:
            opened = os.open(self.path, self._flags)
            kept = vars(self).setdefault("_descriptor", opened)  # of threads that open at once, one wins
            if kept != opened:
                os.close(opened)
        return kept


class JpegStore:
    """Frames as JPEG files without chroma subsampling, at a sixth of the room and 40 dB from the original.

    Args:
        folder: where the folders of the files lie.
        size: (height, width) of the frames [px].
        to_write: no difference here.
    """

    def __init__(self, folder: Path, size: tuple[int, int], *, to_write: bool = False) -> None:
        self.path = folder / "jpeg"
        self.shape = (3, *size)
        self.frame_bytes = int(3 * size[0] * size[1] * JPEG_SHARE)

    def read_into(self, row: int, out: np.ndarray) -> None:
        """Fill uint8 ``out`` (3, H, W) with a row.

        Raises:
            DataError: the file is missing, damaged or of another size.
        """
        frame = read_rgb(self._file(row)).transpose(2, 0, 1)
        if frame.shape != self.shape:
            raise DataError(f"{self._file(row)} is not {self.shape[1]} x {self.shape[2]}; {REMEDY}")
        torch.from_numpy(out).copy_(torch.from_numpy(frame))  # several times as fast as numpy's transposed copy

    def write(self, row: int, frame: np.ndarray) -> int:
        """Write uint8 (3, H, W) as a row; returns the checksum of what lies on the disk."""
        data, path = io.BytesIO(), self._file(row)
        Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0))).save(
            data, "JPEG", quality=JPEG_QUALITY, subsampling=0
        )
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.write(data.getbuffer())
        return zlib.crc32(data.getbuffer())

    def checksum(self, row: int) -> int | None:
        """Checksum of what lies on the disk for a row; None where that is nothing."""
        try:
            return zlib.crc32(self._file(row).read_bytes())
        except OSError:
            return None

    def close(self) -> None:
        """Nothing is kept open."""

    def _file(self, row: int) -> Path:
        return self.path / f"{row // _JPEGS_PER_FOLDER:04d}" / f"{row % _JPEGS_PER_FOLDER:03d}.jpg"


Store = MapStore | JpegStore
STORES: dict[str, type[Store]] = {"memmap": MapStore, "jpeg": JpegStore}
"""Ways to keep the pixels, by the name on the command line."""
