"""Stage ``self_distillation``: a foundation model learns from its own depth of the easy image.

Source: Diffusion4RobustDepth, https://arxiv.org/abs/2407.16698, section 3.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ude.data.seeds import uniform_draw
from ude.losses.scale_shift import Alignment, gradient_matching_loss, scale_shift_loss
from ude.models.foundation import FOLDER, FoundationDepth

from .base import DepthModule, mirror_back
from .teacher_cache import TeacherCache, start_frozen

NEAREST_SHOWN, FARTHEST_SHOWN = 2.0, 80.0
"""Depths [m] as which the largest and the smallest inverse depth of a map are drawn in image grids."""


@dataclass(frozen=True)
class SelfDistillationOptions:
    """The objective of self-distillation.

    Attributes:
        alignment: how scale and shift are removed, ``median`` or ``least_squares``.
        gradient_matching: weight of the gradient term; 0 leaves it out.
        square_crop: train on random squares as high as the image; the pseudo-labels are of whole images all the same.
        seed: seed of the places of the squares.
    """

    alignment: Alignment = "median"
    gradient_matching: float = 0.0
    square_crop: bool = False
    seed: int = 0


class SelfDistillationModule(DepthModule):
    """Fine-tuning of a depth model on easy and translated images, with what it said itself about the easy ones.

    The pseudo-labels come from a frozen copy of the model as it is at the start, on the clean easy images and in
    float32; they never change, and can be cached. Only their shape counts: they are stretched to 0 ... 1 and rounded
    to half precision, read from a cache or not. The copy is no submodule: neither trained nor stored in
    checkpoints.

    Args:
        depth_net: the model, trainable.
        options: the objective.
        cache: keeps the pseudo-labels, in half precision; None computes them in every step.
        **kwargs: see :class:`DepthModule`.
    """

    depth_net: FoundationDepth

    def __init__(
        self,
        depth_net: FoundationDepth,
        *,
        options: SelfDistillationOptions,
        cache: TeacherCache | None = None,
        **kwargs: Any,
    ) -> None:
        self_at_start = copy.deepcopy(depth_net).requires_grad_(False)
        super().__init__(depth_net, **kwargs)
        self.frozen = {"teacher": self_at_start}  # a dict hides modules
        self.options = options
        self.cache = cache

    def on_fit_start(self) -> None:
        """Bring the frozen copy to the training device, and tell the cache what it is for."""
        start_frozen(self, self.frozen.values(), self.cache)

    def on_fit_end(self) -> None:
        """Remove the cache of the finished run; an interrupted one keeps it for when it is resumed."""
        if self.cache is not None:
            self.cache.remove()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step on whole images or on squares of them."""
        labelled = batch | {"label": self.pseudo_labels(batch)}
        if self.options.square_crop:
            labelled |= square_crops(labelled, seed=self.options.seed, epoch=self.current_epoch)
        return super().training_step(labelled, batch_idx)

    def losses(self, batch: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The loss without scale and shift to the pseudo-label, and the gradient term."""
        prediction = mirror_back(self.depth_net(batch["depth_input"]), batch["flipped"])
        label, alignment = batch["label"], self.options.alignment
        terms = {"scale_shift": scale_shift_loss(prediction, label, alignment=alignment)}
        if weight := self.options.gradient_matching:
            terms["gradient_matching"] = weight * gradient_matching_loss(prediction, label, alignment=alignment)
        return terms, {"inverse_depth": _shown(prediction), "label_inverse_depth": _shown(label)}

    @torch.no_grad()
    def pseudo_labels(self, batch: dict[str, Any]) -> Tensor:
        """Inverse depth of the clean easy images by the model at the start, stretched to 0 ... 1, (B, 1, H, W)."""
        known = self.cache.load(batch["frame_id"], self.device) if self.cache is not None else None
        if known is None:
            with torch.autocast(self.device.type, enabled=False):
                inverse_depth = self.frozen["teacher"](batch["target"])
            known = {"label": _unit(inverse_depth).half()}
            if self.cache is not None:
                self.cache.store(batch["frame_id"], known)
        return known["label"].float()

    def map_scalars(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """None: the maps have no unit."""
        return {}

    def save_networks(self, folder: Path) -> None:
        """Write the model as a folder of transformers into a run folder."""
        self.depth_net.save(folder / FOLDER)


def square_crops(batch: dict[str, Any], *, seed: int, epoch: int) -> dict[str, Tensor]:
    """``depth_input``, ``target`` and ``label`` of a batch, cut to the largest squares at a random place.

    Args:
        batch: those maps (B, C, H, W), of which ``flipped`` inputs (B,) are mirrored, and the ``frame_id``.
        seed: seed of the places.
        epoch: number of the epoch, part of the seed.
    """
    height, width = batch["target"].shape[-2:]
    side = min(height, width)
    cut: dict[str, list[Tensor]] = {"depth_input": [], "target": [], "label": []}
    for row, (frame_id, flipped) in enumerate(zip(batch["frame_id"], batch["flipped"].tolist(), strict=True)):
        start = round(uniform_draw("square crop", seed, epoch, frame_id) * (max(height, width) - side))
        for name, images in cut.items():
            mirrored = name == "depth_input" and flipped and width > height
            first = width - side - start if mirrored else start
            images.append(batch[name][row].narrow(-1 if width > height else -2, first, side))
    return {name: torch.stack(images) for name, images in cut.items()}


def _shown(inverse_depth: Tensor) -> Tensor:
    """Relative inverse depth as if in 1/m, for the colours of depth."""
    return (_unit(inverse_depth.detach().float()) / NEAREST_SHOWN).clamp(min=1 / FARTHEST_SHOWN)


def _unit(maps: Tensor) -> Tensor:
    """Maps (B, 1, H, W), each stretched to 0 ... 1; a constant one is 0."""
    least = maps.amin(dim=(1, 2, 3), keepdim=True)
    spread = maps.amax(dim=(1, 2, 3), keepdim=True) - least
    return (maps - least) / torch.where(spread > 0, spread, 1)
