"""Weights with missing tensors, or of another class than their config.json says, are one line before any image."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_pipeline import IP_ADAPTER_WEIGHTS, save_tiny_pipeline
from tiny_pipeline_xl import save_tiny_xl

from ude.files import DataError
from ude.translation.diffusion import DiffusionTranslator

UNION = "StableDiffusionXLControlNetUnionPipeline"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    save_tiny_pipeline(root / "sd")
    save_tiny_xl(root / "xl")
    return root


def load(folder, pipeline="StableDiffusionControlNetPipeline", **kwargs):
    names = {"base_model": "base", "control": "control", "ip_adapter": "ip_adapter"} | kwargs
    places = {name: str(folder / place) for name, place in names.items()}
    return DiffusionTranslator(
        **places, pipeline=pipeline, size=(64, 96), ip_adapter_weights=IP_ADAPTER_WEIGHTS, steps=1
    )


def refusal(*args, **kwargs):
    with pytest.raises(DataError) as caught:
        load(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def copy_without(folder, target, part, words):
    """A copy of weights in which the tensors of one part whose names hold some words are missing."""
    shutil.copytree(folder, target)
    for file in (target / part).glob("*.safetensors"):
        state = load_file(file)
        kept = {name: tensor for name, tensor in state.items() if words not in name}
        assert len(kept) < len(state)
        save_file(kept, file, metadata={"format": "pt"})


def renamed(folder, target, name):
    """A copy of a ControlNet whose config.json names another class."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "_class_name": name}))


@pytest.mark.parametrize(
    ("folder", "place", "part", "words", "message"),
    [
        ("sd", "base", "text_encoder", "layers.1.", "base model .*: text_encoder is not a whole CLIPTextModel: 16 mi"),
        ("sd", "base", "unet", "mid_block", "base model .*: unet is not a whole UNet2DConditionModel"),
        ("sd", "base", "vae", "conv_norm_out", "base model .*: vae is not a whole AutoencoderKL: 4 missing"),
        ("xl", "base", "text_encoder_2", "text_projection", "base model .*: text_encoder_2 is not a whole CLIPText"),
        ("sd", "control", ".", "mid_block", "ControlNet .*: it is not a whole ControlNetModel"),
        ("sd", "ip_adapter", "models/image_encoder", "layers.", "IP-Adapter .*: models/image_encoder is not a whole"),
        ("sd", "vae", ".", "conv_norm_out", "autoencoder .*: it is not a whole AutoencoderKL: 4 missing"),
        ("sd", "ip_adapter", "models", "image_proj.norm", "IP-Adapter .*"),
        ("sd", "ip_adapter", "models", "ip_adapter.5.", "IP-Adapter .*"),
    ],
)
def test_missing_tensors_are_neither_random_nor_a_traceback(weights, tmp_path, folder, place, part, words, message):
    source = weights / folder / ("base/vae" if place == "vae" else place)
    copy_without(source, tmp_path / "copy", part, words)
    argument = "base_model" if place == "base" else place
    pipeline = "StableDiffusionXLControlNetPipeline" if folder == "xl" else "StableDiffusionControlNetPipeline"
    found = refusal(weights / folder, pipeline, **{argument: tmp_path / "copy"})
    assert re.match(f"cannot load the {message}", found)
    assert "put a complete model in the folder" in found


def test_a_union_that_calls_itself_a_plain_controlnet_is_the_same_union(weights, tmp_path):
    renamed(weights / "xl/union", tmp_path / "union", "ControlNetModel")  # as xinsir/controlnet-union-sdxl-1.0
    found, expected = (load(weights / "xl", UNION, control=place) for place in (tmp_path / "union", "union"))
    first, second = (translator.pipeline.controlnet for translator in (found, expected))
    assert type(first) is type(second)
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize("name", ["ControlNetModel", "ControlNetUnionModel"])
@pytest.mark.parametrize("folder", ["xl", "sd"])
def test_a_plain_controlnet_is_no_union_whatever_it_calls_itself(weights, tmp_path, folder, name):
    renamed(weights / folder / "control", tmp_path / "control", name)
    message = refusal(weights / "xl", UNION, control=tmp_path / "control")
    assert "ControlNetUnionModel" in message


@pytest.mark.parametrize("name", ["ControlNetModel", "ControlNetUnionModel"])
def test_a_union_is_no_plain_controlnet_whatever_it_calls_itself(weights, tmp_path, name):
    renamed(weights / "xl/union", tmp_path / "union", name)
    message = refusal(weights / "xl", "StableDiffusionXLControlNetPipeline", control=tmp_path / "union")
    assert "it is a ControlNetUnionModel, not a ControlNetModel" in message
