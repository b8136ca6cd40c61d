"""What a result was made from."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from ude.config import config_hash
from ude.files import DataError, read_json, sha256
from ude.files.provenance import provenance

_DATA = (
    *("SOURCE", "ROOT", "VERSION", "RULES", "SPLIT_TRAIN", "CONDITIONS", "MIN_SPEED", "CROP", "SIZE"),
    *("FRAME_OFFSETS", "EXCLUDE", "COLOR_JITTER", "FLIP_PROB", "NOISE_PROB", "SQUARE_CROP", "TRANSLATED"),
)
_MODEL = (
    *("DEPTH", "POSE", "POSE_PRETRAINED", "TEACHER", "DAY_TEACHER", "INIT_FROM_TEACHER", "FOUNDATION"),
    *("SEMANTIC", "ORDINAL"),
)
LEARNED_FROM = (
    *("STAGE", "SEED", "LOSS", "SOLVER", "RUN.PRECISION", "RUN.MAX_STEPS", "RUN.DEVICES"),
    *(f"MODEL.{key}" for key in _MODEL),
    *(f"DATA.{key}" for key in _DATA),
)
"""Keys that change what a training learns."""
_WEIGHTS = (".safetensors", ".bin")


def identity(
    cfg: CfgNode, sections: tuple[str, ...], upstream: list[Path], extra: Sequence[str] = ()
) -> dict[str, Any]:
    """Name, seed, versions, and a ``config_hash`` over the config's sections and the results it builds on.

    Args:
        cfg: the config.
        sections: dotted prefixes of the keys that change the result.
        upstream: JSON files with a ``config_hash`` of the results that this one builds on; absent ones are left out.
        extra: what else it depends on, in words.
    """
    hashes = [config_hash(cfg, sections), *extra]
    for made in (read_json(path) for path in upstream if path.is_file()):
        used = made.get("conditions", {})  # of a folder of translated frames
        hashes += [made["config_hash"], *(used[name] for name in cfg.DATA.TRANSLATED.CONDITIONS if name in used)]
    return {
        "name": cfg.NAME,
        "stage": cfg.STAGE,
        "seed": cfg.SEED,
        "config_hash": hashlib.sha256("-".join(hashes).encode()).hexdigest()[:32],
        "versions": provenance(),
    }


def upstream_runs(cfg: CfgNode, parts: Sequence[str]) -> list[Path]:
    """The `version.json` of the runs that TRANSLATOR.DEPTH_MODEL and other TRANSLATOR keys name; not of hub ids.

    Args:
        cfg: the config.
        parts: keys that name a folder of weights, perhaps in a run of tools/train_translator.py.
    """
    folders = {key: Path(cfg.TRANSLATOR[key]) for key in ("DEPTH_MODEL", *parts) if cfg.TRANSLATOR[key]}
    runs = [path for key, folder in folders.items() for path in (folder, *([folder.parent] if key in parts else []))]
    return [run / "version.json" for run in dict.fromkeys(runs) if run.is_dir() and run != Path()]


def weights_digests(name: str) -> list[str]:
    """SHA-256 of the weights that lie in a local folder itself; none of a hub id and of a run's folder."""
    folder = Path(name)
    files = sorted(file for file in folder.iterdir() if file.suffix in _WEIGHTS) if name and folder.is_dir() else []
    return [sha256(file) for file in files]


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Put the key that names a file or folder in front of the error about it."""
    try:
        yield
    except DataError as error:
        raise type(error)(f"{key}: {error}") from error
