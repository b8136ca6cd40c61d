"""One image of a translation run: what it is made from follows from the run's seed, its frame and its condition."""

from collections.abc import Collection
from dataclasses import dataclass

from ..conditions import Condition
from ..day_words import without_day_words
from ..references import References
from ..translator import seed_of


@dataclass(frozen=True)
class Job:
    """An attempt to make one image.

    Attributes:
        frame_id: the day frame.
        condition: what to translate it to.
        attempt: 0, or how many images of this frame and condition were rejected before.
        seed: of every random draw.
        prompt: text for the translator; "" for one that takes none.
        reference: drawn reference image, relative to the references' folder; None for none.
    """

    frame_id: str
    condition: Condition
    attempt: int
    seed: int
    prompt: str
    reference: str | None


@dataclass(frozen=True)
class Draw:
    """Draws jobs: their own seed draws the prompt and, independently of it, the reference.

    Attributes:
        seed: of the run.
        references: where to draw references from.
        referenced: names of the conditions that get one.
        prompts: whether the translator takes prompts.
    """

    seed: int
    references: References | None = None
    referenced: Collection[str] = ()
    prompts: bool = True

    def job(self, frame_id: str, condition: Condition, *, caption: str | None = None, attempt: int = 0) -> Job:
        """The job of a frame and condition.

        Args:
            frame_id: frame to translate.
            condition: condition to translate to.
            caption: what the day frame shows; words about daylight are left out of the prompt.
            attempt: how many images were rejected before.
        """
        seed = seed_of(self.seed, frame_id, condition.name, *([attempt] if attempt else []))
        reference = None
        if self.references is not None and condition.name in self.referenced:
            reference = self.references.draw(condition.name, seed_of("reference", seed))
        words = without_day_words(caption) if caption else ""
        prompt = condition.prompt(seed, words or None) if self.prompts else ""
        return Job(frame_id, condition, attempt, seed, prompt, reference)
