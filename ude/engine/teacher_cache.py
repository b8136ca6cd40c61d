"""What the frozen networks say about every clean day frame, kept on disk from the first epoch on."""

import hashlib
import json
import logging
import math
import shutil
import zlib
from collections.abc import Collection, Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path

import lightning as L
import torch
from torch import Tensor, nn

DISK_SHARE = 0.75
"""Largest share of the free disk that a cache may take; the rest is for checkpoints."""

_MARK_BYTES = 8
_FILLED = 1 << 32
"""Added to the 32-bit checksum in a slot's mark, so that the mark of a filled slot is never 0."""

logger = logging.getLogger(__name__)


class TeacherCache:
    """Values per frame in one file of equal slots, which the first epoch fills.

    A slot is a mark, 0 while it is empty, and the values. The mark holds their checksum, and a slot that does not fit
    it counts as empty: one that was cut off, lost in a power failure or changed is computed again. So the processes
    of a distributed run share a file without locks, and a resumed run goes on with it. The file is named by a digest
    of all that its values depend on; another teacher, size or list of frames is another file, and files of other
    names are removed. Values of the cache's type come back bit for bit.

    The file is read and written, not mapped: a full or failing disk is then an error to handle, and not a SIGBUS.

    Args:
        folder: folder of the cache alone, made when it is needed.
        made_from: what the values depend on besides the networks and frames, such as a hash of the config.
        dtype: floating type of the values.
    """

    def __init__(self, folder: str | Path, made_from: str = "", dtype: torch.dtype = torch.float32) -> None:
        self.folder = Path(folder)
        self.made_from = made_from
        self.dtype = dtype
        self.slots: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._file: FileIO | None = None

    def begin(self, frame_ids: Iterable[str], networks: Iterable[nn.Module]) -> None:
        """Say which frames there will be, and which networks the values come from."""
        self.slots = {frame_id: slot for slot, frame_id in enumerate(frame_ids)}
        self.digest = _digest(self.made_from, self.slots, networks)

    def load(self, frame_ids: list[str], device: torch.device) -> dict[str, Tensor] | None:
        """The values (B, ...) of a batch on a device, or None unless all of its frames are known.

        A copy to a GPU starts from pinned memory and is not waited for.
        """
        if self._file is None:
            return None
        pinned = device.type == "cuda"
        values = {
            name: torch.empty(len(frame_ids), *shape, dtype=self.dtype, pin_memory=pinned)
            for name, shape in self.shapes.items()
        }
        for row, frame_id in enumerate(frame_ids):
            if not self._read(self.slots[frame_id], [value[row] for value in values.values()]):
                return None
        return {name: value.to(device, non_blocking=True) for name, value in values.items()}

    def store(self, frame_ids: list[str], values: dict[str, Tensor]) -> None:
        """Keep the values (B, ...) of a batch where they are finite; the first batch decides names and shapes.

        A disk without room for all frames gets a warning, and nothing is kept.
        """
        if not self.slots or not values:
            return
        try:
            if self._file is None:
                self._open({name: tuple(value.shape[1:]) for name, value in values.items()})
            on_cpu = [value.detach().to(self.dtype).contiguous().cpu() for value in values.values()]
            for row, frame_id in enumerate(frame_ids):
                frame = [value[row] for value in on_cpu]
                if all(value.isfinite().all() for value in frame):
                    self._write(self.slots[frame_id], frame)
        except OSError as error:
            self.slots = {}
            self.remove()
            logger.warning("no cache of the teacher: %s; training goes on without it, slower", error)

    def remove(self) -> None:
        """Remove the files; what was kept is forgotten."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for path in self.folder.glob(f"*{self._suffix}"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # absent, or another process just made its file
            self.folder.rmdir()

    @property
    def _slot_bytes(self) -> int:
        return _MARK_BYTES + self.dtype.itemsize * sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def _suffix(self) -> str:
        return f".{str(self.dtype).removeprefix('torch.')}"

    def _open(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Open the file of these values, sparse where it is new, and remove all others."""
        self.shapes = shapes
        name = hashlib.sha256(f"{self.digest} {json.dumps(shapes)}".encode()).hexdigest()[:32] + self._suffix
        path, total = self.folder / name, self._slot_bytes * len(self.slots)
        self.folder.mkdir(parents=True, exist_ok=True)
        for other in self.folder.glob(f"*{self._suffix}"):
            if other != path:
                other.unlink(missing_ok=True)
        path.touch()
        free, missing = shutil.disk_usage(self.folder).free, total - _allocated(path)
        if missing > DISK_SHARE * free:
            raise OSError(f"it would take {missing / 1e9:.2f} GB of the {free / 1e9:.2f} GB that are free")
        self._file = FileIO(path, "r+")
        if path.stat().st_size != total:
            self._file.truncate(total)  # grows it with zeros: every slot is empty
        logger.info(
            "%s takes %.2f GB when all %d frames are known (%s of each); it is removed when the run finishes",
            *(self.folder, total / 1e9, len(self.slots), ", ".join(shapes)),
        )

    def _read(self, slot: int, values: list[Tensor]) -> bool:
        """Fill the values from a slot; False when it is empty or damaged."""
        try:
            self._file.seek(slot * self._slot_bytes)
            mark = int.from_bytes(self._file.read(_MARK_BYTES), "little")
            if mark == 0:
                return False
            for value in values:
                self._file.readinto(value.numpy())
        except OSError as error:
            logger.warning("%s cannot be read (%s); the teacher runs instead", self.folder, error)
            return False
        return mark == _mark(values)

    def _write(self, slot: int, values: list[Tensor]) -> None:
        data = b"".join([_mark(values).to_bytes(_MARK_BYTES, "little"), *(value.numpy().tobytes() for value in values)])
        self._file.seek(slot * self._slot_bytes)
        self._file.write(data)  # what a full disk cuts off does not fit the mark; the next write raises


def start_frozen(module: L.LightningModule, networks: Collection[nn.Module], cache: TeacherCache | None) -> None:
    """Bring the frozen networks of a stage to its device, and tell their cache what it is for.

    Args:
        module: the stage, attached to its trainer.
        networks: what it learns from.
        cache: keeps what they say about each frame; None for a stage that asks them in every step.
    """
    for network in networks:
        network.to(module.device)
    if cache is not None:
        source = module.trainer.datamodule.frames.source
        cache.begin([source.frame_id(index) for index in range(len(source))], networks)


def _mark(values: list[Tensor]) -> int:
    checksum = 0
    for value in values:
        checksum = zlib.crc32(value.numpy(), checksum)
    return _FILLED + checksum


def _allocated(path: Path) -> int:
    """Bytes of a file that the disk holds; a sparse one has fewer than its size."""
    status = path.stat()
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


def _digest(made_from: str, frame_ids: Iterable[str], networks: Iterable[nn.Module]) -> str:
    """SHA-256 over what was made from, the frames in order, and class, arguments and weights of the networks."""
    digest = hashlib.sha256(json.dumps([made_from, list(frame_ids)]).encode())
    for network in networks:
        digest.update(f"{type(network).__name__} {getattr(network, 'arguments', '')}".encode())
        for name, tensor in network.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
