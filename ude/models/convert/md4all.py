"""Checkpoints of md4all: a ResNet depth network with the configuration that it was trained with.

Source: https://github.com/md4all/md4all, its file layout and formulas; none of its code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ude.files import DataError, load_foreign
from ude.models.depth_net import DepthNet
from ude.models.normalisation import NORMALISATIONS

from .conversion import Conversion, load_renamed, with_prefix, without_classifier
from .resnet_names import depth_names, resnet_name

_DEPTH, _POSE, _TEACHER = "depth_model.", "pose_model.", "loss.supervised_loss.teacher_net."
_ENCODER, _DECODER = "depth_model.encoder.encoder.", "depth_model.decoder.decoder."
_NO_POSE = (
    "the pose network was not converted: it sees the target first and gives Euler angles, ours sees the earlier frame "
    "first and gives a rotation vector"
)


def read_md4all(file: Path, *, normalisation: str = "") -> Conversion:
    """The depth network of a checkpoint, with depth range, input size and normalisation from its configuration.

    Args:
        file: checkpoint of Lightning, of the baseline or of the distilled network with its teacher.
        normalisation: row of ``NORMALISATIONS``; empty for the one of the configuration, by day.

    Raises:
        DataError: the file is damaged, or not of this layout.
    """
    checkpoint = load_foreign(file)
    state, hyper_parameters = checkpoint.get("state_dict"), checkpoint.get("hyper_parameters")
    if not isinstance(state, dict) or not isinstance(hyper_parameters, dict):
        raise DataError(f"{file} has no state_dict and hyper_parameters; use a checkpoint of md4all")
    cfg = hyper_parameters.get("cfg", {})
    notes, night = [_NO_POSE], ""
    if not normalisation:
        normalisation, night = _normalisation(cfg, file)
    if night:
        notes.append(
            "md4all normalises night frames by other statistics than day frames; this run normalises all by "
            f"{normalisation}: for its results at night convert once more with --normalisation {night}"
        )
    depth_net = DepthNet(
        backbone=resnet_name(state, _ENCODER),
        min_depth=float(_value(cfg, "MODEL.DEPTH.MIN_DEPTH", file)),
        max_depth=float(_value(cfg, "MODEL.DEPTH.MAX_DEPTH", file)),
        input_height=int(_value(cfg, "DATASET.AUGMENTATION.RESIZE.HEIGHT", file)),
        input_width=int(_value(cfg, "DATASET.AUGMENTATION.RESIZE.WIDTH", file)),
        normalisation=normalisation,
    )
    dropped = {"pose network, dropped": with_prefix(state, _POSE), "teacher, dropped": with_prefix(state, _TEACHER)}
    rest = {name: tensor for name, tensor in state.items() if not name.startswith((_POSE, _TEACHER))}
    wanted = without_classifier(rest)
    load_renamed(depth_net, wanted, depth_names(depth_net, _ENCODER, _DECODER), file)
    tensors = {"depth_net": len(wanted), "classifier, dropped": len(rest) - len(wanted)}
    tensors |= {fate: len(part) for fate, part in dropped.items()}
    return Conversion(depth_net.eval(), None, (file,), tensors, tuple(notes), night)


def _normalisation(cfg: Mapping[str, Any], file: Path) -> tuple[str, str]:
    """Row of the normalisation in a configuration, and that of night frames if they have their own."""
    mode = _value(cfg, "DATASET.AUGMENTATION.NORMALIZE.MODE", file)
    choice = f"choose one of {', '.join(NORMALISATIONS)} by --normalisation of tools/convert.py"
    section = {"Dataset": "DATASET", "Daytime": "DAYTIME.DAY"}.get(mode)
    if section is None:
        raise DataError(f"{file} normalises each batch by its own statistics (mode {mode}), which we do not; {choice}")
    statistics = [_value(cfg, f"DATASET.AUGMENTATION.NORMALIZE.{section}.{key}", file) for key in ("MEAN", "STD")]
    rows = [name for name, (mean, std) in NORMALISATIONS.items() if [*mean, *std] == statistics]
    if not rows:
        raise DataError(f"{file} normalises by mean {statistics[0]} and deviation {statistics[1]}; {choice}")
    return rows[0], "" if mode == "Dataset" else rows[0].replace("day", "night")


def _value(cfg: Mapping[str, Any], key: str, file: Path) -> Any:
    """A value of the configuration by its dotted key."""
    value: Any = cfg
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            raise DataError(f"{file} lacks {key} in its configuration; use a checkpoint of md4all")
        value = value[part]
    return value
