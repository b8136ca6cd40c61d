"""The stage that makes the images: a batch per condition, new attempts for what is rejected, and what is written."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from torch import Tensor

from ude.files import stop_after_batch, write_image

from ..conditions import Condition
from .candidates import Candidate, Candidates
from .frames import Frame, unit_images
from .judging import Thresholds, calibrated_threshold, calibration_positions
from .making import Made, Maker
from .manifest import ACCEPTED, REJECTED
from .overlap import Follower, Writer
from .shards import turn
from .stages import Work, batches
from .thumbnails import remove_thumbnail


class ImageStage:
    """Translates frames into conditions.

    What is rejected waits for its next attempt until there is a batch of them: a batch never mixes conditions, and
    which rows share one does not change them.

    Args:
        work: the frames.
        candidates: finds what is to be made.
        maker: makes and judges it.

    Attributes:
        counts: images that were `translated` and accepted, were `finished` before, and are in `quarantine`, old or new.
    """

    def __init__(self, work: Work, candidates: Candidates, maker: Maker) -> None:
        self.work, self.candidates, self.maker = work, candidates, maker
        self.counts: Counter[str] = Counter()
        self._pools: dict[str, list[Candidate]] = {condition.name: [] for condition in candidates.conditions}

    def run(self) -> None:
        """Writes every image that is missing, and a row for each.

        Raises:
            DataError: a frame cannot be read, or nothing can be written.
            KeyboardInterrupt: SIGINT came; the current batch is finished and written.
            SystemExit: SIGTERM came (143); the current batch is finished and written.
        """
        work = self.work
        with (
            stop_after_batch() as self._stop_if_asked,
            Writer(work.waiting) as self._write,
            Follower(self.maker.judge, self._settle) as self._judge,
        ):
            self._calibrate()
            for found in work.ahead(self.candidates.find, "translation", self._stop_if_asked):
                self.counts.update(finished=found.finished, quarantine=found.quarantined)
                for candidate in found.candidates:
                    self._pools[candidate.job.condition.name].append(candidate)
                self._work_off(least=work.batch_size)
            self._judge.drain()
            while any(self._pools.values()):
                self._work_off(least=1)
                self._judge.drain()

    def _work_off(self, *, least: int) -> None:
        """Make images while at least so many wait."""
        for pool in self._pools.values():
            while len(pool) >= least:
                rows, pool[:] = pool[: self.work.batch_size], pool[self.work.batch_size :]
                self._judge(rows, self._generated(rows))

    def _generated(self, rows: Sequence[Candidate]) -> list[Tensor]:
        """Translations (3, H, W) of a batch, unless a signal came, perhaps while the translator was loaded."""
        self.maker.load()
        self._stop_if_asked()
        return self.maker.generate(rows)

    def _settle(self, made: Sequence[Made]) -> None:
        """Keep images, try again, or put them into quarantine."""
        for image in made:
            job, accepted = image.candidate.job, image.verdict.accepted
            if accepted or job.attempt + 1 >= self.maker.quality.attempts:
                self.counts["translated" if accepted else "quarantine"] += 1
                self._write(self._store, image)
            else:
                self._pools[job.condition.name].append(self.candidates.again(image.candidate))

    def _store(self, image: Made) -> None:
        """Writes an image and its row; in a writer's thread."""
        candidate, manifest = image.candidate, self.work.manifest
        job, frame = candidate.job, candidate.frame
        verdict, other = (ACCEPTED, REJECTED) if image.verdict.accepted else (REJECTED, ACCEPTED)
        name, control = job.condition.name, None
        if self.candidates.with_depth:
            control = manifest.controls.get(job.frame_id)
        manifest.path(job.frame_id, name, other).unlink(missing_ok=True)
        remove_thumbnail(manifest.output, job.frame_id)
        write_image(manifest.path(job.frame_id, name, verdict), image.pixels.numpy())
        references = self.candidates.draw.references
        manifest.record(
            {
                "frame_id": job.frame_id,
                "condition": name,
                "verdict": verdict,
                "reason": image.verdict.reason,
                "attempt": job.attempt,
                "seed": job.seed,
                "prompt": job.prompt or None,
                "caption": candidate.caption,
                "reference": job.reference,
                "reference_sha256": references.sha256(job.reference) if references and job.reference else None,
                "source_sha256": frame.source_sha256,
                "control_sha256": control and control["control_sha256"],
                "size": list(image.pixels.shape[:2]),
                "figures": {key: _rounded(value) for key, value in image.verdict.figures.items()},
            }
        )

    def _calibrate(self) -> None:
        """Find the thresholds that are not known yet, each in one of the processes at work."""
        options, thresholds = self.maker.quality, Thresholds(self.work.manifest.output)
        if options.calibrated and thresholds.missing(self.candidates.conditions):
            with turn(self.work.manifest.output, "calibration", self._stop_if_asked):
                positions = calibration_positions(self.work.frames.ids)
                frames = [self.work.frames.read(position) for position in positions]
                for condition in thresholds.missing(self.candidates.conditions):
                    rows, images = self._calibration_images(frames, condition)
                    found = calibrated_threshold([unit_images([row.frame], "cpu")[0] for row in rows], images)
                    self.work.manifest.claim()
                    thresholds.add(condition.name, found)
                    self.maker.thresholds[condition.name] = found
                    self._settle_own(positions, rows, images)
        self.maker.thresholds |= thresholds.read()

    def _calibration_images(
        self, frames: Sequence[Frame], condition: Condition
    ) -> tuple[list[Candidate], list[Tensor]]:
        """First attempts at the frames, and their images (3, H, W)."""
        rows, images = [self.candidates.first(frame, [condition])[0] for frame in frames], []
        for some in batches(rows, self.work.batch_size):
            images += [image.float().cpu() for image in self._generated(some)]
        return rows, images

    def _settle_own(self, positions: Sequence[int], rows: Sequence[Candidate], images: Sequence[Tensor]) -> None:
        """Use the images of a calibration that this process has to make anyway."""
        own = []
        for position, row, image in zip(positions, rows, images, strict=True):
            name, digest = row.job.condition.name, row.frame.source_sha256
            finished = self.work.manifest.finished(row.frame.frame_id, name, source_sha256=digest)
            if position in self.work.positions and finished is None:
                self.candidates.settled.add((row.frame.frame_id, name))
                own.append((row, image))
        for some in batches(own, self.work.batch_size):
            self._judge(*zip(*some, strict=True))


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if isfinite(value) else None
