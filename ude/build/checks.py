"""The check of a config's data: what is there, what is broken, what leaks between its splits."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from yacs.config import CfgNode

from ude.data import check
from ude.data.sample import FrameSource
from ude.files import DataError, write_json

from . import checked_files
from .sources import evaluation_source, official_splits, training_source
from .translated import matching_translations

BROKEN, REPORT = "broken.json", "report.json"
"""Files that a check writes: frames to leave out, and all counts."""
SAMPLE_WORLD = "world.json"
"""What lies in the folder of a data set that tools/sample_world has drawn."""
_WHOLE_FRAMES = (0, 0, 0, 0)
ALL = "all"
"""The split of a source that holds those of its others."""


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
            training data, with neighbours and without LiDAR, all others as evaluation data, and one that is both as
            both.
        deep: read every image and LiDAR file in full; else what earlier checks have found in files that are unchanged
            is kept.
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
    parts = _parts(cfg, dict.fromkeys(splits or (cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL)))
    sources = [_source(cfg, *part) for part in parts]
    errors = [source for source in sources if isinstance(source, DataError)]
    if len(errors) == len(sources):
        raise errors[0]
    checks = [_split_check(cfg, *part, source, crop) for part, source in zip(parts, sources, strict=True)]
    found = check.DataCheck(checks, expected=expected)
    facts: dict[Path, check.ImageFacts] = {}
    if deep:
        facts = checked_files.read_all(cfg, found, sources, workers=workers, output=output, progress=progress)
    else:
        checked_files.keep_findings(cfg, found, output)
    _compare(cfg, found, facts)
    _write(cfg, found, output, deep=deep)
    return found


def _expected(cfg: CfgNode, counts: Path) -> check.Expected:
    if (Path(cfg.DATA.ROOT) / SAMPLE_WORLD).is_file():  # it bears a version of nuScenes, but none of its numbers
        return check.Expected()
    version = cfg.DATA.VERSION if cfg.DATA.SOURCE == "nuscenes" else ""
    return check.expected_counts(counts, source=cfg.DATA.SOURCE, version=version, rules=cfg.DATA.RULES)


def _parts(cfg: CfgNode, splits: Iterable[str]) -> list[tuple[str, bool]]:
    """Each split and whether it is checked as training data; the one of training that is evaluated, too, is twice."""
    train, val = cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL
    return [
        (split, training)
        for split in splits
        for training in ((True, False) if split == train == val else (split == train,))
    ]


def _source(cfg: CfgNode, split: str, training: bool) -> FrameSource | DataError:
    try:
        return training_source(cfg) if training else evaluation_source(cfg, split)
    except DataError as error:
        return error


def _split_check(
    cfg: CfgNode, split: str, training: bool, source: FrameSource | DataError, crop: tuple[int, int, int, int]
) -> check.SplitCheck:
    """What can be said of a split without opening its images."""
    if isinstance(source, DataError):
        return check.SplitCheck(split, training, error=str(source))
    frames = check.frame_files(source)
    missing = check.missing_files(frames)
    no_lidar = [frame.frame_id for frame in frames if frame.lidar is None]
    no_lidar += [name for problem in missing if problem.kind == check.LIDAR for name in problem.frame_ids]
    needed = [problem for problem in missing if not (training and problem.kind == check.LIDAR)]
    result = check.SplitCheck(
        split,
        training,
        frames=frames,
        without_lidar=frozenset(no_lidar),
        left_out={reason: count for reason, count in source.left_out.items() if count},
        misfit=check.crop_objection(frames, crop),
    )
    missing_translations = check.missing_translations(checked_files.translations(cfg, result))
    result.problems = [*needed, *missing_translations, *check.frame_problems(source, frames)]
    return result


def _compare(cfg: CfgNode, found: check.DataCheck, facts: Mapping[Path, check.ImageFacts]) -> None:
    """Find what training and evaluation share, and tell apart what they share by the definition of their splits."""
    train, val = cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL
    frames = {split.split: split.frames for split in found.splits if split.training or split.split != train}
    everything = ALL if ALL in official_splits(cfg) else None
    shared = check.leaks(frames, train, facts)
    found.leaks = [leak for leak in shared if everything not in leak.splits]
    found.overlaps = [(train, val)] if train == val else []
    found.overlaps += dict.fromkeys(leak.splits for leak in shared if everything in leak.splits)


def _write(cfg: CfgNode, found: check.DataCheck, output: Path, *, deep: bool) -> None:
    about = {"name": cfg.NAME, "source": cfg.DATA.SOURCE, "root": cfg.DATA.ROOT, "version": cfg.DATA.VERSION}
    decoded = {"decoded": found.decoded, "known_good": found.known, "seconds": round(found.seconds, 2)}
    about |= {"deep": deep, "kept": found.kept, "overlaps": found.overlaps}
    report = check.report_document(found.splits, found.leaks, found.expected, **about, images=decoded)
    write_json(output / REPORT, report)
    write_json(output / BROKEN, check.broken_document(cfg.DATA.ROOT, found.problems))
