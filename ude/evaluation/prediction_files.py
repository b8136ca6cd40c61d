"""What a folder of saved predictions is known by, and what its predictions.json says."""

from pathlib import Path
from typing import Any

from ude.files import DataError, read_json

SCHEMA_VERSION = 1
DESCRIPTION = "predictions.json"
RELATIVE = "relative_inverse_depth"
KINDS = ("inverse_depth", "depth", RELATIVE)
"""What the values are: inverse depth [1/m], depth [m], or inverse depth up to a scale and shift of every frame."""
SUFFIXES = (".npz", ".npy", ".png")


def description(folder: Path) -> dict[str, Any]:
    """What predictions.json says; empty where there is none."""
    path = folder / DESCRIPTION
    if not path.is_file():
        return {}
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise DataError(f'{path} is of no known version; it must have "schema_version": {SCHEMA_VERSION}')
    return document
