"""Predictors of every kind, recognised from what names them, ready to be evaluated."""

import copy
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from ude.config import ConfigError, yaml_text
from ude.evaluation.predictor import Frame, FramePredictor, Maps, Network, Predictor, frame_maps
from ude.evaluation.saved import SavedPredictions
from ude.models import DepthNet
from ude.models.checkpoint import load_depth_net
from ude.models.convert import FORMATS
from ude.models.depth_anything_file import depth_anything_from_file
from ude.models.foundation import FoundationDepth
from ude.models.normalisation import Normalisation

from .predictor_kinds import kind_of


@dataclass(frozen=True, kw_only=True)
class NamedPredictor:
    """A predictor and what is known of it.

    Attributes:
        name: for tables.
        what: what it was named by.
        kind: what that is, a row of the table below.
        predict: the network, or the predictor of frames.
        metric: it gives inverse depth [1/m]; otherwise inverse depth up to a scale and shift of every frame.
        run: the folder of ours that its results belong into; None for what others made.
        data_size: (height, width) of the images that it was trained on [px]; None where nothing tells.
        source: the DATA.SOURCE of these images; None where nothing tells.
        notes: what a reader of its results should know, one sentence each.
    """

    name: str
    what: str
    kind: str
    predict: Predictor
    metric: bool = True
    run: Path | None = None
    data_size: tuple[int, int] | None = None
    source: str | None = None
    notes: tuple[str, ...] = ()


class ByDaytime(FramePredictor):
    """One network for frames by day, another for those at night.

    Args:
        day: for all other conditions.
        night: for those of night frames.
    """

    def __init__(self, day: Network, night: Network) -> None:
        self.networks = (day, night)

    def of_frames(self, images: Tensor, frames: Sequence[Frame], *, flip: bool) -> list[Maps]:
        """The maps of every frame by the network of its condition."""
        found: dict[int, Maps] = {}
        for night, network in enumerate(self.networks):
            places = [place for place, frame in enumerate(frames) if frame.condition.startswith("night") == bool(night)]
            if places:
                maps = frame_maps(network, images[places], [frames[place] for place in places], flip=flip)
                found |= zip(places, maps, strict=True)
        return [found[place] for place in range(len(frames))]


def device(cfg: CfgNode) -> str:
    """Device name for inference: a GPU where the config allows one, under torchrun that of the process."""
    if cfg.RUN.ACCELERATOR == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ else "cuda"


def predictor(what: str | Path, device: str, *, name: str = "", kind: str = "") -> NamedPredictor:
    """The predictor that a path or hub id names; nothing in files of others is run, and nothing is written.

    Args:
        what: one of ACCEPTED.
        device: where networks are to compute.
        name: for tables; empty for that of the folder, file or hub id.
        kind: what the values of saved predictions are, where their folder does not say it.

    Raises:
        MissingFileError: there is no such thing.
        DataError: it is none of them, or is damaged.
    """
    recognised = kind_of(what)
    options = _LOADERS[recognised](str(what), device) if recognised != "saved" else _saved(str(what), kind)
    return NamedPredictor(name=name or Path(what).stem, what=str(what), kind=recognised, **options)


def _of_run(what: str, device: str) -> dict[str, object]:
    """A network of ours."""
    network = load_depth_net(what)
    return {"predict": _finest(network, device)} | (_of_folder(Path(what)) if Path(what).is_dir() else {})


def _of_foundation(what: str, device: str) -> dict[str, object]:
    """A model of transformers, or one that a run of ours trained further."""
    network = FoundationDepth(what)
    ours = _of_folder(Path(what)) if (Path(what) / "version.json").is_file() else {}
    return {"predict": _inferring(network, device), "metric": network.metric} | ours


def _of_depth_anything(what: str, device: str) -> dict[str, object]:
    """The authors' file of a Depth Anything."""
    network = depth_anything_from_file(Path(what))
    return {"predict": _inferring(network, device), "metric": network.metric}


def _of_monodepth2(what: str, device: str) -> dict[str, object]:
    """The authors' folder; its first note says what its unit is."""
    conversion = FORMATS["monodepth2"](Path(what))
    network = conversion.depth_net
    return {"predict": _finest(network, device), "data_size": network.input_size, "notes": conversion.notes[:1]}


def _of_md4all(what: str, device: str) -> dict[str, object]:
    """A checkpoint, with night frames normalised as it was trained with them."""
    conversion = FORMATS["md4all"](Path(what))
    day = conversion.depth_net
    if not conversion.night_normalisation:
        return {"predict": _finest(day, device), "data_size": day.input_size}
    night = copy.deepcopy(day)
    night.normalise = Normalisation(conversion.night_normalisation)
    note = f"images are normalised by {day.normalise.name}, those at night by {night.normalise.name}, as in training"
    both = ByDaytime(_finest(day, device), _finest(night, device))
    return {"predict": both, "data_size": day.input_size, "notes": (note,)}


def _of_folder(run: Path) -> dict[str, object]:
    """A folder of ours, and what was trained on there, which that of a converted checkpoint does not tell."""
    data: Any = None
    with suppress(ConfigError):  # it only informs: no evaluation stops where it is missing or damaged
        data = yaml_text.read(run / "config.yaml").get("DATA")
    data = data if isinstance(data, dict) else {}
    size, source = data.get("SIZE"), data.get("SOURCE")
    known = isinstance(size, list) and len(size) == 2 and all(isinstance(length, int) for length in size)
    return {
        "run": run,
        "data_size": tuple(size) if known else None,
        "source": source if isinstance(source, str) else None,
    }


def _saved(what: str, kind: str) -> dict[str, object]:
    """A folder of predictions."""
    saved = SavedPredictions(what, kind)
    return {"predict": saved, "metric": saved.metric}


def _finest(network: DepthNet, device: str) -> Network:
    """The finest inverse depth of a network of ours."""
    return _inferring(network, device, lambda output: output.inverse_depths[0])


def _inferring(network: nn.Module, device: str, part: Callable = lambda output: output) -> Network:
    """A part of a network's output, computed on a device without gradients."""
    network = network.to(device).eval()

    @torch.inference_mode()
    def predict(images: Tensor) -> Tensor:
        return part(network(images.to(device)))

    return predict


_LOADERS: dict[str, Callable[[str, str], dict[str, object]]] = {
    "depth_net": _of_run,
    "foundation": _of_foundation,
    "md4all": _of_md4all,
    "monodepth2": _of_monodepth2,
    "depth_anything": _of_depth_anything,
}
"""Kind to what loads it on a device."""
