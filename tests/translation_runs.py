"""Made-up frames and translators, and runs of them, for tests of what goes on around the networks."""

from pathlib import Path

import numpy as np
import torch

from ude.files import read_jsonl
from ude.translation import CONDITIONS
from ude.translation.run import Networks, Options, QualityOptions, Summary, translate_frames

SIZE = (48, 64)
NIGHT, RAIN = CONDITIONS["night"], CONDITIONS["rain"]
UNCHECKED = QualityOptions(enabled=False, attempts=1)


class Frames:
    """A source of random frames, larger than the translator's size; only what the translation uses."""

    def __init__(self, count=5):
        self.ids = [f"frame-{i}" for i in range(count)]
        self.pixels = {
            frame_id: np.random.default_rng(i).integers(0, 256, (96, 128, 3), np.uint8)
            for i, frame_id in enumerate(self.ids)
        }

    def __len__(self):
        return len(self.ids)

    def frame_id(self, index):
        return self.ids[index]

    def image(self, index, offset=0, *, min_size=None):
        return self.pixels[self.ids[index]]


class Recorder:
    """A translator that inverts the frames with noise of each seed, and notes how it was called."""

    def __init__(self, before_call=None):
        self.calls = []
        self.before_call = before_call or (lambda number: None)

    def __call__(self, images, *, condition, seeds, depth=None, prompts=None, references=None):
        self.before_call(len(self.calls))
        self.calls.append(
            {
                "images": images,
                "condition": condition.name,
                "seeds": list(seeds),
                "depth": depth,
                "prompts": prompts,
                "references": references,
            }
        )
        noise = [torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return (1 - images + 0.2 * torch.stack(noise)) / 1.2


def grey(images):
    """A depth network: the brightness of each pixel."""
    return images.mean(1, keepdim=True)


def run(output: Path, source=None, translator=None, *, depth=None, captioner=None, **kwargs) -> Summary:
    """Translate five frames, or a source's, to night and rain; other arguments go to `Options` or `translate_frames`.

    Args:
        output: folder to write to.
        source: of frames.
        translator: what translates.
        depth: depth network, or None.
        captioner: what captions, or None.
    """
    translator = translator or Recorder()
    networks = Networks(
        translator=lambda: translator,
        depth=None if depth is None else lambda: depth,
        captioner=None if captioner is None else lambda: captioner,
    )
    options = {"size": SIZE, "seed": 0, "batch_size": 2, "quality": UNCHECKED, "progress": False}
    arguments = {"conditions": (NIGHT, RAIN), "output": output, "config_hash": "abc"}
    for name, value in kwargs.items():
        (options if name in Options.__dataclass_fields__ else arguments)[name] = value
    return translate_frames(source or Frames(), networks, Options(**options), **arguments)


def images_of(output: Path) -> dict[str, bytes]:
    """Bytes of the translated images by their path below the output folder."""
    names = [name for name in (NIGHT.name, RAIN.name, "rejected") if (output / name).is_dir()]
    return {str(path.relative_to(output)): path.read_bytes() for name in names for path in (output / name).rglob("*.*")}


def tree_of(output: Path) -> dict[str, bytes]:
    """Bytes of every file by its path; the stamps that a tool adds aside."""
    files = [path for path in output.rglob("*") if path.is_file() and path.name not in ("config.yaml", "version.json")]
    return {str(path.relative_to(output)): path.read_bytes() for path in files}


def rows_of(output: Path) -> dict[tuple[str, str], dict]:
    """The manifest's rows by frame and condition, those of parts that are not joined yet, too."""
    files = sorted(output.glob("manifest*.jsonl"))
    return {(row["frame_id"], row["condition"]): row for file in files for row in read_jsonl(file)}


def counts(summary: Summary) -> tuple[int, int, int]:
    """How many images were translated, found finished, and are in quarantine."""
    return summary.translated, summary.finished, summary.quarantine


def leftovers(output: Path) -> list[Path]:
    """What no run may leave behind."""
    return [path for path in output.rglob("*") if "tmp" in path.name or path.name in (".shards", ".lock")]
