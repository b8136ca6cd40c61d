"""The folder of one training run: who may work in it, and whether there is room."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from ude.files import DataError, clean_temporary, exit_on_terminate, lock_folder, read_json, require_space

from .processes import first_process
from .records import LAST, PREVIOUS

_CHECKPOINTS_KEPT = 3  # the last, the one before, and the one that is being written


@contextmanager
def claim_run(folder: Path, config_hash: str, *, resume: bool) -> Iterator[bool]:
    """Keeps a run folder to this run during the block; yields whether there is something to train.

    There is nothing when the run is finished; its folder is only looked at. A folder without checkpoints holds nothing
    that could be lost, and is used whatever it was meant for. Of a distributed run, the first process does all this.

    Args:
        folder: run folder.
        config_hash: what the run is.
        resume: continue an unfinished run.

    Raises:
        DataError: when another process works in the folder, when it cannot be written to, when it holds another run, or
            this one and ``resume`` is false.
    """
    with ExitStack() as claims:
        if first_process() and not _version(folder).get("finished"):
            claims.enter_context(exit_on_terminate())
            claims.enter_context(lock_folder(folder))
            clean_temporary(folder)
        yield _has_work(folder, config_hash, resume=resume)


def require_checkpoint_space(module: nn.Module, folder: Path) -> None:
    """Check that the checkpoints of a run will fit on the disk, before days of training are lost to it.

    Args:
        module: what is trained.
        folder: run folder; checkpoints that are there make room for new ones.

    Raises:
        DiskFullError: when they will not.
    """
    trained = sum(p.nbytes for p in module.parameters() if p.requires_grad)
    checkpoint = sum(t.nbytes for t in module.state_dict().values()) + 2 * trained  # AdamW keeps two moments
    files = [p.stat() for name in (LAST, PREVIOUS) if (p := folder / "checkpoints" / name).is_file()]
    there = sum({file.st_ino: file.st_size for file in files}.values())  # they may be one file with two names
    purpose = f"{_CHECKPOINTS_KEPT} checkpoints of {checkpoint / 1e6:.1f} MB"
    require_space(folder, _CHECKPOINTS_KEPT * checkpoint - there, purpose=purpose)


def _version(folder: Path) -> dict[str, Any]:
    """What a run folder says that it holds."""
    path = folder / "version.json"
    return read_json(path) if path.is_file() else {}


def _has_work(folder: Path, config_hash: str, *, resume: bool) -> bool:
    """Whether a run has something to train in its folder; see :func:`claim_run`."""
    stored = _version(folder)
    same = stored.get("config_hash") == config_hash
    if not first_process():
        return not (same and stored.get("finished"))
    begun = any((folder / "checkpoints" / name).is_file() for name in (LAST, PREVIOUS))
    if not begun and not stored.get("finished"):
        return True
    if not same:
        raise DataError(f"{folder} holds a run with another configuration; choose another NAME or remove the folder")
    if not resume:
        raise DataError(f"{folder} already holds this run; add --resume to continue it, or choose another NAME")
    return not stored.get("finished")
