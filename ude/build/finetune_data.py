"""Batches of a translator's training, and the watch over its loss."""

from typing import Any
from warnings import filterwarnings

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from ude.engine.verdict import NonFiniteLossError
from ude.translation.finetune.frames import ConditionFrames, TrainingBatches


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
        return [FiniteLoss()]


class FiniteLoss(Callback):
    """Ends a run at a loss that is not finite, before it reaches the weights."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, index: int) -> None:
        """Remember whose loss comes."""
        self.frames = batch["frame_id"]

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Look at the loss.

        Raises:
            NonFiniteLossError: it is NaN or infinite.
        """
        if not torch.isfinite(loss):
            raise NonFiniteLossError(
                f"not finite at step {trainer.global_step}: loss; frames: {', '.join(self.frames[:8])}; lower "
                "FINETUNE.LR or set RUN.PRECISION bf16-mixed or 32-true, and start again under another NAME"
            )
