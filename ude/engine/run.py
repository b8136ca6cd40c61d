"""One training run in one folder: start, resume, finish."""

import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from ude.files import DataError, clean_temporary, read_json, stop_after_batch, write_json, write_text
from ude.models import save_model

from .base import DepthModule
from .datamodule import TrainingData
from .progress import EpochSeeds, StepProgress, StopBetweenSteps
from .records import LAST, AtomicCheckpointIO, JsonLinesLogger, usable_checkpoint


@dataclass(frozen=True)
class RunOptions:
    """How a run is executed.

    Attributes:
        accelerator: Lightning's accelerator name.
        devices: number of devices.
        precision: Lightning's precision name.
        epochs: passes over the frames.
        max_steps: steps after which to stop early; -1 for none.
        log_every: steps between logged scalars.
        checkpoint_every: steps between checkpoints.
        grad_clip: largest gradient norm; 0 is off.
    """

    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    epochs: int = 20
    max_steps: int = -1
    log_every: int = 50
    checkpoint_every: int = 500
    grad_clip: float = 0.0


def has_work(folder: Path, config_hash: str, *, resume: bool) -> bool:
    """Whether a run has something to train in its folder: False when it is finished there.

    A folder without checkpoints holds nothing that could be lost, and is used whatever it was meant for.

    Args:
        folder: run folder.
        config_hash: what the run is.
        resume: continue an unfinished run.

    Raises:
        DataError: when the folder holds another run, or this one and ``resume`` is false.
    """
    version = folder / "version.json"
    stored = read_json(version) if version.is_file() else {}
    same = stored.get("config_hash") == config_hash
    if not first_process():
        return not (same and stored.get("finished"))
    if not stored.get("finished") and not (folder / "checkpoints" / LAST).is_file():
        return True
    if not same:
        raise DataError(f"{folder} holds a run with another configuration; choose another NAME or remove the folder")
    if not resume:
        raise DataError(f"{folder} already holds this run; add --resume to continue it, or choose another NAME")
    clean_temporary(folder)
    return not stored.get("finished")


def first_process() -> bool:
    """Whether this process is the one of a distributed run that writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def fit(
    module: DepthModule,
    data: TrainingData,
    *,
    folder: Path,
    options: RunOptions,
    config_text: str,
    identity: dict[str, Any],
) -> None:
    """Train a stage and leave its networks in the run folder.

    Args:
        module: the stage.
        data: its frames.
        folder: run folder.
        options: how to execute the run.
        config_text: resolved config, written beside the results.
        identity: what the run is, with a ``config_hash``; stored in ``version.json``.

    Raises:
        KeyboardInterrupt: SIGINT came; the step is finished and its checkpoint written.
        SystemExit: SIGTERM came (143); likewise.
    """
    checkpoint = usable_checkpoint(folder / "checkpoints")
    if first_process():
        write_text(folder / "config.yaml", config_text)
        write_json(folder / "version.json", identity | {"finished": False})
        if checkpoint is None:
            write_text(folder / "metrics.jsonl", "")
    with stop_after_batch() as stop_if_asked:
        trainer = _trainer(data, folder, options)
        trainer.callbacks.insert(0, StopBetweenSteps(stop_if_asked, folder / "checkpoints" / LAST))
        _run(trainer, module, data, checkpoint)
    trainer.save_checkpoint(folder / "checkpoints" / LAST)
    if trainer.is_global_zero:
        save_model(module.depth_net, folder / "depth_net")
        if module.pose_net is not None:
            save_model(module.pose_net, folder / "pose_net")
        write_json(folder / "version.json", identity | {"finished": True, "steps": trainer.global_step})


def _run(trainer: L.Trainer, module: DepthModule, data: TrainingData, checkpoint: Path | None) -> None:
    """Train; Lightning turns Ctrl-C into SystemExit(1), here it stays KeyboardInterrupt."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    except SystemExit as stop:
        if stop.code == 1:
            raise KeyboardInterrupt from stop
        raise


def _trainer(data: TrainingData, folder: Path, options: RunOptions) -> L.Trainer:
    """Lightning's trainer, writing into the run folder only."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for known in ("does not have many workers", "exists and is not empty", "dataloader is not resumable"):
        warnings.filterwarnings("ignore", message=f".*{known}")  # the sampler is: see TrainingData.state_dict
    warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
    checkpoints = ModelCheckpoint(
        dirpath=folder / "checkpoints",
        filename=Path(LAST).stem,
        every_n_train_steps=options.checkpoint_every,
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    return L.Trainer(
        accelerator=options.accelerator,
        devices=options.devices,
        precision=options.precision,
        max_epochs=options.epochs,
        max_steps=options.max_steps,
        gradient_clip_val=options.grad_clip or None,
        log_every_n_steps=options.log_every,
        logger=[
            TensorBoardLogger(folder, name="", version="tensorboard"),
            JsonLinesLogger(folder / "metrics.jsonl"),
        ],
        plugins=[AtomicCheckpointIO()],
        callbacks=[checkpoints, StepProgress(), EpochSeeds(data.frames)],
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=folder,
    )
