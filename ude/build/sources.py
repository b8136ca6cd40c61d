"""The source of frames that the config names."""

import logging
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from yacs.config import CfgNode

from ude.data.sample import FrameSource
from ude.data.translated import TranslatedFrames
from ude.files import DataError, MissingFileError

from .identity import naming

DAY = ("day-clear",)


class SourceRow(NamedTuple):
    """Where a source of frames is, and which arguments it takes besides the folder and the choice of frames.

    Attributes:
        module: of the class; its ``SPLITS`` are the splits that need no file.
        name: of the class.
        has_index: takes ``index_root``, where what is made of tables, speeds or videos is kept.
        knows_speed: takes ``min_speed``.
    """

    module: str
    name: str
    has_index: bool = False
    knows_speed: bool = False


SOURCES = {
    "nuscenes": SourceRow("ude.data.nuscenes", "NuScenesFrames", has_index=True, knows_speed=True),
    "robotcar": SourceRow("ude.data.robotcar", "RobotCarFrames", knows_speed=True),
    "kitti": SourceRow("ude.data.folders.kitti", "KittiFrames", has_index=True, knows_speed=True),
    "drivingstereo": SourceRow("ude.data.folders.drivingstereo", "DrivingStereoFrames"),
    "cityscapes": SourceRow("ude.data.folders.cityscapes", "CityscapesFrames", has_index=True, knows_speed=True),
    "image_folder": SourceRow("ude.data.folders.image_folder", "ImageFolderFrames", has_index=True),
    "booster": SourceRow("ude.data.folders.booster", "BoosterFrames"),
    "cleargrasp": SourceRow("ude.data.folders.cleargrasp", "ClearGraspFrames"),
}
"""Sources of frames by ``DATA.SOURCE``."""
_LOG = logging.getLogger(__name__)


def training_source(cfg: CfgNode) -> FrameSource:
    """Frames with their neighbours, fast enough to show parallax where the source knows the speed.

    By day, unless a split file lists others, or the config names recording conditions; each of these must be there.

    Raises:
        DataError: there are no frames, or none in one of the conditions.
    """
    if cfg.DATA.MIN_SPEED > 0 and (reason := speed_unused(cfg)):
        _LOG.warning("DATA.MIN_SPEED is not used: %s", reason)
    _require_split(cfg, cfg.DATA.SPLIT_TRAIN, "DATA.SPLIT_TRAIN")
    split, wanted = cfg.DATA.SPLIT_TRAIN, cfg.DATA.CONDITIONS
    source = _restricted(cfg, _source(cfg, split, training=True, conditions=wanted))
    found = {source.condition(index) for index in range(len(source))} if wanted else ()
    if absent := [name for name in wanted if name not in found]:
        raise DataError(
            f"DATA.CONDITIONS: split {split} of {cfg.DATA.ROOT} holds no usable frame in {', '.join(absent)}; "
            "leave that out, or choose another DATA.SPLIT_TRAIN"
        )
    return source


def day_source(cfg: CfgNode) -> FrameSource:
    """The day-clear frames of the training split, whatever the config's stage trains on."""
    return _restricted(cfg, _source(cfg, cfg.DATA.SPLIT_TRAIN, training=True, conditions=DAY))


def evaluation_source(cfg: CfgNode, split: str) -> FrameSource:
    """All frames of a split, in all conditions."""
    require_evaluation_split(cfg, split)
    return _restricted(cfg, _source(cfg, split, training=False))


def require_evaluation_split(cfg: CfgNode, split: str, *, option: str = "--split") -> None:
    """Refuse a split to evaluate on that is neither one of the source nor a file; ``option`` is where it is from."""
    _require_split(cfg, split, "DATA.SPLIT_VAL" if split == cfg.DATA.SPLIT_VAL else option)


def official_splits(cfg: CfgNode) -> tuple[str, ...]:
    """Names of the splits that the config's source has without a file."""
    return import_module(SOURCES[cfg.DATA.SOURCE].module).SPLITS


def speed_unused(cfg: CfgNode) -> str:
    """Why DATA.MIN_SPEED leaves out no training frame of the config's source; empty where it does."""
    if not SOURCES[cfg.DATA.SOURCE].knows_speed:
        return f"{cfg.DATA.SOURCE} knows no speed, so that frames of a standing car are trained on, too"
    if cfg.DATA.SOURCE == "nuscenes" and cfg.DATA.RULES == "md4all" and not cfg.DATA.VERSION.endswith("trainval"):
        return f"the rules of md4all filter v1.0-trainval only, not {cfg.DATA.VERSION}"
    return ""


def needs_neighbours(cfg: CfgNode) -> bool:
    """Whether the config's stage looks at the neighbours of its frames."""
    return cfg.STAGE == "teacher" or (cfg.STAGE == "student" and cfg.LOSS.RELIABILITY != "off")


def uses_translations(cfg: CfgNode) -> bool:
    """Whether the config's stage trains on translated frames, too."""
    return cfg.STAGE in ("student", "self_distillation") or (
        cfg.STAGE == "supervised" and bool(cfg.DATA.TRANSLATED.ROOT)
    )


def needs_lidar(cfg: CfgNode) -> bool:
    """Whether the config's stage learns from the LiDAR depth of its frames."""
    return cfg.STAGE == "supervised"


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


def _source(cfg: CfgNode, split: str, *, training: bool, conditions: Sequence[str] = ()) -> FrameSource:
    """Frames of a split; for training, with neighbours, by day unless they are named or are those of a file."""
    row = SOURCES[cfg.DATA.SOURCE]
    options: dict[str, Any] = {"split": split}
    if row.has_index:
        options["index_root"] = cfg.DATA.INDEX_ROOT or None
    if cfg.DATA.SOURCE == "nuscenes":
        options |= {"version": cfg.DATA.VERSION, "rules": cfg.DATA.RULES}
    if training:
        conditions = conditions or (DAY if split in official_splits(cfg) else None)
        options |= {"conditions": conditions, "offsets": cfg.DATA.FRAME_OFFSETS}
        options |= {"min_speed": cfg.DATA.MIN_SPEED} if row.knows_speed else {}
    return getattr(import_module(row.module), row.name)(cfg.DATA.ROOT, **options)
