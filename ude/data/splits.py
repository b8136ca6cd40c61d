"""Split files: one frame per line as ``frame_id condition``, the same form for every source."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ude.data.sample import CONDITIONS
from ude.files import DataError, MissingFileError, safe_path, write_text

_MONODEPTH2 = re.compile(
    r"(?:\d{4}_\d\d_\d\d/)?(?P<drive>\d{4}_\d\d_\d\d_drive_\d+_sync) (?P<frame>[0-9]+) (?P<side>[lr])"
)
_COMMENT = "#"
_FRAMES = f"{_COMMENT} frames: "
_HASH = f"{_COMMENT} sha256: "


class EmptySplitError(DataError):
    """A split has no frames, in this version of the data set or after filtering."""


def read_split(path: Path) -> dict[str, tuple[str, int]]:
    """Condition and line number of every frame_id of a split file; empty lines and those that start with # are free.

    Raises:
        DataError: when the file is missing, or a line has another form, an unknown condition, a frame_id that is no
            file name, or one that the file has already.
    """
    frames: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        words = line.strip().rsplit(maxsplit=1)  # file names may hold spaces
        if not words or line.lstrip().startswith(_COMMENT):
            continue
        if len(words) != 2 or words[1] not in CONDITIONS:
            raise DataError(
                f"{path}:{number}: expected 'frame_id condition' with a condition of {', '.join(CONDITIONS)}, "
                f"got {_shown(line)}"
            )
        _require_file_name(words[0], f"{path}:{number}")
        if words[0] in frames:
            raise DataError(f"{path}:{number}: {words[0]} stands in line {frames[words[0]][1]} already; remove one")
        frames[words[0]] = (words[1], number)
    return frames


def write_split(path: Path, frames: Iterable[tuple[str, str]], *, rule: str) -> Counter[str]:
    """Writes a split file with a header that ``check_split`` verifies, and counts its frames by condition.

    Args:
        path: the file.
        frames: frame_id and condition of every frame, in order; of a repeated frame the first one is kept.
        rule: where the frames come from and how they were chosen, one line.

    Raises:
        DataError: when a frame_id could not be read again.
    """
    chosen: dict[str, str] = {}
    for frame_id, condition in frames:
        _require_file_name(frame_id, str(path))
        chosen.setdefault(frame_id, condition)
    body = "".join(f"{frame_id} {condition}\n" for frame_id, condition in chosen.items())
    counts = Counter(chosen.values())
    header = f"{_COMMENT} {rule}\n{_FRAMES}{counted(counts)}\n{_HASH}{_digest(body)}\n"
    write_text(path, header + body)
    return counts


def check_split(path: Path) -> Counter[str]:
    """Number of frames by condition of a split file whose header is proved right.

    Raises:
        DataError: when it has no header of ``write_split``, or its lines are not those that were written.
    """
    lines = _text(path).splitlines(keepends=True)
    stated = {
        key: next((line.removeprefix(key).strip() for line in lines if line.startswith(key)), None)
        for key in (_FRAMES, _HASH)
    }
    if None in stated.values():
        raise DataError(f"{path}: has no '{_FRAMES.strip()}' and '{_HASH.strip()}' lines to check; write it again")
    found = {
        _FRAMES: counted(Counter(condition for condition, _ in read_split(path).values())),
        _HASH: _digest("".join(line for line in lines if not line.startswith(_COMMENT))),
    }
    for key, words in stated.items():
        if found[key] != words:
            what = key.strip(f"{_COMMENT} :")
            raise DataError(f"{path}: was changed: {what} {found[key]}, but its header says {words}; write it again")
    return Counter(condition for condition, _ in read_split(path).values())


def monodepth2_frames(path: Path) -> list[tuple[str, str]]:
    """Frame_id of ``KittiFrames`` and condition of every line ``folder frame side`` of a list of monodepth2.

    Raises:
        DataError: when a line has another form or names no drive of KITTI raw.
    """
    frames = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        found = _MONODEPTH2.fullmatch(line.strip())
        if found is None or len(found["frame"]) > 10:
            raise DataError(
                f"{path}:{number}: expected '2011_09_26/2011_09_26_drive_0001_sync 5 l', a drive of KITTI raw, a frame "
                f"and a side, got {_shown(line)}; other lists cannot be imported"
            )
        camera = {"l": "02", "r": "03"}[found["side"]]
        frames.append((f"{found['drive']}_{camera}_{int(found['frame']):010d}", "day-clear"))
    return frames


def counted(counts: Counter[str]) -> str:
    """Counts by condition as words, such as ``3 (day-clear 2, night-rain 1)``."""
    parts = ", ".join(f"{condition} {counts[condition]}" for condition in CONDITIONS if counts[condition])
    return f"{counts.total()} ({parts})" if parts else "0"


def _text(path: Path) -> str:
    if not path.is_file():
        raise MissingFileError(f"{path}: neither the name of a split nor a file; give train, val, ... or a file")
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file; give a file with 'frame_id condition' lines") from error


def _require_file_name(frame_id: str, place: str) -> None:
    """Refuse a name that could lead elsewhere when a source makes a path of it, or that reads as a comment."""
    reason = "it has a slash" if "/" in frame_id else f"it starts with {_COMMENT}" * frame_id.startswith(_COMMENT)
    try:
        safe_path("", frame_id)
    except DataError as error:
        reason = str(error).split(": ", 1)[1].partition(";")[0]
    if reason:
        raise DataError(f"{place}: {_shown(frame_id)} is no frame_id ({reason}); use the names of the source")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8")).hexdigest()
