"""Frames, batches and predictors for the tests of the evaluation."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ude.evaluation.evaluate import evaluate
from ude.evaluation.results import Results

BOUNDS = {"min_depth": 0.1, "max_depth": 80.0}
SIZE, NATIVE = (8, 12), (16, 24)


def frame(name: str, condition: str = "day-clear", *, depth: float | Tensor = 10.0, returns: int = 40) -> dict:
    """A frame of EvaluationFrames whose LiDAR sees one depth [m], or those of a native map (H, W)."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    index = torch.randperm(NATIVE[0] * NATIVE[1], generator=generator)[:returns].sort().values
    value = depth.flatten()[index] if isinstance(depth, Tensor) else torch.full((returns,), depth)
    image = torch.randint(256, (3, *SIZE), generator=generator, dtype=torch.uint8)
    return {"frame_id": name, "condition": condition, "input": image, "lidar_index": index, "lidar_value": value}


def batches(frames: list[dict], size: int = 2) -> Iterator[dict]:
    """Padded batches as the loader makes them."""
    for start in range(0, len(frames), size):
        part = frames[start : start + size]
        pad = torch.nn.utils.rnn.pad_sequence
        yield {
            "frame_id": [item["frame_id"] for item in part],
            "condition": [item["condition"] for item in part],
            "input": torch.stack([item["input"] for item in part]),
            "lidar_index": pad([item["lidar_index"] for item in part], batch_first=True, padding_value=-1),
            "lidar_value": pad([item["lidar_value"] for item in part], batch_first=True),
            "native_size": torch.tensor([NATIVE] * len(part)),
        }


def constant(depth: float) -> Callable[[Tensor], Tensor]:
    """A predictor of one depth [m] everywhere."""
    return lambda images: images.new_full((len(images), 1, *images.shape[-2:]), 1 / depth)


def from_brightness(images: Tensor) -> Tensor:
    """A predictor whose inverse depth depends on the image."""
    return 0.02 + images.mean(1, keepdim=True)


def measure(
    frames: list[dict], predict: Callable[[Tensor], Tensor] = from_brightness, size: int = 2, **options: object
) -> Results:
    """Results of a predictor on frames."""
    return evaluate(predict, list(batches(frames, size)), progress=False, **{**BOUNDS, **options})
