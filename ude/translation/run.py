"""Translation of a whole data set: resumable, the same files whatever the batch, the order or an interruption."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ude.data.sample import FrameSource
from ude.files import stop_after_batch, write_image

from .conditions import Condition
from .jobs import Job, job_of, network_inputs, read_frame, translate_batch
from .manifest import Manifest
from .references import References
from .translator import Translator

FLAT = 1 / 255  # an image whose values deviate less than this from their mean shows nothing

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What a run did, counted in translated images.

    Attributes:
        done: translated and written.
        skipped: found finished.
        failed: refused; they are listed in `failed.jsonl` and tried again by the next run.
    """

    done: int
    skipped: int
    failed: int


def translate_frames(
    source: FrameSource,
    translator: Translator,
    *,
    conditions: Sequence[Condition],
    output: str | Path,
    size: tuple[int, int],
    depth: Callable[[Tensor], Tensor] | None,
    seed: int,
    batch_size: int,
    config_hash: str,
    references: str | Path | None = None,
    progress: bool = True,
) -> Summary:
    """Writes `output/<condition>/<frame_id>.jpg` for every frame and condition, and a manifest of them.

    What is finished is skipped. A batch with anything left to do is computed as a whole, always at `batch_size`, and
    only what is missing is written: so an interrupted and resumed run gives the bytes of an uninterrupted one.

    Args:
        source: day frames.
        translator: what translates a batch.
        conditions: conditions to translate to.
        output: folder to write to.
        size: (height, width) that frames are resized to, translated at and stored at [px].
        depth: inverse depth (B, 1, H, W) of frames (B, 3, H, W) in [0, 1]; None for a translator that needs none.
        seed: every image's own seed is derived from this one, its frame and its condition.
        batch_size: frames per call of the translator; the last batch is filled up with copies.
        config_hash: hash of everything else that the images depend on.
        references: folder with a subfolder of reference images per condition; None for a translator that takes none.
        progress: show a progress bar.

    Raises:
        DataError: the output is of another config, a frame cannot be read, or references are missing.
        KeyboardInterrupt: SIGINT came; the current batch is finished.
        SystemExit: SIGTERM came (143); the current batch is finished.
    """
    drawn = None if references is None else References(references, [condition.name for condition in conditions])
    manifest = Manifest(output, config_hash=config_hash)  # after what may be refused: it claims the folder
    counts: Counter[str] = Counter()
    total = len(source) * len(conditions)
    with stop_after_batch() as stop_if_asked, tqdm(total=total, unit="image", disable=not progress) as bar:
        for start in range(0, len(source), batch_size):
            frames = [read_frame(source, i, size) for i in range(start, min(start + batch_size, len(source)))]
            inputs = None
            for condition in conditions:
                jobs = [job_of(frame, condition, seed=seed, references=drawn) for frame in frames]
                missing = [not is_finished(manifest, job) for job in jobs]
                counts["skipped"] += len(jobs) - sum(missing)
                if any(missing):
                    inputs = inputs or network_inputs(frames, batch_size=batch_size, depth=depth)
                    translated = translate_batch(translator, inputs, jobs, drawn)
                    counts.update(store(manifest, jobs[i], translated[i]) for i, wanted in enumerate(missing) if wanted)
                bar.update(len(jobs))
                stop_if_asked()
    if counts["failed"]:
        _LOG.warning("%d of %d images were refused; see %s", counts["failed"], total, Path(output) / "failed.jsonl")
    return Summary(done=counts["done"], skipped=counts["skipped"], failed=counts["failed"])


def is_finished(manifest: Manifest, job: Job) -> bool:
    """Whether the image is there and was made from the frame as it is now."""
    return manifest.finished(job.frame.frame_id, job.condition.name, source_sha256=job.frame.source_sha256)


def store(manifest: Manifest, job: Job, image: Tensor) -> str:
    """Writes a translated image (3, H, W) in [0, 1] and its row: "done"; or notes why it is not fit: "failed"."""
    reason = objection(image)
    if reason:
        manifest.refuse(job.frame.frame_id, job.condition.name, seed=job.seed, reason=reason)
        return "failed"
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    write_image(manifest.path(job.frame.frame_id, job.condition.name), pixels.numpy())
    manifest.record(
        {
            "frame_id": job.frame.frame_id,
            "condition": job.condition.name,
            "seed": job.seed,
            "prompt": job.prompt,
            "reference": job.reference,
            "source_sha256": job.frame.source_sha256,
            "size": list(image.shape[1:]),
        }
    )
    return "done"


def objection(image: Tensor) -> str | None:
    """Why an image (3, H, W) cannot be a translation, or None: not finite, or without any content."""
    if not torch.isfinite(image).all():
        return "not finite"
    if float(image.std()) < FLAT:
        return "black" if float(image.mean()) < FLAT else "constant"
    return None
