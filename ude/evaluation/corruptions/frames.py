"""Evaluation samples of some frames with a corruption applied to their input."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ude.data.evaluation_frames import EvaluationFrames
from ude.data.sample import Sample
from ude.data.seeds import derived_seed
from ude.data.unreadable import UnreadableFrames

from .apply import corrupt


class CorruptedFrames(Dataset):
    """Some of the frames of an evaluation, corrupted at the size of the network's input; their LiDAR stays as it is.

    Args:
        frames: all frames.
        indices: numbers of those to take.
        corruption: one of CORRUPTIONS; None takes the frames as they are.
        severity: 1 (mild) to 5.
        seed: with the frame's name, the corruption and the severity, the seed of all that is drawn.
    """

    def __init__(
        self, frames: EvaluationFrames, indices: Sequence[int], *, corruption: str | None, severity: int, seed: int
    ) -> None:
        self.frames = frames
        self.indices = list(indices)
        self.corruption = corruption
        self.severity = severity
        self.seed = seed

    @property
    def unreadable(self) -> UnreadableFrames:
        """The frames that were skipped."""
        return self.frames.unreadable

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self._corrupted(self.frames[self.indices[index]])

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Samples of those frames that can be read."""
        return [self._corrupted(sample) for sample in self.frames.__getitems__([self.indices[i] for i in indices])]

    def _corrupted(self, sample: Sample) -> Sample:
        if self.corruption is None:
            return sample
        seed = derived_seed(self.seed, sample["frame_id"], self.corruption, self.severity)
        pixels = corrupt(_pixels(sample["input"]), self.corruption, self.severity, seed=seed)
        return sample | {"input": torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))}


def _pixels(image: Tensor) -> np.ndarray:
    """Image (3, H, W) as an array (H, W, 3)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
