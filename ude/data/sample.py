"""What the data layer hands on: the sample of a loader and the protocol of a source of frames."""

from collections import Counter
from pathlib import Path
from typing import Protocol, TypedDict

import numpy as np
from torch import Tensor

CONDITIONS = ("day-clear", "day-rain", "night-clear", "night-rain")
"""Recording conditions of a real frame; translated frames bear the name of their translation condition instead."""


class Sample(TypedDict, total=False):
    """One frame as a data set yields it; a batch has the same keys with a leading B.

    Strings become lists in a batch, and sparse LiDAR is padded with index -1, value 0 and class -1.

    Attributes:
        frame_id: name of the frame, unique in its data set.
        condition: recording condition of the real frame, one of ``CONDITIONS``.
        input_condition: translation condition of ``input``, or ``condition`` where it is the real frame.
        target: real frame, uint8 (3, H, W).
        sources: real neighbouring frames in the order of the offsets, uint8 (S, 3, H, W).
        input: what the depth network starts from, the target or its translation, uint8 (3, H, W).
        K: this frame's own intrinsics at (H, W) [px], (3, 3).
        distance: distance between the camera centres of target and source [m], (S,).
        T_source_target: maps target-camera points to each source camera, from ego poses, (S, 4, 4).
        lidar_index: flat row-major pixel index of each return at the native size, int64 (N,).
        lidar_value: depth of each return [m], (N,).
        lidar_class: class of the pixel of each return, int8 (N,), where the source has ``pixel_class``.
        native_size: (height, width) that ``lidar_index`` belongs to [px], int64 (2,).
    """

    frame_id: str
    condition: str
    input_condition: str
    target: Tensor
    sources: Tensor
    input: Tensor
    K: Tensor
    distance: Tensor
    T_source_target: Tensor
    lidar_index: Tensor
    lidar_value: Tensor
    lidar_class: Tensor
    native_size: Tensor


class FrameSource(Protocol):
    """Recorded frames at their native size; knows nothing of tensors or training.

    ``offset`` counts frames of the camera's own rate: 0 is the frame itself, -1 the one before, 1 the one after.
    A source that knows what its pixels show has ``pixel_class(index)``, too: classes of the pixels, int8 (H, W), -1 for
    none; the protocol of an evaluation says what they mean.

    Attributes:
        offsets: neighbours that every frame has.
        left_out: number of frames of the split that the source leaves out, by reason, such as ``no neighbour``.
    """

    offsets: tuple[int, ...]
    left_out: Counter[str]

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def frame_id(self, index: int) -> str:
        """Name of a frame, unique in the source and fit for a file name."""
        ...

    def condition(self, index: int) -> str:
        """Recording condition of a frame, one of ``CONDITIONS``."""
        ...

    def scene(self, index: int) -> str:
        """Name of the drive that a frame belongs to; frames of one scene are not independent."""
        ...

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of a frame as recorded [px], which ``intrinsics`` and ``lidar_depth`` belong to."""
        ...

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        """RGB pixels of a frame or its neighbour, uint8 (H, W, 3).

        Args:
            index: number of the frame.
            offset: which neighbour.
            min_size: (height, width) that the caller needs [px]; a source may then decode a smaller version that is
                not below it. None asks for the native size.
        """
        ...

    def image_path(self, index: int, offset: int = 0) -> Path:
        """File that a frame or its neighbour is read from; of a video, the image taken out of it once."""
        ...

    def intrinsics(self, index: int) -> np.ndarray:
        """This frame's own K at the native size [px], float64 (3, 3)."""
        ...

    def distance(self, index: int, offset: int) -> float:
        """Distance between the camera centres of a frame and its neighbour [m]."""
        ...

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802 (T is a transform)
        """Transform from the camera of a frame to that of its neighbour, float64 (4, 4)."""
        ...

    def lidar_path(self, index: int) -> Path | None:
        """File of a frame's LiDAR points or depth; None for a frame without."""
        ...

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat row-major indices of the native pixels with a return, int64 (N,) ascending, and depths [m], float32."""
        ...

    def lidar_depth(self, index: int) -> np.ndarray:
        """The same as a map at the native size [m], float32 (H, W); 0 = no return."""
        ...
