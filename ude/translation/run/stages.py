"""The stages before the translation: captions of the day frames, and control pictures of their depth."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from ude.files import sha256, stop_after_batch

from .frames import DayFrames, Frame, unit_images, write_control
from .manifest import Manifest
from .memory import ConstantBatch, loaded, release_memory
from .overlap import Writer, ahead

Depth = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to inverse depth (B, 1, h, w)."""
Caption = Callable[[Tensor], Sequence[str]]
"""Images (B, 3, H, W) in [0, 1] to what they show."""
Item = TypeVar("Item")

WAITING_BATCHES = 3  # that may wait on either side of a network


@dataclass(frozen=True)
class Work:
    """What a process has to do in one stage.

    Attributes:
        frames: all day frames.
        positions: which of them are this process's.
        manifest: record of the output folder.
        batch_size: frames per call of a network.
        device: where networks run.
        progress: show a progress bar.
    """

    frames: DayFrames
    positions: Sequence[int]
    manifest: Manifest
    batch_size: int
    device: str
    progress: bool

    @property
    def waiting(self) -> int:
        """How many frames may wait on either side of the networks."""
        return WAITING_BATCHES * self.batch_size

    def ahead(self, load: Callable[[int], Item | None], name: str, stop_if_asked: Callable[[], None]) -> Iterator[Item]:
        """What is loaded for the positions, in threads ahead of the caller, without what is None; with a progress bar.

        Args:
            load: makes something of a position, or None where nothing is to do.
            name: of the progress bar.
            stop_if_asked: called for every position.
        """
        loaded = ahead(load, self.positions, lookahead=self.waiting)
        bar = tqdm(loaded, name, total=len(self.positions), unit="frame", disable=not self.progress)
        with closing(loaded), bar:
            for item in bar:
                stop_if_asked()
                if item is not None:
                    yield item


def write_captions(work: Work, captioner: Callable[[], Caption]) -> None:
    """Writes a row into `captions.jsonl` for every frame without one.

    Args:
        work: the frames.
        captioner: loads the network; called only if there is something to do.
    """

    def done(frame_id: str, digest: str) -> bool:
        return work.manifest.caption(frame_id, source_sha256=digest) is not None

    def keep(frame: Frame, caption: str) -> None:
        row = {"frame_id": frame.frame_id, "source_sha256": frame.source_sha256, "caption": caption}
        work.manifest.add_caption(row)

    _run(work, "captions", captioner, done, keep)


def write_controls(work: Work, depth: Callable[[], Depth]) -> None:
    """Writes `control/<frame_id>.png` and a row for every frame without them.

    Args:
        work: the frames.
        depth: loads the network; called only if there is something to do.
    """

    def done(frame_id: str, digest: str) -> bool:
        return work.manifest.has_control(frame_id, source_sha256=digest)

    def keep(frame: Frame, inverse_depth: Tensor) -> None:
        path = work.manifest.control_path(frame.frame_id)
        write_control(path, inverse_depth)
        digests = {"source_sha256": frame.source_sha256, "control_sha256": sha256(path)}
        work.manifest.add_control({"frame_id": frame.frame_id, **digests})

    _run(work, "control depth", depth, done, keep)


def _run(
    work: Work,
    name: str,
    load: Callable[[], Callable[[Tensor], Sequence[Any]]],
    done: Callable[[str, str], bool],
    keep: Callable[[Frame, Any], None],
) -> None:
    """Makes something of every frame that is not done yet, by a network, and keeps it.

    Args:
        work: the frames.
        name: of the progress bar.
        load: loads the network.
        done: whether nothing is to do for a frame id and the hash of its pixels.
        keep: writes what was made of a frame.
    """

    def unfinished(position: int) -> Frame | None:
        frame_id, digest = work.frames.ids[position], work.frames.known_sha256(position)
        if digest is not None and done(frame_id, digest):
            return None
        decoded = work.frames.decode(position)
        return None if done(frame_id, decoded.source_sha256) else decoded.resized(work.frames.size)

    network, batch = None, ConstantBatch(work.batch_size)

    def compute(rows: list[Frame]) -> Sequence[Any]:
        made = network(unit_images(rows, work.device))
        return made.cpu() if isinstance(made, Tensor) else made

    with stop_after_batch() as stop_if_asked, Writer(work.waiting) as write, torch.inference_mode():
        for rows in batches(work.ahead(unfinished, name, stop_if_asked), work.batch_size):
            if network is None:
                network = loaded(load, name)
            stop_if_asked()
            for row, made in zip(rows, batch(compute, rows), strict=True):
                write(keep, row, made)
    network = None
    release_memory()


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one perhaps shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
