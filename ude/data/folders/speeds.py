"""Speeds of the car from one small file per frame, which are kept, since on a network disk that takes minutes."""

import json
import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from os import scandir
from pathlib import Path

import numpy as np

from ude.data.index_root import index_folder, naming_index_root, short_digest
from ude.files import DataError, MissingFileError, read_arrays, write_arrays

FORMAT = 1
_THREADS = 16

logger = logging.getLogger(__name__)


def measured_speeds(
    files: Iterable[tuple[Path, str]],
    read: Callable[[Path], float],
    *,
    root: Path,
    index_root: str | Path | None = None,
) -> np.ndarray:
    """Speeds of frames [m/s], float64 (N,), every file being read once, and at later starts not at all.

    What was read is kept below ``index_root`` until a folder's time of change or number of files is another one.
    A file that is written over in place is not noticed. Where nothing can be kept, all files are read at every start.

    Args:
        files: folder and name of each frame's file; frames of several cameras may share one.
        read: gives the speed [m/s] of a file.
        root: folder of the data set, in which nothing is written.
        index_root: folder of indices; None is the user's cache.

    Raises:
        DataError: by ``read``, when a file is missing or damaged.
    """
    files = list(files)
    wanted: dict[Path, set[str]] = {}
    for folder, name in files:
        wanted.setdefault(folder, set()).add(name)
    place: Path | None = index_folder(index_root).absolute() / "speeds"
    if place.resolve().is_relative_to(root.resolve()):
        logger.warning("%s lies in the data set, so no speeds are kept; set DATA.INDEX_ROOT to another folder", place)
        place = None
    found = {}
    for folder, names in wanted.items():
        found[folder], kept = _of_folder(folder, names, read, place)
        place = place if kept else None
    return np.array([found[folder][name] for folder, name in files])


def _of_folder(
    folder: Path, names: Collection[str], read: Callable[[Path], float], place: Path | None
) -> tuple[dict[str, float], bool]:
    """Speeds by name of the file: what is kept, and what is not, which is then kept, too; False where that fails."""
    resolved = str(folder.resolve())
    path = None if place is None or not folder.is_dir() else place / f"{short_digest(resolved)}.npz"
    identity = _identity(folder, resolved) if path else ""
    speeds = _kept(path, identity) if path else {}
    missing = sorted(set(names) - speeds.keys())
    if not missing:
        return speeds, True
    with ThreadPoolExecutor(_THREADS) as pool:  # a network disk answers many at once
        speeds.update(zip(missing, pool.map(read, [folder / name for name in missing]), strict=True))
    unchanged = path is not None and _identity(folder, resolved) == identity
    return speeds, not unchanged or _keep(path, identity, speeds)


def _identity(folder: Path, resolved: str) -> str:
    """What a file must say to belong to a folder as it is now."""
    with scandir(folder) as entries:
        count = sum(1 for _ in entries)
    return json.dumps({"format": FORMAT, "folder": resolved, "mtime_ns": folder.stat().st_mtime_ns, "files": count})


def _kept(path: Path, identity: str) -> dict[str, float]:
    """Speeds by name of the file; none where nothing is kept, or of another state of the folder, or damaged."""
    try:
        columns = read_arrays(path)
        if str(columns["identity"]) != identity:
            return {}
        values = columns["speeds"].astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("speeds that are not finite")
        return dict(zip(columns["names"].tolist(), values.tolist(), strict=True))
    except MissingFileError:
        return {}
    except (DataError, AttributeError, KeyError, TypeError, ValueError) as error:
        logger.warning("%s is damaged and is written again (%s)", path, " ".join(str(error).split()))
        return {}


def _keep(path: Path, identity: str, speeds: dict[str, float]) -> bool:
    """Whether the speeds could be written."""
    columns = {"names": np.array(list(speeds)), "speeds": np.array(list(speeds.values()))}
    try:
        with naming_index_root(path):
            write_arrays(path, {"identity": np.array(identity), **columns})
    except (DataError, OSError) as error:
        logger.warning("speeds cannot be kept, and are read at every start: %s", error)
        return False
    return True
