"""Data sets of translated frames that others publish: found in a folder, or fetched from the hub and unpacked once."""

import logging
import os
import re
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ude.files import DataError, FolderInUseError, clean_temporary, lock_folder
from ude.files.atomic import temporary_beside

from .folders.listing import subfolders

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([\w.-]+))?(?:/(.+))?")
_MAX_DEPTH = 5
_WAIT_S = 0.5
_LOG = logging.getLogger(__name__)


def translated_root(name: str | Path, conditions: Sequence[str], *, index_root: str | Path | None = None) -> Path:
    """The folder that holds a folder for each condition: ``name`` itself or, where that is none, one inside of it.

    Also takes a data set of the hub as ``<owner>/<name>[@revision][/<part>]``, such as
    ``fabiotosi92/Diffusion4RobustDepth/nuscenes``. Its part alone is downloaded, as a folder or as tar archives
    ``<part>.tar`` or ``<part>_part1.tar``, ..., which are unpacked once below ``index_root``. What is known of that
    data set: ``nuscenes.tar`` holds ``driving/nuscenes/challenging/{night,rain}/samples/CAM_FRONT/<file>.jpg``;
    ``robotcar.tar``, ``cityscapes.tar`` and ``kitti.tar`` hold a folder ``challenging`` of images in a condition that
    nothing tells, so that ``challenging`` is the name of their condition.

    Args:
        name: folder, or name of a data set of the hub.
        conditions: names of the conditions' folders.
        index_root: where archives are unpacked; None or "" for the user's cache folder.

    Raises:
        DataError: in one line, when it cannot be downloaded or unpacked.
    """
    root = Path(name)
    if _looks_like_hub_name(name):
        root = _from_hub(str(name), index_root)
    return next((folder for folder in _folders(root) if all((folder / one).is_dir() for one in conditions)), root)


def _looks_like_hub_name(name: str | Path) -> bool:
    """Whether a name is of the form ``owner/data set`` and neither it nor its first folder is here."""
    path = Path(name)
    matches = _HUB_NAME.fullmatch(str(name)) is not None and ".." not in path.parts
    return matches and not path.is_absolute() and not Path(path.parts[0]).is_dir()


def _from_hub(name: str, index_root: str | Path | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    from ude.data.nuscenes.cache import index_folder

    repository, revision, part = _HUB_NAME.fullmatch(name).groups()
    first = part.split("/")[0] if part else "*"
    patterns = [f"{first}/**", f"{first}.tar", f"{first}_part*.tar"] if part else None
    try:
        snapshot = Path(snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{name} cannot be loaded: it is no folder here, and the hub gave: {reason}; name a local folder, run "
            f"tools/translate.py to make one, or download it first: hf download --repo-type dataset {repository}"
        ) from error
    archives = sorted([*snapshot.glob(f"{first}.tar"), *snapshot.glob(f"{first}_part*.tar")])
    if not archives:
        return snapshot / part if part else snapshot
    place = index_folder(index_root).absolute() / "hub" / repository.replace("/", "--") / snapshot.name
    for archive in archives:
        _unpacked(archive, place / archive.stem.split("_part")[0] / archive.stem)
    return place / part if part else place


def _unpacked(archive: Path, folder: Path) -> None:
    """Unpack an archive into a folder that then appears whole; links and names that lead elsewhere are refused."""
    while not folder.is_dir():
        try:
            with lock_folder(folder.with_name(f"{folder.name}.unpacking")):
                if folder.is_dir():
                    return
                clean_temporary(folder.parent)
                _LOG.info("unpacking %s to %s once", archive, folder)
                temporary = temporary_beside(folder)
                with tarfile.open(archive) as file:
                    file.extractall(temporary, filter="data")
                os.replace(temporary, folder)
        except FolderInUseError as error:
            if not error.lives:
                raise
            time.sleep(_WAIT_S)
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{archive} cannot be unpacked ({error}); download it again") from error


def _folders(root: Path) -> Iterator[Path]:
    """A folder and those inside of it, the nearest first."""
    level = [root] if root.is_dir() else []
    for _ in range(_MAX_DEPTH + 1):
        yield from level
        level = [path for folder in level for path in subfolders(folder)]
