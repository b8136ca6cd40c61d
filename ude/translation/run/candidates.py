"""What the networks need for an image: the day frame, its control depth, its prompt and its reference."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ..conditions import Condition
from .frames import Frame, read_control
from .jobs import Draw, Job
from .manifest import REJECTED
from .stages import Work


class Candidate(NamedTuple):
    """A job with everything that the networks need for it.

    Attributes:
        job: what to make.
        frame: from which day frame.
        caption: what the frame shows; None without captions.
        inverse_depth: relative, (1, H, W); None for a translator that takes none.
        reference: reference image (3, 224, 224) in [0, 1]; None for none.
    """

    job: Job
    frame: Frame
    caption: str | None
    inverse_depth: Tensor | None
    reference: Tensor | None


class Found(NamedTuple):
    """First attempts at what a frame still needs; how many images it has, and how many of those are in quarantine."""

    candidates: list[Candidate]
    finished: int
    quarantined: int


class Candidates:
    """Finds what is to be made; may be used from several threads.

    Args:
        work: the frames.
        conditions: what to translate to.
        draw: draws seeds, prompts and references.
        with_depth: whether the control depth is needed.

    Attributes:
        settled: (frame id, condition) of images that this run made out of turn.
    """

    def __init__(self, work: Work, conditions: Sequence[Condition], draw: Draw, *, with_depth: bool) -> None:
        self.work, self.conditions, self.draw, self.with_depth = work, conditions, draw, with_depth
        self.settled: set[tuple[str, str]] = set()

    def find(self, position: int) -> Found:
        """What the frame at a position still needs."""
        frame_id, digest = self.work.frames.ids[position], self.work.frames.known_sha256(position)
        decoded = None
        if digest is None:
            decoded = self.work.frames.decode(position)
            digest = decoded.source_sha256
        open_ones = [c for c in self.conditions if (frame_id, c.name) not in self.settled]
        rows = {c.name: self.work.manifest.finished(frame_id, c.name, source_sha256=digest) for c in open_ones}
        missing = [condition for condition in open_ones if rows[condition.name] is None]
        finished = [row for row in rows.values() if row is not None]
        candidates = []
        if missing:
            decoded = decoded or self.work.frames.decode(position)
            candidates = self.first(decoded.resized(self.work.frames.size), missing)
        return Found(candidates, len(finished), sum(row.get("verdict") == REJECTED for row in finished))

    def first(self, frame: Frame, conditions: Sequence[Condition]) -> list[Candidate]:
        """First attempts at some conditions of a frame."""
        manifest = self.work.manifest
        caption = manifest.caption(frame.frame_id, source_sha256=frame.source_sha256)
        control = read_control(manifest.control_path(frame.frame_id)) if self.with_depth else None
        jobs = [self.draw.job(frame.frame_id, condition, caption=caption) for condition in conditions]
        return [Candidate(job, frame, caption, control, self._reference(job)) for job in jobs]

    def again(self, candidate: Candidate) -> Candidate:
        """The next attempt at an image that was rejected."""
        job, caption = candidate.job, candidate.caption
        job = self.draw.job(job.frame_id, job.condition, caption=caption, attempt=job.attempt + 1)
        return candidate._replace(job=job, reference=self._reference(job))

    def _reference(self, job: Job) -> Tensor | None:
        if job.reference is None or self.draw.references is None:
            return None
        return self.draw.references.images([job.reference])[0]
