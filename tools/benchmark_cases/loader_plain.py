"""The yardstick of the case ``loader``: a training sample the way md4all makes it, with Pillow."""

from collections.abc import Iterable
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import ColorJitter, InterpolationMode, Resize
from torchvision.transforms import functional as F

from ude.data.sample import FrameSource

COPIES = ("clean", "depth_input", "pose_input")
JITTERED = ("depth_input", "pose_input")
RANGES = {"brightness": [0.8, 1.2], "contrast": [0.8, 1.2], "saturation": [0.8, 1.2], "hue": [-0.05, 0.05]}
OFFSETS = (0, -1, 1)


def md4all_sample(source: FrameSource, index: int, size: tuple[int, int]) -> dict[str, Any]:
    """A sample: three copies of every frame, each resized; the same jitter on two of them; float tensors of all.

    Args:
        source: the frames.
        index: number of the frame.
        size: (height, width) of the sample [px].

    Returns:
        ``clean``, ``depth_input`` and ``pose_input``, each with the frames in the order of ``OFFSETS``, float
        (3, H, W) in [0, 1]; ``K`` (3, 3), scaled as md4all does, and ``distance`` [m], (2,).
    """
    images = {}
    for offset in OFFSETS:
        image = Image.open(source.image_path(index, offset))
        images |= {(key, offset): image.copy() for key in COPIES}
    resize = Resize(size, InterpolationMode.LANCZOS)
    images = {place: resize(image) for place, image in images.items()}
    _, brightness, contrast, saturation, hue = ColorJitter.get_params(**RANGES)
    for place, image in images.items():
        if place[0] in JITTERED:
            brighter = F.adjust_brightness(image, brightness)
            contrasted = F.adjust_contrast(brighter, contrast)
            images[place] = F.adjust_hue(F.adjust_saturation(contrasted, saturation), hue)
    tensors = {key: [F.to_tensor(images[key, offset]) for offset in OFFSETS] for key in COPIES}
    height, width = source.native_size(index)
    scale = torch.tensor([[size[1] / width], [size[0] / height], [1.0]])
    return {
        **tensors,
        "K": scale * torch.from_numpy(source.intrinsics(index)).float(),
        "distance": torch.tensor([source.distance(index, offset) for offset in OFFSETS[1:]]),
    }


def stacked(samples: Iterable[dict[str, Any]]) -> dict[str, Tensor]:
    """Samples as a batch; a tensor (B, 3, H, W) per copy and frame, with keys such as "clean -1"."""
    samples = list(samples)
    batch = {key: torch.stack([sample[key] for sample in samples]) for key in ("K", "distance")}
    for key in COPIES:
        for place, offset in enumerate(OFFSETS):
            batch[f"{key} {offset}"] = torch.stack([sample[key][place] for sample in samples])
    return batch


def clean_frames(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Target (B, 3, H, W) and sources (B, S, 3, H, W) of a batch, without jitter."""
    sources = [batch[f"clean {offset}"] for offset in OFFSETS[1:]]
    return {"target": batch["clean 0"], "sources": torch.stack(sources, 1), "distance": batch["distance"]}
