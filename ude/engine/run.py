"""One training run in one folder: start, resume, finish."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.callbacks import ModelCheckpoint

from ude.files import stop_after_batch, write_json, write_text

from .monitor import Monitor, rewind_monitor
from .processes import EndTogether, LargestOfAll, OwnSignals, first_process, strategy
from .progress import StepProgress, StopBetweenSteps
from .records import LAST, AtomicCheckpointIO, JsonLinesLogger, RunTensorBoard, rewind_rows, usable_checkpoint
from .run_folder import require_checkpoint_space
from .verdict import DUMP


@dataclass(frozen=True)
class RunOptions:
    """How a run is executed.

    Attributes:
        accelerator: Lightning's accelerator name.
        devices: number of devices.
        precision: Lightning's precision name.
        epochs: passes over the frames; -1 for no limit.
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


def fit(
    module: L.LightningModule,
    data: L.LightningDataModule,
    *,
    folder: Path,
    options: RunOptions,
    config_text: str,
    identity: dict[str, Any],
    monitor: Monitor | None = None,
) -> None:
    """Train a stage and leave its networks in the run folder.

    Args:
        module: the stage, whose ``save_networks(folder)`` writes what it has trained.
        data: its frames, whose ``callbacks()`` go with them.
        folder: run folder.
        options: how to execute the run.
        config_text: resolved config, written beside the results.
        identity: what the run is, with a ``config_hash``; stored in ``version.json``.
        monitor: what keeps the best network, if that is wanted.

    Raises:
        KeyboardInterrupt: SIGINT came; the step is finished and its checkpoint written.
        SystemExit: SIGTERM came (143); likewise.
    """
    checkpoint, step = usable_checkpoint(folder / "checkpoints")
    if first_process():
        require_checkpoint_space(module, folder)
        write_text(folder / "config.yaml", config_text)
        write_json(folder / "version.json", identity | {"finished": False})
        rewind_rows(folder / "metrics.jsonl", step)
        rewind_monitor(folder, step)
        if monitor is not None:
            monitor.begin(folder)
        (folder / DUMP).unlink(missing_ok=True)  # of a fault that this run may not meet again
    together = EndTogether()
    with stop_after_batch(LargestOfAll()) as stop_if_asked:
        trainer = _trainer(data, folder, options, first_step=step)
        trainer.callbacks[:0] = [
            together,
            OwnSignals(),
            StopBetweenSteps(stop_if_asked, folder / "checkpoints" / LAST),
        ]
        if monitor is not None:
            trainer.callbacks.insert(-1, monitor)  # the last one writes checkpoints
        with together(trainer):
            _run(trainer, module, data, checkpoint)
            trainer.save_checkpoint(folder / "checkpoints" / LAST)
    if trainer.is_global_zero:
        module.save_networks(folder)
        write_json(folder / "version.json", identity | {"finished": True, "steps": trainer.global_step})


def _run(trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None) -> None:
    """Train; Lightning turns Ctrl-C into SystemExit(1), here it stays KeyboardInterrupt."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    except SystemExit as stop:
        if stop.code == 1:
            raise KeyboardInterrupt from stop
        raise


def _trainer(data: L.LightningDataModule, folder: Path, options: RunOptions, *, first_step: int) -> L.Trainer:
    """Lightning's trainer, writing into the run folder only."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for known in (
        *("does not have many workers", "exists and is not empty", "dataloader is not resumable"),
        r"Found \d+ module\(s\) in eval mode",  # frozen encoders and foundation models are so on purpose
    ):
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
            JsonLinesLogger(folder / "metrics.jsonl"),
            RunTensorBoard(folder, first_step),
        ],
        plugins=[AtomicCheckpointIO(folder), *_environment()],
        callbacks=[checkpoints, StepProgress(), *data.callbacks()],
        strategy=strategy(options.devices),
        use_distributed_sampler=False,  # the data module's own is exact on resume, and its batches those of one process
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=folder,
    )


def _environment() -> list[SLURMEnvironment]:
    """Under SLURM: without Lightning's own requeueing, whose checkpoints would take precedence over the last one."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
