"""Frames without content, for pipelines that make images of text alone."""

import numpy as np


class BlankFrames:
    """So many grey frames; their names, and with them the seeds of what is made, depend on their numbers alone.

    Args:
        count: number of frames.
        size: (height, width) of the frames [px].
    """

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.count, self.size = count, tuple(size)

    def __len__(self) -> int:
        return self.count

    def frame_id(self, index: int) -> str:
        """Name of a frame."""
        return f"easy_{index:06d}"

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """Grey pixels, uint8 (H, W, 3)."""
        return np.full((*self.size, 3), 128, np.uint8)
