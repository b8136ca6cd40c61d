"""Training frames in batches, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, Sampler

from ude.data.batches import collate_once
from ude.data.datasets import TrainingFrames
from ude.data.transforms import DeviceTransform
from ude.files import DataError

from .progress import EpochSeeds


class EpochSampler(Sampler[int]):
    """A random order of frames, drawn from the seed and the epoch alone, of which each process takes its share.

    The frames of all processes in a step are, in the order of the processes, those of the step of a single process with
    as many times the batch size. What fills no step is left out.

    Args:
        length: number of frames.
        seed: base seed.
        batch_size: frames per step and process.
        processes: number of processes.
    """

    def __init__(self, length: int, seed: int, *, batch_size: int = 1, processes: int = 1) -> None:
        self.length = length
        self.seed = seed
        self.batch_size = batch_size
        self.processes = processes
        self.rank = 0
        self.epoch = 0
        self.skip = 0

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.length // (self.batch_size * self.processes)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps * self.batch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.length, generator=generator)[: self.steps * self.processes * self.batch_size]
        own = order.view(self.steps, self.processes, self.batch_size)[:, self.rank]
        done, self.skip = self.skip, 0  # by the run that is resumed; they go last, so that the length stays
        return iter(own.roll(-done, 0).flatten().tolist())


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
        self.sampler = EpochSampler(len(frames), seed, batch_size=batch_size, processes=devices)

    def train_dataloader(self) -> DataLoader:
        """Shuffled full batches of this process, from the step that the run starts at."""
        self.frames.set_epoch(self.sampler.epoch)
        if self.trainer is not None:
            self.sampler.rank = self.trainer.global_rank
        return DataLoader(
            self.frames,
            sampler=self.sampler,
            collate_fn=collate_once,
            drop_last=True,
            persistent_workers=self.options["num_workers"] > 0,
            pin_memory=torch.cuda.is_available(),
            **self.options,
        )

    def callbacks(self) -> list[Callback]:
        """What keeps the frames in step with the run."""
        return [EpochSeeds(self.frames), SkippedFrames(self.frames), WholeEpochs()]

    def state_dict(self) -> dict[str, int]:
        """How many batches are done, in all epochs; Lightning stores it in checkpoints."""
        return {"batches_done": self.trainer.fit_loop.epoch_loop.batch_progress.total.ready}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Begin behind the batches that were done."""
        epoch, self.sampler.skip = divmod(state_dict["batches_done"], self.sampler.steps)
        self.sampler.set_epoch(epoch)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Complete the batch with frames that are kept on its device, and augment it there."""
        return self.transform(self.frames.gather(batch), epoch=self.trainer.current_epoch, training=True)


class SkippedFrames(Callback):
    """Counts frames that could not be read and were skipped over all processes, and says at the end how many.

    Args:
        frames: the training frames.
    """

    def __init__(self, frames: TrainingFrames) -> None:
        self.frames = frames

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Share what the processes have met; ends the run where that is too much."""
        self._share(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the count, where there is one."""
        self._share(trainer, pl_module)
        if trainer.is_global_zero:
            self.frames.unreadable.report()

    def _share(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        unreadable = self.frames.unreadable
        if trainer.world_size > 1 and unreadable.on_error == "skip":
            flags = pl_module.all_gather(unreadable.flags().to(pl_module.device))  # (processes, frames)
            unreadable.merge(flags.flatten(0, -2).any(0).cpu())


class WholeEpochs(Callback):
    """Begins a new epoch when a run is resumed exactly between two.

    Lightning takes such a checkpoint for one from within the epoch that has ended, skips the hooks of the new epoch and
    no longer counts right: resumed a second time, it repeats what was done.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The trainer has read its progress, and is about to begin."""
        progress = trainer.fit_loop.epoch_progress.current
        if progress.processed == progress.ready:
            trainer.fit_loop.reset_restart_stage()
