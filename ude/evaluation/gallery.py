"""Pictures of a report: the same frames as each predictor sees them, depth above its error, on one colour scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from .figures import ERROR_LIMIT, FAR, NEAR, color_scale, data_uri, depth_image, error_image, lidar_image, picture
from .parts import condition_class, scrolling

WIDTH = 560
"""Largest width of a picture [px]."""
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Panel:
    """One picture: RGB uint8 (H, W, 3) or None if there is none, what it shows, and a few words under it."""

    kind: str
    image: np.ndarray | None = None
    note: str = ""


@dataclass(frozen=True)
class GalleryRow:
    """The pictures of one frame: by column (the input, then every predictor) an upper and a lower one."""

    frame_id: str
    condition: str
    columns: Mapping[str, tuple[Panel, Panel]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Rows of pictures on one colour scale from `near` to `far` [m], and how the frames were chosen."""

    rows: Sequence[GalleryRow]
    near: float = NEAR
    far: float = FAR
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class PicturedFrame:
    """What a row of pictures is made of.

    Attributes:
        frame_id: name of the frame.
        condition: block of the gallery that it belongs to.
        image: input image, uint8 (h, w, 3).
        lidar_depth: native LiDAR depth [m], 0 = no return, (H, W).
        depths: predicted depth [m], of any size, by the name of the predictor.
        notes: words under the error, by the name of the predictor.
        translation: translated input, uint8 (h, w, 3); without it the LiDAR depth is shown in its place.
        note: why the frame was chosen.
    """

    frame_id: str
    condition: str
    image: np.ndarray
    lidar_depth: np.ndarray
    depths: Mapping[str, np.ndarray]
    notes: Mapping[str, str] = field(default_factory=dict)
    translation: np.ndarray | None = None
    note: str = ""


def gallery(frames: Sequence[PicturedFrame], *, text: str = "") -> Gallery:
    """The pictures of frames, on the colour scale that their LiDAR depths need."""
    near, far = _scale_of([frame.lidar_depth for frame in frames])
    return Gallery(rows=[gallery_row(frame, near=near, far=far) for frame in frames], near=near, far=far, text=text)


def gallery_row(frame: PicturedFrame, *, near: float = NEAR, far: float = FAR) -> GalleryRow:
    """The pictures of a frame: input above LiDAR or translation, then each predictor's depth above its error.

    Args:
        frame: what they are made of.
        near: depth of the first colour [m].
        far: depth of the last colour [m].
    """
    height, width = frame.image.shape[:2]
    share = min(1, WIDTH / width)
    size = max(1, round(height * share)), max(1, round(width * share))
    image = picture(frame.image, size)
    if frame.translation is None:
        lower = Panel("LiDAR", lidar_image(frame.lidar_depth, image, near=near, far=far))
    else:
        lower = Panel("translation", picture(frame.translation, size))
    columns = {"input": (Panel("input", image), lower)}
    for name, depth in frame.depths.items():
        error = error_image(depth, frame.lidar_depth, background=image)
        columns[name] = (
            Panel("depth", picture(depth_image(depth, near=near, far=far), size)),
            Panel("error", error, frame.notes.get(name, "")),
        )
    return GalleryRow(frame_id=frame.frame_id, condition=frame.condition, columns=columns, note=frame.note)


def render_gallery(shown: Gallery) -> str:
    """The rows as HTML, a block per condition in the order of their first rows; empty columns are left out."""
    conditions = dict.fromkeys(row.condition for row in shown.rows)
    hint = f"{shown.text} Click a picture to enlarge it, and anywhere to close it.".strip()
    return f'<p class="hint above">{escape(hint)}</p>{_legend(shown)}' + "".join(
        _block(condition, [row for row in shown.rows if row.condition == condition]) for condition in conditions
    )


def _scale_of(lidar_depths: Sequence[np.ndarray]) -> tuple[float, float]:
    """Round depths [m] around nearly all returns of the frames; those of driving where there is none."""
    known = [depth[depth > 0] for depth in lidar_depths]
    if not any(depths.size for depths in known):
        return NEAR, FAR
    nearest, farthest = np.percentile(np.concatenate(known), [1, 99])
    near, far = _rounded(nearest)[0], _rounded(farthest, (1, 2, 3, 4, 5, 6, 8, 10))[1]
    return (near, far) if near < far else (near / 2, far)


