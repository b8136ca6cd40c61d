"""The start of a depth or pose network: published weights, or the network of a run."""

from pathlib import Path

import torch
from torch import Tensor

from ude.files import DataError, load_foreign

from .checkpoint import load_depth_net, load_exactly
from .depth_net import BACKBONES, DepthNet
from .dino_dpt import DinoDptSize
from .dino_weights import load_dino


def load_pretrained(depth_net: DepthNet, weights: str = "") -> None:
    """Start a depth network from published weights of its encoder, of Depth Anything, or from a run of ours.

    Args:
        depth_net: network to change.
        weights: empty for the published weights of the network's backbone; else a run folder; for a ResNet a file of
            torchvision; for DINOv2 what :func:`~ude.models.dino_weights.load_dino` takes.

    Raises:
        DataError: when the weights cannot be had or do not fit.
    """
    size = BACKBONES[depth_net.backbone]
    if weights and (Path(weights) / "depth_net").is_dir():
        _load_run(depth_net, weights)
    elif isinstance(size, str):
        load_exactly(depth_net.trunk.encoder, imagenet_resnet(size, weights), weights or f"ImageNet {size}")
    elif isinstance(size, DinoDptSize) and (weights or size.hub_id):
        load_dino(depth_net, weights or size.hub_id)
    else:
        raise DataError(f"backbone {depth_net.backbone} has no pretrained weights; set MODEL.DEPTH.PRETRAINED False")


def imagenet_resnet(name: str, file: str = "") -> dict[str, Tensor]:
    """ImageNet weights of a torchvision ResNet, without its classifier.

    Args:
        name: resnet18 or resnet50.
        file: file of torchvision; empty for the torch hub cache, which is filled when there is a connection.

    Raises:
        DataError: when they are neither cached nor reachable, or the file is damaged.
    """
    import torchvision

    if not file:
        url = torchvision.models.get_model_weights(name).DEFAULT.url
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
        if not file.is_file():
            _download(url, file, name)
    state = {key: tensor for key, tensor in load_foreign(file).items() if not key.startswith("fc.")}
    # files from before PyTorch 1.0 lack the counters of batches, which nothing reads
    counters = {key.replace("running_mean", "num_batches_tracked") for key in state if key.endswith("running_mean")}
    return {**{key: torch.tensor(0) for key in counters}, **state}


def _download(url: str, file: Path, name: str) -> None:
    """The file of a URL, checked against the digits of its SHA-256 in its name."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), file.stem.rpartition("-")[2])
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"ImageNet weights of {name} cannot be had ({error}); put {file.name} into {file.parent}, or set "
            "MODEL.DEPTH.PRETRAINED and MODEL.POSE_PRETRAINED False"
        ) from error


def _load_run(depth_net: DepthNet, run: str) -> None:
    """Start from a run's network, which must mean the same by its outputs."""
    source = load_depth_net(run)
    theirs, own = source.arguments, depth_net.arguments
    for key in ("backbone", "min_depth", "max_depth", "normalisation"):
        if theirs[key] != own[key]:
            raise DataError(f"{key} is {theirs[key]} in {run} but {own[key]} here; make them equal")
    if theirs["num_scales"] < own["num_scales"]:
        raise DataError(
            f"{run} has {theirs['num_scales']} scales but MODEL.DEPTH.NUM_SCALES is {own['num_scales']}; lower it"
        )
    wanted, state = depth_net.state_dict().keys(), source.state_dict()
    depth_net.load_state_dict({name: tensor for name, tensor in state.items() if name in wanted})
