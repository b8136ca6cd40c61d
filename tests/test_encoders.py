"""Protected encoders: what stays bit-identical, what is trained, and what the saved network needs."""

import builtins
import copy

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import EVERY_TERM, network, power_cut, rows, tiny_fit

from ude.build.networks import trainable
from ude.config import ConfigError, load_config
from ude.engine import StudentWeights
from ude.models import load_model
from ude.models.depth_net import DepthNet
from ude.models.encoders import add_lora, freeze_encoder, without_lora


def images(size=2):
    return torch.rand(size, 3, 32, 64, generator=torch.Generator().manual_seed(0))


def lora(depth_net):
    add_lora(depth_net, rank=4)


def disturbed(depth_net):
    """A network whose additions are not nothing."""
    for name, parameter in depth_net.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return depth_net


@pytest.mark.parametrize("backbone", ["resnet_small", "resnet18", "tiny"])
def test_a_frozen_encoder_keeps_weights_and_statistics_in_training_mode(backbone):
    torch.manual_seed(0)
    depth_net = DepthNet(backbone=backbone, num_scales=1, input_height=64, input_width=64).train()
    before = copy.deepcopy(depth_net.state_dict())
    freeze_encoder(depth_net)
    assert not depth_net.trunk.encoder.training
    assert depth_net.trunk.decoder.training
    depth_net.eval().train()
    encoder, decoder = depth_net.parameter_groups()
    assert encoder == []
    optimizer = torch.optim.SGD(decoder, lr=0.1)
    for _ in range(2):
        depth_net(images()).inverse_depths[0].sum().backward()
        optimizer.step()
    changed = {name for name, value in depth_net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("trunk.encoder.") for name in changed)


def test_additions_begin_as_nothing_and_are_all_that_is_trained_of_the_encoder():
    depth_net = network("tiny").train()
    before = depth_net(images())
    whole = {id(parameter) for parameter in depth_net.trunk.encoder.parameters()}
    lora(depth_net)
    after = depth_net(images())
    assert torch.equal(before.features, after.features)
    assert torch.equal(before.inverse_depths[0], after.inverse_depths[0])
    encoder, decoder = depth_net.parameter_groups()
    assert len(encoder) == 2 * 4 * 4  # two matrices for queries, keys, values and outputs of four blocks
    assert not whole & {id(parameter) for parameter in encoder}
    assert all(parameter.requires_grad for parameter in decoder)


def test_merged_additions_predict_the_same_without_peft(tmp_path, monkeypatch):
    depth_net = network("tiny").eval()
    names = depth_net.state_dict().keys()
    assert without_lora(depth_net) is depth_net
    plain = depth_net(images()).features
    lora(depth_net)
    merged = without_lora(disturbed(depth_net))
    assert merged.state_dict().keys() == names
    with torch.no_grad():
        expected, found = depth_net(images()), merged(images())
    assert (expected.features - plain).abs().max() > 0.1
    torch.testing.assert_close(found.features, expected.features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.inverse_depths[0], expected.inverse_depths[0], rtol=1e-5, atol=1e-6)


def test_a_network_without_attention_takes_no_additions():
    with pytest.raises(ValueError, match="the backbone resnet_small does not have"):
        lora(network("resnet_small"))


def test_a_student_with_additions_and_every_term_resumes_bit_for_bit_and_loads_without_peft(tmp_path, monkeypatch):
    options = {"stage": "student", "backbone": "tiny", "weights": EVERY_TERM, "protect": lora, "max_steps": 5}
    tiny_fit(tmp_path / "whole", **options)
    with pytest.raises(RuntimeError, match="power cut"):
        tiny_fit(tmp_path / "cut", at=3, action=power_cut, **options)
    tiny_fit(tmp_path / "cut", **options)
    one, two = (load_file(tmp_path / name / "depth_net" / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")
    assert {"loss/distillation", "loss/semantic", "loss/features", "loss/ordinal"} <= rows(tmp_path / "whole")[0].keys()
    original = builtins.__import__

    def without_peft(name, *args, **kwargs):
        assert not name.startswith("peft")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    assert not any("lora" in name for name in load_model(DepthNet, tmp_path / "whole" / "depth_net").state_dict())


def test_a_student_with_a_frozen_encoder_trains_the_rest_and_resumes_bit_for_bit(tmp_path):
    weights = StudentWeights(semantic=0.0)
    options = {"stage": "student", "weights": weights, "protect": freeze_encoder, "max_steps": 5}
    tiny_fit(tmp_path / "whole", **options)
    with pytest.raises(RuntimeError, match="power cut"):
        tiny_fit(tmp_path / "cut", at=3, action=power_cut, **options)
    module = tiny_fit(tmp_path / "cut", **options)
    one, two = (load_file(tmp_path / name / "depth_net" / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    teacher = module.frozen.networks["teacher"]
    assert not any(part.training for part in teacher.modules())
    before = network("resnet_small").state_dict()  # statistics of BatchNorm among it
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    start = {
        name: 0.9 * value if "running" not in name else value
        for name, value in network("resnet_small").state_dict().items()
    }
    kept = {name for name, value in one.items() if name.startswith("trunk.encoder.") and value.is_floating_point()}
    assert kept
    assert all(torch.equal(one[name], start[name]) for name in kept)
    assert "lr/encoder" not in rows(tmp_path / "whole")[0]


def test_the_config_chooses_what_is_trained(tmp_path):
    path = tmp_path / "x.yaml"

    def config(backbone, encoder, *more):
        path.write_text(f"MODEL: {{DEPTH: {{BACKBONE: {backbone}, ENCODER: {encoder}}}}}\n")
        return load_config(path, [*more])

    for encoder, trained in (("train", 78), ("frozen", 0), ("lora", 32)):
        frozen = network("tiny").eval().requires_grad_(False)
        depth_net = trainable(config("tiny", encoder, "MODEL.DEPTH.LORA_RANK", "2"), frozen)
        assert depth_net.training
        assert depth_net.trunk.encoder.training == (trained > 0)
        groups = depth_net.parameter_groups()
        assert len(groups[0]) == trained
        assert all(parameter.requires_grad for parameter in groups[1])
    assert groups[0][0].shape[0] == 2
    with pytest.raises(ConfigError, match=r"MODEL\.DEPTH\.ENCODER must be train or frozen with resnet18"):
        config("resnet18", "lora")
    student = ("STAGE", "student", "MODEL.TEACHER", "x", "DATA.TRANSLATED.ROOT", "x")
    with pytest.raises(ConfigError, match=r"LOSS\.SEMANTIC must be 0 with MODEL\.DEPTH\.ENCODER frozen"):
        config("tiny", "frozen", *student)
    config("tiny", "frozen", *student, "LOSS.SEMANTIC", "0")
