"""The frames of a gallery: the day frame, the control and the results beside each other, with what made them."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ude.files import DataError, safe_path

Row = Mapping[str, Any]
"""A row of the manifest."""

_ORIGIN = ("seed", "attempt", "reference", "source_sha256", "control_sha256", "reference_sha256", "result_sha256")
_DIGEST = 12  # of a hash's digits that are shown


def article(output: Path, rows: Sequence[Row]) -> str:
    """A day frame, its control and its results beside each other."""
    frame_id, first = str(rows[0]["frame_id"]), rows[0]
    captions = dict.fromkeys(str(row["caption"]) for row in rows if row.get("caption"))
    caption = "".join(f'<p class="caption">{escape(text)}</p>' for text in captions)
    ratio = _ratio(first)
    given = (("day frame", f"thumbnails/sources/{frame_id}.jpg"), ("control depth", f"control/{frame_id}.png"))
    pictures = [
        _figure(output, path, ratio, f"{name} of {frame_id}", f'<div class="name"><b>{name}</b></div>')
        for name, path in given
    ]
    pictures += [_result(output, row) for row in rows]
    return f'<article><h3>{escape(frame_id)}</h3>{caption}<div class="pictures">{"".join(pictures)}</div></article>'


def _result(output: Path, row: Row) -> str:
    """A translated image with what it was made from and what was measured on it."""
    condition, frame_id, figures = str(row["condition"]), str(row["frame_id"]), row.get("figures") or {}
    folder = f"rejected/{condition}" if is_rejected(row) else condition
    structure = figures.get("structure")
    structure = "" if structure is None else f"<span>structure {structure:.2f}</span>"
    reason = f'<span class="reason">{escape(str(row.get("reason", "")))}</span>' if is_rejected(row) else ""
    prompt = f'<p class="prompt">{escape(str(row["prompt"]))}</p>' if row.get("prompt") else ""
    facts = {name: row[name] for name in _ORIGIN if row.get(name) is not None} | dict(figures)
    listed = "".join(
        f"<dt>{escape(_words(name))}</dt><dd>{escape(_fact(name, value))}</dd>" for name, value in facts.items()
    )
    text = (
        f'<div class="name"><b>{condition_name(condition)}</b>{structure}</div>{reason}{prompt}'
        f"{_reference(output, row)}<details><summary>figures</summary><dl>{listed}</dl></details>"
    )
    return _figure(output, f"{folder}/{frame_id}.jpg", _ratio(row), f"{condition} of {frame_id}", text)


def _reference(output: Path, row: Row) -> str:
    """The image prompt, small."""
    path = f"thumbnails/references/{row.get('reference')}"
    if not row.get("reference") or not _there(output, path):
        return ""
    link = quote(path)
    return (
        f'<a class="reference" href="{link}"><img loading="lazy" src="{link}" alt="">'
        f"<span>reference {escape(str(row['reference']))}</span></a>"
    )


def _figure(output: Path, path: str, ratio: str, alternative: str, text: str) -> str:
    """A picture that links to its file, or an empty field, with text under it."""
    if _there(output, path):
        link = quote(path)
        picture = f'<a href="{link}"><img loading="lazy" src="{link}" alt="{escape(alternative)}" style="{ratio}"></a>'
    else:
        picture = f'<div class="none" style="{ratio}">none</div>'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def _there(output: Path, path: str) -> bool:
    """Whether a file lies in the output folder; a name that leads out of it counts as no file."""
    try:
        return safe_path(output, path).is_file()
    except DataError:
        return False


def is_rejected(row: Row) -> bool:
    """Whether an image is in quarantine."""
    return row.get("verdict") == "rejected"


def _ratio(row: Row) -> str:
    """The space of a picture, so that the page does not jump while pictures load."""
    height, width = row.get("size") or (9, 16)
    return f"aspect-ratio:{int(width)}/{int(height)}"


def condition_name(name: str) -> str:
    """A condition with a dot of its colour, as HTML."""
    return f'<span class="condition {escape(name)}">{escape(name)}</span>'


def _words(name: str) -> str:
    return name.replace("_", " ").replace("sha256", "SHA-256")


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "n/a"


def _fact(name: str, value: Any) -> str:
    """A figure or what an image was made from, in few characters."""
    if name in _ORIGIN:
        return str(value)[:_DIGEST] if name.endswith("sha256") else str(value)
    return _number(value)
