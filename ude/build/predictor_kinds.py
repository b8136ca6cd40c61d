"""What a path or hub id names: which kind of predictor, and the files that tell it from others."""

import hashlib
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from ude.evaluation.prediction_files import DESCRIPTION, SUFFIXES
from ude.files import DataError, MissingFileError, read_json, sha256
from ude.files.paths import looks_like_hub_id

ACCEPTED = (
    "a run folder of tools/train.py or tools/convert.py, a hub id or folder of a depth network of ude or of "
    "transformers, a .ckpt file of md4all, a folder of monodepth2 (encoder.pth and depth.pth), a .pth or .safetensors "
    "file of Depth Anything, or a folder of saved predictions"
)
_WEIGHTS = (".pth", ".pt", ".bin", ".safetensors")


def kind_of(what: str | Path) -> str:
    """What a path or hub id names: a row of the table of loaders, or "saved".

    Raises:
        MissingFileError: there is no such thing.
        DataError: it is none of them.
    """
    path = Path(what)
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix == ".ckpt" and (path.parent.parent / "version.json").is_file():
        raise DataError(f"{path} is a state of a training; name its run folder: {path.parent.parent}")
    if path.suffix == ".ckpt" and path.is_file():
        return "md4all"
    if path.suffix in _WEIGHTS and path.is_file():
        return "depth_anything"
    if not path.exists() and looks_like_hub_id(what):
        from ude.models.checkpoint import hub_config

        return "foundation" if "model_type" in hub_config(str(what)) else "depth_net"
    if path.exists():
        raise DataError(f"no trained model in {what}; name {ACCEPTED}")
    near = get_close_matches(path.name, _names(path.parent), n=1)
    hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
    raise MissingFileError(f"no trained model in {what}; name {ACCEPTED}{hint}")


def weights_hash(what: str | Path) -> str:
    """What tells one predictor from another: a hash of the files that it is loaded from, or a hub id."""
    found = [sha256(file) for file in _files(Path(what), kind_of(what))]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:32] if found else str(what)


def _kind_of_folder(folder: Path) -> str:
    """What a folder holds, the surest signs first."""
    if (folder / DESCRIPTION).is_file():
        return "saved"
    if (folder / "depth_net").is_dir():
        return "depth_net"
    from ude.models.foundation import find_foundation  # torch, which mistakes need not wait for

    if find_foundation(folder):
        return "foundation"
    if (folder / "config.json").is_file():
        return "foundation" if "model_type" in read_json(folder / "config.json") else "depth_net"
    if (folder / "encoder.pth").is_file() or (folder / "depth.pth").is_file():
        return "monodepth2"
    if (folder / "version.json").is_file():
        raise MissingFileError(
            f"no trained model in {folder}: this run is not finished; run: python tools/train.py --cfg ... --resume"
        )
    if any(path.suffix in SUFFIXES for path in folder.iterdir()):
        return "saved"
    inside = _names(folder, lambda path: any((path / name).exists() for name in (DESCRIPTION, "depth_net")))
    hint = f"; it holds {', '.join(inside)}: name {folder / inside[0]}" if inside else ""
    raise MissingFileError(f"no trained model in {folder}{hint or f'; name {ACCEPTED}'}")


def _names(folder: Path, chosen: Callable[[Path], bool] = Path.exists) -> list[str]:
    """Names in a folder, sorted; none where there is no such folder."""
    return sorted(path.name for path in folder.iterdir() if chosen(path)) if folder.is_dir() else []


def _files(path: Path, kind: str) -> list[Path]:
    """The files that a predictor is loaded from, or that stand for them; none for a hub id."""
    if path.is_file():
        return [path]
    if kind == "depth_net":
        path = path if (path / "config.json").is_file() else path / "depth_net"
    if kind == "foundation":
        from ude.models.foundation import find_foundation

        path = Path(find_foundation(path) or path)
    names = {
        "depth_net": ("config.json", "model.safetensors"),
        "foundation": ("config.json", "preprocessor_config.json", "*.safetensors", "*.bin"),
        "monodepth2": ("encoder.pth", "depth.pth"),
        "saved": (DESCRIPTION,),
    }
    return [file for name in names[kind] for file in sorted(path.glob(name))]
