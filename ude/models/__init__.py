"""Networks: depth, pose, frozen encoders, and how their weights are stored."""

from ude.models.checkpoint import load_model, save_model
from ude.models.depth_net import BACKBONES, DepthNet, DepthPrediction
from ude.models.pose_net import PoseNet

__all__ = ["BACKBONES", "DepthNet", "DepthPrediction", "PoseNet", "load_model", "save_model"]
