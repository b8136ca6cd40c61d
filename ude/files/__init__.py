"""Safe, atomic and hashed reading and writing: the only place that reads checkpoints or writes results."""

from .atomic import atomic_path, clean_temporary, write_bytes, write_text
from .checkpoints import load_checkpoint, load_weights, save_checkpoint, save_weights
from .checksums import sha256
from .errors import DataError, DiskFullError, MissingFileError
from .images import read_image, write_image
from .interrupt import stop_after_batch
from .paths import safe_path
from .records import append_jsonl, read_json, read_jsonl, write_json

__all__ = [
    "DataError",
    "DiskFullError",
    "MissingFileError",
    "append_jsonl",
    "atomic_path",
    "clean_temporary",
    "load_checkpoint",
    "load_weights",
    "read_image",
    "read_json",
    "read_jsonl",
    "safe_path",
    "save_checkpoint",
    "save_weights",
    "sha256",
    "stop_after_batch",
    "write_bytes",
    "write_image",
    "write_json",
    "write_text",
]
