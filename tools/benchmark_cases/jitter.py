"""Case ``jitter``: colour jitter of a batch, Pillow image by image against ude's exact batched form."""

from collections.abc import Callable, Iterator

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as pillow
from torchvision.transforms.v2 import functional as exact

from ude.data.jitter import color_jitter, compiled_color_jitter

from .environment import memory_copy
from .equality import Check
from .harness import Variant
from .report import Report, Settings, measure
from .scene import street

SIZES = ((320, 576, 4),)
BOUND = 1e-5
PILLOW_LEVELS = 6.0
"""Largest difference to Pillow, which rounds to 256 levels after each of the four changes and has 256 hues."""


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size, of samples of three frames, each with its own factors."""
    for size, batch in settings.shapes(SIZES):
        scene = street(size, batch)
        images = torch.cat([scene.target[:, None], scene.sources], 1).clamp(0, 1).mul(255).round().byte()
        random = torch.Generator().manual_seed(0)
        factors = 1 + (2 * torch.rand(batch, 4, generator=random) - 1) * torch.tensor([0.2, 0.2, 0.2, 0.05])
        factors[:, 3] -= 1
        ways = {"Pillow per image": _pillow(images, factors), "torchvision per image": _torchvision(images, factors)}
        on_device = images.to(settings.device), factors.to(settings.device)
        ways["ude"] = _batched(color_jitter, *on_device)
        if settings.compiled:
            ways["ude, compiled"] = _batched(compiled_color_jitter(), *on_device)
        found = {name: way().cpu() for name, way in ways.items()}
        reference = found["torchvision per image"]
        checks = [
            Check(f"{name}: to torchvision", (found[name] - reference).abs().max().item(), BOUND)
            for name in found
            if name.startswith("ude")
        ]
        levels = 255 * (found["Pillow per image"] - reference).abs().mean().item()
        checks.append(
            Check("Pillow per image: mean difference to torchvision, in levels of 255", levels, PILLOW_LEVELS)
        )
        yield measure(
            "jitter",
            f"{3 * batch} images of {size[0]} x {size[1]}, bytes to float",
            checks=checks,
            variants=[Variant(name, way, 5.0 * images.numel()) for name, way in ways.items()],
            limit=memory_copy(settings.device),
            settings=settings,
            notes=[] if settings.compiled else ["no compiled variant: left out"],
            images=3 * batch,
        )


def _pillow(images: Tensor, factors: Tensor) -> Callable[[], Tensor]:
    """The peers' way: on the CPU, one image at a time; the tensors are made of Pillow's images as theirs are."""
    opened = [[Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in sample] for sample in images]

    def jitter() -> Tensor:
        return _each(opened, factors, pillow, pillow.to_tensor)

    return jitter


def _torchvision(images: Tensor, factors: Tensor) -> Callable[[], Tensor]:
    return lambda: _each(images, factors, exact, lambda image: image, prepare=lambda image: image.float() / 255)


def _each(
    samples: object,
    factors: Tensor,
    functional: object,
    finish: Callable[[object], Tensor],
    prepare: Callable[[object], object] = lambda image: image,
) -> Tensor:
    """Frames (B, F, 3, H, W) changed one by one."""
    changed = []
    for sample, (brightness, contrast, saturation, hue) in zip(samples, factors.tolist(), strict=True):
        for image in sample:
            result = functional.adjust_brightness(prepare(image), brightness)
            result = functional.adjust_saturation(functional.adjust_contrast(result, contrast), saturation)
            changed.append(finish(functional.adjust_hue(result, hue)))
    return torch.stack(changed).unflatten(0, (len(factors), -1))


def _batched(jitter: Callable[[Tensor, Tensor], Tensor], images: Tensor, factors: Tensor) -> Callable[[], Tensor]:
    return lambda: jitter(images, factors)
