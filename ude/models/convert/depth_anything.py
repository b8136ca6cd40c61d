"""Weights of Depth Anything, V1 or V2: encoder and neck of a DINOv2 + DPT network with untrained heads.

Source: https://arxiv.org/abs/2401.10891 (V1), https://arxiv.org/abs/2406.09414 (V2).
"""

from pathlib import Path

from ude.files import DataError
from ude.models.depth_net import DepthNet
from ude.models.dino_weights import load_dino

from .conversion import Conversion

_SUFFIXES = (".safetensors", ".bin", ".json")


def read_depth_anything(source: Path, *, backbone: str, normalisation: str = "") -> Conversion:
    """Encoder and neck of a file or folder; the heads are ours, untrained: the start of a training, not its result.

    Args:
        source: the authors' ``.pth``, a safetensors file, or a folder in the layout of transformers.
        backbone: row of ``BACKBONES`` of the same size that reads the same blocks.
        normalisation: row of ``NORMALISATIONS``; empty for ImageNet's, with which Depth Anything was trained.

    Raises:
        DataError: when the weights are damaged or of another size.
    """
    files = [source] if source.is_file() else sorted(p for p in source.glob("*") if p.suffix in _SUFFIXES)
    if not files:
        raise DataError(f"{source} holds no weights; name a file, or a folder with config.json and model.safetensors")
    network = DepthNet(backbone=backbone, normalisation=normalisation or "imagenet")
    counts = load_dino(network, source)
    if not counts["neck"]:
        raise DataError(f"{source} holds a DINOv2 encoder alone; name it in MODEL.DEPTH.WEIGHTS instead")
    notes = ["the heads are untrained: start a training from it by MODEL.DEPTH.WEIGHTS, do not evaluate it"]
    if source.is_file():
        version = "V1" if backbone.endswith("_last4") else "V2"
        notes.append(f"the file does not say whether it is V1 or V2; {backbone} reads the blocks of {version}")
    tensors = {
        "encoder": counts["encoder"],
        "neck": counts["neck"],
        "relative head and unused layers, dropped": counts["unused"],
        "heads, untrained": counts["fresh"],
    }
    return Conversion(network.eval(), None, tuple(files), tensors, tuple(notes))
