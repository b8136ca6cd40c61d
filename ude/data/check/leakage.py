"""What training and evaluation must not share: drives, frames, and images under other names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .images import ImageFacts
from .problems import FrameFiles


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that stands in two splits.

    Attributes:
        splits: names of the two.
        what: ``scenes``, ``frames`` or ``images``.
        names: what they share.
    """

    splits: tuple[str, str]
    what: str
    names: tuple[str, ...]


def leaks(splits: Mapping[str, Sequence[FrameFiles]], train: str, facts: Mapping[Path, ImageFacts]) -> list[Leak]:
    """What the training split shares with each of the others.

    Args:
        splits: frames by the name of their split.
        train: name of the training split.
        facts: what is known of images; empty where none was read, then only names are compared.
    """
    found = []
    for split, frames in splits.items():
        if split == train or train not in splits:
            continue
        one, other = _shareable(splits[train], facts), _shareable(frames, facts)
        for what in one:
            shared = [name for key, name in one[what].items() if key in other[what]]
            if shared:
                found.append(Leak((train, split), what, tuple(sorted(shared))))
    return found


def _shareable(frames: Sequence[FrameFiles], facts: Mapping[Path, ImageFacts]) -> dict[str, dict[str, str]]:
    """What two splits could share, by what tells it from others, with the name to report.

    An image is told by the hash of its file, or by its path where it was not read.
    """
    images = {path for frame in frames if not frame.filmed for path in (frame.image, *frame.neighbours)}
    return {
        "scenes": {frame.scene: frame.scene for frame in frames},
        "frames": {frame.frame_id: frame.frame_id for frame in frames},
        "images": {(facts[path].digest if path in facts else "") or str(path): str(path) for path in images},
    }
