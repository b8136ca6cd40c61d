"""Split files from the config's source, and from the lists of other projects."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from yacs.config import CfgNode

from ude.config import ConfigError
from ude.data.cropped import CroppedFrames
from ude.data.excluded import WithoutFrames
from ude.data.sample import FrameSource
from ude.data.splits import EmptySplitError, monodepth2_frames, write_split
from ude.files import DataError, sha256

from .sources import DAY, evaluation_source, official_splits, speed_unused, training_source

TEST = "test"
_LOG = logging.getLogger(__name__)


def default_splits(cfg: CfgNode) -> list[str]:
    """The splits that the config names, and ``test`` where the source has one."""
    test = [name for name in official_splits(cfg) if name == TEST]
    return [*dict.fromkeys((cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL, *test))]


def source_splits(cfg: CfgNode, splits: Sequence[str] | None, folder: Path) -> Iterator[tuple[Path, Counter[str]]]:
    """Writes the frames of splits as the config chooses them; yields every file and its counts by condition.

    ``DATA.SPLIT_TRAIN`` becomes the training frames, with neighbours and fast enough, every other split all its frames.
    A split that is both ``DATA.SPLIT_TRAIN`` and ``DATA.SPLIT_VAL`` becomes two files, ``<split>.train.txt`` and
    ``<split>.txt``. The header names what was applied; ``DATA.CROP`` chooses no frames.

    Args:
        cfg: the config.
        splits: names of splits of the source, or split files; None for ``default_splits``. Of one without frames in
            this version the counts are empty, as of the ``test`` that only ``default_splits`` names where it cannot be
            read.
        folder: where ``<split>.txt`` is written.

    Raises:
        DataError: before anything is written, when two splits would become one file, or a split file that is read
            would be replaced.
    """
    _require_outside(folder, cfg)
    named = splits or (cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL)
    files = [*_files(cfg, splits or default_splits(cfg), folder)]
    paths = [path for path, _, _ in files]
    if clash := {path: split for path, split, _ in files if paths.count(path) > 1}:
        path, split = clash.popitem()
        raise DataError(f"{split}: another split would be written as {path}, too; rename one, or write them apart")
    _require_new(paths, (*named, cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL))
    for path, split, training in files:
        try:
            source = training_source(cfg) if training else evaluation_source(cfg, split)
        except DataError as error:
            if split in named and not isinstance(error, EmptySplitError):
                raise
            _LOG.info(error)
            yield path, Counter()
            continue
        yield path, write_split(path, _frames(source), rule=_rule(cfg, split, source, training=training))


def md4all_splits(cfg: CfgNode, samples: Path, folder: Path) -> Iterator[tuple[Path, Counter[str]]]:
    """Writes the training and validation frames of md4all's list of samples; yields every file and its counts.

    Args:
        cfg: config of the nuScenes version that the list was made from.
        samples: ``train_samples_dynamic.json``.
        folder: where ``train.txt`` and ``val.txt`` are written.
    """
    if cfg.DATA.SOURCE != "nuscenes":
        raise ConfigError(f"DATA.SOURCE: md4all's list is of nuscenes, got {cfg.DATA.SOURCE}; choose another --cfg")
    _require_outside(folder, cfg)
    from ude.data.nuscenes.cache import load_index
    from ude.data.nuscenes.md4all import sample_list

    index = load_index(Path(cfg.DATA.ROOT), cfg.DATA.VERSION, cfg.DATA.INDEX_ROOT)
    lists = sample_list(index, samples, version=cfg.DATA.VERSION)
    _require_new([folder / f"{split}.txt" for split in lists], (cfg.DATA.SPLIT_TRAIN, cfg.DATA.SPLIT_VAL))
    for split, frames in lists.items():
        path = folder / f"{split}.txt"
        rule = f"{_named(cfg)}, split {split}, from {samples.name} of md4all; to be read with DATA.RULES md4all"
        yield path, write_split(path, frames, rule=rule)


def monodepth2_split(frames: Path, folder: Path) -> Iterator[tuple[Path, Counter[str]]]:
    """Writes the frames of a list of monodepth2 for ``DATA.SOURCE kitti``; yields the file and its counts.

    Args:
        frames: lines ``folder frame side``.
        folder: where ``<folder of the list>/<name of the list>.txt`` is written, since monodepth2's lists are called
            alike and differ in their folders.
    """
    path = folder / frames.absolute().parent.name / f"{frames.stem}.txt"
    _require_new([path], [frames])
    yield path, write_split(path, monodepth2_frames(frames), rule=f"KITTI raw, from {frames.name} of monodepth2")


def _frames(source: FrameSource) -> Iterable[tuple[str, str]]:
    return ((source.frame_id(index), source.condition(index)) for index in range(len(source)))


def _named(cfg: CfgNode) -> str:
    return f"nuscenes {cfg.DATA.VERSION}" if cfg.DATA.SOURCE == "nuscenes" else cfg.DATA.SOURCE


def _files(cfg: CfgNode, splits: Sequence[str], folder: Path) -> Iterator[tuple[Path, str, bool]]:
    """File, split, and whether the file holds its training frames."""
    for split in dict.fromkeys(splits):
        training, stem = split == cfg.DATA.SPLIT_TRAIN, Path(split).stem
        both = training and split == cfg.DATA.SPLIT_VAL
        if training:
            yield folder / (f"{stem}.train.txt" if both else f"{stem}.txt"), split, True
        if both or not training:
            yield folder / f"{stem}.txt", split, False


def _rule(cfg: CfgNode, split: str, source: FrameSource, *, training: bool) -> str:
    """What chose the frames of a source, in a line: only what was applied."""
    official = split in official_splits(cfg)
    words = [_named(cfg), f"split {split}" if official else f"split file {split} ({_digest(Path(split))})"]
    if cfg.DATA.SOURCE == "nuscenes":
        words.append(f"rules {cfg.DATA.RULES}")
    wanted = ", ".join(DAY) if training else "all conditions"
    words.append(wanted if official else "conditions of the file")
    if training:
        words.append(f"neighbours {tuple(cfg.DATA.FRAME_OFFSETS)}")
        if cfg.DATA.MIN_SPEED > 0 and not speed_unused(cfg):
            where = " in training scenes" if cfg.DATA.RULES == "md4all" and cfg.DATA.SOURCE == "nuscenes" else ""
            words.append(f"at least {cfg.DATA.MIN_SPEED:g} m/s{where}")
    if isinstance(source, CroppedFrames):
        source = source.source
    if isinstance(source, WithoutFrames):
        listed = Path(cfg.DATA.EXCLUDE)
        words.append(f"without {source.num_excluded} frames in {listed.name} ({_digest(listed)})")
    words += [f"{count} left out: {reason}" for reason, count in source.left_out.items() if count]
    return " ".join(", ".join(words).split())


def _digest(path: Path) -> str:
    return f"sha256 {sha256(path)}"


def _require_new(paths: Sequence[Path], read: Sequence[str | Path]) -> None:
    """Refuse to replace a file that is read."""
    inputs = [Path(file) for file in read if Path(file).is_file()]
    for path in paths:
        if path.exists() and any(path.samefile(file) for file in inputs):
            raise DataError(
                f"--output {path.parent}: {path.name} in it is read, and would be replaced; choose another folder"
            )


def _require_outside(folder: Path, cfg: CfgNode) -> None:
    if folder.resolve().is_relative_to(Path(cfg.DATA.ROOT).resolve()):
        raise DataError(f"--output {folder} lies in the data set {cfg.DATA.ROOT}; choose a folder outside of it")
