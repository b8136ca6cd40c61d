"""Unlabelled frames of some conditions, kept in memory, and batches that depend on the seed and the step alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset
from tqdm import tqdm

from ude.data.images import read_rgb, resize_image
from ude.data.seeds import derived_seed
from ude.files import DataError, MissingFileError

from ..references import is_image_file
from .draws import generator_for


class ConditionFrames:
    """The frames of some conditions, read once: 1 MB of memory each at 432 x 768.

    Args:
        paths: files of each condition.
        size: (height, width) of the frames in memory [px].

    Attributes:
        images: all frames, uint8 (N, 3, height, width).
        conditions: condition of each frame.
        names: file name of each frame.
        members: indices of the frames of each condition.

    Raises:
        DataError: an image is damaged.
    """

    def __init__(self, paths: Mapping[str, Sequence[Path]], size: tuple[int, int]) -> None:
        self.conditions = [condition for condition, found in paths.items() for _ in found]
        files = [path for found in paths.values() for path in found]
        self.names = [path.name for path in files]
        ends = [*accumulate(len(found) for found in paths.values())]
        self.members = {
            condition: range(end - len(found), end) for (condition, found), end in zip(paths.items(), ends, strict=True)
        }
        self.images = torch.empty(len(files), 3, *size, dtype=torch.uint8)
        for i, path in enumerate(tqdm(files, desc="read", unit="frame", dynamic_ncols=True)):
            self.images[i] = resize_image(read_rgb(path), size)

    def __len__(self) -> int:
        return len(self.images)


def frame_paths(root: str | Path, conditions: Sequence[str], *, most: int) -> dict[str, list[Path]]:
    """Images of each condition in name order, evenly spread where there are more than wanted.

    Args:
        root: folder with a subfolder of frames per condition.
        conditions: names of the subfolders.
        most: most frames of a condition.

    Raises:
        MissingFileError: a subfolder is missing.
        DataError: a subfolder holds no image.
    """
    found = {condition: _image_paths(Path(root) / condition) for condition in conditions}
    return {
        condition: [paths[i * len(paths) // min(most, len(paths))] for i in range(min(most, len(paths)))]
        for condition, paths in found.items()
    }


class TrainingBatches(IterableDataset[dict[str, Any]]):
    """Batches of frames, from a step on without end; the same step always gives the same batch.

    Conditions have equal shares, whatever the number of their frames.

    Args:
        frames: where to draw from.
        batch_size: frames per batch.
        flip_prob: share of the frames that are mirrored.
        seed: base seed.
        first_step: tells the step that the first batch is for.
    """

    def __init__(
        self,
        frames: ConditionFrames,
        *,
        batch_size: int,
        flip_prob: float,
        seed: int,
        first_step: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.batch_size = batch_size
        self.flip_prob = flip_prob
        self.seed = seed
        self.first_step = first_step

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.batch, count(self.first_step()))

    def batch(self, step: int) -> dict[str, Any]:
        """What a step learns from.

        Args:
            step: number of the step.

        Returns:
            ``images`` uint8 (B, 3, H, W); ``references``, other frames of their conditions, of the same shape;
            ``index`` (B,) and ``mirrored`` bool (B,) of the images; ``conditions``, ``frame_id``; and a ``seed`` for
            what else is drawn.
        """
        seed = derived_seed("finetune", self.seed, step)
        draws = torch.rand(3, self.batch_size, generator=generator_for("frames", seed))
        own = [self._members(step, i) for i in range(self.batch_size)]
        index = [members[int(draw * len(members))] for members, draw in zip(own, draws[0].tolist(), strict=True)]
        others = [_another(*row) for row in zip(own, index, draws[1].tolist(), strict=True)]
        mirrored = draws[2] < self.flip_prob
        images = self.frames.images[index]
        return {
            "images": torch.where(mirrored[:, None, None, None], images.flip(-1), images),
            "references": self.frames.images[others],
            "index": torch.tensor(index),
            "mirrored": mirrored,
            "conditions": [self.frames.conditions[i] for i in index],
            "frame_id": [self.frames.names[i] for i in index],
            "seed": seed,
        }

    def _members(self, step: int, place: int) -> range:
        """Frames of the condition whose turn it is at a place of a step's batch."""
        members = list(self.frames.members.values())
        return members[(step * self.batch_size + place) % len(members)]


def _another(members: range, index: int, draw: float) -> int:
    """Another member than `index`, by a draw in [0, 1); itself where there is no other."""
    position = index - members.start
    return members[(position + 1 + int(draw * (len(members) - 1))) % len(members)]


def _image_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder}; put frames of {folder.name!r} there (.jpg or .png)")
    paths = [path for path in folder.iterdir() if is_image_file(path)]
    if not paths:
        raise DataError(f"there is no image in {folder}; put frames of {folder.name!r} there (.jpg or .png)")
    return sorted(paths)
