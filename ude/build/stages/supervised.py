"""Stage ``supervised``: LiDAR of the original frames supervises predictions on day and translated frames."""

from pathlib import Path

from yacs.config import CfgNode

from ude.engine.supervised import SupervisedModule, SupervisedOptions

from ..networks import depth_net, trainable
from ..runs import module_options


def supervised(cfg: CfgNode) -> SupervisedModule:
    """The Lightning module of the supervised stage; its network starts from MODEL.DEPTH.WEIGHTS.

    Raises:
        DataError: the network cannot be loaded.
    """
    return SupervisedModule(
        trainable(cfg, depth_net(cfg)),
        options=SupervisedOptions(cfg.LOSS.SUPERVISED, cfg.LOSS.SUPERVISED_VARIANCE),
        **module_options(cfg),
    )


def upstream_of_supervised(cfg: CfgNode) -> list[Path]:
    """What it is made from: its translations, where it has any."""
    root = cfg.DATA.TRANSLATED.ROOT
    return [Path(root) / "translation.json"] if root else []
