"""Day frames as the translator sees them, and their control pictures on the disk."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ude.data.images import prepare_reading, resize_image
from ude.data.sample import FrameSource
from ude.files import DataError, atomic_path

WHITE = 65535  # of a control picture


@dataclass(frozen=True)
class Frame:
    """A day frame at the translator's size.

    Attributes:
        frame_id: name of the frame.
        pixels: uint8 (3, H, W).
        source_sha256: hash of the frame's decoded pixels.
    """

    frame_id: str
    pixels: Tensor
    source_sha256: str


@dataclass(frozen=True)
class DecodedFrame:
    """A day frame as it was read.

    Attributes:
        frame_id: name of the frame.
        image: uint8 (H, W, 3).
        source_sha256: hash of these pixels.
    """

    frame_id: str
    image: np.ndarray
    source_sha256: str

    def resized(self, size: tuple[int, int]) -> Frame:
        """The frame at another size (height, width) [px]."""
        return Frame(self.frame_id, resize_image(self.image, size), self.source_sha256)


class DayFrames:
    """Frames of a source at one size; may be read from several threads. It remembers the hashes of what it read.

    Args:
        source: the frames.
        size: (height, width) of what is read [px].

    Attributes:
        ids: names of the frames.
        order: position of each name.
    """

    def __init__(self, source: FrameSource, size: tuple[int, int]) -> None:
        self.source, self.size = source, tuple(size)
        self.ids = [source.frame_id(position) for position in range(len(source))]
        self.order = {frame_id: position for position, frame_id in enumerate(self.ids)}
        self._hashes: dict[int, str] = {}
        prepare_reading()

    def __len__(self) -> int:
        return len(self.ids)

    def decode(self, position: int) -> DecodedFrame:
        """The frame at a position as it was read: what is only asked for its hash need not be resized.

        Raises:
            DataError: it is missing or damaged.
        """
        image = self.source.image(position, min_size=self.size)
        digest = self._hashes[position] = sha256(image.tobytes()).hexdigest()
        return DecodedFrame(self.ids[position], image, digest)

    def read(self, position: int) -> Frame:
        """The frame at a position.

        Raises:
            DataError: it is missing or damaged.
        """
        return self.decode(position).resized(self.size)

    def known_sha256(self, position: int) -> str | None:
        """Hash of a frame that was read before."""
        return self._hashes.get(position)


def unit_images(frames: list[Frame], device: str) -> Tensor:
    """Frames as a batch (B, 3, H, W) in [0, 1] on a device; they travel as bytes."""
    return torch.stack([frame.pixels for frame in frames]).to(device).float() / 255


def write_control(path: Path, inverse_depth: Tensor) -> None:
    """Writes relative inverse depth (1, H, W) as a 16-bit PNG, its largest value white.

    Raises:
        DataError: it is not finite, or nowhere above 0.
    """
    largest = float(inverse_depth.max())
    if not np.isfinite(largest) or largest <= 0 or not torch.isfinite(inverse_depth).all():
        raise DataError(f"the control depth of {path.stem} is not finite or nowhere above 0; check the depth model")
    levels = (inverse_depth.clamp(min=0) / largest * WHITE).round()[0].cpu().numpy().astype(np.uint16)
    with atomic_path(path) as temporary:
        Image.fromarray(levels).save(temporary, compress_level=1, compress_type=2)  # Huffman alone: fast


def read_control(path: Path) -> Tensor:
    """Relative inverse depth (1, H, W) in [0, 1] of a file of `write_control`."""
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image, np.float32) / WHITE)[None]
