"""Case ``metrics``: four modes of seven metrics, from dense maps against ude's reading at the LiDAR pixels alone."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.nn.utils.rnn import pad_sequence

from ude.evaluation.evaluate import batch_table
from ude.evaluation.metrics import METRICS
from ude.evaluation.protocols import PROTOCOLS

from .environment import memory_copy
from .equality import Check
from .harness import Variant
from .lidar_scene import NATIVE, Sweeps
from .metrics_plain import dense_table
from .peer_md4all import md4all_sums
from .report import Report, Settings, measure

SIZES = ((320, 576, 8),)
QUICK_NATIVE = (225, 400)
BOUNDS = {"min_depth": 0.1, "max_depth": 80.0}
EXACT, ROUNDED = 1e-6, 1e-5
"""Relative difference of the continuous metrics to float64, and of float32 to each other."""
CONTINUOUS = len(METRICS) - 3


@dataclass(frozen=True)
class Frames:
    """Predictions of a batch and its LiDAR, sparse and as dense maps.

    Attributes:
        predictions: inverse depth of the images and, mirrored, of the mirrored images, (B, 1, h, w).
        batch: sparse LiDAR as the loader gives it.
        lidar_depth: the same as maps [m], (B, 1, H, W).
    """

    predictions: list[Tensor]
    batch: dict[str, Tensor]
    lidar_depth: Tensor


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size."""
    for size, count in settings.shapes(SIZES):
        yield _compare(settings, size, made_frames(size, count, QUICK_NATIVE if settings.quick else NATIVE, settings))


def made_frames(size: tuple[int, int], count: int, native: tuple[int, int], settings: Settings) -> Frames:
    """Sweeps in a street canyon, and predictions that are off by a smooth factor of up to about 2."""
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        sweeps = Sweeps(Path(folder), native, count)
        sparse = [tuple(map(torch.from_numpy, sweeps.sparse_lidar(i))) for i in range(count)]
    dense = torch.zeros(count, 1, native[0] * native[1])
    for frame, (index, value) in zip(dense, sparse, strict=True):
        frame[0, index] = value
    batch = {
        "lidar_index": pad_sequence([index for index, _ in sparse], batch_first=True, padding_value=-1),
        "lidar_value": pad_sequence([value for _, value in sparse], batch_first=True),
        "native_size": torch.tensor([native] * count),
    }
    road = (torch.arange(size[0]) / size[0] - 0.5).clamp(min=0.01)[:, None]
    factor = interpolate(torch.randn(count, 1, 10, 18, generator=generator), size, mode="bicubic").mul(0.3).exp()
    plain, other = ((road * factor * change).to(settings.device) for change in (0.5, 0.52))
    return Frames(
        predictions=[plain, other.flip(-1)],
        batch={name: value.to(settings.device) for name, value in batch.items()},
        lidar_depth=dense.view(count, 1, *native).to(settings.device),
    )


def _compare(settings: Settings, size: tuple[int, int], frames: Frames) -> Report:
    """Tables of all ways, then their times."""
    count, returns = frames.batch["lidar_index"].shape
    native = tuple(frames.lidar_depth.shape[-2:])
    exact = _dense(frames, torch.float64)()
    plain, ours = _dense(frames, torch.float32), _sparse(frames)
    valid = torch.tensor([row[2] for row in ours()])
    values = _metrics(ours())
    checks = [
        Check("dense: continuous metrics, relative, to float64", continuous(_tensor(plain()), exact), ROUNDED),
        Check("ude: continuous metrics, relative, to float64", continuous(values, exact), EXACT),
        Check("ude: pixels in or out of a threshold, to float64", thresholds(values, exact, valid), 1),
    ]
    ways: dict[str, Callable[[], object]] = {"dense maps, four passes": plain}
    if settings.peer_md4all:
        ways["md4all's own functions"] = peer = _peer(frames, settings.peer_md4all)
        apart = continuous(_tensor([peer()]), exact.sum(0, keepdim=True))
        checks.append(Check("md4all's own functions: sums of continuous metrics, relative", apart, ROUNDED))
    ways |= {
        "ude": ours,
        "ude, least squares": _sparse(frames, alignment="least_squares"),
        "ude, protocol ude": _sparse(frames, protocol="ude"),
        "ude, protocol kitti_garg": _sparse(frames, protocol="kitti_garg"),
    }
    read = count * (2 * size[0] * size[1] * 4 + returns * (8 + 4))
    return measure(
        "metrics",
        f"4 modes, predictions of {size[0]} x {size[1]}, {returns:,} returns in {native[0]} x {native[1]}, "
        f"batch {count}",
        checks=checks,
        variants=[Variant(name, way, read) for name, way in ways.items()],
        limit=memory_copy(settings.device),
        settings=settings,
        notes=["without the network; the bytes counted are those of predictions and sparse LiDAR, read once"],
        images=count,
    )


def continuous(values: Tensor, expected: Tensor) -> float:
    """Largest relative difference of the metrics that are no shares, over tables (B, 7 M)."""
    values, expected = (table.unflatten(1, (-1, len(METRICS)))[..., :CONTINUOUS] for table in (values, expected))
    return ((values - expected).abs() / expected).max().item()


def thresholds(values: Tensor, expected: Tensor, valid: Tensor) -> float:
    """Largest number of returns that are within a threshold in one table (B, 7 M) alone."""
    values, expected = (table.unflatten(1, (-1, len(METRICS)))[..., CONTINUOUS:] for table in (values, expected))
    return ((values - expected).abs() * valid.view(-1, 1, 1)).max().round(decimals=6).item()


def _sparse(frames: Frames, *, protocol: str = "md4all", alignment: str = "median") -> Callable[[], list[list[float]]]:
    """What an evaluation does with the predictions of a batch, up to the numbers."""
    rules: dict[str, Any] = {"protocol": PROTOCOLS[protocol], "alignment": alignment, **BOUNDS}

    @torch.inference_mode()
    def table() -> list[list[float]]:
        return batch_table(frames.predictions, frames.batch, rules).tolist()

    return table


def _dense(frames: Frames, dtype: torch.dtype) -> Callable[[], Any]:
    """The plain way; in float64 as a tensor, to compare with."""
    tensors = [tensor.to(dtype) for tensor in (*frames.predictions, frames.lidar_depth)]

    @torch.inference_mode()
    def table() -> Any:
        rows = dense_table(*tensors, **BOUNDS)
        return _tensor(rows) if dtype == torch.float64 else rows

    return table


def _peer(frames: Frames, folder: Path) -> Callable[[], list[float]]:
    """md4all's own functions; sums over the frames."""
    sums = md4all_sums(folder)

    @torch.inference_mode()
    def table() -> list[float]:
        return sums(*frames.predictions, frames.lidar_depth, *BOUNDS.values())

    return table


def _metrics(rows: Sequence[Sequence[float]]) -> Tensor:
    """The metrics (B, 28) of rows of an evaluation, behind the range of predictions and the number of returns."""
    return _tensor([row[3 : 3 + 4 * len(METRICS)] for row in rows])  # behind them: the errors by range


def _tensor(rows: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)
