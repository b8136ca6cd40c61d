"""The loaders of md4all and monodepth2 themselves, from checkouts, for the case ``loader``."""

import random
import urllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate
from torchvision import transforms
from torchvision.transforms import functional as F

from .loader_plain import OFFSETS, RANGES
from .loader_scene import LongDrive
from .peers import load_peer, stand_in

MD4ALL, MONODEPTH2 = "md4all's own code", "monodepth2's own code"
NUM_SCALES = 4

Batches = Callable[[Sequence[int]], dict[Any, Any]]


def md4all_samples(folder: Path, source: LongDrive, size: tuple[int, int]) -> Batches:
    """Batches through its transforms; what reads its tables is left out.

    Args:
        folder: a checkout of https://github.com/md4all/md4all.
        source: the frames.
        size: (height, width) of the samples [px].
    """
    its = load_peer(folder, ("data.transforms",), {}).transforms
    keys = ("color", "color_aug", "color_aug_pose")

    def sample(index: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {"K": torch.from_numpy(source.intrinsics(index)).float()}
        for offset in OFFSETS:
            image = Image.open(source.image_path(index, offset))
            found |= {(key, offset): image.copy() for key in keys}
        return chain(found)

    lanczos = transforms.InterpolationMode.LANCZOS
    chain = its.CustomCompose(
        [
            its.Resize(size, lanczos, True, [*keys, "K"], OFFSETS, source.native_size(0)),
            its.RandomColorJitter(*RANGES.values(), 1.0, [*keys[1:]], OFFSETS),
            its.ToTensor([*keys], OFFSETS),
        ]
    )
    return lambda indices: default_collate([sample(i) for i in indices])


def monodepth2_samples(folder: Path, source: LongDrive, size: tuple[int, int]) -> Batches:
    """Batches of its MonoDataset, with what Pillow and torchvision have dropped since put back while it runs.

    Args:
        folder: a checkout of https://github.com/nianticlabs/monodepth2.
        source: the frames.
        size: (height, width) of the samples [px].
    """
    needed = {"six": stand_in("six"), "six.moves": stand_in("six.moves", urllib=urllib)}
    its = load_peer(folder, ("datasets.mono_dataset",), needed | {"skimage": stand_in("skimage", transform=None)})

    class Frames(its.mono_dataset.MonoDataset):
        """Its data set, which finds the frames of the drive."""

        def __init__(self) -> None:
            self.K = np.eye(4, dtype=np.float32)
            names = [f"x {index} l" for index in range(len(source))]
            super().__init__("", names, *size, list(OFFSETS), NUM_SCALES, is_train=True)

        def check_depth(self) -> bool:
            return False

        def get_color(self, _folder: str, index: int, _side: str, flip: bool) -> Image.Image:
            offset = index - self.current
            image = self.loader(source.image_path(self.current, offset))
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image

        def __getitem__(self, index: int) -> dict[Any, Any]:
            self.current = index
            return super().__getitem__(index)

    with _older_libraries():
        frames = Frames()

    def batch(indices: Sequence[int]) -> dict[Any, Any]:
        random.seed(indices[0])
        with _older_libraries():
            return default_collate([frames[index] for index in indices])

    return batch


@contextmanager
def _older_libraries() -> Iterator[None]:
    """Pillow's ANTIALIAS, and torchvision's ColorJitter.get_params that gave a function."""
    now = transforms.ColorJitter.get_params

    def get_params(*ranges: tuple[float, float]) -> Callable[[Image.Image], Image.Image]:
        order, *factors = now(*map(list, ranges))
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)

        def jitter(image: Image.Image) -> Image.Image:
            for number in order.tolist():
                image = changes[number](image, factors[number])
            return image

        return jitter

    Image.ANTIALIAS = Image.Resampling.LANCZOS
    transforms.ColorJitter.get_params = staticmethod(get_params)
    try:
        yield
    finally:
        transforms.ColorJitter.get_params = staticmethod(now)
        del Image.ANTIALIAS
