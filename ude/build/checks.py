"""The check of a config's data: what is there, what is broken, what leaks between its splits."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from yacs.config import CfgNode

from ude.data import check
from ude.data.images import prepare_reading
from ude.data.sample import FrameSource
from ude.files import DataError, write_json

from .sources import evaluation_source, training_source, translated_frames
from .translated import matching_translations

BROKEN, REPORT, MEMORY = "broken.json", "report.json", "good_images.jsonl"
"""Files that a check writes: frames to leave out, all counts, and what need not be decoded again."""
LEFT_OUT = {"num_without_neighbour": "without neighbour", "num_slow": "slower than DATA.MIN_SPEED"}
"""Counts that a source may keep, and what they mean."""
SAMPLE_WORLD = "world.json"
"""What lies in the folder of a data set that tools/sample_world has drawn."""
_WHOLE_FRAMES = (0, 0, 0, 0)


def check_data(
    cfg: CfgNode,
    splits: Sequence[str] | None = None,
    *,
    deep: bool,
    workers: int,
    output: Path,
    counts: Path,
    progress: bool = True,
) -> check.DataCheck:
    """Checks the data that a config names and writes ``broken.json`` and ``report.json``.

    Args:
        cfg: the config; ``DATA.EXCLUDE`` is passed over, so that all there is gets checked, and so are whole frames, of
            which ``DATA.CROP`` must be a part.
        splits: names or files, None for ``DATA.SPLIT_TRAIN`` and ``DATA.SPLIT_VAL``. The first of these is checked as
            training data, with neighbours and without LiDAR, all others as evaluation data.
        deep: read every image and LiDAR file in full.
        workers: processes that do so; 0 = this one.
        output: folder of the results and of the record of good images, which must not lie in the data's folder.
        counts: JSON file of expected counts.
        progress: whether to show progress bars.

    Raises:
        ConfigError: when the translations were made with another ``DATA.CROP``.
        DataError: when no split can be read, or the output lies in the data's folder.
    """
    for folder in filter(None, (cfg.DATA.ROOT, cfg.DATA.TRANSLATED.ROOT)):
        if output.resolve().is_relative_to(Path(folder).resolve()):
            raise DataError(f"--output {output} lies in the data's folder {folder}; choose a folder outside of it")
    if cfg.DATA.TRANSLATED.ROOT:
        matching_translations(cfg)
    crop, cfg = tuple(cfg.DATA.CROP), cfg.clone()
    cfg.defrost()
    cfg.DATA.CROP, cfg.DATA.EXCLUDE = _WHOLE_FRAMES, ""
    expected = _expected(cfg, counts)
    splits = dict.fromkeys(splits or (cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL))
    sources = {split: _source(cfg, split) for split in splits}
    errors = [source for source in sources.values() if isinstance(source, DataError)]
    if len(errors) == len(sources):
        raise errors[0]
    found = check.DataCheck(
        [_split_check(cfg, split, source, crop) for split, source in sources.items()], expected=expected
    )
    facts: dict[Path, check.ImageFacts] = {}
    if deep:
        facts = _decode(cfg, found, sources, workers=workers, memory=output / MEMORY, progress=progress)
    found.leaks = check.leaks({split.split: split.frames for split in found.splits}, cfg.DATA.SPLIT_TRAIN, facts)
    if cfg.DATA.SPLIT_TRAIN == cfg.DATA.SPLIT_VAL:
        found.leaks.append(check.Leak((cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL), "splits", (cfg.DATA.SPLIT_VAL,)))
    _write(cfg, found, output, deep=deep)
    return found


def _expected(cfg: CfgNode, counts: Path) -> check.Expected:
    if (Path(cfg.DATA.ROOT) / SAMPLE_WORLD).is_file():  # it bears a version of nuScenes, but none of its numbers
        return check.Expected()
    version = cfg.DATA.VERSION if cfg.DATA.SOURCE == "nuscenes" else ""
    return check.expected_counts(counts, source=cfg.DATA.SOURCE, version=version, rules=cfg.DATA.RULES)


def _source(cfg: CfgNode, split: str) -> FrameSource | DataError:
    try:
        return training_source(cfg) if split == cfg.DATA.SPLIT_TRAIN else evaluation_source(cfg, split)
    except DataError as error:
        return error


def _split_check(
    cfg: CfgNode, split: str, source: FrameSource | DataError, crop: tuple[int, int, int, int]
) -> check.SplitCheck:
    """What can be said of a split without opening its images."""
    training = split == cfg.DATA.SPLIT_TRAIN
    if isinstance(source, DataError):
        return check.SplitCheck(split, training, error=str(source))
    frames = check.frame_files(source)
    missing = check.missing_files(frames)
    no_lidar = [frame.frame_id for frame in frames if frame.lidar is None]
    no_lidar += [name for problem in missing if problem.kind == check.LIDAR for name in problem.frame_ids]
    needed = [problem for problem in missing if not (training and problem.kind == check.LIDAR)]
    return check.SplitCheck(
        split,
        training,
        frames=frames,
        problems=[
            *needed,
            *check.missing_translations(_translations(cfg, frames, training)),
            *check.frame_problems(source, frames),
            *check.crop_problems(frames, crop),
        ],
        without_lidar=frozenset(no_lidar),
        left_out=_left_out(source),
    )


def _left_out(source: FrameSource) -> dict[str, int]:
    """Number of frames that a source leaves out, by reason: its own reasons, or those of the counts that it keeps."""
    counts = {reason: getattr(source, name, 0) for name, reason in LEFT_OUT.items()}
    return {reason: count for reason, count in getattr(source, "left_out", counts).items() if count}


def _translations(cfg: CfgNode, frames: Sequence[check.FrameFiles], training: bool) -> dict[Path, tuple[str, ...]]:
    """The translated images of the training frames, where the config names a folder of them."""
    if not training or not cfg.DATA.TRANSLATED.ROOT:
        return {}
    return check.translation_users(frames, translated_frames(cfg))


def _decode(
    cfg: CfgNode,
    found: check.DataCheck,
    sources: Mapping[str, FrameSource | DataError],
    *,
    workers: int,
    memory: Path,
    progress: bool,
) -> dict[Path, check.ImageFacts]:
    """Reads all files in full and adds what is wrong with them to the splits; returns what the images are."""
    translations = {split.split: _translations(cfg, split.frames, split.training) for split in found.splits}
    paths = {
        path
        for split in found.splits
        for frame in split.frames
        if not frame.filmed
        for path in (frame.image, *frame.neighbours)
    }
    present = check.present_files({*paths, *(path for part in translations.values() for path in part)})
    prepare_reading()
    start = time.perf_counter()
    facts, found.known = check.scan_images(sorted(present), workers=workers, memory=memory, progress=progress)
    found.decoded, found.seconds = len(facts) - found.known, time.perf_counter() - start
    for split in found.splits:
        if split.error is None:
            source = sources[split.split]
            read = [
                *check.image_problems(split.frames, facts),
                *check.filmed_problems(source, split.frames),
                *check.repeated_images(split.frames, facts),
                *check.translation_problems(translations[split.split], facts, cfg.DATA.SIZE),
                *_lidar_problems(split, source, workers=workers, progress=progress),
            ]
            split.problems = check.distinct([*read, *split.problems])
    return facts


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


def _write(cfg: CfgNode, found: check.DataCheck, output: Path, *, deep: bool) -> None:
    about = {"name": cfg.NAME, "source": cfg.DATA.SOURCE, "root": cfg.DATA.ROOT, "version": cfg.DATA.VERSION}
    decoded = {"decoded": found.decoded, "known_good": found.known, "seconds": round(found.seconds, 2)}
    report = check.report_document(found.splits, found.leaks, found.expected, **about, deep=deep, images=decoded)
    write_json(output / REPORT, report)
    write_json(output / BROKEN, check.broken_document(cfg.DATA.ROOT, found.problems))
