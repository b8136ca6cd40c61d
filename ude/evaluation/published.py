"""Rows that others published, which tables show beside our own numbers where both were measured alike."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .published_tables import TABLES, PublishedTable
from .results import Results


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A method's printed numbers.

    Attributes:
        method: its name.
        data_set: the data set it was measured on, as DATA.SOURCE names it.
        protocol: how it was measured; a name outside of PROTOCOLS is one that ude does not have.
        alignment: "none", "median" or "least_squares"; aligned numbers belong into aligned columns.
        supervision: M monocular video, v its speed, r radar; "" where not stated.
        source: paper, table, and how it was read where that was not in the paper itself.
        metrics: by row of Results and metric, as Results have them (shares and not percent, metres).
    """

    method: str
    data_set: str
    protocol: str
    alignment: str
    supervision: str
    source: str
    metrics: Mapping[str, Mapping[str, float]]


def published_rows(data_set: str, results: Results) -> tuple[tuple[PublishedRow, ...], str]:
    """The published rows that can be compared with results, and, where there are none, the reason in a sentence.

    Comparable are those of the same data set, protocol, bounds and alignment on as many frames in every condition;
    unaligned ones are comparable with every alignment, since the plain modes are always there.

    Args:
        data_set: DATA.SOURCE of the results.
        results: what evaluate() returned.
    """
    table = TABLES.get(data_set)
    if table is None:
        return (), f"no published rows are known for {data_set}"
    reason, alignment = _difference(table, results), results.rules["alignment"]
    rows = tuple(row for row in rows_of(table) if row.alignment in ("none", alignment))
    if not rows and not reason:
        reason = f"they are aligned by {rows_of(table)[0].alignment}, these results by {alignment}"
    return ((), f"the published rows of {data_set} cannot be compared: {reason}") if reason else (rows, "")


def rows_of(table: PublishedTable) -> tuple[PublishedRow, ...]:
    """The rows of a table."""
    return tuple(_row(table, line) for line in re.sub(r"\n\s*\|", " |", table.lines).strip().splitlines())


def _difference(table: PublishedTable, results: Results) -> str:
    """How results differ from a table; "" if they can be compared."""
    rules, bounds = results.rules, (table.min_depth, table.max_depth)
    if rules["protocol"] != table.protocol:
        return f"they belong to the protocol {table.protocol}, these results to {rules['protocol']}"
    if (rules["min_depth"], rules["max_depth"]) != bounds:
        return (
            f"they are bounded by {bounds[0]:g} m and {bounds[1]:g} m, "
            f"these results by {rules['min_depth']:g} m and {rules['max_depth']:g} m"
        )
    for condition, frames in table.frames.items():
        found = sum(frame.condition in results.rows[condition] for frame in results.frames)
        if found != frames:
            return f"they are over {frames:,} frames of {condition} ({table.split}), these results over {found:,}"
    return ""


def _row(table: PublishedTable, line: str) -> PublishedRow:
    """One method: its name, supervision, key of its source, then the values of each condition."""
    method, supervision, source, *groups = (cell.strip() for cell in line.split("|"))
    metrics = {}
    for condition, group in zip(table.conditions, groups, strict=False):  # the last ones may be missing
        printed = zip(table.metrics, group.split(), strict=group != "-")
        metrics[condition] = {name: float(text) * table.units.get(name, 1) for name, text in printed if text != "-"}
    return PublishedRow(
        method=method,
        data_set=table.data_set,
        protocol=table.protocol,
        alignment="median" if supervision.endswith("*") else table.alignment,
        supervision=supervision.removesuffix("*"),
        source=table.sources[source],
        metrics={condition: values for condition, values in metrics.items() if values},
    )
