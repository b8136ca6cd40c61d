"""Safe, atomic and hashed reading and writing: the only place that reads checkpoints or writes results."""

from .arrays import read_array, read_arrays, write_arrays
from .atomic import atomic_path, clean_temporary, write_bytes, write_text
from .checkpoints import load_checkpoint, load_foreign, load_weights, save_checkpoint, save_weights
from .checksums import sha256
from .errors import DataError, DiskFullError, FolderInUseError, MissingFileError, require_space
from .images import read_image, write_image
from .interrupt import exit_on_terminate, stop_after_batch
from .lock import lock_folder
from .paths import safe_path
from .records import append_jsonl, read_json, read_jsonl, write_json, write_jsonl
from .turns import in_turn

__all__ = [
    "DataError",
    "DiskFullError",
    "FolderInUseError",
    "MissingFileError",
    "append_jsonl",
    "atomic_path",
    "clean_temporary",
    "exit_on_terminate",
    "in_turn",
    "load_checkpoint",
    "load_foreign",
    "load_weights",
    "lock_folder",
    "read_array",
    "read_arrays",
    "read_image",
    "read_json",
    "read_jsonl",
    "require_space",
    "safe_path",
    "save_checkpoint",
    "save_weights",
    "sha256",
    "stop_after_batch",
    "write_arrays",
    "write_bytes",
    "write_image",
    "write_json",
    "write_jsonl",
    "write_text",
]
