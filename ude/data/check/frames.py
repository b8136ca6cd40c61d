"""Whether a frame's intrinsics, neighbours, name and condition can be true."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ude.data.sample import CONDITIONS, FrameSource
from ude.files import DataError

from .problems import CALIBRATION, FRAME, IMAGE, NEIGHBOUR, FrameFiles, Problem, without_path

MAX_SPEED = 60.0
"""Of a car [m/s]."""
MAX_GAP = 1.0
"""Longest time between one frame and the next of a camera [s]."""
_MICROSECONDS = re.compile(r"\d{16}$")


def frame_problems(source: FrameSource, frames: Sequence[FrameFiles]) -> list[Problem]:
    """What can be seen to be wrong with frames without opening their images."""
    problems = [*_repeated_names(frames)]
    with_poses = _has_poses(source)
    for frame in frames:
        for kind, problem in _objections(source, frame, with_poses=with_poses):
            problems.append(Problem(kind, str(frame.image), problem, (frame.frame_id,)))
    return problems


def crop_objection(frames: Iterable[FrameFiles], crop: tuple[int, int, int, int]) -> str | None:
    """Why a crop (top, left, height, width) [px] is none of some frames, None where it fits; four zeros fit all."""
    top, left, height, width = crop
    sizes = Counter(frame.size for frame in frames if frame.size) if any(crop) else Counter()
    left_by = {size: count for size, count in sizes.items() if top + height > size[0] or left + width > size[1]}
    if not left_by:
        return None
    words = ", ".join(f"{count} frames of {size[0]} x {size[1]}" for size, count in left_by.items())
    return f"DATA.CROP {[*crop]} leaves {words} (height x width); correct DATA.CROP"


def intrinsics_objection(K: object, size: tuple[int, int]) -> str | None:
    """Why a K cannot belong to an image of ``size`` (height, width), None where it can.

    Square pixels within 10 %, the centre within 20 % of the image's, no skew.
    """
    try:
        K = np.asarray(K, np.float64)
    except (TypeError, ValueError):
        return "intrinsics are no matrix of numbers"
    if K.shape != (3, 3):
        return f"intrinsics are of shape {K.shape}, not (3, 3)"
    if not np.isfinite(K).all():
        return "intrinsics are not finite"
    (fx, skew, cx), (below, fy, cy), last = K
    height, width = size
    wrong = {
        f"focal lengths {fx:g} and {fy:g} px are not positive and within 10 % of each other": not (
            fx > 0 and abs(fy / fx - 1) < 0.1
        ),
        f"centre ({cx:g}, {cy:g}) px is not near that of an image of {height} x {width} (height x width)": not (
            abs(cx / width - 0.5) < 0.2 and abs(cy / height - 0.5) < 0.2
        ),
        "skew or last row are not those of a K": bool(skew or below or (last != (0, 0, 1)).any()),
    }
    return next((f"intrinsics: {words}" for words, applies in wrong.items() if applies), None)


def _objections(source: FrameSource, frame: FrameFiles, *, with_poses: bool) -> Iterator[tuple[str, str]]:
    """Pairs of a kind of problem and what is wrong."""
    yield from _objections_to_calibration(source, frame)
    if frame.condition not in CONDITIONS:
        yield FRAME, f"has the condition {frame.condition!r}, which is none of {', '.join(CONDITIONS)}"
    if not frame.frame_id or re.search(r"[/\\\x00-\x1f]", frame.frame_id):
        yield FRAME, f"frame_id {frame.frame_id!r} is not fit for a file name"
    for offset, path in zip(source.offsets, frame.neighbours, strict=True):
        seconds = _seconds_between(frame.image.stem, path.stem)
        if path == frame.image and not frame.filmed:
            yield NEIGHBOUR, f"the neighbour at {offset:+d} is the frame itself"
        elif seconds is not None and not 0 < seconds * np.sign(offset) <= MAX_GAP * abs(offset):
            yield NEIGHBOUR, f"the neighbour at {offset:+d}, {path.name}, was taken {seconds:+.3f} s from the frame"
        elif with_poses and (objection := _motion_objection(source, frame.index, offset, seconds)):
            yield NEIGHBOUR, f"the neighbour at {offset:+d}, {path.name}, {objection}"


def _objections_to_calibration(source: FrameSource, frame: FrameFiles) -> Iterator[tuple[str, str]]:
    try:
        size = frame.size or source.native_size(frame.index)
    except DataError as error:
        yield IMAGE, without_path(str(error), frame.image)
        return
    try:
        objection = intrinsics_objection(source.intrinsics(frame.index), size)
    except (DataError, ValueError, TypeError) as error:
        objection = str(error)
    if objection:
        yield CALIBRATION, objection


def _motion_objection(source: FrameSource, index: int, offset: int, seconds: float | None) -> str | None:
    """Why the motion between a frame and its neighbour cannot be that of a car."""
    try:
        T, distance = source.T_source_target(index, offset), source.distance(index, offset)
    except DataError as error:
        return f"has no pose ({error})"
    if not (np.isfinite(T).all() and abs(np.linalg.det(T) - 1) < 1e-3):
        return "has a pose that is no rigid motion"
    limit = MAX_SPEED * (MAX_GAP * abs(offset) if seconds is None else abs(seconds))
    if not 0 <= distance <= limit:
        return f"is {distance:.1f} m away, faster than {MAX_SPEED:g} m/s"
    return None


def _has_poses(source: FrameSource) -> bool:
    """Whether a source knows motion; one without says so for its first frame."""
    if not source.offsets or not len(source):
        return False
    try:
        source.distance(0, source.offsets[0])
    except DataError:
        return False
    return True


def _seconds_between(stem: str, other: str) -> float | None:
    """Time from one image to another [s], where their names end in the microseconds of a clock, as in nuScenes."""
    times = [_MICROSECONDS.search(name) for name in (stem, other)]
    return (int(times[1][0]) - int(times[0][0])) * 1e-6 if all(times) else None


def _repeated_names(frames: Iterable[FrameFiles]) -> Iterator[Problem]:
    counts = Counter(frame.frame_id for frame in frames)
    for frame in frames:
        if counts[frame.frame_id] > 1:
            times = f"frame_id {frame.frame_id} stands for {counts.pop(frame.frame_id)} frames"
            yield Problem(FRAME, str(frame.image), times, (frame.frame_id,))
