"""From foreign weights to a run folder that teachers, evaluation and training accept."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ude.files import DataError, MissingFileError, clean_temporary, lock_folder, read_json, sha256, write_json
from ude.files.provenance import provenance
from ude.models.checkpoint import save_model

from .conversion import Conversion
from .depth_anything import read_depth_anything
from .md4all import read_md4all
from .monodepth2 import read_monodepth2

FORMATS: dict[str, Callable[..., Conversion]] = {
    "md4all": read_md4all,
    "monodepth2": read_monodepth2,
    "depth_anything": read_depth_anything,
}
"""Name of a format to the function that reads it."""


def convert(layout: str, source: Path, folder: Path, **options: str) -> Conversion:
    """Write the networks of a source into a run folder, and say there what they were made from.

    A conversion that was killed can be repeated into its folder.

    Args:
        layout: row of :data:`FORMATS`.
        source: file or folder to read; it is never changed.
        folder: run folder to write.
        options: further arguments of the format's function.

    Returns:
        The networks, and what became of the tensors.

    Raises:
        MissingFileError: there is no such source.
        DataError: the source does not fit, the folder holds another run, or another process works in it.
    """
    if not source.exists():
        raise MissingFileError(f"there is no {source}; check the path")
    conversion = FORMATS[layout](source, **options)
    version = _version(layout, source, conversion) | {"name": folder.name}
    origin = f"converted from {layout} by `ude`; the licence of the source holds"
    with lock_folder(folder):
        _claim(folder, version["config_hash"])
        write_json(folder / "version.json", version | {"finished": False})
        save_model(conversion.depth_net, folder / "depth_net", origin=origin)
        if conversion.pose_net is not None:
            save_model(conversion.pose_net, folder / "pose_net", origin=origin)
        write_json(folder / "version.json", version | {"finished": True})
    return conversion


def _version(layout: str, source: Path, conversion: Conversion) -> dict[str, Any]:
    """What the result was made from; the hash is that of the files and of what the network was told about them."""
    files = {path.name: sha256(path) for path in conversion.files}
    made_from = [layout, files, conversion.depth_net.arguments]
    return {
        "stage": "converted",
        "config_hash": hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32],
        "source": {"format": layout, "path": str(source), "sha256": files},
        "tensors": conversion.tensors,
        "notes": list(conversion.notes),
        "versions": provenance(),
    }


def _claim(folder: Path, config_hash: str) -> None:
    """Refuse a locked folder with anything in it but an earlier result of the same conversion, finished or not."""
    clean_temporary(folder)
    version = folder / "version.json"
    known = read_json(version).get("config_hash") if version.is_file() else None
    if known != config_hash and any(path.name != ".lock" for path in folder.iterdir()):
        raise DataError(f"{folder} holds another run; choose another folder, or remove that one")
