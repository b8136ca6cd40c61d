"""The gallery of a translation run: `index.html` beside the images, without scripts and with nothing from elsewhere."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from ude.files import write_text

from .frames import Row, article, condition_name, is_rejected
from .style import STYLE

SHOWN = 24  # frames of each condition
SHOWN_REJECTED = 60

# nothing runs and nothing comes from elsewhere, whatever a name or a prompt contains
_POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"


def shown_rows(rows: Sequence[Row], *, frames: int = SHOWN, rejected: int = SHOWN_REJECTED) -> list[Row]:
    """The rows of the manifest that a gallery shows, in their order, evenly spaced over the run.

    Frames that were accepted in all conditions come first, so that conditions can be compared.

    Args:
        rows: all rows of the manifest.
        frames: how many accepted rows of each condition to show, at least where there are that many.
        rejected: how many rejected rows to show.
    """
    accepted: dict[str, dict[str, None]] = {}  # the frames of each condition, in order
    for row in rows:
        if not is_rejected(row):
            accepted.setdefault(row["condition"], {})[row["frame_id"]] = None
    complete = [name for name in next(iter(accepted.values()), {}) if all(name in own for own in accepted.values())]
    chosen = set(_spread(complete, frames))
    for own in accepted.values():
        lacking = max(0, frames - sum(name in own for name in chosen))
        chosen |= set(_spread([name for name in own if name not in chosen], lacking))
    bad = {id(row) for row in _spread([row for row in rows if is_rejected(row)], rejected)}
    return [row for row in rows if (id(row) in bad if is_rejected(row) else row["frame_id"] in chosen)]


def write_gallery(
    output: Path, rows: Sequence[Row], *, title: str, frames: int = SHOWN, rejected: int = SHOWN_REJECTED
) -> Path:
    """Writes `output/index.html` and returns its path; the same rows and files give the same bytes.

    Pictures are linked, not copied: `<condition>/<frame_id>.jpg` or `rejected/<condition>/<frame_id>.jpg`,
    `control/<frame_id>.png`, `thumbnails/sources/<frame_id>.jpg`, `thumbnails/references/<reference>`. An empty field
    stands for what is not there.

    Args:
        output: folder of the translated frames.
        rows: all rows of the manifest.
        title: heading of the page.
        frames: how many accepted rows of each condition to show.
        rejected: how many rejected rows to show.
    """
    shown = shown_rows(rows, frames=frames, rejected=rejected)
    kept = [row for row in shown if not is_rejected(row)]
    refused = [row for row in shown if is_rejected(row)]
    total = sum(map(is_rejected, rows))
    sections = [
        ("Conditions", _table(rows) if rows else ""),
        (
            "Frames",
            _note(len(kept), len(rows) - total, "accepted") + _articles(output, kept),
        ),
        ("Quarantine", _note(len(refused), total, "rejected") + _articles(output, refused)),
    ]
    present = [sections[0], *(section for section, some in zip(sections[1:], (kept, refused), strict=True) if some)]
    body = "".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in present if content)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<header><h1>{escape(title)}</h1><p class="text">{_summary(rows)}</p></header>{body}</main></body></html>\n'
    )
    path = output / "index.html"
    if not path.is_file() or path.read_bytes() != page.encode():
        write_text(path, page)
    return path


def _summary(rows: Sequence[Row]) -> str:
    """The run in a sentence."""
    if not rows:
        return "No image has been translated yet."
    frames, bad = len({row["frame_id"] for row in rows}), sum(map(is_rejected, rows))
    kept = f"{_count(len(rows), 'image')} of {_count(frames, 'frame')}. "
    return kept + (f"{bad:,} of them ({bad / len(rows):.1%}) are in quarantine." if bad else "All were accepted.")


def _table(rows: Sequence[Row]) -> str:
    """What became of the images of each condition."""
    lines = "".join(
        _line(name, [row for row in rows if row["condition"] == name])
        for name in dict.fromkeys(row["condition"] for row in rows)
    )
    return (
        '<div class="scroll"><table><thead><tr><th>condition</th><th>images</th><th>accepted</th>'
        "<th>first seed</th><th>structure</th><th>why others were rejected</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
        '<p class="hint">First seed: accepted without another try. Structure: median correlation of the edges of '
        "accepted images with those of their day frames; 1 = the same edges, about 0.1 = another street.</p>"
    )


def _line(condition: str, rows: Sequence[Row]) -> str:
    """One condition."""
    kept = [row for row in rows if not is_rejected(row)]
    first = sum(not row.get("attempt") for row in kept)
    structures = [
        row["figures"]["structure"] for row in kept if (row.get("figures") or {}).get("structure") is not None
    ]
    reasons = Counter(str(row.get("reason", "")) for row in rows if is_rejected(row))
    why = ", ".join(
        f"{escape(reason)} ({count:,})" for reason, count in sorted(reasons.items(), key=lambda r: (-r[1], r))
    )
    share = len(kept) / len(rows)
    return (
        f"<tr><th>{condition_name(condition)}</th><td>{len(rows):,}</td>"
        f'<td>{share:.1%}<span class="share"><i style="width:{share:.1%}"></i></span></td>'
        f"<td>{first / len(rows):.1%}</td><td>{f'{median(structures):.2f}' if structures else 'n/a'}</td>"
        f"<td>{why}</td></tr>"
    )


def _note(shown: int, total: int, what: str) -> str:
    """How many pictures there are and what a click does."""
    selected = f"{shown:,} of {total:,} {what} images, evenly spaced. " if shown < total else ""
    return f'<p class="hint">{selected}A click opens the picture.</p>'


def _articles(output: Path, rows: Sequence[Row]) -> str:
    """The rows, those of one frame together."""
    by_frame: dict[str, list[Row]] = {}
    for row in rows:
        by_frame.setdefault(row["frame_id"], []).append(row)
    return "".join(article(output, own) for own in by_frame.values())


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced, the first among them."""
    return [items[place * len(items) // count] for place in range(count)] if len(items) > count else [*items]


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
