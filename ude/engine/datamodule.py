"""Training frames in batches, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader, Sampler

from ude.data.datasets import TrainingFrames, collate
from ude.data.transforms import DeviceTransform
from ude.files import DataError


class EpochSampler(Sampler[int]):
    """A random order of ``length`` frames, drawn from the seed and the epoch.

    Args:
        length: number of frames.
        seed: base seed.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.length, generator=generator).tolist()
        seen, self.skip = self.skip, 0  # by the run that is resumed; they go last, so that the length stays
        return iter(order[seen:] + order[:seen])


class TrainingData(L.LightningDataModule):
    """The loader of a training stage.

    Args:
        frames: the training frames.
        transform: augmentation, run on the batch's device.
        batch_size: frames per step.
        num_workers: loader processes; 0 loads in the training process.
        seed: seed of the order.
        devices: number of devices, each of which takes its own batches.

    Raises:
        DataError: when there are fewer frames than a batch needs.
    """

    def __init__(
        self,
        frames: TrainingFrames,
        transform: DeviceTransform,
        *,
        batch_size: int,
        num_workers: int,
        seed: int,
        devices: int = 1,
    ) -> None:
        super().__init__()
        if len(frames) < batch_size * devices:
            raise DataError(
                f"only {len(frames)} training frames for SOLVER.BATCH_SIZE {batch_size} on {devices} device(s); lower "
                "it or add data"
            )
        self.frames = frames
        self.transform = transform
        self.options = {"batch_size": batch_size, "num_workers": num_workers}
        self.per_step = batch_size * devices
        self.sampler = EpochSampler(len(frames), seed)

    def train_dataloader(self) -> DataLoader:
        """Shuffled full batches of the current epoch."""
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        self.frames.set_epoch(epoch)
        self.sampler.set_epoch(epoch)
        return DataLoader(
            self.frames,
            sampler=self.sampler,
            collate_fn=collate,
            drop_last=True,
            persistent_workers=self.options["num_workers"] > 0,
            pin_memory=torch.cuda.is_available(),
            **self.options,
        )

    def state_dict(self) -> dict[str, int]:
        """How many batches of the epoch are done; Lightning stores it in checkpoints."""
        return {"batches": self.trainer.fit_loop.epoch_loop.batch_progress.current.ready}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Begin the resumed epoch behind the batches that were done."""
        steps_per_epoch = len(self.frames) // self.per_step
        self.sampler.skip = state_dict["batches"] % steps_per_epoch * self.per_step

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Augment the batch on its device."""
        return self.transform(batch, epoch=self.trainer.current_epoch, training=True)
