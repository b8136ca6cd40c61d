"""The source of frames that the config names."""

from collections.abc import Callable
from typing import Any

from yacs.config import CfgNode

from ude.data.sample import FrameSource
from ude.data.translated import TranslatedFrames

from .identity import naming

DAY = ("day-clear",)


def training_source(cfg: CfgNode) -> FrameSource:
    """Day frames with their neighbours, fast enough to show parallax where the source knows the speed."""
    return _restricted(cfg, SOURCES[cfg.DATA.SOURCE](cfg, cfg.DATA.SPLIT_TRAIN, training=True))


def evaluation_source(cfg: CfgNode, split: str) -> FrameSource:
    """All frames of a split, in all conditions."""
    return _restricted(cfg, SOURCES[cfg.DATA.SOURCE](cfg, split, training=False))


def translated_frames(cfg: CfgNode) -> TranslatedFrames:
    """The translations that the config names: a folder of ours or of others, or a data set of the hub."""
    from ude.data.published import translated_root

    options = cfg.DATA.TRANSLATED
    with naming("DATA.TRANSLATED.ROOT"):
        root = translated_root(options.ROOT, options.CONDITIONS, index_root=cfg.DATA.INDEX_ROOT or None)
    return TranslatedFrames(root, options.CONDITIONS)


def _restricted(cfg: CfgNode, source: FrameSource) -> FrameSource:
    """Without the frames that the config leaves out, and the part of the images that it uses."""
    if cfg.DATA.EXCLUDE:
        from ude.data.excluded import WithoutFrames, read_excluded

        with naming("DATA.EXCLUDE"):
            source = WithoutFrames(source, read_excluded(cfg.DATA.EXCLUDE))
    if any(cfg.DATA.CROP):
        from ude.data.cropped import CroppedFrames

        with naming("DATA.CROP"):
            source = CroppedFrames(source, cfg.DATA.CROP)
    return source


def _nuscenes(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.nuscenes import SPLITS, NuScenesFrames

    own = {"version": cfg.DATA.VERSION, "rules": cfg.DATA.RULES, "index_root": cfg.DATA.INDEX_ROOT or None}
    return NuScenesFrames(cfg.DATA.ROOT, **own, **_selection(cfg, split, SPLITS, training), **_speed(cfg, training))


def _robotcar(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.robotcar import SPLITS, RobotCarFrames

    return RobotCarFrames(cfg.DATA.ROOT, **_selection(cfg, split, SPLITS, training), **_speed(cfg, training))


def _kitti(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.kitti import SPLITS, KittiFrames

    return KittiFrames(cfg.DATA.ROOT, **_selection(cfg, split, SPLITS, training), **_speed(cfg, training))


def _drivingstereo(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.drivingstereo import SPLITS, DrivingStereoFrames

    return DrivingStereoFrames(cfg.DATA.ROOT, **_selection(cfg, split, SPLITS, training))


def _cityscapes(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.cityscapes import SPLITS, CityscapesFrames

    return CityscapesFrames(cfg.DATA.ROOT, **_selection(cfg, split, SPLITS, training))


def _image_folder(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.image_folder import SPLITS, ImageFolderFrames

    index_root = cfg.DATA.INDEX_ROOT or None  # where the frames of videos go
    return ImageFolderFrames(cfg.DATA.ROOT, index_root=index_root, **_selection(cfg, split, SPLITS, training))


def _selection(cfg: CfgNode, split: str, splits: tuple[str, ...], training: bool) -> dict[str, Any]:
    """Split, conditions and neighbours: for training day frames, unless a file names its own conditions."""
    if not training:
        return {"split": split}
    return {"split": split, "conditions": DAY if split in splits else None, "offsets": cfg.DATA.FRAME_OFFSETS}


def _speed(cfg: CfgNode, training: bool) -> dict[str, Any]:
    return {"min_speed": cfg.DATA.MIN_SPEED} if training else {}


SOURCES: dict[str, Callable[..., FrameSource]] = {
    "nuscenes": _nuscenes,
    "robotcar": _robotcar,
    "kitti": _kitti,
    "drivingstereo": _drivingstereo,
    "cityscapes": _cityscapes,
    "image_folder": _image_folder,
}
"""A function of the config, a split and whether it is for training, by ``DATA.SOURCE``."""
