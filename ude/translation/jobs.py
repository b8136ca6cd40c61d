"""One image of a translation run: what it is made from, and how a batch of them goes through a translator."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ude.data.images import resize_image
from ude.data.sample import FrameSource

from .conditions import Condition
from .references import References
from .translator import Translator, seed_of


@dataclass(frozen=True)
class Frame:
    """A day frame as the translator sees it.

    Attributes:
        frame_id: name of the frame.
        pixels: uint8 (3, H, W) at the translator's size.
        source_sha256: hash of the frame's decoded pixels.
    """

    frame_id: str
    pixels: Tensor
    source_sha256: str


@dataclass(frozen=True)
class Job:
    """What one image is made from: besides the frame a function of the run's seed, its name and the condition."""

    frame: Frame
    condition: Condition
    seed: int
    prompt: str
    reference: str | None


class Inputs(NamedTuple):
    """Images (B, 3, H, W) in [0, 1] and their inverse depth (B, 1, H, W), both of the constant batch size."""

    images: Tensor
    inverse_depth: Tensor | None


def read_frame(source: FrameSource, index: int, size: tuple[int, int]) -> Frame:
    """A frame at a size (height, width), with the hash of what was decoded."""
    image = source.image(index, min_size=size)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return Frame(source.frame_id(index), resize_image(image, size), digest)


def job_of(frame: Frame, condition: Condition, *, seed: int, references: References | None) -> Job:
    """The job of one frame and condition: its own seed draws the prompt and, independently of it, the reference.

    Args:
        frame: frame to translate.
        condition: condition to translate to.
        seed: seed of the run.
        references: where to draw the reference from, or None.
    """
    own_seed = seed_of(seed, frame.frame_id, condition.name)
    reference = None if references is None else references.draw(condition.name, seed_of("reference", own_seed))
    return Job(frame, condition, own_seed, condition.prompt(own_seed), reference)


def network_inputs(frames: Sequence[Frame], *, batch_size: int, depth: Callable[[Tensor], Tensor] | None) -> Inputs:
    """Frames and their depth as a batch of exactly `batch_size`, the last frame repeated.

    At one batch size the networks compute the same bits for a frame, wherever the data set ends.

    Args:
        frames: at most `batch_size` frames.
        batch_size: rows of the batch.
        depth: inverse depth of images, or None.
    """
    rows = [*frames, *frames[-1:] * (batch_size - len(frames))]
    images = torch.stack([frame.pixels for frame in rows]).float() / 255
    return Inputs(images, None if depth is None else depth(images).to(images.device))


def translate_batch(
    translator: Translator, inputs: Inputs, jobs: Sequence[Job], references: References | None
) -> Tensor:
    """Translated images (len(jobs), 3, H, W), all of one condition, on the CPU.

    Args:
        translator: what translates a batch.
        inputs: the frames of the jobs and their depth; further rows are copies.
        jobs: what to make of the frames.
        references: where the references of the jobs are, or None.
    """
    rows = [*jobs, *jobs[-1:] * (len(inputs.images) - len(jobs))]
    translated = translator(
        inputs.images,
        condition=rows[0].condition,
        seeds=[row.seed for row in rows],
        depth=inputs.inverse_depth,
        prompts=[row.prompt for row in rows],
        references=None if references is None else references.images([str(row.reference) for row in rows]),
    )
    return translated[: len(jobs)].float().cpu()
