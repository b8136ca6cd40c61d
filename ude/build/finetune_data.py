"""Batches of a translator's training, and the watch over its numbers."""

from typing import Any
from warnings import filterwarnings

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from ude.engine.guard import SKIPPED_IN_A_ROW
from ude.engine.optimiser import gradient_norms
from ude.engine.verdict import LISTED, NonFiniteLossError
from ude.translation.finetune.frames import ConditionFrames, TrainingBatches

LOWER = "lower FINETUNE.LR or set RUN.PRECISION bf16-mixed or 32-true, and start again under another NAME"


class FinetuneData(L.LightningDataModule):
    """Endless batches of the frames, from the step that the run starts at.

    Args:
        frames: the training frames.
        cfg: the config.
    """

    def __init__(self, frames: ConditionFrames, cfg: CfgNode) -> None:
        super().__init__()
        options = cfg.FINETUNE
        self.batches = TrainingBatches(
            frames, batch_size=options.BATCH_SIZE, flip_prob=options.FLIP_PROB, seed=cfg.SEED, first_step=self._done
        )

    def _done(self) -> int:
        return self.trainer.global_step

    def train_dataloader(self) -> DataLoader:
        """Whole batches: the frames are in memory, so that no loader process is needed."""
        filterwarnings("ignore", message=".*in eval mode at the start of training")  # as it has to be: no dropout
        return DataLoader(self.batches, batch_size=None, num_workers=0)

    def callbacks(self) -> list[Callback]:
        """What the run has to do beside its steps."""
        return [FiniteTraining()]


class FiniteTraining(Callback):
    """Ends a run at the first loss, gradient or weight that is not finite, before it is used or written."""

    def __init__(self) -> None:
        self._frames: list[str] = []
        self._skipped = 0

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, index: int) -> None:
        """Remember whose loss comes."""
        self._frames = batch["frame_id"]

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Look at the loss.

        Raises:
            NonFiniteLossError: it is NaN or infinite.
        """
        if not torch.isfinite(loss):
            raise self._error(trainer, "loss")

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Look at the gradients; those that float16's loss scaling leaves out are an error when they do not end.

        Raises:
            NonFiniteLossError: they are NaN or infinite.
        """
        if gradient_norms(optimizer).isfinite().all():
            self._skipped = 0
            return
        self._skipped += 1
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if not scaled or self._skipped >= SKIPPED_IN_A_ROW:
            raise self._error(trainer, "gradient")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Look at the weights before they are written; behind the last step, too, before the networks are.

        Raises:
            NonFiniteLossError: they are NaN or infinite.
        """
        tensors = checkpoint["state_dict"].items()
        bad = [name for name, value in tensors if not value.isfinite().all()]
        if bad:
            raise NonFiniteLossError(
                f"not finite behind step {trainer.global_step}: {', '.join(bad[:LISTED])}; nothing of it is written; "
                f"{LOWER}"
            )

    def _error(self, trainer: L.Trainer, what: str) -> NonFiniteLossError:
        frames = ", ".join(self._frames[:LISTED])
        return NonFiniteLossError(f"not finite at step {trainer.global_step}: {what}; frames: {frames}; {LOWER}")
