"""Scalars of a training step for the run's loggers."""

from collections.abc import Mapping

import lightning as L
from torch import Tensor


def log_terms(module: L.LightningModule, terms: Mapping[str, Tensor]) -> None:
    """Give the loss terms of this step, and the learning rates, to the loggers, where the step is a logged one.

    Lightning's own log repeats the last value of a term that a step does not have.

    Args:
        module: in training.
        terms: scalars by name.
    """
    trainer = module.trainer
    if (module.global_step + 1) % trainer.log_every_n_steps:
        return
    values = {f"loss/{name}": term.item() for name, term in terms.items()}
    rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
    values |= {f"lr/{i}": rate for i, rate in enumerate(rates)}
    for logger in module.loggers:
        logger.log_metrics(values, step=module.global_step)
