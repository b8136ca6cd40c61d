"""The network of a run that was the best on held-out training scenes, kept beside the last one."""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from ude.files import DataError, append_jsonl, read_json, sha256, write_json, write_text

from .records import require_run_folder, rewind_rows
from .scalars import StepClock

BEST = "best"
"""Folder in a run folder; a run folder itself, for tools that evaluate one."""
RECORD = "best.json"
MEASURED = "monitor.jsonl"
_WEIGHTS = Path("depth_net", "model.safetensors")

Measure = Callable[[nn.Module, torch.device], float]
"""A depth network and where it computes to the number that is watched; every process calls it and gets the same."""

logger = logging.getLogger(__name__)


class Monitor(Callback):
    """Measures the depth network between epochs and at the end, and keeps it where it is better than ever before.

    What the run learns is the same with and without it.

    Args:
        measure: gives the number that is watched.
        name: of that number, such as ``night/abs_rel_median``.
        rules: what else decides about the number; a run is resumed by the same ones.
        higher_is_better: a larger number is a better one.
        every: epochs between measurements.
    """

    def __init__(
        self, measure: Measure, *, name: str, rules: Mapping[str, Any], higher_is_better: bool, every: int = 1
    ) -> None:
        self.measure = measure
        self.name = name
        self.rules = {"monitor": name, **rules}
        self.sign = 1 if higher_is_better else -1
        self.every = every
        self.best: float | None = None
        self.measured_at = -1

    def begin(self, folder: Path) -> None:
        """Go on from the best network that a run folder has; only the first process must call this.

        Raises:
            DataError: it was chosen by other rules.
        """
        if not (folder / BEST / RECORD).is_file():
            return
        record = read_json(folder / BEST / RECORD)
        if {key: record.get(key) for key in self.rules} != self.rules:
            raise DataError(
                f"{folder / BEST} was chosen by {record.get('monitor')} on {record.get('split')}, or by other keys of "
                f"EVAL, but this run is to monitor {self.name} on {self.rules.get('split')}; resume it with the keys "
                "it was begun with, or remove that folder"
            )
        weights = folder / BEST / _WEIGHTS
        if weights.is_file() and sha256(weights) == record["sha256"]:  # else it was killed between the two files
            self.best = record["value"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make up for the measurement that a run may have missed that is resumed between two epochs."""
        epochs, rest = divmod(trainer.global_step, trainer.num_training_batches)
        if epochs and not rest and epochs % self.every == 0:
            self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure after every so many epochs."""
        if (trainer.current_epoch + 1) % self.every == 0:
            self._look(trainer, pl_module)
            pl_module.clock = StepClock()  # no step has waited for this

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure what the run ends with; also where it was resumed behind its last step."""
        if self.measured_at != trainer.global_step:
            place = pl_module.device  # the trainer has taken the network from its GPU already
            pl_module.depth_net.to(trainer.strategy.root_device)
            self._look(trainer, pl_module)
            pl_module.depth_net.to(place)

    def _look(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure, keep the network if it is the best, and note the number, in this order: a kill loses neither."""
        self.measured_at = trainer.global_step
        with isolate_rng(), _evaluating(pl_module.depth_net):
            value = self.measure(pl_module.depth_net, trainer.strategy.root_device)
            if trainer.is_global_zero:
                self._note(trainer, pl_module, value)

    def _note(self, trainer: L.Trainer, pl_module: L.LightningModule, value: float) -> None:
        folder, step = Path(trainer.default_root_dir), trainer.global_step
        require_run_folder(folder)
        better = self.best is None or self.sign * (value - self.best) > 0
        if better:
            self._keep(folder, pl_module, value, step)
        append_jsonl(folder / MEASURED, {"step": step, self.name: value})
        for tensorboard in (each for each in trainer.loggers if isinstance(each, TensorBoardLogger)):
            tensorboard.log_metrics({f"monitor/{self.name}": value}, step - 1)  # that of the last step, as its losses
        logger.info("step %d: %s %.4f%s", step, self.name, value, " (best so far)" if better else "")

    def _keep(self, folder: Path, pl_module: L.LightningModule, value: float, step: int) -> None:
        """Write the networks, then what is known of them."""
        pl_module.save_networks(folder / BEST)
        write_text(folder / BEST / "config.yaml", (folder / "config.yaml").read_text(encoding="utf-8"))
        record = {"value": value, "step": step, "sha256": sha256(folder / BEST / _WEIGHTS)}
        write_json(folder / BEST / RECORD, self.rules | record)
        self.best = value


def rewind_monitor(folder: Path, step: int) -> None:
    """Drop what was measured from a step on, which is measured again; at step 0 also the best network.

    Args:
        folder: run folder.
        step: number of steps that are done.
    """
    if not step:
        shutil.rmtree(folder / BEST, ignore_errors=True)
        (folder / MEASURED).unlink(missing_ok=True)
    elif (folder / MEASURED).is_file():
        rewind_rows(folder / MEASURED, step)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """A block in which a network is in evaluation mode; behind it every module is as it was, frozen ones too."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
