"""The words of a check: the files of a frame, what is wrong with one of them, and all of that of a split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ude.data.folders.listing import IMAGE_SUFFIXES
from ude.data.sample import FrameSource
from ude.files import DataError

IMAGE = "image"
NEIGHBOUR = "neighbour"
LIDAR = "LiDAR"
TRANSLATION = "translation"
CALIBRATION = "calibration"
FRAME = "frame"
ALL = "all"
"""Name of all conditions together."""
MISSING = "no such file"
"""The problem of a file that is not there; kept apart from those of a file that is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that makes frames unfit.

    Attributes:
        kind: what of a frame it concerns, such as ``IMAGE``.
        path: the file.
        problem: what is wrong with it, in a few words.
        frame_ids: the frames that need the file.
    """

    kind: str
    path: str
    problem: str
    frame_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrameFiles:
    """A frame and the files that it is read from.

    Attributes:
        index: number of the frame in its source.
        frame_id: name of the frame.
        condition: recording condition.
        scene: name of its drive.
        size: (height, width) of its images [px], None where the source cannot tell.
        image: its own file.
        neighbours: files of the neighbours, in the order of the source's offsets.
        lidar: file of its LiDAR points or depth, None without.
    """

    index: int
    frame_id: str
    condition: str
    scene: str
    size: tuple[int, int] | None
    image: Path
    neighbours: tuple[Path, ...]
    lidar: Path | None

    @property
    def filmed(self) -> bool:
        """Whether its file holds more than one image."""
        return self.image.suffix.lower() not in IMAGE_SUFFIXES


@dataclass
class SplitCheck:
    """What is known of a split.

    Attributes:
        split: its name or file.
        training: whether its frames are for training, with neighbours and without LiDAR.
        frames: its frames.
        problems: what is wrong with them.
        without_lidar: names of the frames that have no LiDAR file.
        left_out: number of frames that the source leaves out, by reason.
        error: why the split cannot be read at all, None where it can.
        misfit: what in the config does not fit the frames, which are good, None where all does.
    """

    split: str
    training: bool
    frames: Sequence[FrameFiles] = ()
    problems: list[Problem] = field(default_factory=list)
    without_lidar: frozenset[str] = frozenset()
    left_out: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    misfit: str | None = None


def frame_files(source: FrameSource) -> list[FrameFiles]:
    """All frames of a source with their files, none of which is opened."""
    return [
        FrameFiles(
            index=index,
            frame_id=source.frame_id(index),
            condition=source.condition(index),
            scene=source.scene(index),
            size=_size(source, index),
            image=Path(source.image_path(index)),
            neighbours=tuple(Path(source.image_path(index, offset)) for offset in source.offsets),
            lidar=source.lidar_path(index),
        )
        for index in range(len(source))
    ]


def users(pairs: Iterable[tuple[Path, str]]) -> dict[Path, tuple[str, ...]]:
    """The frames that need each file, from pairs of a file and a frame."""
    found: dict[Path, dict[str, None]] = {}
    for path, frame_id in pairs:
        found.setdefault(path, {})[frame_id] = None
    return {path: tuple(frame_ids) for path, frame_ids in found.items()}


def image_users(frames: Iterable[FrameFiles]) -> dict[str, dict[Path, tuple[str, ...]]]:
    """The frames that need each image file, as their own (``IMAGE``) and as a neighbour (``NEIGHBOUR``)."""
    frames = list(frames)
    return {
        IMAGE: users((frame.image, frame.frame_id) for frame in frames),
        NEIGHBOUR: users((path, frame.frame_id) for frame in frames for path in frame.neighbours),
    }


def distinct(problems: Iterable[Problem]) -> list[Problem]:
    """The problems with only the first of each file and kind, so that a file stands once for one damage."""
    found: dict[tuple[str, ...], Problem] = {}
    for problem in problems:
        own = () if problem.kind in (IMAGE, NEIGHBOUR, LIDAR) else (problem.problem,)
        found.setdefault((problem.kind, problem.path, *own), problem)
    return [*found.values()]


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """The problems with those that say the same of a file made one, which names the frames of all."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for problem in problems:
        names = dict.fromkeys(problem.frame_ids)
        found.setdefault((problem.kind, problem.path, problem.problem), {}).update(names)
    return [Problem(*words, tuple(frame_ids)) for words, frame_ids in found.items()]


def without_path(message: str, path: Path) -> str:
    """The message of an error without the file's name at its start, which stands beside it already."""
    return message.removeprefix("image ").removeprefix(f"{path}").lstrip(": ")


def _size(source: FrameSource, index: int) -> tuple[int, int] | None:
    try:
        height, width = source.native_size(index)
    except DataError:  # a source that looks into the image, which is damaged
        return None
    return int(height), int(width)
