"""Calls of the evaluation tools on the tiny world, with untrained networks."""

import csv
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_networks import depth_net

from ude.models.checkpoint import save_model

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"


def save_runs(root: Path, *names: str) -> Path:
    """Run folders with untrained networks of different weights."""
    for number, name in enumerate(names):
        network = depth_net()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5 + number)
        save_model(network, root / name / "depth_net")
    return root


def words(root: Path, output: Path, *extra: object) -> list[str]:
    """Arguments of a tool on the tiny world, except for --weights."""
    data = ("DATA.ROOT", root, "DATA.SIZE", "[64, 96]", "EVAL.BATCH_SIZE", 3, "OUTPUT_DIR", output)
    return [str(word) for word in ("--cfg", CONFIG, *extra, *data)]


def error_of(capsys: pytest.CaptureFixture, tool: ModuleType, code: int, args: list[str]) -> str:
    """The one line of a call that must end with this exit code."""
    capsys.readouterr()
    assert tool.main(args) == code
    captured = capsys.readouterr()
    lines = [line for line in captured.err.strip().splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


def document(path: Path) -> dict:
    """A JSON file, which must hold no NaN."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def means(folder: Path) -> dict:
    """Metrics by row of the results in a folder."""
    return document(folder / "metrics.json")["conditions"]


def per_frame(folder: Path) -> list[dict[str, str]]:
    """The lines of per_frame.csv."""
    with (folder / "per_frame.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
