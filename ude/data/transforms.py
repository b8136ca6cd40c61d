"""Augmentation of a batch on its device: uint8 frames in, float images out."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .jitter import color_jitter, compiled_color_jitter, unit_range
from .seeds import derived_seed, uniform_draw

NOISE_SIGMA = 0.045
"""Standard deviation of the noise on the depth input, in units of the full range.

md4all (https://arxiv.org/abs/2308.09711) trains its distillation on nuScenes with this constant sigma on half of the
inputs: real night frames are noisy, translated ones are smooth. Its offset of 0.005 is left out, since the names in its
code show that a range of sigmas was meant, not a brighter image.
"""


@dataclass(frozen=True, kw_only=True)
class DeviceTransform:
    """Random colour, mirroring and noise, the same for a frame in whatever batch and order it comes.

    The draws of a sample come from generators seeded with the seed, the epoch and its frame_id. All frames of a sample
    share its colour factors. Only the depth input is mirrored: the stage mirrors its prediction back, so intrinsics,
    poses and neighbours stay as they are.

    Attributes:
        color_jitter: strengths of brightness, contrast, saturation and hue: factors are drawn from 1 - s ... 1 + s
            (not below 0), the hue from -s ... s turns.
        flip_prob: probability that a depth input is mirrored.
        noise_prob: probability that a depth input gets noise.
        pose_input: whether a pose network is trained, which needs augmented frames: three quarters of the work.
        compiled: change colours through torch.compile, at a fraction of the cost; needs a C++ compiler.
        seed: seed of the draws.
    """

    color_jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    flip_prob: float = 0.0
    noise_prob: float = 0.0
    pose_input: bool = True
    compiled: bool = False
    seed: int = 0

    def __call__(self, batch: dict[str, Any], epoch: int, training: bool) -> dict[str, Any]:
        """The batch with float images in [0, 1] and the inputs of the networks.

        Args:
            batch: collated samples with ``frame_id``, ``input`` (without it, ``target`` is taken) and, where the stage
                needs them, ``target`` and ``sources``.
            epoch: number of the epoch, part of the seed.
            training: whether to augment; otherwise the inputs are the plain images.

        Returns:
            A new batch with clean float ``target`` and ``sources``, ``depth_input`` (B, 3, H, W) made of ``input``,
            ``flipped`` (B,) bool, and with sources and where wanted ``pose_input`` (B, 1 + S, 3, H, W), made of the
            real target and sources, never translated and never mirrored.
        """
        images = {key: unit_range(batch[key]) for key in ("target", "sources") if key in batch}
        frames = [batch["input" if "input" in batch else "target"][:, None]]
        wanted = self.pose_input and "sources" in images
        if wanted:
            frames += [batch["target"][:, None], batch["sources"]]
        stack = torch.cat(frames, dim=1)  # bytes (B, 1 or 2 + S, 3, H, W)
        flipped = torch.zeros(len(stack), dtype=torch.bool, device=stack.device)
        if training:
            factors, flips = self._draws(batch["frame_id"], epoch)
            jitter = compiled_color_jitter() if self.compiled else color_jitter
            stack, flipped = jitter(stack, on_device(stack.device, factors)), on_device(stack.device, flips)
        else:
            stack = unit_range(stack)
        depth_input = torch.where(flipped[:, None, None, None], stack[:, 0].flip(-1), stack[:, 0])
        if training and self.noise_prob > 0:
            depth_input = self._with_noise(depth_input, batch["frame_id"], epoch)
        poses = {"pose_input": stack[:, 1:]} if wanted else {}
        return batch | images | poses | {"depth_input": depth_input, "flipped": flipped}

    def _draws(self, frame_ids: list[str], epoch: int) -> tuple[Tensor, Tensor]:
        """Colour factors (B, 4) and whether the depth input is mirrored (B,), on the CPU."""
        seeds = [derived_seed("augmentation", self.seed, epoch, frame_id) for frame_id in frame_ids]
        draws = torch.stack([torch.rand(5, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        changes = (2 * draws[:, :4] - 1) * torch.tensor(self.color_jitter)
        factors = torch.cat([(1 + changes[:, :3]).clamp(min=0), changes[:, 3:]], dim=1)
        return factors, draws[:, 4] < self.flip_prob

    def _with_noise(self, images: Tensor, frame_ids: list[str], epoch: int) -> Tensor:
        """Images of which some, by their own draw, have Gaussian noise; drawn on the device, so it differs by kind."""
        noisy = images.clone()
        for image, frame_id in zip(noisy, frame_ids, strict=True):
            if uniform_draw("noise", self.seed, epoch, frame_id) >= self.noise_prob:
                continue
            seed = derived_seed("noise pixels", self.seed, epoch, frame_id)
            generator = torch.Generator(images.device).manual_seed(seed)
            noise = torch.randn(image.shape, generator=generator, device=image.device)
            image.add_(NOISE_SIGMA * noise).clamp_(0, 1)
        return noisy


def on_device(device: torch.device, values: Tensor) -> Tensor:
    """Values of the CPU on a device, without waiting for what it still has to do."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
