"""Checkpoints and weights: tensors and plain values only, hashed, and never code."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import atomic_path
from .checksums import announce, check, settle, sha256
from .errors import DataError, MissingFileError

if TYPE_CHECKING:  # torch takes seconds to import, and most users of this package need none
    import torch
    from torch import Tensor


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Writes a training state and its checksum so that a kill at any moment leaves a pair that loads.

    Args:
        path: file to write or replace.
        state: tensors, numbers, strings, lists and dictionaries.

    Raises:
        TypeError: the state holds an object that `load_checkpoint` would refuse.
    """
    import torch

    with _hashed(Path(path), _size(state)) as temporary:
        with open(temporary, "wb") as file:
            torch.save(state, file)
        try:
            # mmap: the structure is read, the tensors stay on the disk
            torch.load(temporary, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:
            raise TypeError(
                f"the checkpoint {path} must hold tensors and plain values only: {_reason(error)}"
            ) from error


def load_checkpoint(path: str | Path, map_location: "str | torch.device" = "cpu") -> dict[str, Any]:
    """The state that `save_checkpoint` wrote, checked against its checksum.

    Objects other than tensors and plain values are refused, and there is no way to allow them: they can run code.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is damaged, has no checksum, or holds more than tensors and plain values.
    """
    path = Path(path)
    check(path, required=True)
    return _plain_values(path, map_location, kind="checkpoint", remedy="use a checkpoint written by ude")


def save_weights(path: str | Path, state_dict: "dict[str, Tensor]") -> None:
    """Writes the tensors of a network as safetensors, with a checksum beside them."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    with _hashed(Path(path), _size(tensors)) as temporary:
        temporary.write_bytes(save(tensors, metadata={"format": "pt"}))


def load_weights(path: str | Path) -> "dict[str, Tensor]":
    """The tensors of a safetensors file, on the CPU; checked where a checksum lies beside it.

    Files from elsewhere have no checksum; then a warning is logged.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is damaged or not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    check(path, required=False)
    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise DataError(f"{path} is not a safetensors file ({error}); use weights written by ude") from error


def load_foreign(path: str | Path) -> dict[str, Any]:
    """The tensors and plain values of a ``.pth``, ``.bin`` or ``.ckpt`` file of another program, on the CPU.

    Nothing in the file is run. The configuration class that md4all stores in its checkpoints comes back as a plain
    ordered dictionary; any other class is refused.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is damaged, or holds more than tensors and plain values.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no file {path}; check the path")
    with torch.serialization.safe_globals([(OrderedDict, "config.config.CfgNode")]):
        return _plain_values(path, "cpu", kind="file", remedy="download it again, or save its state_dict alone")


def _plain_values(path: Path, map_location: "str | torch.device", *, kind: str, remedy: str) -> dict[str, Any]:
    """The dictionary in a file of torch, read without running anything in it."""
    import torch

    try:
        state = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch raises a dozen types for foreign bytes
        # not chained: torch's own text recommends the unsafe way
        raise DataError(
            f"{path} is not a {kind} of tensors and plain values: {_reason(error)}; nothing in it was run; {remedy}"
        ) from None
    if not isinstance(state, dict):
        raise DataError(f"{path} holds a {type(state).__name__}, not a dictionary; {remedy}")
    return state


@contextmanager
def _hashed(path: Path, size: int) -> Iterator[Path]:
    """A temporary path as in `atomic_path`; its checksum goes beside `path`."""
    with atomic_path(path, size=size) as temporary:
        yield temporary
        digest = sha256(temporary)
        announce(path, digest)
    settle(path, digest)


def _size(state: Any) -> int:
    """Bytes of all tensors in a state; the rest of a checkpoint is small."""
    if isinstance(state, dict):
        return sum(_size(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(_size(value) for value in state)
    return getattr(state, "nbytes", 0)


def _reason(error: Exception) -> str:
    """Why a file was refused, in a few words."""
    foreign = re.search(r"Unsupported (?:global|class|operand)[^\n]*?([\w.]+\.[\w.]+)", str(error))
    return f"it names {foreign[1]}" if foreign else type(error).__name__
