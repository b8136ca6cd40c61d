"""Case ``distill``: a distillation step, md4all's way against ude's, whose frozen teacher speaks once per frame.

md4all runs the pose network on both pairs, with its graph, although its loss has no weight, and the teacher in every
step; every frame of the triplet is augmented. Its teacher stays in training mode; here it is in evaluation mode, as
in ude, or the two could not be equal.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ude.data.transforms import DeviceTransform
from ude.engine import StudentModule, StudentWeights
from ude.engine.teacher_cache import TeacherCache
from ude.models import DepthNet

from .environment import matrix_product
from .equality import Check, relative_difference
from .harness import Variant
from .networks import channels_first, counted_flops, depth_net, pose_net
from .report import Report, Settings, measure
from .scene import Street, street
from .training import OFFSETS, SOLVER, engine_step, plain_step

SIZES = ((320, 576, 2),)
BACKBONE = "resnet18"
AUGMENT = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05))
BOUND = 2e-6
"""Relative difference of the first step's loss; with and without the cache there is none."""


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size."""
    backbone = settings.backbone or BACKBONE
    for size, batch in settings.shapes(SIZES):
        scene = street(size, batch).to(settings.device)
        with tempfile.TemporaryDirectory() as folder:
            off, off_runs = _ude(backbone, scene, "off", Path(folder, "off"))
            rgd, _ = _ude(backbone, scene, "teacher_better", None)
            cached, cached_runs = _ude(backbone, scene, "teacher_better", Path(folder, "rgd"))
            steps = {
                "md4all's way": _peers_way(backbone, scene),
                "ude, cached, no reliability": off,
                "ude, RGD": rgd,
                "ude, RGD, cached": cached,
            }
            notes = ["the first epoch fills the cache and costs as much as a step without it"]
            checks = _first_losses(steps, settings.device)
            checks.append(Check("runs of the cached teachers after the first", len(off_runs + cached_runs) - 2, 0))
            flops = {name: counted_flops(step) for name, step in steps.items()}
            if settings.peer_md4all:
                from . import peer_md4all as md4all

                steps[md4all.NAME] = md4all.md4all_distillation_step(settings.peer_md4all, scene)
                flops[md4all.NAME] = counted_flops(steps[md4all.NAME])
                notes += ["md4all's networks start from other weights: its loss value says nothing here"]
                notes += ["its loader would augment six images per sample with PIL beside this step; here it does not"]
            yield measure(
                "distill",
                f"{backbone}, forward, loss, backward, optimiser, {size[0]} x {size[1]}, batch {batch}",
                checks=checks,
                variants=[Variant(name, step, flops[name]) for name, step in steps.items()],
                limit=matrix_product(settings.device),
                settings=settings,
                notes=notes,
                images=batch,
            )


def _teacher(backbone: str, scene: Street) -> DepthNet:
    """A frozen network that sees other depths than the student."""
    size = tuple(scene.target.shape[-2:])
    network = depth_net(backbone, size, scene.target.device, head_std=0.2)  # else the loss is a difference of equals
    return network.eval().requires_grad_(False)


def _peers_way(backbone: str, scene: Street) -> Callable[[], Tensor]:
    """The yardstick: NCHW, the plain optimiser, and networks whose results nobody uses or that never change."""
    size, device = tuple(scene.target.shape[-2:]), scene.target.device
    student, teacher = channels_first(depth_net(backbone, size, device)), channels_first(_teacher(backbone, scene))
    pose = channels_first(pose_net(device))
    frames = _bytes(scene, sources=True)

    def loss() -> Tensor:
        batch = AUGMENT(frames, epoch=0, training=True)
        inverse_depths = student(batch["depth_input"]).inverse_depths
        pose.source_poses(batch["pose_input"], OFFSETS)
        with torch.no_grad():
            wanted = teacher(batch["target"]).inverse_depths[0]
        errors = []
        for inverse_depth in inverse_depths:
            full = F.interpolate(inverse_depth, size, mode="bilinear", align_corners=False)
            errors.append(((full - wanted).abs() / full).mean())
        return torch.stack(errors).mean()

    return plain_step(student, pose, loss)


def _ude(
    backbone: str, scene: Street, reliability: str, cache_folder: Path | None
) -> tuple[Callable[[], Tensor], list[int]]:
    """The step of the stage ``student``, with its augmentation; and a list as long as the runs of its teacher."""
    device, frames = scene.target.device, _bytes(scene, sources=reliability != "off")
    teacher, pose = _teacher(backbone, scene), pose_net(device) if reliability != "off" else None
    runs: list[int] = []
    teacher.register_forward_hook(lambda *_: runs.append(1))
    cache = None
    if cache_folder is not None:
        cache = TeacherCache(cache_folder)
        cache.begin(frames["frame_id"], [teacher] if pose is None else [teacher, pose])
    module = StudentModule(
        depth_net(backbone, tuple(scene.target.shape[-2:]), device),
        teacher=teacher,
        teacher_pose=pose,
        weights=StudentWeights(semantic=0, reliability=reliability),
        offsets=OFFSETS,
        cache=cache,
        solver=SOLVER,
    ).to(device)
    return engine_step(module, lambda: AUGMENT(frames, epoch=0, training=True)), runs


def _bytes(scene: Street, *, sources: bool) -> dict[str, Any]:
    """A batch as the loader delivers it."""
    images = {"target": scene.target, "input": scene.target} | ({"sources": scene.sources} if sources else {})
    batch = {name: (255 * image).round().byte() for name, image in images.items()}
    return batch | {"K": scene.K, "frame_id": [f"frame-{index}" for index in range(len(scene.target))]}


def _first_losses(steps: dict[str, Callable[[], Tensor]], device: torch.device) -> list[Check]:
    """The first two steps: without reliability as in md4all's way; with the cache bit for bit as without."""
    first, second = ({name: step() for name, step in steps.items()} for _ in range(2))
    base, off, rgd, cached = steps
    exact = 0.0 if device.type == "cpu" else 1e-5  # sums on a GPU come in any order
    apart = max(abs((losses[cached] - losses[rgd]).item()) for losses in (first, second))
    return [
        Check(f"{off}: loss of the first step, relative", relative_difference(first[off], first[base]), BOUND),
        Check(f"{off}: loss of the second step, relative", relative_difference(second[off], second[base]), 1e-4),
        Check(f"{cached}: losses of two steps, to those of {rgd}", apart, exact),
    ]
