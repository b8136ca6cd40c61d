"""Case ``loss``: the photometric objective and its gradient, plain against lean against compiled."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from types import ModuleType

import torch
from torch import Tensor

from ude.losses import reprojection_loss, smoothness_loss

from .environment import memory_copy
from .equality import Check, relative_difference, relative_distance, share_beyond
from .harness import Variant
from .plain import image_pyramid, plain_reprojection_loss, plain_smoothness_loss
from .report import Report, Settings, measure
from .scene import Street, street

SIZES = ((192, 320, 4), (320, 576, 2))
SMOOTHNESS = 1e-3

EXACT = 1e-9
"""How far loss and gradients may be apart in float64."""

LOSS_BOUND, GRADIENT_BOUND, SHARE_BOUND = 2e-6, 1e-3, 1e-3
"""In float32: of the loss, relative; of a pixel's gradient, in units of the largest; share of the pixels beyond it."""

DISTANCE_BOUND, DISTANCE_FLOOR = 5.0, 2e-3
"""How much farther from the float64 gradient than the plain form, which itself is at least about the floor away: a
pixel that crosses into another cell of the bilinear grid, or another choice of a minimum, jumps by its own size."""

Form = Callable[[list[Tensor], Tensor, Street, list[Tensor]], Tensor]
"""Loss of inverse depths, T_source_target, a street and the target at all scales."""


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size."""
    for size, batch in settings.shapes(SIZES):
        scene = street(size, batch)
        forms, notes = loss_forms(settings)
        checks, seconds = equality(forms, scene, settings.device)
        first_calls = [f"{name}: the first call took {s:.0f} s" for name, s in seconds.items() if "compiled" in name]
        single = scene.to(settings.device, torch.float32)
        steps = {name: step_of(form, single) for name, form in forms.items()}
        peers, differences = peer_steps(settings, single)
        checks += differences
        variants = [Variant(name, step, compulsory_bytes(single)) for name, step in {**steps, **peers}.items()]
        yield measure(
            "loss",
            f"forward and backward, {size[0]} x {size[1]}, batch {batch}, two sources, four scales, float32",
            checks=checks,
            variants=variants,
            limit=memory_copy(settings.device),
            settings=settings,
            notes=notes + first_calls,
        )


def peer_steps(settings: Settings, scene: Street) -> tuple[dict[str, Callable[[], list[Tensor]]], list[Check]]:
    """The peers' own code where a checkout is given, and how far its loss is from the plain form's."""
    steps, checks = {}, []
    if settings.peer_monodepth2:
        from . import peer_monodepth2 as monodepth2

        steps[monodepth2.NAME] = monodepth2.monodepth2_loss(settings.peer_monodepth2, scene)
        checks.append(_peer_check(monodepth2, steps[monodepth2.NAME], scene))
    if settings.peer_md4all:
        from . import peer_md4all as md4all

        steps[md4all.NAME] = md4all.md4all_loss(settings.peer_md4all, scene)
        checks.append(_peer_check(md4all, steps[md4all.NAME], scene))
    plain = step_of(plain_form, scene)()[0]
    for name, step in steps.items():
        checks.append(Check(f"{name}: loss, to the plain form by ours", relative_difference(step()[0], plain)))
    return steps, checks


def loss_forms(settings: Settings) -> tuple[dict[str, Form], list[str]]:
    """The variants, the base first, and notes on those that are missing."""
    forms, notes = {"plain": plain_form, "ude": lean_form(reprojection_loss)}, []
    reason = "left out" if not settings.compiled else missing_compiler()
    if reason:
        notes.append(f"no compiled variant: {reason}")
    else:
        forms["ude compiled"] = lean_form(torch.compile(reprojection_loss, dynamic=False))
    return forms, notes


def missing_compiler() -> str:
    """Why torch.compile cannot work here; empty when it can."""
    compiler = os.environ.get("CXX", "g++")
    return "" if shutil.which(compiler) else f"there is no C++ compiler {compiler}; install one, or set CXX"


def plain_form(inverse_depths: list[Tensor], T_source_target: Tensor, scene: Street, images: list[Tensor]) -> Tensor:
    """The yardstick."""
    photometric = plain_reprojection_loss(inverse_depths, scene.target, scene.sources, scene.K, T_source_target)
    return photometric + SMOOTHNESS * plain_smoothness_loss(inverse_depths, images)


def lean_form(reprojection: Callable[..., tuple[Tensor, object]]) -> Form:
    """The losses of ude, with the reprojection loss as it is or compiled."""

    def form(inverse_depths: list[Tensor], T_source_target: Tensor, scene: Street, images: list[Tensor]) -> Tensor:
        photometric, _ = reprojection(
            inverse_depths, scene.target, scene.sources, scene.K, T_source_target, ssim_weight=0.85, automask=True
        )
        return photometric + SMOOTHNESS * smoothness_loss(inverse_depths, scene.target)

    return form


def step_of(form: Form, scene: Street) -> Callable[[], list[Tensor]]:
    """A call that returns the loss and its gradients to every inverse depth and to the transforms."""
    inverse_depths = [inverse_depth.clone().requires_grad_() for inverse_depth in scene.inverse_depths]
    T_source_target = scene.T_source_target.clone().requires_grad_()
    images = image_pyramid(scene.target, len(inverse_depths))

    def step() -> list[Tensor]:
        loss = form(inverse_depths, T_source_target, scene, images)
        return [loss.detach(), *torch.autograd.grad(loss, [*inverse_depths, T_source_target])]

    return step


def equality(forms: dict[str, Form], scene: Street, device: torch.device) -> tuple[list[Check], dict[str, float]]:
    """Every form against the first, in both precisions, loss and gradients; and seconds of the first calls.

    Compiled forms are compared in float32 alone: what is compiled is the form that was compared in float64, too.
    """
    single, double = scene.to(device, torch.float32), scene.to(device, torch.float64)
    base, *others = forms
    exact, plain = step_of(forms[base], double)(), step_of(forms[base], single)()
    reference = _joined(exact)
    floor = max(relative_distance(_joined(plain), reference), DISTANCE_FLOOR)
    checks, seconds = [], {}
    for name in others:
        start = time.perf_counter()
        found = step_of(forms[name], single)()
        seconds[name] = time.perf_counter() - start
        if "compiled" not in name:
            checks += _exact_checks(name, step_of(forms[name], double)(), exact)
        farther = relative_distance(_joined(found), reference) / floor
        checks += [
            Check(f"{name}: float32 loss, relative", relative_difference(found[0], plain[0]), LOSS_BOUND),
            Check(
                f"{name}: share of pixels with another float32 gradient",
                share_beyond(found[1], plain[1], GRADIENT_BOUND),
                SHARE_BOUND,
            ),
            Check(f"{name}: distance to the float64 gradient, in the plain form's", farther, DISTANCE_BOUND),
        ]
    return checks, seconds


def compulsory_bytes(scene: Street) -> float:
    """Bytes that no form can avoid: every input read once, every gradient written once."""
    read = [scene.target, scene.sources, *scene.inverse_depths]
    return float(sum(x.numel() * x.element_size() for x in [*read, *scene.inverse_depths]))


def _peer_check(peer: ModuleType, step: Callable[[], list[Tensor]], scene: Street) -> Check:
    apart = relative_difference(step()[0], peer.plain_loss_by_its_conventions(scene))
    return Check(f"{peer.NAME}: loss, to the plain form by its conventions", apart, peer.BOUND)


def _exact_checks(name: str, found: list[Tensor], exact: list[Tensor]) -> list[Check]:
    gradients = max(relative_difference(a, b) for a, b in zip(found[1:], exact[1:], strict=True))
    return [
        Check(f"{name}: float64 loss, relative", relative_difference(found[0], exact[0]), EXACT),
        Check(f"{name}: float64 gradients, in units of the largest", gradients, EXACT),
    ]


def _joined(step: list[Tensor]) -> Tensor:
    """The gradients to the inverse depths as one vector."""
    return torch.cat([gradient.flatten() for gradient in step[1:-1]])
