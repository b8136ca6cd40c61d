"""Translation of a whole data set, stage by stage: resumable, and the same files however the work is divided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ude.data.sample import FrameSource

from ..conditions import Condition
from ..gallery import shown_rows, write_gallery
from ..references import References
from ..translator import Translator
from .candidates import Candidates
from .frames import DayFrames
from .images import ImageStage
from .jobs import Draw
from .judging import QualityOptions, Thresholds, calibration_positions
from .making import Maker
from .manifest import REJECTED, Manifest
from .memory import release_memory
from .shards import Shard, ShardClaim
from .stages import Caption, Depth, Work, write_captions, write_controls
from .thumbnails import write_thumbnails

TITLE = "Translated frames"


@dataclass(frozen=True)
class Networks:
    """What loads the networks; each is called only when its stage has work left.

    Attributes:
        translator: the translator.
        depth: network for the control depth; None for a translator that takes none.
        captioner: what captions the day frames; None for prompts of phrases alone.
    """

    translator: Callable[[], Translator]
    depth: Callable[[], Depth] | None = None
    captioner: Callable[[], Caption] | None = None


@dataclass(frozen=True)
class Options:
    """How the frames are translated.

    Attributes:
        size: (height, width) that frames are resized to, translated at and stored at [px].
        seed: every image's own seed is derived from this one, its frame, its condition and the attempt.
        batch_size: frames per call of a network; the last batch is filled up with copies.
        quality: what is asked of an image.
        prompts: whether the translator takes prompts.
        image_prompts: whether it takes references.
        matched: names of the conditions whose images get the brightness of their references.
        device: where networks run.
        progress: show progress bars.
    """

    size: tuple[int, int]
    seed: int
    batch_size: int
    quality: QualityOptions = field(default_factory=QualityOptions)
    prompts: bool = True
    image_prompts: bool = False
    matched: tuple[str, ...] = ()
    device: str = "cpu"
    progress: bool = True


@dataclass(frozen=True)
class Summary:
    """What a run did, counted in images of its shard.

    Attributes:
        translated: made and accepted.
        finished: found finished.
        quarantine: rejected at every attempt, by this run or an earlier one.
        total: all of the shard.
        gallery: the page that shows all images; None while other shards are at work.
        rejected: share of all images that is in quarantine; None while other shards are at work.
    """

    translated: int
    finished: int
    quarantine: int
    total: int
    gallery: Path | None
    rejected: float | None


def translate_frames(
    source: FrameSource,
    networks: Networks,
    options: Options,
    *,
    conditions: Sequence[Condition],
    output: str | Path,
    config_hash: str,
    condition_hashes: Mapping[str, str] | None = None,
    references: References | None = None,
    shard: Shard | None = None,
) -> Summary:
    """Writes `output/<condition>/<frame_id>.jpg` for every frame and condition, their manifest and a gallery.

    What is finished is skipped. A row of a batch depends on its own frame alone, and batches have one size: so an
    interrupted and resumed run, and one in several shards, give the bytes of an uninterrupted one in one process.

    Args:
        source: day frames.
        networks: what loads the networks.
        options: how to translate.
        conditions: conditions to translate to.
        output: folder to write to.
        config_hash: hash of everything else that all images depend on.
        condition_hashes: by name, hash of what the images of a condition depend on besides.
        references: real images of the conditions that need some; None for none.
        shard: which part of the frames to translate; None for all.

    Raises:
        DataError: the output is of another config or in use, or a frame cannot be read.
        OutOfMemoryError: not even one image fits into the device's memory.
        KeyboardInterrupt: SIGINT came; the current batch is finished.
        SystemExit: SIGTERM came (143); the current batch is finished.
    """
    shard, output = shard or Shard(), Path(output)
    frames, positions = DayFrames(source, options.size), shard.positions(len(source))
    with ShardClaim(output, shard) as claim:
        with claim.arriving() as alone:
            manifest = Manifest(output, config_hash=config_hash, conditions=condition_hashes, shard=shard)
            if alone:
                manifest.join(frames.order)  # what a killed run left, perhaps in other shards
        needed = _with_calibration(positions, manifest, conditions, frames.ids, options.quality)
        work = Work(frames, needed, manifest, options.batch_size, options.device, options.progress)
        if networks.captioner is not None:
            write_captions(work, networks.captioner)
        if networks.depth is not None:
            write_controls(work, networks.depth)
        counts = _translate(replace(work, positions=positions), networks, options, conditions, references)
        gallery = rejected = None
        with claim.finishing() as last:
            if last:
                gallery, rejected = _finish(manifest, frames, references)
    return Summary(
        translated=counts["translated"],
        finished=counts["finished"],
        quarantine=counts["quarantine"],
        total=len(positions) * len(conditions),
        gallery=gallery,
        rejected=rejected,
    )


def _translate(
    work: Work,
    networks: Networks,
    options: Options,
    conditions: Sequence[Condition],
    references: References | None,
) -> dict[str, int]:
    """The last stage; returns the counts of its images."""
    referenced = [c.name for c in conditions if options.image_prompts or c.name in options.matched]
    draw = Draw(options.seed, references, frozenset(referenced), options.prompts)
    maker = Maker(
        networks.translator,
        networks.depth,
        options.quality,
        work.batch_size,
        references=references,
        image_prompts=options.image_prompts,
        matched=options.matched,
        device=options.device,
    )
    stage = ImageStage(work, Candidates(work, conditions, draw, with_depth=networks.depth is not None), maker)
    stage.run()
    del maker, stage.maker
    release_memory()
    return stage.counts


def _finish(manifest: Manifest, frames: DayFrames, references: References | None) -> tuple[Path, float]:
    """Joins what all shards wrote; returns the gallery's page and the share of images in quarantine."""
    rows = manifest.join(frames.order)
    write_thumbnails(manifest.output, shown_rows(rows), frames, references)
    rejected = sum(row.get("verdict") == REJECTED for row in rows)
    return write_gallery(manifest.output, rows, title=TITLE), rejected / max(1, len(rows))


def _with_calibration(
    positions: Sequence[int],
    manifest: Manifest,
    conditions: Sequence[Condition],
    frame_ids: Sequence[str],
    quality: QualityOptions,
) -> Sequence[int]:
    """The positions, and those of the frames that thresholds are going to be calibrated on."""
    if quality.calibrated and Thresholds(manifest.output).missing(conditions):
        return sorted({*positions, *calibration_positions(frame_ids)})
    return positions
