"""Where networks are stored and found again: model folders and hub ids."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from ude.files import DataError, MissingFileError, load_weights, read_json, save_weights, write_json, write_text
from ude.files.paths import looks_like_hub_id

from .depth_net import DepthNet

Model = TypeVar("Model", bound=nn.Module)

NEVER_READ = re.compile(r"(^|\.)(mask_token$|num_batches_tracked$|fusion_stage\.layers\.0\.residual_layer1\.)")
"""What publishers leave out: the token of masked training, counters, and a layer of DPT's neck that never runs."""

_CARD = """---
library_name: ude
tags: [depth-estimation]
---
# {name}

A `{name}` {origin}. Load it with `ude.models.load_model({name}, folder)` or `{name}.from_pretrained(folder)`.
"""


def save_model(model: nn.Module, folder: Path, *, origin: str = "trained with `ude`") -> None:
    """Write constructor arguments, weights (safetensors, hashed) and a short card with their origin into a folder."""
    write_json(folder / "config.json", model._hub_mixin_config)
    save_weights(folder / "model.safetensors", model.state_dict())
    write_text(folder / "README.md", _CARD.format(name=type(model).__name__, origin=origin))


def load_model(model_class: type[Model], folder: str | Path) -> Model:
    """A model from a folder that :func:`save_model` wrote, in evaluation mode.

    Raises:
        MissingFileError: when the folder has no model.
        DataError: when the weights do not fit the class or are damaged.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise MissingFileError(f"no trained model in {folder}; run: python tools/train.py --cfg ... first")
    model = model_class(**read_json(folder / "config.json"))
    place = f"{folder}/model.safetensors"
    load_exactly(model, load_weights(place), place)
    return model.eval()


def load_exactly(model: nn.Module, state: Mapping[str, Tensor], place: str | Path) -> None:
    """Load a state that must have all tensors of a model, no others, and their shapes.

    Raises:
        DataError: with counts and first names, when it has not.
    """
    own = model.state_dict()
    missing, unexpected = [*(own.keys() - state.keys())], [*(state.keys() - own.keys())]
    misshapen = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if missing or unexpected or misshapen:
        raise DataError(
            f"{place} does not fit {type(model).__name__}: {misfit(missing, unexpected, misshapen)}; was it written "
            "by another version?"
        )
    model.load_state_dict(state)


def misfit(missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str]) -> str:
    """Counts of what does not fit, and the first names of each."""
    counts = f"{len(missing)} missing, {len(unexpected)} unexpected and {len(misshapen)} misshapen tensors"
    kinds = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    examples = [f"{kind} {', '.join(sorted(names)[:3])}" for kind, names in kinds.items() if names]
    return f"{counts} ({'; '.join(examples)})"


def load_depth_net(run: str | Path) -> DepthNet:
    """The depth network of a run folder, of its ``depth_net`` folder, or of a hub id.

    Raises:
        MissingFileError: when the folder holds none.
        DataError: when there is no such folder, and no such model that can be loaded from the hub.
    """
    folder = Path(run)
    if looks_like_hub_id(run):
        return from_hub(DepthNet, str(run), strict=True).eval()
    return load_model(DepthNet, folder if (folder / "config.json").is_file() else folder / "depth_net")


def hub_config(name: str) -> dict[str, Any]:
    """The config.json of a hub id; that of a model of transformers has a ``model_type``.

    Raises:
        DataError: in one line, when it is neither cached nor reachable.
    """
    from huggingface_hub import hf_hub_download

    with _loading(name):
        return read_json(hf_hub_download(name, "config.json"))


def from_hub(model_class: type[Model], name: str, **kwargs: object) -> Model:
    """``model_class.from_pretrained(name)`` of a hub id or local folder.

    Raises:
        DataError: in one line, when it is neither on disk, cached nor reachable, or is damaged.
    """
    with _loading(name):
        return model_class.from_pretrained(name, **kwargs)


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Turns what the hub and its libraries raise about a name into one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if Path(name).is_dir():
            raise DataError(
                f"{name} cannot be loaded: {reason}; the folder is incomplete or damaged: write or download it again"
            ) from error
        if name.startswith(("/", ".", "~")):
            raise DataError(f"{name} cannot be loaded: no such folder; correct the path, or name a hub id") from error
        again = " --force-download" if isinstance(error, SafetensorError) else ""
        raise DataError(
            f"{name} cannot be loaded: it is no folder here, and the hub gave: {reason}; name a local folder, or "
            f"download it first: hf download {name}{again}"
        ) from error


def whole_from_hub(model_class: type[Model], name: str) -> Model:
    """A model of transformers, all of whose tensors come from a hub id or local folder.

    Transformers itself fills what is missing with random numbers and goes on.

    Raises:
        DataError: in one line, when it cannot be loaded, or when tensors are missing or of another shape.
    """
    model, info = from_hub(model_class, name, output_loading_info=True, ignore_mismatched_sizes=True)
    missing = [key for key in info["missing_keys"] if not NEVER_READ.search(key)]
    misshapen = [key for key, *_ in info["mismatched_keys"] if not NEVER_READ.search(key)]
    if missing or misshapen:
        raise DataError(
            f"{name} does not fit {type(model).__name__}: {misfit(missing, [*info['unexpected_keys']], misshapen)}; "
            "download it again, or name another model"
        )
    return model
