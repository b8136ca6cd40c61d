"""The part of a check of data that reads the files in full, and what later checks keep of it."""

import time
from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from ude.data import check
from ude.data.images import prepare_reading
from ude.data.sample import FrameSource

from .sources import translated_frames

MEMORY, FINDINGS = "good_images.jsonl", "deep_findings.json"
"""Files of a check's folder: images that need not be decoded again, and what is wrong with others."""


def translations(cfg: CfgNode, split: check.SplitCheck) -> dict[Path, tuple[str, ...]]:
    """The translated images of training frames, where the config names a folder of them, with their frames."""
    if not split.training or not cfg.DATA.TRANSLATED.ROOT:
        return {}
    return check.translation_users(split.frames, translated_frames(cfg))


def read_all(
    cfg: CfgNode,
    found: check.DataCheck,
    sources: Sequence[FrameSource],
    *,
    workers: int,
    output: Path,
    progress: bool,
) -> dict[Path, check.ImageFacts]:
    """Reads all files in full and adds what is wrong with them to the splits; returns what the images are.

    Args:
        cfg: the config.
        found: the check, which is completed.
        sources: of its splits; those of splits with an error are not used.
        workers: processes that read; 0 = this one.
        output: folder where the findings are noted.
        progress: whether to show progress bars.
    """
    translated = [translations(cfg, split) for split in found.splits]
    paths = {
        path
        for split in found.splits
        for frame in split.frames
        if not frame.filmed
        for path in (frame.image, *frame.neighbours)
    }
    present = check.present_files({*paths, *(path for part in translated for path in part)})
    prepare_reading()
    start = time.perf_counter()
    facts, found.known = check.scan_images(sorted(present), workers=workers, memory=output / MEMORY, progress=progress)
    found.decoded, found.seconds = len(facts) - found.known, time.perf_counter() - start
    findings, looked_at = [], set()
    for split, source, users in zip(found.splits, sources, translated, strict=True):
        if split.error is None:
            read = [
                *check.image_problems(split.frames, facts),
                *check.filmed_problems(source, split.frames),
                *check.repeated_images(split.frames, facts),
                *check.translation_problems(users, facts, cfg.DATA.SIZE),
                *_lidar_problems(split, source, workers=workers, progress=progress),
            ]
            findings += read
            looked_at |= check.read_files(split, users)
            split.problems = check.distinct([*read, *split.problems])
    check.note_findings(output / FINDINGS, findings, looked_at)
    return facts


def keep_findings(cfg: CfgNode, found: check.DataCheck, output: Path) -> None:
    """Adds what earlier checks have found in the files, where these have not changed since."""
    kept = []
    for split in found.splits:
        names = {frame.frame_id for frame in split.frames}
        files = check.read_files(split, translations(cfg, split))
        earlier = check.kept_findings(output / FINDINGS, files, names)
        kept += earlier
        split.problems = check.distinct([*earlier, *split.problems])
    found.kept = len({(problem.path, problem.problem) for problem in kept})


def _lidar_problems(
    split: check.SplitCheck, source: FrameSource, *, workers: int, progress: bool
) -> list[check.Problem]:
    """Broken LiDAR files of a split that needs LiDAR."""
    frames = [frame for frame in split.frames if frame.lidar is not None and frame.frame_id not in split.without_lidar]
    if split.training or not frames:
        return []
    name = f"LiDAR of {split.split}"
    facts = check.lidar_facts(source, frames, workers=workers, description=name, progress=progress)
    return check.lidar_problems(frames, facts)
