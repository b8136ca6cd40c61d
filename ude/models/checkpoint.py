"""Where weights come from and where they go: model folders, hub encoders, ImageNet."""

from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from ude.files import DataError, MissingFileError, load_weights, read_json, save_weights, write_json, write_text

from .depth_net import BACKBONES, DepthNet
from .dino_dpt import DinoDptSize

Model = TypeVar("Model", bound=nn.Module)

_CARD = """---
library_name: ude
tags: [depth-estimation]
---
# {name}

A `{name}` trained with `ude`. Load it with `ude.models.load_model({name}, folder)` or `{name}.from_pretrained(folder)`.
"""


def save_model(model: nn.Module, folder: Path) -> None:
    """Write constructor arguments, weights (safetensors, hashed) and a short card into a folder."""
    write_json(folder / "config.json", model._hub_mixin_config)
    save_weights(folder / "model.safetensors", model.state_dict())
    write_text(folder / "README.md", _CARD.format(name=type(model).__name__))


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
    state, own = load_weights(folder / "model.safetensors"), model.state_dict()
    missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
    misshapen = [name for name in own.keys() & state.keys() if own[name].shape != state[name].shape]
    if missing or unexpected or misshapen:
        raise DataError(
            f"{folder}/model.safetensors does not fit {model_class.__name__}: {len(missing)} missing, "
            f"{len(unexpected)} unexpected and {len(misshapen)} misshapen tensors; was it written by another version?"
        )
    model.load_state_dict(state)
    return model.eval()


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


def looks_like_hub_id(name: str | Path) -> bool:
    """Whether a name is of the form ``owner/model`` and neither it nor its parent is a folder here."""
    path = Path(name)
    return str(name).count("/") == 1 and not path.is_absolute() and not path.is_dir() and not path.parent.is_dir()


def load_pretrained_encoder(depth_net: DepthNet) -> None:
    """Start the encoder of a depth network from the DINOv2 weights of its row in ``BACKBONES``.

    Raises:
        DataError: when the row has no weights, or they are neither cached nor reachable.
    """
    from transformers import Dinov2Backbone

    size = BACKBONES[depth_net.backbone]
    if not isinstance(size, DinoDptSize) or not size.hub_id:
        raise DataError(f"backbone {depth_net.backbone} has no pretrained weights; set MODEL.DEPTH.PRETRAINED False")
    encoder = depth_net.trunk.encoder
    pretrained = from_hub(Dinov2Backbone, size.hub_id, config=encoder.config)
    encoder.load_state_dict(pretrained.state_dict())


def imagenet_resnet18() -> dict[str, Tensor]:
    """ImageNet weights of torchvision's ResNet-18.

    Raises:
        DataError: when they are neither cached nor reachable.
    """
    import torchvision

    try:
        return torchvision.models.ResNet18_Weights.DEFAULT.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise DataError(
            f"ImageNet weights of resnet18 cannot be had ({error}); set MODEL.POSE_PRETRAINED False, or put the file "
            "into the torch hub cache"
        ) from error


def from_hub(model_class: type[Model], name: str, **kwargs: object) -> Model:
    """``model_class.from_pretrained(name)`` of a hub id or local folder.

    Raises:
        DataError: in one line, when it is neither on disk, cached nor reachable.
    """
    try:
        return model_class.from_pretrained(name, **kwargs)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{name} cannot be loaded: it is no folder here, and the hub gave: {reason}; name a local folder, or "
            f"download it first: hf download {name}"
        ) from error
