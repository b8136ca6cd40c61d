"""Case ``loader``: training samples of three frames from JPEG files and caches, md4all's way against ude's.

md4all opens a frame once, copies it twice, resizes all three copies with Pillow's Lanczos filter, jitters two of them
and makes float tensors of all: nine resizes and six jitters per sample. ude decodes and resizes a frame once, hands on
bytes, and jitters on the training device; the variant that jitters on this CPU is for those who have no other.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ude.data.caches.frames import FrameCache
from ude.data.caches.manifest import FrameFormat
from ude.data.caches.writing import CacheOptions, write_frame_cache
from ude.data.datasets import TrainingFrames
from ude.data.images import resize_filter
from ude.data.pixels import SourcePixels
from ude.data.transforms import DeviceTransform

from .environment import memory_copy
from .equality import Check
from .harness import Variant, clock_of
from .loader_plain import clean_frames, md4all_sample, stacked
from .loader_scene import OFFSETS, LongDrive
from .report import Report, Settings, measure

CPU = torch.device("cpu")
NATIVE, SIZES = (900, 1600), ((320, 576, 4),)
TIMES = 10
"""Repetitions of the drive of 8 frames, which make the cache of bytes larger than those of processors."""

LEVEL = 1 / 255
JPEG_LEVELS = 4.0
"""Mean difference of the JPEG cache to the exact pixels, in levels of 255: noisy pictures lose most."""

Batches = Callable[[Sequence[int]], dict[str, Any]]


def run(settings: Settings) -> Iterator[Report]:
    """One comparison per size, on a rendered street of the size of nuScenes' frames."""
    native = (96, 160) if settings.quick else NATIVE
    with tempfile.TemporaryDirectory() as folder:
        source = LongDrive(Path(folder), native, times=1 if settings.quick else TIMES)
        for size, batch in settings.shapes(SIZES):
            yield _compared(settings, source, size, batch, Path(folder, f"cache {size}"))


def _compared(settings: Settings, source: LongDrive, size: tuple[int, int], batch: int, folder: Path) -> Report:
    batch = min(batch, len(source))
    ways: dict[str, Batches] = {
        "md4all's way": lambda indices: stacked(md4all_sample(source, i, size) for i in indices)
    }
    ways |= _ours(source, size, folder)
    checks = _checks({name: way(range(batch)) for name, way in ways.items()})
    ways |= {"ude, JPEG files, jitter here": _jittered(ways["ude, JPEG files"], compiled=settings.compiled)}
    notes = [
        f"{len(source)} samples of three JPEG files of {source.native_size(0)[0]} x {source.native_size(0)[1]} "
        f"({_mean_kilobytes(source):.0f} kB each), in batches of {batch}, all in the memory of the operating system",
        f"bytes per sample: md4all's way {_bytes(ways, 0):,}, ude {_bytes(ways, 1):,}",
    ]
    notes += [] if settings.compiled else ["the jitter is not compiled"]
    if settings.peer_md4all:
        from .loader_peers import MD4ALL, md4all_samples

        ways[MD4ALL] = md4all_samples(settings.peer_md4all, source, size)
    if settings.peer_monodepth2:
        from .loader_peers import MONODEPTH2, monodepth2_samples

        ways[MONODEPTH2] = monodepth2_samples(settings.peer_monodepth2, source, size)
        notes += ["monodepth2 jitters every other sample only, and also its frames at their full size"]
    return measure(
        "loader",
        f"batches of three frames at {size[0]} x {size[1]}, batch {batch}",
        checks=checks,
        variants=[_variant(name, way, len(source), batch, size) for name, way in ways.items()],
        limit=memory_copy(CPU),
        settings=settings,
        notes=notes,
        images=3 * batch,
        clock=clock_of(CPU),
    )


def _ours(source: LongDrive, size: tuple[int, int], folder: Path) -> dict[str, Batches]:
    """Batches from files, from both kinds of cache, and from one in memory."""
    pixels, frames = SourcePixels(source, size), partial(TrainingFrames, source, size=size, offsets=OFFSETS)
    images = {path: lambda i=i, which=which: pixels.read(i, which).numpy() for i, which, path in pixels.paths(OFFSETS)}
    for store in ("jpeg", "memmap"):
        what, roots = FrameFormat(size, store=store, filter=resize_filter()), {"frames": source.root}
        write_frame_cache(folder / store, images, what, roots=roots, options=CacheOptions(progress=False))
    exact = FrameCache(folder / "memmap")
    resident = frames(frame_cache=exact, on_device=True)
    return {
        "ude, JPEG files": frames().__getitems__,
        "ude, cache of JPEG": frames(frame_cache=FrameCache(folder / "jpeg")).__getitems__,
        "ude, cache of bytes": frames(frame_cache=exact).__getitems__,
        "ude, bytes in memory": lambda indices: resident.gather(resident.__getitems__(indices)),
    }


def _checks(batches: dict[str, dict[str, Any]]) -> list[Check]:
    """Plain pixels to one level, the bytes of the cache exactly, its JPEGs by their mean."""
    plain, files, jpeg, exact, resident = batches.values()
    plain = clean_frames(plain)

    def apart(one: dict[str, Any], other: dict[str, Any], measure: Callable[[Tensor], Tensor]) -> float:
        return max(measure((_unit(one[key]) - _unit(other[key])).abs()).item() for key in ("target", "sources"))

    return [
        Check("ude, JPEG files: pixels, to md4all's", apart(files, plain, torch.max), LEVEL + 1e-6),
        Check("ude, cache of bytes: pixels, to those of the files", apart(exact, files, torch.max), 0.0),
        Check("ude, bytes in memory: pixels, to those of the files", apart(resident, files, torch.max), 0.0),
        Check("ude, cache of JPEG: mean difference to them", apart(jpeg, files, torch.mean), JPEG_LEVELS * LEVEL),
        Check("ude: distances [m], to md4all's", (files["distance"] - plain["distance"]).abs().max().item(), 1e-5),
    ]


def _jittered(way: Batches, *, compiled: bool) -> Batches:
    transform = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), flip_prob=0.5, compiled=compiled)
    return lambda indices: transform(way(indices), epoch=0, training=True)


def _variant(name: str, way: Batches, length: int, batch: int, size: tuple[int, int]) -> Variant:
    """Batches of frames in turn; the work is to read and to write the bytes of three frames per sample."""
    places = count(0, batch)
    return Variant(
        name,
        lambda: way([(start + i) % length for start in (next(places),) for i in range(batch)]),
        2.0 * batch * 9 * size[0] * size[1],
    )


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _bytes(ways: dict[str, Batches], number: int) -> int:
    """What a batch of one frame would send to a device."""
    batch = list(ways.values())[number]([0])
    tensors = {id(value): value for value in batch.values() if torch.is_tensor(value)}
    return sum(value.numel() * value.element_size() for value in tensors.values())


def _mean_kilobytes(source: LongDrive) -> float:
    sizes = [source.image_path(i).stat().st_size for i in range(len(source))]
    return sum(sizes) / len(sizes) / 1e3
