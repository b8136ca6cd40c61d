"""Lightning callbacks: one progress bar over all steps, the epoch for the frames' draws, stopping between steps."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from ude.data.datasets import TrainingFrames


class StepProgress(Callback):
    """One bar over the whole training, with the loss; the epochs of a small data set are too short for bars."""

    REFRESH = 10
    """Steps between reads of the loss, which wait for the device."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar at the step that the run starts from."""
        total = int(trainer.estimated_stepping_batches)
        self.bar = tqdm(total=total, initial=trainer.global_step, desc="train", unit="step", dynamic_ncols=True)
        self.bar.disable = self.bar.disable or not trainer.is_global_zero
        self.shown = (trainer.global_step, time.perf_counter())

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar to the trainer's step."""
        if self.bar.disable:
            return
        if trainer.global_step % self.REFRESH == 0:
            self.bar.set_postfix(
                epoch=trainer.current_epoch,
                loss=f"{outputs['loss'].item():.4f}",
                rate=f"{self._rate(trainer.global_step, len(batch['frame_id']) * trainer.world_size):.1f} images/s",
                refresh=False,
            )
        self.bar.update(trainer.global_step - self.bar.n)

    def _rate(self, step: int, images: int) -> float:
        """Images per second since the last look, at so many images per step."""
        (last, then), self.shown = self.shown, (step, time.perf_counter())
        return (step - last) * images / max(self.shown[1] - then, 1e-9)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar before the error is printed."""
        if hasattr(self, "bar"):
            self.bar.close()


class EpochSeeds(Callback):
    """Tells the frames which epoch draws their translations.

    Args:
        frames: the training frames.
    """

    def __init__(self, frames: TrainingFrames) -> None:
        self.frames = frames

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the epoch."""
        self.frames.set_epoch(trainer.current_epoch)


class StopBetweenSteps(Callback):
    """Ends an interrupted run behind a whole step, with a checkpoint.

    Args:
        stop_if_asked: raises what a signal asked for.
        checkpoint: file to write before stopping.
    """

    def __init__(self, stop_if_asked: Callable[[], None], checkpoint: Path) -> None:
        self.stop_if_asked = stop_if_asked
        self.checkpoint = checkpoint

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop when a signal came."""
        try:
            self.stop_if_asked()
        except (KeyboardInterrupt, SystemExit):  # not where another process is lost: it would have to save, too
            trainer.save_checkpoint(self.checkpoint)
            raise
