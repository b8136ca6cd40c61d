"""Videos as folders of images, taken apart once into a folder outside of the data set."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ude.data.index_root import index_folder, naming_index_root, short_digest
from ude.files import DataError, in_turn, write_image, write_json

if TYPE_CHECKING:
    import cv2

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm"})
MANIFEST = "frames.json"
_MIN_SHARE = 0.98
"""Share of the length that a video announces which must be decodable; what is announced is an estimate."""
_MAX_GAP_FRAMES = 1.5
"""By how many mean distances of frames the last one, which is shown for one, may lie before the end."""

logger = logging.getLogger(__name__)


def extracted_frames(video: Path, index_root: str | Path | None = None, *, fps: float | None = None) -> Path:
    """Folder with the frames of a video as JPEG files of quality 95 without chroma subsampling.

    The first call decodes the video once from front to back; later calls find the folder, whose name belongs to place,
    size and time of change of the video and to ``fps``. A killed extraction goes on where it was; of several processes
    one of each machine works and the others wait. Frames count from 0, in the numbering of what is kept.

    Args:
        video: the file.
        index_root: where the folder is made, below ``videos``; None or "" for the user's cache folder.
        fps: frames per second to keep, evenly spread; None keeps all.

    Raises:
        DataError: when the video cannot be read or is cut, or the folder would lie beside the video.
    """
    stat = video.stat()
    identity = f"{video.absolute()} {stat.st_size} {stat.st_mtime_ns} {fps or 0}"
    digest = short_digest(identity)
    place = index_folder(index_root).absolute() / "videos"
    if place.resolve().is_relative_to(video.parent.resolve()):
        raise DataError(f"{place}: lies in the folder of {video.name}; set DATA.INDEX_ROOT to a folder outside of it")
    folder = place / f"{video.stem[:80]}-{digest}"
    if (folder / MANIFEST).is_file():
        return folder
    with ExitStack() as stack:
        with naming_index_root(folder):
            mine = stack.enter_context(in_turn(folder, done=(folder / MANIFEST).is_file))
        if mine:
            _extract(video, folder, fps)
    return folder


def _extract(video: Path, folder: Path, fps: float | None) -> None:
    """Write the frames that are not there yet, then the manifest that says that all are."""
    with _opened(video) as capture:
        announced, native_fps, count, kept, last_ms = *_announced(capture), 0, 0, 0.0
        if fps and native_fps <= 0:
            raise DataError(f"{video}: does not say how many frames a second it has; leave fps out of intrinsics.json")
        step = max(1.0, native_fps / fps) if fps else 1.0
        part = "all are" if step == 1 else f"one in {step:.3g} is"
        logger.info("%s: about %d frames, %s written to %s once", video, announced, part, folder)
        for number, (time_ms, pixels) in enumerate(_decoded(capture)):
            count, last_ms = number + 1, time_ms
            if number >= round(kept * step):
                path = folder / f"{kept:06d}.jpg"
                kept += 1
                if not path.is_file():
                    with naming_index_root(path):
                        write_image(path, pixels)
    _require_end(video, count, last_ms / 1e3, announced, native_fps)
    with naming_index_root(folder):
        write_json(folder / MANIFEST, {"schema": 1, "video": str(video.absolute()), "fps": fps, "frames": kept})


def _require_end(video: Path, count: int, last_s: float, announced: int, native_fps: float) -> None:
    """Refuse a video that was cut: the last frame lies before the end that it announces.

    Not every format stores the number of frames. It is then estimated from the length at a constant rate, and is too
    large where frames were dropped or the rate varies.
    """
    if 0 < count >= _MIN_SHARE * announced - 1:
        return
    length_s = announced / native_fps if native_fps > 0 else 0.0
    frame_s = last_s / max(count - 1, 1)
    if length_s > 0 and 0 < last_s >= min(_MIN_SHARE * length_s, length_s - _MAX_GAP_FRAMES * frame_s):
        logger.warning(
            "%s: %d frames instead of the announced %d, up to its end: frames were dropped or its rate varies",
            *(video, count, announced),
        )
        return
    seconds = f" up to second {last_s:.1f} of {length_s:.1f}" if length_s > 0 < last_s else ""
    raise DataError(
        f"{video}: only {count} of {announced} frames can be decoded{seconds}; copy or download the video again"
    )


@contextmanager
def _opened(video: Path) -> Iterator["cv2.VideoCapture"]:
    try:
        import cv2
    except ImportError as error:
        raise DataError(f"{video}: videos need OpenCV; run: pip install opencv-python-headless") from error
    capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise DataError(f"{video}: is no video that OpenCV can read; convert it to mp4, or give a folder of images")
        yield capture
    finally:
        capture.release()


def _announced(capture: "cv2.VideoCapture") -> tuple[int, float]:
    """Number of frames and frames per second as the file states them; 0 where it does not."""
    import cv2

    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), max(0.0, capture.get(cv2.CAP_PROP_FPS))


def _decoded(capture: "cv2.VideoCapture") -> Iterator[tuple[float, np.ndarray]]:
    """Time [ms] and pixels, uint8 RGB (H, W, 3), of the frames from here to the end."""
    import cv2

    while True:
        there, pixels = capture.read()
        if not there:
            return
        yield capture.get(cv2.CAP_PROP_POS_MSEC), np.ascontiguousarray(pixels[:, :, ::-1])
