"""Tables of a report as HTML: paired tests, gap closed, what was evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from .columns import Column, scaled, signed
from .gaps import GapRow
from .parts import condition_class, scrolling
from .significance import PairedRow, smallest_p_line
from .tables import number

CERTAIN = 0.05
"""A difference counts where its adjusted p value is below this."""
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A predictor as the report names it: what it is, its weights with their SHA-256, and its speed.

    Predictions that were read from files have no speed of a network.
    """

    name: str
    kind: str
    weights: str = ""
    sha256: str = ""
    frames_per_second: float | None = None
    from_files: bool = False


def render_paired(rows: Sequence[PairedRow]) -> str:
    """Differences from the reference with interval and p value: a line per predictor and column."""
    conditions = dict.fromkeys(row.condition for row in rows)
    cells = {(row.name, row.column, row.condition): row for row in rows}
    lines, previous = [], None
    for name, column in dict.fromkeys((row.name, row.column) for row in rows):
        tests = "".join(_test(cells.get((name, column, condition))) for condition in conditions)
        shown = f"<span>{escape(name)}</span>" if name != previous else ""
        start = ' class="start"' if name != previous else ""
        lines.append(
            f'<tr{start}><th scope="row" title="{escape(name)}">{shown}</th><th scope="row">{escape(column.label)}</th>'
            f"{tests}</tr>"
        )
        previous = name
    scenes = {name: max(row.scenes for row in rows if row.condition == name) for name in conditions}
    counts = {name: "1 scene" if count == 1 else f"{count} scenes" for name, count in scenes.items()}
    heads = "".join(
        f'<th scope="col" class="{condition_class(name)}">{escape(name)} <small>{counts[name]}</small></th>'
        for name in conditions
    )
    html = (
        '<table class="paired"><thead><tr><th scope="col">predictor</th><th scope="col">metric</th>'
        f"{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
    reference = escape(rows[0].reference)
    return (
        f'<p class="hint above">Predictor minus {reference}, on the same frames.</p>'
        f'{scrolling(html, "paired tests")}<p class="hint">In brackets: 95 % interval; p: two-sided, both from '
        "resampling scenes in pairs; adjusted: for all tests of this table (Holm). Coloured: adjusted p below "
        f"{CERTAIN:g}, {reference} is beaten (better) or not reached (worse). n/a: fewer than two "
        f"scenes, or no such frames. {escape(smallest_p_line(rows))}</p>"
    )


def _test(row: PairedRow | None) -> str:
    """A difference with its interval and p value."""
    if row is None or row.difference is None:
        return '<td class="none">n/a</td>'
    column = row.column
    interval = "n/a" if row.interval is None else f"[{', '.join(_signed(end, column) for end in row.interval)}]"
    p, verdict = f"p {_p(row.p)}, adjusted {_p(row.p_adjusted)}", ""
    if row.p_adjusted is not None and row.p_adjusted < CERTAIN:
        verdict = "better" if (row.difference > 0) == column.higher_is_better else "worse"
    word = f" <em>{verdict}</em>" if verdict else ""
    below = f"<small>{interval}</small><small>{p}</small>"
    return f'<td class="{verdict}">{_signed(row.difference, column)}{word}{below}</td>'


def _p(value: float | None) -> str:
    """A p value."""
    return "n/a" if value is None else "&lt; 0.001" if value < 0.001 else f"{value:.3f}"


def _signed(value: float, column: Column) -> str:
    """A difference with its sign."""
    return signed(value, column).replace("-", _MINUS)


def render_gaps(rows: Sequence[GapRow]) -> str:
    """The table of the gap closed, with a bar for every share."""
    lines = "".join(
        _gap(row, start=index == 0 or rows[index - 1].condition != row.condition) for index, row in enumerate(rows)
    )
    names = ("condition", "metric", "teacher, day-clear", "teacher", "student", "gap closed", "95 % interval")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    html = f'<table class="gaps"><thead><tr>{heads}<td class="wide"></td></tr></thead><tbody>{lines}</tbody></table>'
    return (
        scrolling(html, "gap closed")
        + '<p class="hint">Gap closed = (teacher - student) / (teacher - teacher by day): 0 % is the teacher in that '
        "condition, 100 % the teacher by day. n/a: the teacher loses nothing there, or there are too few scenes.</p>"
    )


def _gap(row: GapRow, *, start: bool) -> str:
    """One metric in one condition."""
    values = "".join(f"<td>{scaled(value, row.column)}</td>" for value in (row.teacher_day, row.teacher, row.student))
    condition = f'<span class="{condition_class(row.condition)}">{escape(row.condition)}</span>' if start else ""
    bounds = "n/a" if row.interval is None else " to ".join(map(_percent, row.interval))
    closed = "n/a" if row.closed is None else f"{row.closed:z.0%}"
    return (
        f'<tr class="{"start" if start else ""}"><th scope="row">{condition}</th>'
        f'<th scope="row">{escape(row.column.label)}</th>{values}'
        f'<td class="best">{closed}</td><td>{bounds}</td><td class="wide">{_share(row)}</td></tr>'
    )


def _percent(share: float) -> str:
    """A bound of an interval; far outside, where the gap itself is all but nothing, only its side is of interest."""
    if abs(share) <= 3:
        return f"{share:z.0%}"
    return "over 300%" if share > 0 else "below -300%"


def _share(row: GapRow) -> str:
    """The share closed as a bar from 0 to 100 %, with its interval as a thin line."""
    if row.closed is None:
        return ""
    closed, low, high = (min(max(share, 0), 1) for share in (row.closed, *(row.interval or (0, 0))))
    whisker = f'<b style="left:{low:.1%};width:{high - low:.1%}"></b>' if row.interval else ""
    return f'<div class="track"><i class="fill" style="width:{closed:.1%}"></i>{whisker}</div>'


def render_evaluated(predictors: Sequence[Evaluated]) -> str:
    """What was evaluated: kind, weights, checksum and speed of every predictor."""
    lines = "".join(
        f'<tr><th scope="row" title="{escape(row.name)}"><span>{escape(row.name)}</span></th>'
        f"<td>{escape(row.kind)}</td><td>{escape(row.weights) or 'n/a'}</td>"
        f"<td><code>{escape(row.sha256) or 'n/a'}</code></td><td>{_speed(row)}</td></tr>"
        for row in predictors
    )
    names = ("predictor", "kind", "weights", "checksum", "frames per second")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    html = f'<table class="evaluated"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
    return scrolling(html, "what was evaluated")


def _speed(row: Evaluated) -> str:
    """Frames per second."""
    return "read from files" if row.from_files else number(row.frames_per_second, 1)


def render_facts(facts: Mapping[str, str]) -> str:
    """Names and values beside each other."""
    pairs = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return f"<dl>{pairs}</dl>" if pairs else ""
