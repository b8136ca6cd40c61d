"""The caches that DATA.CACHE_ROOT names: filling and opening them."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from yacs.config import CfgNode

from ude.config import ConfigError
from ude.data.caches.frames import FrameCache
from ude.data.caches.lidar import LidarCache, write_lidar_cache
from ude.data.caches.manifest import MANIFEST, FrameFormat, file_state
from ude.data.caches.writing import CacheOptions, CacheSummary, Read, write_frame_cache
from ude.data.images import resize_filter
from ude.data.pixels import SourcePixels, Which
from ude.data.sample import FrameSource
from ude.files import exit_on_terminate

from .sources import evaluation_source, needs_lidar, needs_neighbours, training_source, uses_translations
from .translated import matching_translations

TRAIN, VAL = "train", "val"


def frame_cache(cfg: CfgNode) -> FrameCache | None:
    """The cache of frames that the config names, None where it names none.

    It is read once per process, and again only when it has been filled again.

    Raises:
        DataError: there is none, or its frames have another size or crop than those of the config.
    """
    if not cfg.DATA.CACHE_ROOT:
        return None
    folder = _frames_folder(cfg)
    cache = _opened(folder, tuple(_roots(cfg).items()), file_state(folder / MANIFEST))
    cache.require(size=cfg.DATA.SIZE, crop=cfg.DATA.CROP)
    return cache


def lossy_store(cfg: CfgNode) -> list[str]:
    """How the cache of frames changes their pixels; empty for one that keeps them, and without a cache."""
    cache = frame_cache(cfg)
    return [] if cache is None or cache.format.store == "memmap" else [cache.format.store]


def lidar_cache(cfg: CfgNode, source: FrameSource) -> LidarCache | None:
    """The cache of LiDAR depth for a source, None where the config names no caches or none was written.

    Raises:
        DataError: it lacks a frame of the source, or is out of date.
    """
    if not cfg.DATA.CACHE_ROOT or not _lidar_folder(cfg).is_dir():
        return None
    return LidarCache(_lidar_folder(cfg), source)


def write_frames(
    cfg: CfgNode, splits: Sequence[str], *, store: str = "memmap", threads: int | None = None, progress: bool = True
) -> CacheSummary:
    """Put the frames that a config trains with and evaluates on into its cache.

    Args:
        cfg: the config.
        splits: ``train`` for the training frames, with the neighbours and translations that the stage uses; ``val`` for
            DATA.SPLIT_VAL; anything else for a split to evaluate on.
        store: ``memmap`` or ``jpeg``.
        threads: how many decode at a time; None takes one per core.
        progress: show progress bars.

    Raises:
        ConfigError: DATA.CACHE_ROOT is empty.
        DataError: a frame cannot be read, or the cache holds frames of another kind.
    """
    folder = _frames_folder(cfg)
    images = {path: read for split in splits for path, read in _images(cfg, split)}
    frames = FrameFormat(tuple(cfg.DATA.SIZE), tuple(cfg.DATA.CROP), store, resize_filter())
    options = CacheOptions(threads or os.cpu_count() or 1, cfg.DATA.ON_ERROR == "skip", progress)
    with exit_on_terminate():
        return write_frame_cache(folder, images, frames, roots=_roots(cfg), options=options)


def write_lidar(cfg: CfgNode, splits: Sequence[str], *, progress: bool = True) -> int:
    """Put the LiDAR depth of splits into the config's cache; returns how many frames were projected."""
    folder = _lidar_folder(cfg)
    with exit_on_terminate():
        return sum(write_lidar_cache(_source(cfg, split), folder, progress=progress) for split in splits)


def lidar_splits(cfg: CfgNode, splits: Sequence[str]) -> list[str]:
    """Those of the splits whose LiDAR depth is looked at: to evaluate on, and ``train`` where the stage learns from it.

    Raises:
        ConfigError: none of them is.
    """
    if found := [split for split in splits if split != TRAIN or needs_lidar(cfg)]:
        return found
    raise ConfigError(
        "--lidar keeps depth to evaluate with: name such a split, too, as in --split val (STAGE supervised learns from "
        "that of train, too)"
    )


@lru_cache(maxsize=4)
def _opened(folder: Path, roots: tuple[tuple[str, str], ...], state: tuple[int, int] | None) -> FrameCache:
    """The cache in a folder, whose manifest is of this size and time."""
    return FrameCache(folder, dict(roots))


def _images(cfg: CfgNode, split: str) -> Iterator[tuple[Path, Read]]:
    """Image files of a split, some of them more than once, and what reads the pixels of each."""
    if split == TRAIN:
        source = training_source(cfg)
        translated = None
        if uses_translations(cfg):
            translated = matching_translations(cfg)
            translated.require(source.frame_id(index) for index in range(len(source)))
        offsets = cfg.DATA.FRAME_OFFSETS if needs_neighbours(cfg) else ()
    else:
        source, translated, offsets = _source(cfg, split), None, ()
    pixels = SourcePixels(source, cfg.DATA.SIZE, translated=translated)
    for index, which, path in pixels.paths(offsets):
        yield path, partial(_pixels, pixels, index, which)


def _pixels(pixels: SourcePixels, index: int, which: Which) -> np.ndarray:
    return pixels.read(index, which).numpy()


def _source(cfg: CfgNode, split: str) -> FrameSource:
    if split == TRAIN:
        return training_source(cfg)
    return evaluation_source(cfg, cfg.DATA.SPLIT_VAL if split == VAL else split)


def _roots(cfg: CfgNode) -> dict[str, str]:
    """Folders that image files are below, by the names under which a cache knows them."""
    roots = {"frames": cfg.DATA.ROOT, "translated": cfg.DATA.TRANSLATED.ROOT}
    return {name: root for name, root in roots.items() if root}


def _frames_folder(cfg: CfgNode) -> Path:
    return _cache_root(cfg) / "frames"


def _lidar_folder(cfg: CfgNode) -> Path:
    return _cache_root(cfg) / "lidar"


def _cache_root(cfg: CfgNode) -> Path:
    if not cfg.DATA.CACHE_ROOT:
        raise ConfigError("DATA.CACHE_ROOT must name the folder of the caches, got ''")
    return Path(cfg.DATA.CACHE_ROOT)
