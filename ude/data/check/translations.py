"""Whether the translated images that training may draw are there and fit their frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ude.data.pixels import MAX_ENLARGEMENT, MAX_STRETCH
from ude.data.translated import TranslatedFrames

from .images import ImageFacts
from .presence import present_files
from .problems import MISSING, TRANSLATION, FrameFiles, Problem, users


def translation_users(frames: Sequence[FrameFiles], translated: TranslatedFrames) -> dict[Path, tuple[str, ...]]:
    """The frame of each translated image; those in quarantine are never drawn and left out."""
    return users(
        (translated.path(frame.frame_id, condition), frame.frame_id)
        for frame in frames
        for condition in translated.usable(frame.frame_id)
    )


def missing_translations(paths: Mapping[Path, tuple[str, ...]]) -> list[Problem]:
    """Translated images that are not there."""
    present = present_files(paths)
    return [
        Problem(TRANSLATION, str(path), MISSING, frame_ids) for path, frame_ids in paths.items() if path not in present
    ]


def translation_problems(
    paths: Mapping[Path, tuple[str, ...]], facts: Mapping[Path, ImageFacts], size: tuple[int, int]
) -> list[Problem]:
    """Translated images that cannot be decoded, or do not fit a frame of ``size`` (height, width) [px]."""
    problems = []
    for path, frame_ids in paths.items():
        problem = _misfit(facts[path], size) if path in facts else None
        if problem:
            problems.append(Problem(TRANSLATION, str(path), problem, frame_ids))
    return problems


def _misfit(facts: ImageFacts, size: tuple[int, int]) -> str | None:
    if facts.problem:
        return facts.problem
    scale_y, scale_x = size[0] / facts.height, size[1] / facts.width
    if max(scale_y, scale_x) > MAX_ENLARGEMENT or max(scale_y / scale_x, scale_x / scale_y) > MAX_STRETCH:
        return (
            f"is {facts.height} x {facts.width} (height x width), which does not fit a frame of {size[0]} x {size[1]}"
        )
    return None
