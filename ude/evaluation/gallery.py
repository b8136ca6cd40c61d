"""Pictures of a report: the same frame as each predictor sees it, one row per frame, one block per condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from .figures import ERROR_LIMIT, FAR, NEAR, color_scale, data_uri, depth_image, error_image


@dataclass(frozen=True)
class Panel:
    """One picture: RGB uint8 (H, W, 3) or None if there is none, and a few words under it."""

    label: str
    image: np.ndarray | None = None
    note: str = ""


@dataclass(frozen=True)
class GalleryRow:
    """The pictures of one frame."""

    frame_id: str
    condition: str
    panels: Sequence[Panel]


def gallery_row(
    frame_id: str,
    condition: str,
    image: np.ndarray,
    *,
    depths: Mapping[str, np.ndarray],
    lidar_depth: np.ndarray,
    translation: np.ndarray | None = None,
) -> GalleryRow:
    """Input, translation, the depth of every predictor and then the error of every predictor.

    Args:
        frame_id: name of the frame.
        condition: block of the gallery that it belongs to.
        image: input image, uint8 (h, w, 3).
        depths: predicted depth [m] (h, w) by the name of the predictor.
        lidar_depth: native LiDAR depth [m], 0 = no return, (H, W).
        translation: translated input, uint8 (h, w, 3).
    """
    panels = [Panel("input", image), Panel("translation", translation)]
    panels += [Panel(f"{name} depth", depth_image(depth)) for name, depth in depths.items()]
    for name, depth in depths.items():
        panels.append(Panel(f"{name} error", error_image(depth, lidar_depth, background=image)))
    return GalleryRow(frame_id=frame_id, condition=condition, panels=panels)


def render_gallery(rows: Sequence[GalleryRow]) -> str:
    """The rows as HTML, a block per condition in the order of their first rows; empty columns are left out."""
    conditions = list(dict.fromkeys(row.condition for row in rows))
    return _legend() + "".join(
        _block(condition, [row for row in rows if row.condition == condition]) for condition in conditions
    )


def _block(condition: str, rows: Sequence[GalleryRow]) -> str:
    """The rows of one condition under a heading and column labels."""
    seen = {panel.label: None for row in rows for panel in row.panels if panel.image is not None}
    labels = [label for label in dict.fromkeys(panel.label for row in rows for panel in row.panels) if label in seen]
    heads = "".join(f'<div class="head">{escape(label)}</div>' for label in labels)
    body = "".join(_row(row, labels) for row in rows)
    return (
        f'<h3 class="condition {escape(condition)}">{escape(condition)}</h3><div class="scroll">'
        f'<div class="gallery" style="--columns:{len(labels)}">{heads}{body}</div></div>'
    )


def _row(row: GalleryRow, labels: Sequence[str]) -> str:
    """One line of pictures, with the name of the frame above it."""
    panels = {panel.label: panel for panel in row.panels}
    pictures = "".join(_picture(panels.get(label) or Panel(label), row.frame_id) for label in labels)
    return f'<div class="frame">{escape(row.frame_id)}</div>{pictures}'


def _picture(panel: Panel, frame_id: str) -> str:
    """One picture that grows while it has the focus, or an empty field."""
    if panel.image is None:
        return '<figure class="picture"><div class="none">none</div></figure>'
    note = f"<figcaption>{escape(panel.note)}</figcaption>" if panel.note else ""
    alternative = escape(f"{panel.label} of {frame_id}")
    return (
        f'<figure class="picture" tabindex="0"><img src="{data_uri(panel.image)}" alt="{alternative}">{note}</figure>'
    )


def _legend() -> str:
    """The colour scales of depth and error with their numbers."""
    depths = [NEAR, 2, 5, 10, 20, 40, FAR]
    places = [(np.log(depth / NEAR) / np.log(FAR / NEAR), f"{depth:g}") for depth in depths]
    errors = [(share, f"{share * ERROR_LIMIT:.0%}") for share in (0, 0.2, 0.4, 0.6, 0.8)] + [
        (1, f"≥ {ERROR_LIMIT:.0%}")
    ]
    return (
        '<div class="scales">'
        + _scale("depth", "depth [m]", places)
        + _scale("error", "error relative to LiDAR", errors)
        + '</div><p class="hint">Click a picture to enlarge it, and anywhere to close it.</p>'
    )


def _scale(name: str, title: str, places: Sequence[tuple[float, str]]) -> str:
    """One colour scale with labels at shares of its length."""
    colors = ",".join("rgb({},{},{})".format(*color) for color in color_scale(name)[::15].tolist())
    labels = "".join(f'<span style="left:{share:.1%}">{escape(label)}</span>' for share, label in places)
    return (
        f'<div class="scale"><b>{escape(title)}</b><div class="bar" style="background:linear-gradient(90deg,{colors})">'
        f'</div><div class="ticks">{labels}</div></div>'
    )
