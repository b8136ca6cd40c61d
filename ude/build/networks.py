"""The depth network of the config."""

from typing import Any

from yacs.config import CfgNode

from ude.config import ConfigError
from ude.models import DepthNet
from ude.models.checkpoint import load_depth_net
from ude.models.encoders import add_lora, freeze_encoder
from ude.models.pretrained import load_pretrained

from .identity import naming


def depth_net(cfg: CfgNode) -> DepthNet:
    """A fresh depth network, started from the weights that the config names."""
    network = DepthNet(**depth_arguments(cfg))
    if cfg.MODEL.DEPTH.PRETRAINED:
        with naming("MODEL.DEPTH.WEIGHTS"):
            load_pretrained(network, cfg.MODEL.DEPTH.WEIGHTS)
    return network


def copy_of_teacher(cfg: CfgNode) -> DepthNet:
    """The network of MODEL.TEACHER as the start of a training; the config must describe the same one.

    Raises:
        ConfigError: it describes another one.
        DataError: the network cannot be loaded.
    """
    network, wanted = load_depth_net(cfg.MODEL.TEACHER), depth_arguments(cfg)
    for key, value in network.arguments.items():
        if value != wanted[key]:
            raise ConfigError(
                f"MODEL.DEPTH: {key} is {wanted[key]} but {value} in {cfg.MODEL.TEACHER}, which STAGE {cfg.STAGE} "
                "starts from; make them equal, or set MODEL.INIT_FROM_TEACHER False"
            )
    return network


def depth_arguments(cfg: CfgNode) -> dict[str, Any]:
    """The arguments of the depth network."""
    depth = cfg.MODEL.DEPTH
    return {
        "backbone": depth.BACKBONE,
        "num_scales": depth.NUM_SCALES,
        "min_depth": depth.MIN,
        "max_depth": depth.MAX,
        "input_height": depth.INPUT_SIZE[0],
        "input_width": depth.INPUT_SIZE[1],
        "normalisation": depth.NORMALISATION,
    }


def trainable(cfg: CfgNode, network: DepthNet) -> DepthNet:
    """A network in training mode, whose encoder changes as far as MODEL.DEPTH.ENCODER allows."""
    network.requires_grad_(True).train()  # in this order: an encoder that is frozen does not enter training mode
    if cfg.MODEL.DEPTH.ENCODER == "frozen":
        freeze_encoder(network)
    elif cfg.MODEL.DEPTH.ENCODER == "lora":
        add_lora(network, cfg.MODEL.DEPTH.LORA_RANK)
    return network
