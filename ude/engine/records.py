"""Lightning's file output through ``ude.files``: atomic hashed checkpoints, and scalars as JSON lines."""

import logging
import os
import shutil
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from ude.files import (
    DataError,
    MissingFileError,
    append_jsonl,
    atomic_path,
    load_checkpoint,
    read_jsonl,
    save_checkpoint,
    write_jsonl,
)
from ude.files.errors import writing

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"

logger = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Checkpoints that are whole or absent, carry a hash, and are read as tensors only.

    The checkpoint that a new one replaces stays beside it as ``previous.ckpt``, if this run wrote or read it: a damaged
    one never takes the place of a good one.

    Args:
        folder: run folder, which must stay where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.intact: set[Path] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint atomically, and keep the one before.

        Raises:
            DiskFullError: no space is left; the checkpoint that was there stays.
            MissingFileError: the run folder has vanished.
        """
        require_run_folder(self.folder)
        if Path(path).resolve() in self.intact:  # Lightning resolves the folder of some paths, and of others not
            _keep_previous(Path(path))
        save_checkpoint(path, checkpoint)
        self.intact.add(Path(path).resolve())

    def load_checkpoint(self, path: str | Path, map_location: Any = None, **_: Any) -> dict[str, Any]:
        """Read a checkpoint; damaged or foreign files raise a DataError."""
        checkpoint = load_checkpoint(path, map_location=map_location or "cpu")
        self.intact.add(Path(path).resolve())
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint and its hash."""
        Path(path).unlink(missing_ok=True)
        Path(f"{path}.sha256").unlink(missing_ok=True)


def usable_checkpoint(folder: Path) -> tuple[Path | None, int]:
    """The newest undamaged checkpoint in a folder and its number of steps; None and 0 where there is nothing yet.

    Raises:
        DataError: when there are checkpoints, but all are damaged.
    """
    candidates = [path for path in (folder / LAST, folder / PREVIOUS) if path.is_file()]
    for path in candidates:
        try:
            return path, load_checkpoint(path)["global_step"]
        except DataError as error:
            logger.warning("%s; trying the one before", error)
            failure = error
    if candidates:
        raise failure
    return None, 0


def require_run_folder(folder: Path) -> None:
    """Check that the folder of a run that is under way is still there; writing would make half of it anew.

    Raises:
        MissingFileError: when it is not.
    """
    if not folder.is_dir():
        raise MissingFileError(
            f"the run folder {folder} has vanished; was it moved, removed or unmounted? Bring it back and run again "
            "with --resume"
        )


def rewind_rows(path: Path, step: int) -> None:
    """Drop the rows from a step on: they belong to steps that will be done, and logged, again.

    Args:
        path: file of a :class:`JsonLinesLogger`.
        step: number of steps that are done.
    """
    rows = read_jsonl(path) if step and path.is_file() else []
    write_jsonl(path, [row for row in rows if row["step"] < step])


def _keep_previous(path: Path) -> None:
    """Give the checkpoint that is about to be replaced, and its hash, a second name."""
    if path.name != LAST or not path.is_file():
        return
    for suffix in ("", ".sha256"):
        current, previous = path.with_name(path.name + suffix), path.with_name(PREVIOUS + suffix)
        if previous.is_file() and previous.samefile(current):  # the last writing failed behind this
            continue
        with atomic_path(previous) as kept:
            try:
                os.link(current, kept)  # takes no space; a checkpoint is only ever replaced, never changed
            except OSError:  # some file systems have no links
                shutil.copyfile(current, kept)


class RunTensorBoard(TensorBoardLogger):
    """TensorBoard's event file in a run folder, with one-line errors.

    Args:
        folder: run folder.
        first_step: step that the run starts at; what was logged from there on by an earlier, interrupted one is hidden.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        super().__init__(folder, name="", version="tensorboard", purge_step=first_step)
        self.folder = folder

    @property
    def experiment(self) -> "SummaryWriter":
        """The writer of scalars and images; looked at before each use.

        Raises:
            MissingFileError: the run folder has vanished.
        """
        if self._experiment is not None:
            require_run_folder(self.folder)
        return super().experiment

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add scalars to the event file.

        Raises:
            DiskFullError: no space is left.
        """
        with writing(self.folder / "tensorboard" / "events"):
            super().log_metrics(metrics, step)

    def finalize(self, status: str) -> None:
        """Close the event file, if it is still there."""
        if self.folder.is_dir():
            super().finalize(status)


class JsonLinesLogger(Logger):
    """The scalars of TensorBoard once more, one JSON object per logged step.

    Args:
        path: file to append to.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "json_lines"

    @property
    def version(self) -> int:
        """Lightning asks for one; there is only this."""
        return 0

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row.

        Raises:
            MissingFileError: the run folder has vanished.
        """
        require_run_folder(self.path.parent)
        row = {key: value for key, value in metrics.items() if key != "epoch"}
        append_jsonl(self.path, {"step": step, **row})

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The resolved config lies beside the file; nothing to do."""