def _rounded(value: float, steps: Sequence[int] = _STEPS) -> tuple[float, float]:
    """The round numbers (a step times a power of ten) at or below and at or above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    below = max(step * power for step in steps if step * power <= value * 1.0001)
    return below, min(step * power for step in steps if step * power >= value * 0.9999)


def _block(condition: str, rows: Sequence[GalleryRow]) -> str:
    """The rows of one condition under a heading and the names of the columns."""
    seen = {name for row in rows for name, panels in row.columns.items() if any(p.image is not None for p in panels)}
    names = [name for name in dict.fromkeys(name for row in rows for name in row.columns) if name in seen]
    heads = "".join(f'<div class="head" title="{escape(name)}"><span>{escape(name)}</span></div>' for name in names)
    body = "".join(_row(row, names) for row in rows)
    pictures = f'<div class="gallery" style="--columns:{len(names)}">{heads}{body}</div>'
    title = f'<h3 class="{condition_class(condition)}">{escape(condition)}</h3>'
    return title + scrolling(pictures, f"frames of {condition}")


def _row(row: GalleryRow, names: Sequence[str]) -> str:
    """Two lines of pictures, with the name of the frame above them."""
    empty = Panel(""), Panel("")
    note = f"<b>{escape(row.note)}</b> " if row.note else ""
    lines = "".join(
        _picture(row.columns.get(name, empty)[line], name, row.frame_id) for line in (0, 1) for name in names
    )
    return (
        f'<div class="set"><div class="frame"><span>{note}<code>{escape(row.frame_id)}</code></span></div>{lines}</div>'
    )


def _picture(panel: Panel, name: str, frame_id: str) -> str:
    """One picture that grows while it has the focus, or an empty field."""
    if panel.image is None:
        return '<figure class="picture"><div class="none">n/a</div></figure>'
    note = f"<figcaption>{escape(panel.note)}</figcaption>" if panel.note else ""
    shown = panel.kind if name == "input" else f"{panel.kind} of {name}"
    height, width = panel.image.shape[:2]
    return (
        f'<figure class="picture" tabindex="0"><i class="tag">{escape(panel.kind)}</i>'
        f'<img src="{data_uri(panel.image)}" width="{width}" height="{height}" '
        f'alt="{escape(f"{shown}, frame {frame_id}")}">{note}</figure>'
    )


def _legend(shown: Gallery) -> str:
    """The colour scales of depth and error with their numbers."""
    power = [10.0**exponent for exponent in range(-4, 5)]
    depths = [step * unit for unit in power for step in _STEPS[:3] if shown.near < step * unit * 1.001 < shown.far]
    length = np.log(shown.far / shown.near)
    # a label needs some room before the last one
    places = [(np.log(d / shown.near) / length, f"{d:g}") for d in depths if np.log(shown.far / d) > 0.12 * length]
    errors = [(share, f"{share * ERROR_LIMIT:.0%}") for share in (0, 0.2, 0.4, 0.6, 0.8)]
    return (
        '<div class="scales">'
        + _scale("depth", "depth [m], logarithmic", [*places, (1, f"≥ {shown.far:g}")])
        + _scale("error", "error relative to LiDAR", [*errors, (1, f"≥ {ERROR_LIMIT:.0%}")])
        + "</div>"
    )


def _scale(name: str, title: str, places: Sequence[tuple[float, str]]) -> str:
    """One colour scale with labels at shares of its length."""
    colors = ",".join("rgb({},{},{})".format(*color) for color in color_scale(name)[::15].tolist())
    labels = "".join(f'<span style="left:{share:.1%}">{escape(label)}</span>' for share, label in places)
    return (
        f'<div class="scale"><b>{escape(title)}</b><div class="bar" style="background:linear-gradient(90deg,{colors})">'
        f'</div><div class="ticks">{labels}</div></div>'
    )
