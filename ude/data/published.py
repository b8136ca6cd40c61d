"""Data sets of translated frames that others publish: found in a folder, or fetched from the hub and unpacked once."""

import logging
import os
import re
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ude.files import DataError, clean_temporary, in_turn, write_json
from ude.files.atomic import temporary_beside
from ude.files.errors import writing

from .folders.listing import natural_order
from .index_root import index_folder, naming_index_root
from .translated import QUARANTINE, STAMP

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([\w.-]+))?(?:/(.+))?")
_PART = re.compile(r"_part.*$")
_MAX_DEPTH = 5
_LOG = logging.getLogger(__name__)


def translated_root(name: str | Path, conditions: Sequence[str], *, index_root: str | Path | None = None) -> Path:
    """The folder that holds a folder for each condition: ``name`` itself or, where it has none of them, one inside.

    A folder that the translation tool wrote or that holds one of the conditions is taken as it is, so that what is
    missing there is not replaced by images from deeper inside. Hidden folders, ``@eaDir`` and the quarantine of the
    translation tool are never looked into. A folder other than ``name`` is logged.

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
        DataError: in one line, when it cannot be downloaded or unpacked, or two folders are equally near.
    """
    root = Path(name)
    if _looks_like_hub_name(name):
        root = _from_hub(str(name), index_root)
    found = _found(root, conditions)
    if found != Path(name):
        _LOG.info("the translated frames of %s are those in %s", name, found)
    return found


def _looks_like_hub_name(name: str | Path) -> bool:
    """Whether a name is of the form ``owner/data set`` and neither it nor its first folder is here."""
    path = Path(name)
    matches = _HUB_NAME.fullmatch(str(name)) is not None and ".." not in path.parts
    return matches and not path.is_absolute() and not Path(path.parts[0]).is_dir()


def _from_hub(name: str, index_root: str | Path | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

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
    archives = sorted({*snapshot.glob(f"{first}.tar"), *snapshot.glob(f"{first}_part*.tar")})
    if not archives:
        return snapshot / part if part else snapshot
    place = index_folder(index_root).absolute() / "hub" / repository.replace("/", "--") / snapshot.name
    for stem in sorted({_PART.sub("", archive.stem) for archive in archives}):
        _unpack([archive for archive in archives if _PART.sub("", archive.stem) == stem], place / stem)
    return place / part if part else place


def _unpack(archives: Sequence[Path], folder: Path) -> None:
    """Unpack the parts of an archive into one folder; beside them a file for each says that it is whole."""

    def missing() -> list[Path]:
        return [archive for archive in archives if not _marker(archive, folder).is_file()]

    if not missing():
        return
    with ExitStack() as stack:
        with naming_index_root(folder):
            turn = in_turn(folder.with_name(f"{folder.name}.unpacking"), done=lambda: not missing())
            mine = stack.enter_context(turn)
        if not mine:
            return
        clean_temporary(folder.parent)
        for archive in missing():
            _LOG.info("unpacking %s to %s once", archive, folder)
            _unpack_part(archive, folder)
            with naming_index_root(folder):
                write_json(_marker(archive, folder), {"schema": 1, "archive": archive.name})


def _marker(archive: Path, folder: Path) -> Path:
    return folder / f".{archive.stem}.json"


def _unpack_part(archive: Path, folder: Path) -> None:
    """Add the files of an archive to a folder, each of them whole; links and names that lead elsewhere are refused."""
    temporary = temporary_beside(folder)
    try:
        with tarfile.open(archive) as file, naming_index_root(folder), writing(temporary):
            temporary.mkdir(parents=True)
            file.extractall(temporary, filter="data")
            _move(temporary, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{archive} cannot be unpacked ({error}); download it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Move what is in a folder to another one, file by file, so that files that are there already stay readable."""
    for place, folders, names in os.walk(source):
        inside = target / Path(place).relative_to(source)
        inside.mkdir(parents=True, exist_ok=True)
        for name in (*names, *(name for name in folders if Path(place, name).is_symlink())):
            os.replace(Path(place, name), inside / name)


def _found(root: Path, conditions: Sequence[str]) -> Path:
    """The nearest folder with all conditions, not below one that is of ours or holds some of them; else the root."""
    if _is_ours(root, conditions):
        return root
    level = [root]
    for _ in range(_MAX_DEPTH):
        level = [path for folder in level for path in _subfolders(folder)]
        found = [path for path in level if all((path / name).is_dir() for name in conditions)]
        if len({path.resolve() for path in found}) > 1:
            raise DataError(
                f"{root}: both {found[0]} and {found[1]} hold translations to {', '.join(conditions)}; name one of them"
            )
        if found:
            return found[0]
        level = [path for path in level if not _is_ours(path, conditions)]
    return root


def _is_ours(folder: Path, conditions: Sequence[str]) -> bool:
    return (folder / STAMP).is_file() or any((folder / name).is_dir() for name in conditions)


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder that may hold translations, in natural order; none where it does not exist."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # knows what is a folder without asking the disk for each
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "@"))]
    return [folder / name for name in sorted(names, key=natural_order) if name != QUARANTINE]
