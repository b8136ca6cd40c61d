"""The source of frames that the config names."""

from collections.abc import Callable

from yacs.config import CfgNode

from ude.data.sample import FrameSource

DAY = ("day-clear",)


def training_source(cfg: CfgNode) -> FrameSource:
    """Day frames with their neighbours, fast enough to show parallax where the source knows the speed."""
    return _cropped(cfg, SOURCES[cfg.DATA.SOURCE](cfg, cfg.DATA.SPLIT_TRAIN, training=True))


def evaluation_source(cfg: CfgNode, split: str) -> FrameSource:
    """All frames of a split that have LiDAR depth, in all conditions."""
    return _cropped(cfg, SOURCES[cfg.DATA.SOURCE](cfg, split, training=False))


def _cropped(cfg: CfgNode, source: FrameSource) -> FrameSource:
    if not any(cfg.DATA.CROP):
        return source
    from ude.data.cropped import CroppedFrames

    return CroppedFrames(source, cfg.DATA.CROP)


def _nuscenes(cfg: CfgNode, split: str, *, training: bool) -> FrameSource:
    from ude.data.nuscenes import NuScenesFrames, is_official_split

    return NuScenesFrames(
        cfg.DATA.ROOT,
        version=cfg.DATA.VERSION,
        split=split,
        conditions=DAY if training and is_official_split(split) else None,  # a file names its own conditions
        **_neighbours(cfg, training),
    )


def _neighbours(cfg: CfgNode, training: bool) -> dict[str, object]:
    return {"offsets": cfg.DATA.FRAME_OFFSETS, "min_speed": cfg.DATA.MIN_SPEED} if training else {}


SOURCES: dict[str, Callable[..., FrameSource]] = {"nuscenes": _nuscenes}
"""A function of the config, a split and whether it is for training, by ``DATA.SOURCE``."""
