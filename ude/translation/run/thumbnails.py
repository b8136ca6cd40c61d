"""Small pictures for the gallery of what lies outside of the output folder: day frames and references."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ude.data.images import read_rgb, resize_image
from ude.files import safe_path, write_image

from ..references import References
from .frames import DayFrames
from .rows import Row

WIDTH = 256  # of a thumbnail [px]
_FOLDER = "thumbnails"  # nothing else is in it: what no gallery shows is removed


def write_thumbnails(output: Path, rows: Sequence[Row], frames: DayFrames, references: References | None) -> None:
    """Writes `sources/<frame_id>.jpg` and `references/<name>` in `output/thumbnails` for some rows of the manifest.

    Those of other rows, which an earlier gallery showed, are removed.

    Args:
        output: folder of the translated frames.
        rows: rows that the gallery shows.
        frames: the day frames.
        references: where references come from; None for none.
    """
    shown = {_source_path(output, row["frame_id"]): row["frame_id"] for row in rows}
    drawn = {safe_path(output, f"{_FOLDER}/references/{name}", to_write=True): name for name in _names(rows)}
    _remove_others(output, {*shown, *drawn})
    for path, frame_id in shown.items():
        if frame_id in frames.order and not path.is_file():
            write_image(path, _small(frames.read(frames.order[frame_id]).pixels.permute(1, 2, 0).numpy()))
    for path, name in drawn.items() if references else ():
        if not path.is_file() and references.path(name).is_file():
            write_image(path, _small(read_rgb(references.path(name))))


def remove_thumbnail(output: Path, frame_id: str) -> None:
    """Remove the thumbnail of a day frame, which may have changed."""
    _source_path(output, frame_id).unlink(missing_ok=True)


def _source_path(output: Path, frame_id: str) -> Path:
    return safe_path(output, f"{_FOLDER}/sources/{frame_id}.jpg", to_write=True)


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["reference"] for row in rows if row.get("reference")))


def _remove_others(output: Path, wanted: Collection[Path]) -> None:
    for path in (output / _FOLDER).rglob("*.*"):
        if path not in wanted:
            path.unlink()


def _small(pixels: np.ndarray) -> np.ndarray:
    """Image (H, W, 3), uint8, of at most the width of a thumbnail."""
    height, width = pixels.shape[:2]
    if width <= WIDTH:
        return pixels
    return resize_image(pixels, (max(1, round(height * WIDTH / width)), WIDTH)).permute(1, 2, 0).contiguous().numpy()
