"""The data set of evaluation, and the loader of its batches."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .batches import collate
from .caches.frames import FrameCache
from .pixels import CachedPixels, SourcePixels
from .sample import FrameSource, Sample
from .unreadable import UnreadableFrames

if TYPE_CHECKING:
    from .caches.lidar import LidarCache


class EvaluationFrames(Dataset):
    """Evaluation samples: the real frame as the input, and its LiDAR depth at the native size.

    Args:
        source: the frames.
        size: (height, width) of the input [px].
        frame_cache: read frames from it instead of the image files.
        lidar_cache: read LiDAR depth from it instead of projecting the points.
        on_error: ``raise`` when a frame cannot be read, or ``skip`` to leave it out of its batch.
        max_skipped: share of frames, 0..1, above which skipping ends.

    Attributes:
        unreadable: the frames that were skipped.

    Raises:
        DataError: when a frame of the cache is missing.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        size: tuple[int, int],
        frame_cache: FrameCache | None = None,
        lidar_cache: "LidarCache | None" = None,
        on_error: str = "raise",
        max_skipped: float = 0.01,
    ) -> None:
        self.source = source
        self.size = tuple(size)
        self.lidar_cache = lidar_cache
        self.unreadable = UnreadableFrames(source.frame_id, len(source), on_error=on_error, max_skipped=max_skipped)
        self.pixels = SourcePixels(source, self.size)
        if frame_cache is not None:
            self.pixels = CachedPixels(self.pixels, frame_cache, ())

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        source = self.source
        image = np.empty((1, 3, *self.size), np.uint8)
        self.pixels.fill(image, 0, index, 0)
        lidar_index, lidar_value = (
            self.lidar_cache.read(source.frame_id(index)) if self.lidar_cache else source.sparse_lidar(index)
        )
        sample = Sample(
            frame_id=source.frame_id(index),
            condition=source.condition(index),
            input=torch.from_numpy(image[0]),
            lidar_index=torch.from_numpy(lidar_index),
            lidar_value=torch.from_numpy(lidar_value),
            native_size=torch.tensor(source.native_size(index)),
        )
        if hasattr(source, "pixel_class"):
            sample["lidar_class"] = torch.from_numpy(source.pixel_class(index).ravel()[lidar_index])
        return sample

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Samples of those frames that can be read; a loader asks for them instead of single samples."""
        samples: list[Sample] = []
        for index in indices:
            self.unreadable.read(index, lambda number: samples.append(self[number]))
        return samples


class EvaluationLoader(DataLoader):
    """Batches of EvaluationFrames in order, without those of which no frame can be read.

    Several processes share whole batches, so that a network sees the same ones as in a single process and no frame is
    padded, lost or doubled.

    Args:
        frames: the data set.
        batch_size: frames per batch.
        num_workers: loader processes; 0 loads in the evaluating process.
        share: number of this process, and of all processes that evaluate together.
    """

    def __init__(
        self, frames: EvaluationFrames, batch_size: int, *, num_workers: int = 0, share: tuple[int, int] = (0, 1)
    ) -> None:
        indices, (rank, processes) = range(len(frames)), share
        batches = [indices[start : start + batch_size] for start in range(0, len(frames), batch_size)]
        super().__init__(frames, batch_sampler=batches[rank::processes], collate_fn=collate, num_workers=num_workers)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        batches = super().__iter__()
        try:
            yield from filter(None, batches)
        finally:
            if self.num_workers:  # collected as part of an error's cycle, they would be waited for, 5 s each
                batches._shutdown_workers()
        self.dataset.unreadable.report()
