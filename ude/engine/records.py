"""Lightning's file output through ``ude.files``: atomic hashed checkpoints, and scalars as JSON lines."""

import logging
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from ude.files import DataError, append_jsonl, load_checkpoint, save_checkpoint

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"

logger = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Checkpoints that are whole or absent, carry a hash, and are read as tensors only.

    The checkpoint that a new one replaces stays beside it as ``previous.ckpt``, if this run wrote or read it: a damaged
    one never takes the place of a good one.
    """

    def __init__(self) -> None:
        self.intact: set[Path] = set()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint atomically, and keep the one before."""
        if Path(path) in self.intact:
            _keep_previous(Path(path))
        save_checkpoint(path, checkpoint)
        self.intact.add(Path(path))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, **_: Any) -> dict[str, Any]:
        """Read a checkpoint; damaged or foreign files raise a DataError."""
        checkpoint = load_checkpoint(path, map_location=map_location or "cpu")
        self.intact.add(Path(path))
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint and its hash."""
        Path(path).unlink(missing_ok=True)
        Path(f"{path}.sha256").unlink(missing_ok=True)


def usable_checkpoint(folder: Path) -> Path | None:
    """The newest undamaged checkpoint in a folder, None where there is none to continue from.

    Raises:
        DataError: when there are checkpoints, but all are damaged.
    """
    candidates = [path for path in (folder / LAST, folder / PREVIOUS) if path.is_file()]
    for path in candidates:
        try:
            load_checkpoint(path)
        except DataError as error:
            logger.warning("%s; trying the one before", error)
            failure = error
        else:
            return path
    if candidates:
        raise failure
    return None


def _keep_previous(path: Path) -> None:
    """Give the checkpoint that is about to be replaced, and its hash, a second name."""
    if path.name != LAST or not path.is_file():
        return
    for suffix in ("", ".sha256"):
        kept = path.with_name(PREVIOUS + suffix)
        kept.unlink(missing_ok=True)
        shutil.copyfile(f"{path}{suffix}", kept)


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
        """Append one row."""
        row = {key: value for key, value in metrics.items() if key != "epoch"}
        append_jsonl(self.path, {"step": step, **row})

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The resolved config lies beside the file; nothing to do."""
