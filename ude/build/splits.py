"""Split files from the config's source, and from the lists of other projects."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from yacs.config import CfgNode

from ude.config import ConfigError
from ude.data.sample import FrameSource
from ude.data.splits import EmptySplitError, monodepth2_frames, write_split
from ude.files import DataError

from .sources import evaluation_source, training_source


def source_splits(cfg: CfgNode, splits: Sequence[str], folder: Path) -> Iterator[tuple[Path, Counter[str]]]:
    """Writes the frames of splits as the config chooses them; yields every file and its counts by condition.

    Those of ``DATA.SPLIT_TRAIN`` are the training frames, with neighbours and fast enough, those of others all.

    Args:
        cfg: the config.
        splits: names of splits of the source; of one without frames in this version, the counts are empty.
        folder: where ``<split>.txt`` is written.
    """
    _require_outside(folder, cfg)
    for split in splits:
        training = split == cfg.DATA.SPLIT_TRAIN
        path = folder / f"{Path(split).stem}.txt"
        try:
            source = training_source(cfg) if training else evaluation_source(cfg, split)
        except EmptySplitError:
            yield path, Counter()
            continue
        rule = f"{_named(cfg)}, split {split}, rules {cfg.DATA.RULES}: "
        rule += f"day-clear, neighbours {tuple(cfg.DATA.FRAME_OFFSETS)}, " if training else "all frames"
        rule += f"at least {cfg.DATA.MIN_SPEED:g} m/s" if training else ""
        yield path, write_split(path, _frames(source), rule=rule)


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
    for split, frames in sample_list(index, samples, version=cfg.DATA.VERSION).items():
        path = folder / f"{split}.txt"
        rule = f"{_named(cfg)}, split {split}, from {samples.name} of md4all; to be read with DATA.RULES md4all"
        yield path, write_split(path, frames, rule=rule)


def monodepth2_split(frames: Path, folder: Path) -> Iterator[tuple[Path, Counter[str]]]:
    """Writes the frames of a list of monodepth2 for ``DATA.SOURCE kitti``; yields the file and its counts.

    Args:
        frames: lines ``folder frame side``.
        folder: where a file of the same stem is written.
    """
    path = folder / f"{frames.stem}.txt"
    if path.exists() and path.samefile(frames):
        raise DataError(f"--output {folder} holds the list itself, which would be replaced; choose another folder")
    yield path, write_split(path, monodepth2_frames(frames), rule=f"KITTI raw, from {frames.name} of monodepth2")


def _frames(source: FrameSource) -> Iterable[tuple[str, str]]:
    return ((source.frame_id(index), source.condition(index)) for index in range(len(source)))


def _named(cfg: CfgNode) -> str:
    return f"nuscenes {cfg.DATA.VERSION}" if cfg.DATA.SOURCE == "nuscenes" else cfg.DATA.SOURCE


def _require_outside(folder: Path, cfg: CfgNode) -> None:
    if folder.resolve().is_relative_to(Path(cfg.DATA.ROOT).resolve()):
        raise DataError(f"--output {folder} lies in the data set {cfg.DATA.ROOT}; choose a folder outside of it")
