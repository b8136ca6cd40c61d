"""Image grids for TensorBoard: what the network saw, what it said, and which pixels counted."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from ude.evaluation.figures import depth_image

SAMPLES = 4
ERROR_FULL = 0.5
"""Photometric error that is drawn as white."""


def image_grid(batch: dict[str, Any], maps: dict[str, Tensor]) -> Tensor:
    """Grid (3, rows * H, columns * W) in [0, 1]: a row per sample; columns are the input, the target and the maps."""
    count = min(SAMPLES, len(batch["frame_id"]))
    columns = [batch["depth_input"][:count], batch["target"][:count]]
    columns += [_panel(name, m[:count].detach()) for name, m in maps.items()]
    rows = torch.cat([column.detach().float().cpu().clamp(0, 1) for column in columns], dim=-1)  # (count, 3, H, W * n)
    return torch.cat(list(rows), dim=-2)


@rank_zero_only
def log_images(loggers: Iterable[Logger], batch: dict[str, Any], maps: dict[str, Tensor], step: int) -> None:
    """In the first process, write the grid of a batch to every TensorBoard logger, with the column names in its tag."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            tag = "vis/" + " | ".join(["input", "target", *maps])
            logger.experiment.add_image(tag, image_grid(batch, maps), step)


def log_config(loggers: Iterable[Logger], folder: Path) -> None:
    """Show the ``config.yaml`` of a run folder, where there is one, as TensorBoard's text ``config``."""
    file = folder / "config.yaml"
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger) and file.is_file():
            logger.experiment.add_text("config", f"```yaml\n{file.read_text(encoding='utf-8')}\n```")


def _panel(name: str, maps: Tensor) -> Tensor:
    """Maps (B, 1, H, W) as colour images (B, 3, H, W): inverse depth in the depth colours, errors and masks grey."""
    if name.endswith("inverse_depth"):
        images = [depth_image((1 / m[0]).float().cpu().numpy()) for m in maps]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    scale = 1.0 if maps.dtype == torch.bool else 1 / ERROR_FULL
    return (maps.float() * scale).clamp(0, 1).expand(-1, 3, -1, -1)
