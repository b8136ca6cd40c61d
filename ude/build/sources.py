"""The source of frames that the config names."""

import logging
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.data.sample import FrameSource
from ude.data.translated import TranslatedFrames
from ude.files import MissingFileError

from .identity import naming

DAY = ("day-clear",)
_PACKAGES = {
    "nuscenes": "ude.data.nuscenes",
    "robotcar": "ude.data.robotcar",
    "kitti": "ude.data.folders.kitti",
    "drivingstereo": "ude.data.folders.drivingstereo",
    "cityscapes": "ude.data.folders.cityscapes",
    "image_folder": "ude.data.folders.image_folder",
}
_WITHOUT_SPEED = ("drivingstereo", "image_folder")
_LOG = logging.getLogger(__name__)


def training_source(cfg: CfgNode) -> FrameSource:
    """Day frames with their neighbours, fast enough to show parallax where the source knows the speed."""
    if cfg.DATA.MIN_SPEED > 0 and (reason := speed_unused(cfg)):
        _LOG.warning("DATA.MIN_SPEED is not used: %s", reason)
    _require_split(cfg, cfg.DATA.SPLIT_TRAIN, "DATA.SPLIT_TRAIN")
    return _restricted(cfg, SOURCES[cfg.DATA.SOURCE](cfg, cfg.DATA.SPLIT_TRAIN, training=True))


def evaluation_source(cfg: CfgNode, split: str) -> FrameSource:
    """All frames of a split, in all conditions."""
    _require_split(cfg, split, "DATA.SPLIT_VAL" if split == cfg.DATA.SPLIT_VAL else "--split")
    return _restricted(cfg, SOURCES[cfg.DATA.SOURCE](cfg, split, training=False))


def official_splits(cfg: CfgNode) -> tuple[str, ...]:
    """Names of the splits that the config's source has without a file."""
    return import_module(_PACKAGES[cfg.DATA.SOURCE]).SPLITS


def speed_unused(cfg: CfgNode) -> str:
    """Why DATA.MIN_SPEED leaves out no training frame of the config's source; empty where it does."""
    if cfg.DATA.SOURCE in _WITHOUT_SPEED:
        return f"{cfg.DATA.SOURCE} knows no speed, so that frames of a standing car are trained on, too"
    if cfg.DATA.SOURCE == "nuscenes" and cfg.DATA.RULES == "md4all" and not cfg.DATA.VERSION.endswith("trainval"):
        return f"the rules of md4all filter v1.0-trainval only, not {cfg.DATA.VERSION}"
    return ""


def translated_frames(cfg: CfgNode) -> TranslatedFrames:
    """The translations that the config names: a folder of ours or of others, or a data set of the hub."""
    from ude.data.published import translated_root

    options = cfg.DATA.TRANSLATED
    with naming("DATA.TRANSLATED.ROOT"):
        root = translated_root(options.ROOT, options.CONDITIONS, index_root=cfg.DATA.INDEX_ROOT or None)
    return TranslatedFrames(root, options.CONDITIONS)


def _require_split(cfg: CfgNode, split: str, key: str) -> None:
    """Refuse a split that is neither one of the source nor a file, and name the option or key that it is from."""
    official = official_splits(cfg)
    if split in official or Path(split).is_file():
        return
    close = get_close_matches(split, official, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise MissingFileError(
        f"{key}: {split or repr(split)}: neither a split of {cfg.DATA.SOURCE} ({', '.join(official)}) nor a file{hint}"
    )


def _restricted(cfg: CfgNode, source: FrameSource) -> FrameSource:
    """Without the frames that the config leaves out, and the part of the images that it uses."""
    if cfg.DATA.EXCLUDE:
        from ude.data.excluded import without_excluded

        with naming("DATA.EXCLUDE"):
            source = without_excluded(source, cfg.DATA.EXCLUDE, root=cfg.DATA.ROOT)
    if any(cfg.DATA.CROP):
        from ude.data.cropped import CroppedFrames

        with naming("DATA.CROP"):
            source = CroppedFrames(source, cfg.DATA.CROP)
    return source


def _nuscenes(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.nuscenes import NuScenesFrames

    own = {"version": cfg.DATA.VERSION, "rules": cfg.DATA.RULES, **_index(cfg)}
    return NuScenesFrames(cfg.DATA.ROOT, **own, **_selection(cfg, split, training), **_speed(cfg, training))


def _robotcar(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.robotcar import RobotCarFrames

    return RobotCarFrames(cfg.DATA.ROOT, **_selection(cfg, split, training), **_speed(cfg, training))


def _kitti(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.kitti import KittiFrames

    return KittiFrames(cfg.DATA.ROOT, **_index(cfg), **_selection(cfg, split, training), **_speed(cfg, training))


def _drivingstereo(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.drivingstereo import DrivingStereoFrames

    return DrivingStereoFrames(cfg.DATA.ROOT, **_selection(cfg, split, training))


def _cityscapes(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.cityscapes import CityscapesFrames

    return CityscapesFrames(cfg.DATA.ROOT, **_index(cfg), **_selection(cfg, split, training), **_speed(cfg, training))


def _image_folder(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.folders.image_folder import ImageFolderFrames

    return ImageFolderFrames(cfg.DATA.ROOT, **_index(cfg), **_selection(cfg, split, training))


def _selection(cfg: CfgNode, split: str, training: bool) -> dict[str, Any]:
    """Split, conditions and neighbours: for training day frames, unless a file names its own conditions."""
    if not training:
        return {"split": split}
    conditions = DAY if split in official_splits(cfg) else None
    return {"split": split, "conditions": conditions, "offsets": cfg.DATA.FRAME_OFFSETS}


def _index(cfg: CfgNode) -> dict[str, Any]:
    """Where what is made of tables, speeds and videos is kept."""
    return {"index_root": cfg.DATA.INDEX_ROOT or None}


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
