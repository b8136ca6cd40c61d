"""Stage ``teacher``: self-supervised depth from day video."""

from yacs.config import CfgNode

from ude.engine import TeacherModule, TeacherWeights
from ude.models import PoseNet

from ..networks import depth_net, trainable
from ..runs import module_options


def teacher(cfg: CfgNode) -> TeacherModule:
    """The Lightning module of a teacher."""
    pose_net = None
    if cfg.MODEL.POSE == "learned":
        pose_net = PoseNet()
        if cfg.MODEL.POSE_PRETRAINED:
            pose_net.load_imagenet()
    loss = cfg.LOSS
    return TeacherModule(
        trainable(cfg, depth_net(cfg)),
        pose_net,
        weights=TeacherWeights(loss.PHOTOMETRIC, loss.SMOOTHNESS, loss.VELOCITY, loss.SSIM_WEIGHT, loss.AUTOMASK),
        compile_loss=cfg.RUN.COMPILE,
        offsets=tuple(cfg.DATA.FRAME_OFFSETS),
        **module_options(cfg),
    )
