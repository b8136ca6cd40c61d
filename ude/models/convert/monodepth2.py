"""Weights of monodepth2: a folder with encoder, depth decoder and, without stereo, pose network.

Source: https://github.com/nianticlabs/monodepth2, its file layout and formulas; none of its code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ude.files import DataError, MissingFileError, load_foreign
from ude.models.depth_net import DepthNet
from ude.models.pose_net import ROTATION_SCALE, TRANSLATION_SCALE, PoseNet

from .conversion import Conversion, load_renamed, with_prefix, without_classifier
from .resnet_names import depth_names, resnet_name

_MIN_DEPTH, _MAX_DEPTH = 0.1, 100.0
_POSE_SCALE = 0.01
"""Factor of all outputs of the pose network."""
_MONO = "depths have no metric scale: judge them median-scaled"
_STEREO = "depths are in units of ten stereo baselines: on KITTI, times 5.4 they are metres"


def read_monodepth2(folder: Path, *, normalisation: str = "") -> Conversion:
    """The networks of a folder with ``encoder.pth``, ``depth.pth`` and perhaps ``pose_encoder.pth``, ``pose.pth``.

    Args:
        folder: the folder.
        normalisation: row of ``NORMALISATIONS``; empty for monodepth2's own.

    Raises:
        MissingFileError: a file is missing.
        DataError: a file is damaged or not of this layout.
    """
    files = [folder / "encoder.pth", folder / "depth.pth"]
    entries = load_foreign(files[0]) | load_foreign(files[1])
    size = _training_size(entries, files[0])
    state = {name: entry for name, entry in entries.items() if isinstance(entry, Tensor)}
    depth_net = DepthNet(
        backbone=resnet_name(state, "encoder."),
        min_depth=_MIN_DEPTH,
        max_depth=_MAX_DEPTH,
        input_height=size[0],
        input_width=size[1],
        normalisation=normalisation or "monodepth2",
    )
    wanted = without_classifier(state)
    load_renamed(depth_net, wanted, depth_names(depth_net, "encoder.", "decoder."), folder)
    tensors = {"depth_net": len(wanted), "classifier, dropped": len(state) - len(wanted)}
    notes = [_STEREO if entries.get("use_stereo") else _MONO]
    pose_files = [folder / "pose_encoder.pth", folder / "pose.pth"]
    if not any(path.exists() for path in pose_files):
        return Conversion(depth_net.eval(), None, tuple(files), tensors, (*notes, "the folder has no pose network"))
    pose_net, pose_tensors = _pose_net(*pose_files)
    return Conversion(depth_net.eval(), pose_net, (*files, *pose_files), tensors | pose_tensors, tuple(notes))


def _training_size(entries: Mapping[str, Any], file: Path) -> tuple[int, int]:
    try:
        return int(entries["height"]), int(entries["width"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{file} does not say the height and width it was trained with; use the original") from None


def _pose_net(encoder_file: Path, decoder_file: Path) -> tuple[PoseNet, dict[str, int]]:
    """The pose network, its last layer scaled so that our factors give the same motion."""
    for path in (encoder_file, decoder_file):
        if not path.is_file():
            raise MissingFileError(f"there is no {path}, only the other half of the pose network; restore it")
    state = {**load_foreign(encoder_file), **load_foreign(decoder_file)}
    network = PoseNet(encoder=resnet_name(state, "encoder."))
    names = {name: _pose_name(name) for name in network.state_dict()}
    wanted = without_classifier(state)
    tensors = {"pose_net": len(wanted), "pose classifier, dropped": len(state) - len(wanted)}
    factors = torch.tensor(3 * [_POSE_SCALE / ROTATION_SCALE] + 3 * [_POSE_SCALE / TRANSLATION_SCALE])
    for name in with_prefix(wanted, "net.3."):
        if len(wanted[name]) in (6, 12):  # one or two motions, of which monodepth2 uses the first
            wanted[name] = wanted[name][:6] * factors.view(6, *[1] * (wanted[name].ndim - 1))
    load_renamed(network, wanted, names, encoder_file.parent)
    return network.eval(), tensors


def _pose_name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part == "encoder":
        return name
    layer, kind = rest.split(".")
    return f"net.{int(layer) // 2}.{kind}"
