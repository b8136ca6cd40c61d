"""A report as one HTML file that needs nothing else: tables, plots, pictures, curves, and what made them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from .bars import render_bars
from .charts import Chart, render_chart
from .gallery import Gallery, render_gallery
from .gaps import GapRow
from .parts import legend
from .report_results import render_results
from .report_tables import Evaluated, render_evaluated, render_facts, render_gaps, render_paired
from .significance import PairedRow
from .style import STYLE
from .summary import ReportTable

# no script runs and nothing is loaded, whatever a name in the data contains
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Highlight:
    """A number worth a large font, its name and a remark."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report shows; empty parts are left out.

    Attributes:
        title: headline.
        text: paragraphs under it.
        highlights: cards under the text.
        facts: what was evaluated and how, by name; above the parts.
        table: predictors in every condition, also drawn as bars.
        paired: differences from a reference predictor.
        ranges: charts of the error over depth by the name of their metric, in the colours of the table.
        gaps: share of the gap between day and other conditions that a student closed.
        gallery: pictures of chosen frames.
        charts: curves of the training.
        evaluated: weights and speed of the predictors.
        versions: what made the report, by name; below the parts.
        commands: command lines that make it again.
    """

    title: str
    text: Sequence[str] = ()
    highlights: Sequence[Highlight] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    table: ReportTable | None = None
    paired: Sequence[PairedRow] = ()
    ranges: Mapping[str, Sequence[Chart]] = field(default_factory=dict)
    gaps: Sequence[GapRow] = ()
    gallery: Gallery | None = None
    charts: Sequence[Chart] = ()
    evaluated: Sequence[Evaluated] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()


def render_report(report: Report) -> str:
    """The report as one HTML page; all text in it is escaped."""
    sections = {title: content for title, content in _sections(report) if content}
    anchors = {title: title.lower().replace(" ", "-") for title in sections}
    body = "".join(
        f'<section id="{anchors[title]}"><h2>{title}</h2>{content}</section>' for title, content in sections.items()
    )
    links = "".join(f'<a href="#{anchor}">{title}</a>' for title, anchor in anchors.items())
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in report.text)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>"
        f'<header><h1>{escape(report.title)}</h1><div class="text">{text}</div>{render_facts(report.facts)}'
        f"{_highlights(report.highlights)}</header>"
        f"{f'<nav>{links}</nav>' if len(anchors) > 1 else ''}{body}</main></body></html>\n"
    )


def _sections(report: Report) -> Iterator[tuple[str, str]]:
    """Titles and contents of the parts, in order; an empty content for a part that is not there."""
    yield "Results", render_results(report.table) if report.table else ""
    yield "Paired tests", render_paired(report.paired) if report.paired else ""
    yield "Conditions", render_bars(report.table, tested=bool(report.paired)) if report.table else ""
    yield "Error over range", _ranges(report.ranges) if report.ranges else ""
    yield "Gap closed", render_gaps(report.gaps) if report.gaps else ""
    yield "Frames", render_gallery(report.gallery) if report.gallery else ""
    yield "Training", f'<div class="charts">{"".join(map(render_chart, report.charts))}</div>' if report.charts else ""
    yield "How it was made", _origin(report)


def _highlights(highlights: Sequence[Highlight]) -> str:
    """Cards in a row."""
    cards = "".join(
        f'<div class="card"><span>{escape(item.label)}</span><b>{escape(item.value)}</b>'
        f"<small>{escape(item.note)}</small></div>"
        for item in highlights
    )
    return f'<div class="cards">{cards}</div>' if cards else ""


def _ranges(ranges: Mapping[str, Sequence[Chart]]) -> str:
    """Lines of charts, one per metric, under one legend."""
    names = [curve.name for curve in next(iter(ranges.values()))[0].curves]
    lines = "".join(
        f'<h3>{escape(label)}</h3><div class="plots">{"".join(map(render_chart, charts))}</div>'
        for label, charts in ranges.items()
    )
    hint = "Mean over all LiDAR returns of a bin, drawn at its middle; cut off where they leave the chart. "
    hint += "Grey: share of the returns in each bin."
    return f'{legend(names)}{lines}<p class="hint">{hint}</p>'


def _origin(report: Report) -> str:
    """Weights, speed, versions, seed, commit and commands."""
    evaluated = render_evaluated(report.evaluated) if report.evaluated else ""
    commands = "\n".join(map(escape, report.commands))
    code = f'<pre tabindex="0">{commands}</pre>' if commands else ""
    return evaluated + render_facts(report.versions) + code
