"""The metrics that tables of predictors show, and how."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .protocols import METRICS
from .results import Results
from .tables import LABELS, number


@dataclass(frozen=True)
class Column:
    """A metric as a report shows it: times a factor, with a number of decimals."""

    label: str
    metric: str
    aligned: bool = False
    decimals: int = 3
    factor: float = 1.0
    higher_is_better: bool = False

    def key(self, mode: str, results: Results) -> str:
        """Its name in results for a mode "" or "_flip"."""
        return self.metric + mode + (results.alignment if self.aligned else "")


COLUMNS = (
    Column("absRel", "abs_rel"),
    Column("absRel scaled", "abs_rel", aligned=True),
    Column("RMSE [m]", "rmse", decimals=2),
    Column("d1 [%]", "delta_1", decimals=1, factor=100, higher_is_better=True),
)
"""Columns of the protocols with the seven metrics of Eigen et al."""


def columns_of(results: Sequence[Results], mode: str = "") -> tuple[Column, ...]:
    """Columns for predictors that were measured by one protocol.

    Those are COLUMNS, all of them aligned if no predictor has plain values and none if there is no alignment. Of a
    protocol with other metrics they are all of these, aligned as its published tables are.

    Args:
        results: results of all predictors.
        mode: "" or "_flip".
    """
    metrics, usual = results[0].metrics, results[0].metrics == METRICS
    plain = [column for column in COLUMNS if not column.aligned] if usual else [_column(metric) for metric in metrics]
    if not results[0].alignment:
        return tuple(plain)
    if usual and any(_has(result, plain[0].metric + mode) for result in results):
        return COLUMNS
    return tuple(replace(column, label=scaled_label(column.label), aligned=True) for column in plain)


def scaled(value: float | None, column: Column) -> str:
    """A value as its column shows it."""
    return number(None if value is None else value * column.factor, column.decimals)


def signed(value: float, column: Column) -> str:
    """A difference as its column shows it, with its sign unless it is printed as zero."""
    text = scaled(value, column)
    return text if text.startswith("-") or not float(text) else f"+{text}"


def scaled_label(label: str) -> str:
    """The label of an aligned column: "RMSE scaled [m]"."""
    name, bracket, unit = label.partition(" [")
    return f"{name} scaled{bracket}{unit}"


def _has(results: Results, column: str) -> bool:
    """Some row of the results has a value in a column."""
    return any(means.get(column) is not None for means in results.means.values())


def _column(metric: str) -> Column:
    """Column of any metric: shares as percent, lengths in metres."""
    if metric.startswith("delta"):
        return Column(f"{LABELS[metric]} [%]", metric, decimals=1, factor=100, higher_is_better=True)
    return Column(LABELS[metric] + (" [m]" if metric in ("rmse", "mae") else ""), metric)
