"""Case ``step``: a whole self-supervised training step, the plain way against ude's."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ude.engine import TeacherModule, TeacherWeights
from ude.losses import velocity_loss
from ude.models.convert.monodepth2 import read_monodepth2

from .environment import matrix_product
from .equality import Check, relative_difference
from .harness import Variant
from .loss import missing_compiler
from .networks import channels_first, channels_last_inputs, counted_flops, depth_net, pose_net
from .plain import image_pyramid, plain_reprojection_loss, plain_smoothness_loss
from .report import Report, Settings, measure
from .scene import NUM_SCALES, Street, street
from .training import OFFSETS, SOLVER, engine_step, plain_step, training_batch

SIZES = ((320, 576, 2),)
BACKBONE = "resnet18"
WEIGHTS = TeacherWeights()
BOUND = 2e-6
"""Relative difference of the first step's loss."""


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size."""
    backbone = settings.backbone or BACKBONE
    for size, batch in settings.shapes(SIZES):
        scene = street(size, batch).to(settings.device)
        steps, checks = _plain(backbone, scene)
        notes = []
        steps["ude"] = _ude(backbone, scene, compiled=False)
        reason = "left out" if not settings.compiled else missing_compiler()
        if reason:
            notes.append(f"no compiled variant: {reason}")
        else:
            steps["ude, compiled loss"] = _ude(backbone, scene, compiled=True)
        flops = counted_flops(_ude(backbone, scene, compiled=False))
        checks += _first_losses(steps)
        if settings.peer_monodepth2:
            name, peer, check = _monodepth2(settings.peer_monodepth2, scene)
            steps[name] = peer
            checks.append(check)
        yield measure(
            "step",
            f"{backbone} and pose network, forward, loss, backward, optimiser, {size[0]} x {size[1]}, batch {batch}",
            checks=checks,
            variants=[Variant(name, step, flops) for name, step in steps.items()],
            limit=matrix_product(settings.device),
            settings=settings,
            notes=notes,
            images=batch,
        )


def _plain(backbone: str, scene: Street) -> tuple[dict[str, Callable[[], Tensor]], list[Check]]:
    """The yardstick: the same networks in NCHW, the plain loss, the plain optimiser."""
    size, device = tuple(scene.target.shape[-2:]), scene.target.device
    depth, pose = channels_first(depth_net(backbone, size, device)), channels_first(pose_net(device))
    images, frames = image_pyramid(scene.target, NUM_SCALES), training_batch(scene)["pose_input"]

    def loss() -> Tensor:
        inverse_depths = depth(scene.target).inverse_depths
        poses = pose.source_poses(frames, OFFSETS)
        photometric = plain_reprojection_loss(inverse_depths, scene.target, scene.sources, scene.K, poses)
        smoothness = plain_smoothness_loss(inverse_depths, images)
        velocity = velocity_loss(poses, scene.distance)
        return WEIGHTS.photometric * photometric + WEIGHTS.smoothness * smoothness + WEIGHTS.velocity * velocity

    with channels_last_inputs(depth, pose) as found:
        depth.eval(), pose.eval()
        loss()
    convolutions = backbone.startswith("resnet")  # what lies between tokens and maps is transposed by itself
    checks = [Check("plain: convolutions that do not read NCHW", len(found), 0 if convolutions else None)]
    return {"plain": plain_step(depth, pose, loss)}, checks


def _ude(backbone: str, scene: Street, *, compiled: bool) -> Callable[[], Tensor]:
    """The step of the stage ``teacher``."""
    size, device = tuple(scene.target.shape[-2:]), scene.target.device
    module = TeacherModule(
        depth_net(backbone, size, device),
        pose_net(device),
        weights=WEIGHTS,
        offsets=OFFSETS,
        compile_loss=compiled,
        solver=SOLVER,
    )
    batch = training_batch(scene)
    return engine_step(module, lambda: batch)


def _monodepth2(folder: Path, scene: Street) -> tuple[str, Callable[[], Tensor], Check]:
    """Its own step, whose first loss must be that of the plain form on its networks, converted into ours."""
    from . import peer_monodepth2 as monodepth2

    with tempfile.TemporaryDirectory() as saved:
        step, weights = monodepth2.monodepth2_step(folder, scene, SOLVER.lr_decoder, Path(saved))
        converted = read_monodepth2(weights)
    depth, pose = (network.to(scene.target.device).train() for network in (converted.depth_net, converted.pose_net))
    with torch.no_grad():
        inverse_depths = tuple(depth(scene.target).inverse_depths)
        poses = pose.source_poses(training_batch(scene)["pose_input"], OFFSETS)
        predicted = replace(scene, inverse_depths=inverse_depths, T_source_target=poses)
        expected = monodepth2.plain_loss_by_its_conventions(predicted)
    name = f"{monodepth2.NAME}: first loss, to the plain form on its weights by its conventions"
    return monodepth2.NAME, step, Check(name, relative_difference(step(), expected), monodepth2.BOUND)


def _first_losses(steps: dict[str, Callable[[], Tensor]]) -> list[Check]:
    """The first step of every variant against that of the plain one."""
    losses = {name: step() for name, step in steps.items()}
    return [
        Check(f"{name}: loss of the first step, relative", relative_difference(loss, losses["plain"]), BOUND)
        for name, loss in losses.items()
        if name != "plain"
    ]
