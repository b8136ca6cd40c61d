"""Samples in batches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .sample import Sample

LIDAR = ("lidar_index", "lidar_value")
"""Names of a frame's sparse LiDAR depth."""
_PADDING = {"lidar_index": -1, "lidar_value": 0.0, "lidar_class": -1}


def collate(samples: Sequence[Sample] | dict[str, Any]) -> dict[str, Any]:
    """Batch of samples: tensors stacked, strings in lists, sparse LiDAR padded with index -1, value 0 and class -1.

    What is a batch already, stays; no sample makes an empty batch.
    """
    if isinstance(samples, dict):
        return samples
    keys = samples[0] if samples else ()
    return {key: _stacked(key, [sample[key] for sample in samples]) for key in keys}


def collate_once(samples: Sequence[Sample] | dict[str, Any]) -> dict[str, Any]:
    """The same without an ``input`` that is the ``target``, which would go to the device twice."""
    batch = collate(samples)
    if "input" in batch and batch["input"] is batch.get("target"):
        return {key: value for key, value in batch.items() if key != "input"}
    return batch


def padded(key: str, values: Sequence[Tensor]) -> Tensor:
    """Sparse LiDAR values (N,) of several frames, (B, largest N)."""
    return pad_sequence([*values], batch_first=True, padding_value=_PADDING[key])


def _stacked(key: str, values: list[Any]) -> Any:
    if key in _PADDING:
        return padded(key, values)
    return torch.stack(values) if isinstance(values[0], Tensor) else values
