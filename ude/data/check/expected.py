"""Numbers of frames and scenes that are published for a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ude.files import DataError, read_json

from .problems import ALL, SplitCheck

_KEYS = {"source", "version", "split", "rules", "condition", "count", "what"}


@dataclass(frozen=True)
class Expected:
    """Numbers of frames and scenes that are published for a data set.

    Args:
        rows: of the file of expected counts that concern this source, version and rules. Their ``split`` is the name
            of a split, or the end of the path of a split file, such as ``eigen_zhou/train_files``.
    """

    rows: Sequence[dict[str, Any]] = ()

    def frames(self, check: SplitCheck, condition: str) -> int | None:
        """Number of frames of a condition in a split; None where none is known."""
        only = {frame.condition for frame in check.frames}
        conditions = {condition, *only} if condition == ALL and len(only) == 1 else {condition}
        return self._count(check, conditions, "training frames" if check.training else "frames")

    def scenes(self, check: SplitCheck, condition: str) -> int | None:
        """Number of scenes of a condition in a split; None where none is known, and for training frames.

        Of these, whole scenes are left out.
        """
        return None if check.training else self._count(check, {condition}, "scenes")

    def _count(self, check: SplitCheck, conditions: set[str], what: str) -> int | None:
        name = Path(check.split).with_suffix("").as_posix()
        counts = (
            row["count"]
            for row in self.rows
            if row["condition"] in conditions
            and row["what"] == what
            and (row["split"] == check.split or f"/{name}".endswith(f"/{row['split']}"))
        )
        return next(counts, None)


def expected_counts(path: Path, *, source: str, version: str, rules: str) -> Expected:
    """The expected counts of a data set; none where the file is missing.

    Raises:
        DataError: the file is not of its form.
    """
    if not path.is_file():
        return Expected()
    wanted = {"source": (source,), "version": (version, ""), "rules": (rules, "any")}
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= _KEYS for row in rows):
        raise DataError(f"{path}: expected a list of rows with {', '.join(sorted(_KEYS))}; restore the file")
    return Expected([row for row in rows if all(row[key] in values for key, values in wanted.items())])
