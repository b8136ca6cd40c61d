"""md4all's own losses, distillation step and metrics, from a checkout of https://github.com/md4all/md4all.

Its modules and configuration files are used as they are; only weights are not loaded. It warps with a border of zeros,
enlarges by the nearest value, and smooths at the full size, so its loss differs from ours; the plain form in its
conventions equals it.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from yacs.config import CfgNode

from .peers import load_peer, stand_in
from .plain import plain_reprojection_loss, plain_smoothness_loss
from .scene import NUM_SCALES, Street

OFFSETS = (-1, 1)
SMOOTHNESS = 1e-3
NAME = "md4all's own code"
BOUND = 1e-5
"""Relative difference of the loss to the plain form by its conventions."""

MODES = ("", "_pp", "_gt", "_pp_gt")
METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3")
"""Its names, in the order of ude's."""
DISTILLATION = "config/train_md4allDDa_nuscenes.yaml"


def md4all_loss(folder: Path, scene: Street) -> Callable[[], list[Tensor]]:
    """A call that returns its photometric and smoothness loss and the gradients to inverse depths and transforms."""
    modules = _modules(folder)
    cfg = modules.config.get_cfg()
    photometric = modules.MultiViewPhotometricLoss.MultiViewPhotometricLoss(cfg)
    smoothness = modules.SmoothnessLoss.SmoothnessLoss(cfg)
    inputs = _colours("color", scene) | {"K": scene.K}
    inverse_depths = [inverse_depth.clone().requires_grad_() for inverse_depth in scene.inverse_depths]
    transforms = [T.clone().requires_grad_() for T in scene.T_source_target.unbind(1)]

    def step() -> list[Tensor]:
        outputs = {("disp", 0, scale): inverse_depth for scale, inverse_depth in enumerate(inverse_depths)}
        outputs |= {("pose", i): modules.pose.Pose(T) for i, T in zip(OFFSETS, transforms, strict=True)}
        loss = photometric(inputs, outputs) + SMOOTHNESS * smoothness(inputs, outputs)
        return [loss.detach(), *torch.autograd.grad(loss, [*inverse_depths, *transforms])]

    return step


def plain_loss_by_its_conventions(scene: Street) -> Tensor:
    """What its loss of the street's estimates has to be."""
    arguments = (list(scene.inverse_depths), scene.target, scene.sources, scene.K, scene.T_source_target)
    photometric = plain_reprojection_loss(*arguments, enlarge=_nearest, padding_mode="zeros")
    full = [_nearest(inverse_depth, scene.target.shape[-2:]) for inverse_depth in scene.inverse_depths]
    return photometric + SMOOTHNESS * plain_smoothness_loss(full, NUM_SCALES * [scene.target])


def md4all_distillation_step(folder: Path, scene: Street) -> Callable[[], Tensor]:
    """A whole step of its distillation: both networks, frozen teacher, loss, Adam; returns the loss."""
    modules = _modules(folder)
    cfg = modules.config.get_cfg()
    cfg.merge_from_file(str(folder / DISTILLATION))
    cfg.MODEL.DEPTH.ENCODER.PRETRAINED = cfg.MODEL.POSE.ENCODER.PRETRAINED = False
    module = modules.trainer.Md4All(cfg, False).to(scene.target.device).train()  # False: without a teacher's file
    (optimizer,), _ = module.configure_optimizers()
    day = ["day-clear"] * len(scene.target)
    inputs = {"K": scene.K, "weather": day, "weather_depth": day, "weather_pose": day}
    for key in ("color", "color_aug", "color_aug_pose"):
        inputs |= _colours(key, scene)

    def step() -> Tensor:
        _, loss = module.shared_step(inputs, is_train=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def md4all_sums(folder: Path) -> Callable[[Tensor, Tensor, Tensor, float, float], list[float]]:
    """Sums over the frames of a batch of its seven metrics in each of its four modes, by its own functions."""
    peer = load_peer(folder, ("utils.depth",), {}, _repair_libraries).depth

    def sums(
        inverse_depth: Tensor, mirrored: Tensor, lidar_depth: Tensor, min_depth: float, max_depth: float
    ) -> list[float]:
        found = {"all-conditions": {mode: dict.fromkeys(METRICS, 0.0) for mode in MODES}}
        averaged = peer.post_process_inv_depth(inverse_depth, mirrored, method="mean")
        depths = {True: peer.inv2depth(averaged), False: peer.inv2depth(inverse_depth)}
        for mode in MODES:
            peer.compute_depth_metrics(
                gt=lidar_depth,
                pred=depths["pp" in mode],
                weather=["day-clear"] * len(lidar_depth),
                metrics=found,
                mode=mode,
                min_depth=min_depth,
                max_depth=max_depth,
                use_gt_scale="gt" in mode,
            )
        return [found["all-conditions"][mode][name] for mode in MODES for name in METRICS]

    return sums


def _nearest(inverse_depth: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(inverse_depth, size, mode="nearest")


def _colours(key: str, scene: Street) -> dict[tuple[str, int], Tensor]:
    frames = (scene.target, *scene.sources.unbind(1))
    return {(key, offset): frame.contiguous() for offset, frame in zip((0, *OFFSETS), frames, strict=True)}


def _modules(folder: Path) -> SimpleNamespace:
    names = ("trainer", "config.config", "losses.MultiViewPhotometricLoss", "losses.SmoothnessLoss", "utils.pose")
    stand_ins = {
        "fvcore": stand_in("fvcore"),
        "fvcore.common": stand_in("fvcore.common"),
        "fvcore.common.config": stand_in("fvcore.common.config", CfgNode=CfgNode),
        "pandas": stand_in("pandas"),
    }
    return load_peer(folder, names, stand_ins, _repair_libraries)


def _repair_libraries() -> None:
    """What libraries have dropped since, and imports that look for pandas without needing it."""
    import matplotlib

    importlib.import_module("pytorch_lightning")
    color_maps = importlib.import_module("matplotlib.cm")
    if not hasattr(color_maps, "get_cmap"):
        color_maps.get_cmap = lambda name: matplotlib.colormaps[name]
