"""Foundation depth models: where their maps lie in the image, which way they point, and what they refuse."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from tiny_foundation import MODELS, lively, save_depth_anything
from tiny_networks import tiny_depth_anything
from torch import nn
from transformers import DPTImageProcessor
from transformers import logging as transformers_logging

from ude.files import DataError
from ude.models.foundation import FoundationDepth

SIZE = (64, 112)
transformers_logging.disable_progress_bar()


def blob(size, row, column):
    """Images (1, 3, H, W) with a bright spot at a place given as shares of the height and the width."""
    y = (torch.arange(size[0]).float()[:, None] + 0.5) / size[0] - row
    x = (torch.arange(size[1]).float()[None] + 0.5) / size[1] - column
    return torch.exp(-(y**2 + x**2) / 0.005).expand(1, 3, -1, -1)


def centre(weights):
    """Where the weights (H, W) lie on average, as shares of the height and the width."""
    height, width = weights.shape
    rows, columns = (torch.arange(side).float() + 0.5 for side in (height, width))
    total = weights.sum()
    return float((weights.sum(1) @ rows) / total / height), float((weights.sum(0) @ columns) / total / width)


class Brightness(nn.Module):
    """Stands for a network of patches that finds depth or inverse depth in the brightness, and drops what is left."""

    def __init__(self, config, patch):
        super().__init__()
        self.config, self.patch, self.seen = config, patch, None

    def forward(self, pixels):
        self.seen = pixels.shape[-2:]
        height, width = (side // self.patch * self.patch for side in self.seen)
        bright = pixels[..., :height, :width].mean(1)
        bright = bright - bright.amin((1, 2), keepdim=True)
        near = 0.1 + bright
        metric = self.config.model_type == "zoedepth"
        return SimpleNamespace(predicted_depth=1 / near if metric else near)


@pytest.mark.parametrize(
    ("kind", "patch", "processor"),
    [
        ("depth_anything", 14, {}),
        ("depth_anything", 14, {"ensure_multiple_of": 1}),  # 70 x 122.5 px: a rest of 10 columns
        ("depth_anything", 14, {"size": {"height": 79, "width": 79}, "ensure_multiple_of": 1}),
        ("dpt", 16, {}),
        ("dpt", 16, {"keep_aspect_ratio": True}),
        ("zoedepth", 16, {}),
        ("zoedepth", 16, {"do_pad": False}),
    ],
)
@pytest.mark.parametrize(("row", "column"), [(0.3, 0.3), (0.7, 0.8)])
def test_a_near_object_lies_where_the_image_shows_it(tmp_path, kind, patch, processor, row, column):
    MODELS[kind](tmp_path, **processor)
    network = FoundationDepth(tmp_path)
    network.model = Brightness(network.model.config, patch)
    found = network(blob(SIZE, row, column))[0, 0]
    assert all(side % patch == 0 for side in network.model.seen)
    assert centre((found - found.min()).clamp(min=0.3) - 0.3) == pytest.approx((row, column), abs=0.012)


@pytest.mark.parametrize("kind", MODELS)
def test_images_of_any_shape_get_maps_of_their_size(tmp_path, kind):
    torch.manual_seed(0)
    MODELS[kind](tmp_path)
    network = FoundationDepth(tmp_path)
    for size in (SIZE, (112, 64), (65, 97), (80, 80)):
        found = network(torch.rand(2, 3, *size))
        assert found.shape == (2, 1, *size)
        assert torch.isfinite(found).all()
        assert (found >= 0).all()
    assert float(found.std()) > 0


@pytest.mark.parametrize("kind", MODELS)
def test_a_map_does_not_depend_on_the_other_images(tmp_path, kind):
    torch.manual_seed(0)
    MODELS[kind](tmp_path)
    network = FoundationDepth(tmp_path)
    images = F.interpolate(torch.rand(3, 3, 4, 6), SIZE, mode="bilinear")
    together = network(images)
    for i in range(3):
        assert torch.allclose(together[i], network(images[i : i + 1])[0], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(together[0], together[1], rtol=1e-3)


def test_every_column_of_the_image_reaches_depth_anything_whatever_its_processor(tmp_path):
    save_depth_anything(tmp_path, size={"height": 83, "width": 83}, ensure_multiple_of=1)
    network = FoundationDepth(tmp_path)
    images = torch.rand(1, 3, 83, 83, generator=torch.Generator().manual_seed(0))
    changed = images.clone()
    changed[..., -8:] = 0  # 83 = 5 * 14 + 13: the stock model would not see these
    assert not torch.allclose(network(images), network(changed))


@pytest.mark.parametrize(("kind", "near_is_large"), [("depth_anything", True), ("zoedepth", False)])
def test_metric_models_are_inverted_and_relative_ones_are_not(tmp_path, kind, near_is_large):
    MODELS[kind](tmp_path)
    network = FoundationDepth(tmp_path)

    class Steps(nn.Module):
        config = network.model.config

        def forward(self, pixels):
            return SimpleNamespace(predicted_depth=torch.linspace(2, 80, pixels.shape[-1]).expand_as(pixels[:, 0]))

    network.model = Steps()
    row = network(torch.rand(1, 3, *SIZE))[0, 0, SIZE[0] // 2]
    assert (float(row[-1]) > float(row[0])) is near_is_large
    assert float(row.max()) <= 80
    assert not near_is_large or float(row.max()) > 70
    assert near_is_large or 0.01 < float(row.max()) < 1  # no spikes where a filter overshoots


def test_weights_in_half_precision_are_computed_with_in_full(tmp_path):
    lively(tiny_depth_anything()).half().save_pretrained(tmp_path)
    DPTImageProcessor(size={"height": 70, "width": 70}, ensure_multiple_of=14).save_pretrained(tmp_path)
    network = FoundationDepth(tmp_path)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert network(torch.rand(1, 3, *SIZE)).dtype == torch.float32


def test_code_in_a_models_folder_is_never_run(tmp_path):
    save_depth_anything(tmp_path)
    ran = tmp_path / "ran"
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    changes = {"model_type": "own", "auto_map": {"AutoConfig": "evil.E", "AutoModelForDepthEstimation": "evil.E"}}
    path.write_text(json.dumps(config | changes))
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\nclass E:\n    pass\n")
    with pytest.raises(DataError, match=r"cannot be loaded: [^\n]*$"):
        FoundationDepth(tmp_path)
    assert not ran.exists()
