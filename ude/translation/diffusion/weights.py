"""Weights of the generative translator: loaded safely, or refused in one line that says what to do.

A name is a local folder or a hub id, which may end in `@revision`. Nothing but safetensors and JSON is read, and a
model that comes with code of its own is refused before anything is loaded.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ude.files import DataError, MissingFileError, read_json
from ude.models.checkpoint import misfit

_LIBRARIES = ("diffusers", "transformers", "stable_diffusion", None)  # of the classes in a model_index.json
_REASON = 160  # characters of a library's message that are repeated
_PATIENCE_S = 5  # for a first answer of the hub


class Weights(NamedTuple):
    """Where weights come from: a local folder or a hub id, and the revision on the hub."""

    place: str
    revision: str | None = None


def weights_named(name: str) -> Weights:
    """The place and revision that a config's name means; an existing folder may contain an @."""
    place, at, revision = name.rpartition("@")
    return Weights(place, revision) if at and place and revision and not Path(name).exists() else Weights(name)


def weights_file(name: str, file: str) -> Path:
    """One file of a local folder or of the hub, downloaded if it has to be.

    Args:
        name: local folder or hub id.
        file: path within it.

    Raises:
        MissingFileError: a local folder has no such file.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    place, revision = weights_named(name)
    if not Path(place).exists():
        if not isinstance(try_to_load_from_cache(place, file, revision=revision), str):
            # fails at once, where the download itself would try again for half a minute
            get_hf_file_metadata(hf_hub_url(place, file, revision=revision), timeout=_PATIENCE_S)
        return Path(hf_hub_download(place, file, revision=revision))
    if not (Path(place) / file).is_file():
        raise MissingFileError(f"it has no {file}")
    return Path(place) / file


def safe_file(name: str, file: str) -> Path:
    """`weights_file` of a safetensors file.

    Raises:
        DataError: the file is of another kind, which could run code.
    """
    if not file.endswith(".safetensors"):
        raise DataError(f"{file} is not a safetensors file, and others could run code")
    return weights_file(name, file)


def checked_config(name: str, folder: str = "") -> dict[str, Any]:
    """The config.json of a model, which names no code of its own.

    Raises:
        DataError: the file is missing or unreadable, or asks for code.
    """
    config = read_json(weights_file(name, f"{folder}/config.json" if folder else "config.json"))
    refuse_code(config)
    return config


def checked_index(name: str) -> dict[str, Any]:
    """The model_index.json of a pipeline, all of whose classes are those of diffusers and transformers.

    Raises:
        DataError: the file is missing or unreadable, or asks for code.
    """
    index = read_json(weights_file(name, "model_index.json"))
    refuse_code(index)
    parts = {key: value for key, value in index.items() if isinstance(value, list)}
    foreign = [
        key for key, value in parts.items() if key == "_class_name" or value[:1] not in [[x] for x in _LIBRARIES]
    ]
    if foreign:
        raise DataError(f"its {foreign[0]} is code of its own, which is never run")
    return index


def refuse_code(config: object) -> None:
    """Raises a DataError when a config asks for code that comes with the weights."""
    if not isinstance(config, Mapping):
        raise DataError("its configuration is not a JSON object")
    if "auto_map" in config:
        raise DataError("it asks for code of its own (auto_map), which is never run")


def refuse_code_in(folder: str | Path) -> None:
    """Raises a DataError when a pipeline's folder holds code of its own or configs that ask for it."""
    if (Path(folder) / "pipeline.py").exists():
        raise DataError("it brings code of its own (pipeline.py), which is never run")
    for path in sorted(Path(folder).glob("*/*config.json")):
        refuse_code(read_json(path))


def whole(model_class: type[nn.Module], place: str, **options: Any) -> tuple[nn.Module, list[str]]:
    """A network all of whose tensors come from safetensors files, and the names of tensors there that it has not.

    Diffusers and transformers themselves fill what is missing with random numbers, or leave it without any.

    Args:
        model_class: of diffusers or transformers.
        place: hub id or local folder.
        options: of `from_pretrained`.

    Raises:
        DataError: tensors are missing, or the configuration is that of another class.
    """
    try:
        model, info = model_class.from_pretrained(place, use_safetensors=True, output_loading_info=True, **options)
    except (TypeError, AttributeError) as error:
        raise DataError(f"its config.json does not fit {model_class.__name__} ({error})") from error
    missing, unexpected = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    if missing:
        part = options.get("subfolder") or "it"
        raise DataError(f"{part} is not a whole {model_class.__name__}: {misfit(missing, unexpected, [])}")
    return model, unexpected


@contextmanager
def weights_of(kind: str, name: str) -> Iterator[None]:
    """Turns what loading raises on absent or unfit weights into one line that names them and the remedy.

    Raises:
        DataError: the weights could not be loaded.
    """
    from huggingface_hub.errors import HfHubHTTPError
    from safetensors import SafetensorError

    client = HfHubHTTPError.__bases__  # errors of whichever HTTP client the hub's library uses
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError, DataError, *client) as error:
        raise DataError(f"cannot load the {kind} {name!r}: {_reason(error)}; {remedy(name, error)}") from error


def remedy(name: str, error: Exception | None = None) -> str:
    """What to do when the weights of a hub id or local folder cannot be loaded."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    place, revision = weights_named(name)
    if Path(place).exists() or place.count("/") > 1 or place.startswith((".", "~", "/")):
        return f"put a complete model in the folder {place} (hf download <hub id> --local-dir {place})"
    if isinstance(error, RevisionNotFoundError):
        return f"name another revision behind the @, or none: {place}"
    if isinstance(error, RepositoryNotFoundError):
        return "name another hub id or a local folder that holds the model, or log in (hf auth login)"
    wanted = f"{place} --revision {revision}" if revision else place
    return f"run: hf download {wanted}, or name a local folder that holds the model"


def _reason(error: Exception) -> str:
    """Why weights could not be loaded, in a few words."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, OfflineModeIsEnabled):
        return "it is not on this machine, and HF_HUB_OFFLINE is set"
    if isinstance(error, HfHubHTTPError.__bases__[0]) and not isinstance(error, HfHubHTTPError):
        return f"it is not on this machine, and the hub cannot be reached ({error or 'no answer'})"
    if isinstance(error, RevisionNotFoundError):
        return "the hub has no such revision"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such model, or it is private"
    reason = " ".join(str(error).split()).rstrip(".")
    return reason if len(reason) <= _REASON else reason[: _REASON - 3] + "..."
