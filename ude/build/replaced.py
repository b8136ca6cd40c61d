"""What the results in a folder are of, before others take their place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ude.evaluation.tables import rules_line
from ude.files import DataError, read_json

_DATA = ("source", "split")


def replaced(folder: Path, rules: Mapping[str, Any], extra: Mapping[str, Any]) -> str:
    """A line on results that were measured otherwise than those that take their place; "" where there are none.

    Args:
        folder: where results are going to be written.
        rules: Results.rules of these.
        extra: what made these, as their files are going to have it under "run".
    """
    for path in (folder / "metrics.json", folder / "comparison.json"):
        try:
            document = read_json(path) if path.is_file() else {}
            run = {"source": extra["source"], **document["run"]}  # older files do not have it
            different = dict(document["rules"]) != dict(rules) or any(run[key] != extra[key] for key in _DATA)
            old = f"{run['source']}, split {run['split']}: {rules_line(document['rules'])}"
        except (DataError, KeyError, TypeError, ValueError):  # none, or none that anybody could read
            continue
        if different:
            return f"note: {folder}: replaces the results of {old}"
    return ""
