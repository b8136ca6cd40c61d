"""Calls of tools/evaluate_corruptions.py on the tiny world, with untrained networks."""

import json
from dataclasses import replace
from pathlib import Path

import evaluate_corruptions
import pytest
import torch
from tiny_networks import depth_net

from ude.build import corruption_passes
from ude.models.checkpoint import save_model

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"
FEW = ("--corruptions", "contrast", "fog", "gaussian_noise", "--severities", "1", "5", "--split", "val")


def save_runs(root: Path) -> Path:
    """Two run folders with untrained networks of other weights."""
    for name in ("first", "second"):
        network = depth_net()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5 if name == "first" else 3.0)
        save_model(network, root / name / "depth_net")
    return root


def call(root: Path, weights: Path | str, *extra: str) -> int:
    """Exit code of the tool."""
    data = ("DATA.ROOT", str(root), "DATA.SIZE", "[64, 96]")
    return evaluate_corruptions.main(["--cfg", str(CONFIG), "--weights", str(weights), *data, *FEW, *extra])


def error_of(capsys: pytest.CaptureFixture, code: int, root: Path, weights: Path | str, *extra: str) -> str:
    """The error line of a call that has this exit code."""
    capsys.readouterr()
    assert call(root, weights, *extra) == code
    lines = capsys.readouterr().err.strip().splitlines()
    return next(line for line in lines if line.startswith("error: "))


def document(folder: Path) -> dict:
    """The results in a folder."""
    return json.loads((folder / "corruptions.json").read_text())


def count_batches(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The batches that predictors see, with a network or, once `constant` is set, with one depth everywhere."""
    seen = {"batches": 0, "loaded": 0, "stop": None, "constant": False}
    original = corruption_passes.predictor

    def predictor(weights, device):
        seen["loaded"] += 1
        loaded = original(weights, device)

        def predict(images):
            if seen["batches"] == seen["stop"]:
                raise KeyboardInterrupt
            seen["batches"] += 1
            return torch.full_like(images[:, :1], 0.1) if seen["constant"] else loaded.predict(images)

        return replace(loaded, predict=predict)

    monkeypatch.setattr(corruption_passes, "predictor", predictor)
    return seen
