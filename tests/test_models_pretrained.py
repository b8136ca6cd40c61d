"""Published weights as a start: DINOv2, Depth Anything V1 and V2 and ImageNet, from folders and files, offline."""

import re
from urllib.error import URLError

import convert as tool
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_networks import depth_net, tiny_depth_anything, tiny_dinov2
from transformers import DepthAnythingConfig, Dinov2Backbone, Dinov2Config, DPTConfig

from ude.files import DataError
from ude.models import DepthNet, PoseNet
from ude.models.checkpoint import load_depth_net
from ude.models.pretrained import imagenet_resnet, load_pretrained

# the authors' names of the neck, by what transformers calls them
NECK = {
    "neck.reassemble_stage.layers.{}.projection": "depth_head.projects.{}",
    "neck.reassemble_stage.layers.{}.resize": "depth_head.resize_layers.{}",
    "neck.convs.0": "depth_head.scratch.layer1_rn",
    "neck.convs.1": "depth_head.scratch.layer2_rn",
    "neck.convs.2": "depth_head.scratch.layer3_rn",
    "neck.convs.3": "depth_head.scratch.layer4_rn",
    "head.conv1": "depth_head.scratch.output_conv1",
    "head.conv2": "depth_head.scratch.output_conv2.0",
    "head.conv3": "depth_head.scratch.output_conv2.2",
}


def authors_encoder(backbone, blocks=4):
    """The tensors of a DINOv2 by the names in the authors' files."""
    theirs = backbone.state_dict()
    state = {
        "cls_token": theirs["embeddings.cls_token"],
        "pos_embed": theirs["embeddings.position_embeddings"],
        "mask_token": torch.zeros(1, 16),
        "patch_embed.proj.weight": theirs["embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": theirs["embeddings.patch_embeddings.projection.bias"],
        "norm.weight": theirs["layernorm.weight"],
        "norm.bias": theirs["layernorm.bias"],
    }
    for block in range(blocks):
        own, name = f"blocks.{block}", f"encoder.layer.{block}"
        state |= {f"{own}.ls{i}.gamma": theirs[f"{name}.layer_scale{i}.lambda1"] for i in (1, 2)}
        for kind in ("weight", "bias"):
            parts = [theirs[f"{name}.attention.{part}_proj.{kind}"] for part in "qkv"]
            state[f"{own}.attn.qkv.{kind}"] = torch.cat(parts)
            state[f"{own}.attn.proj.{kind}"] = theirs[f"{name}.attention.o_proj.{kind}"]
            for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                state[f"{own}.{part}.{kind}"] = theirs[f"{name}.{part}.{kind}"]
    return state


def authors_depth_anything(model):
    """The tensors of a Depth Anything by the names in the authors' files."""
    state = {f"pretrained.{name}": tensor for name, tensor in authors_encoder(model.backbone).items()}
    for name, tensor in model.state_dict().items():
        module, _, kind = name.rpartition(".")
        if fusion := re.fullmatch(r"neck\.fusion_stage\.layers\.(\d)\.(.*)", module):
            part = fusion[2].replace("projection", "out_conv").replace("residual_layer", "resConfUnit")
            part = part.replace("convolution", "conv")
            state[f"depth_head.scratch.refinenet{4 - int(fusion[1])}.{part}.{kind}"] = tensor
        elif not name.startswith("backbone."):
            number = re.search(r"layers\.(\d)\.", name)
            pattern = module.replace(f"layers.{number[1]}.", "layers.{}.") if number else module
            state[f"{NECK[pattern].format(*number.groups() if number else ())}.{kind}"] = tensor
    return state


def randomised(model):
    """A model whose every tensor is random: those that start at 0 or 1 would agree anyway."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def assert_trunk_is_that_of(network, model):
    """The trunk computes what the encoder and neck of a Depth Anything compute."""
    images = torch.rand(1, 3, 70, 98)
    with torch.no_grad():
        maps, _ = network.trunk(images)
        tokens = model.backbone(images).feature_maps
        expected = model.neck(list(tokens), 5, 7)[::-1]
    assert len(maps) == len(expected) == 4
    for ours, theirs in zip(maps, expected, strict=True):
        assert theirs.std() > 0.01
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


@pytest.fixture
def depth_anything():
    """A tiny Depth Anything of random weights."""
    return randomised(tiny_depth_anything())


def test_depth_anything_of_transformers_becomes_encoder_and_neck(depth_anything, tmp_path):
    depth_anything.save_pretrained(tmp_path)
    # the files on the hub have these names, whatever transformers calls its modules today
    assert any("attention.attention.query" in name for name in load_file(tmp_path / "model.safetensors"))
    for source in (tmp_path, tmp_path / "model.safetensors"):
        network = depth_net("tiny")
        fresh = [head[-1].weight.clone() for head in network.heads]
        load_pretrained(network, str(source))
        assert_trunk_is_that_of(network, depth_anything)
        assert all(torch.equal(head[-1].weight, old) for head, old in zip(network.heads, fresh, strict=True))


def test_depth_anything_of_its_authors_becomes_encoder_and_neck(depth_anything, tmp_path):
    state = authors_depth_anything(depth_anything)
    assert len(state) == 4 * 14 + 7 + 14 + 4 + 40 + 6
    torch.save(state, tmp_path / "depth_anything_v2_tiny.pth")
    network = depth_net("tiny")
    load_pretrained(network, str(tmp_path / "depth_anything_v2_tiny.pth"))
    assert_trunk_is_that_of(network, depth_anything)


def test_dinov2_of_transformers_and_of_its_authors_becomes_the_encoder(tmp_path):
    backbone = randomised(Dinov2Backbone(tiny_dinov2(out_indices=[1, 2, 3, 4], reshape_hidden_states=False)))
    backbone.save_pretrained(tmp_path)
    torch.save(authors_encoder(backbone), tmp_path / "dinov2_pretrain.pth")
    for source in (tmp_path, tmp_path / "dinov2_pretrain.pth"):
        network = depth_net("tiny")
        neck = network.trunk.decoder.convs[0].weight.clone()
        load_pretrained(network, str(source))
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(network.trunk.encoder.state_dict()[name], tensor), name
        assert torch.equal(network.trunk.decoder.convs[0].weight, neck)


@pytest.mark.parametrize(("change", "message"), [("drop", "1 missing, 0 unexp"), ("add", "0 missing, 1 unexpected")])
def test_incomplete_and_foreign_weights_are_refused_with_counts_and_names(change, message, depth_anything, tmp_path):
    state = authors_depth_anything(depth_anything)
    if change == "drop":
        del state["pretrained.blocks.2.mlp.fc1.weight"]
    else:
        state["pretrained.register_tokens"] = torch.zeros(1, 4, 16)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(DataError, match=rf"{message}.*(layer\.2\.mlp\.fc1\.weight|register_tokens)") as error:
        load_pretrained(depth_net("tiny"), str(tmp_path / "x.pth"))
    assert "\n" not in str(error.value)


def test_weights_of_another_size_are_refused(tmp_path):
    config = tiny_dinov2(out_indices=[1, 2, 3, 4])
    config.hidden_size = 32
    Dinov2Backbone(config).save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"does not fit backbone tiny: 0 missing, 0 unexpected and \d+ misshapen"):
        load_pretrained(depth_net("tiny"), str(tmp_path))
    DPTConfig().save_pretrained(tmp_path / "dpt")
    with pytest.raises(DataError, match="holds a dpt; choose weights of DINOv2 or Depth Anything"):
        load_pretrained(depth_net("tiny"), str(tmp_path / "dpt"))
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(DataError, match="holds more than tensors by name"):
        load_pretrained(depth_net("tiny"), str(tmp_path / "nested.pth"))


def test_depth_anything_v1_needs_the_row_that_reads_the_last_blocks(tmp_path):
    for name, blocks in (("v1", [9, 10, 11, 12]), ("v2", [3, 6, 9, 12])):
        backbone = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, out_indices=blocks)
        DepthAnythingConfig(backbone_config=backbone).save_pretrained(tmp_path / name)
    with torch.device("meta"):
        rows = {"v1": DepthNet(backbone="dinov2_vits14_last4"), "v2": DepthNet(backbone="dinov2_vits14")}
    for name, other in (("v1", "v2"), ("v2", "v1")):
        with pytest.raises(DataError, match=r"was trained on blocks .*_last4 are for Depth Anything V1"):
            load_pretrained(rows[other], str(tmp_path / name))
        with pytest.raises(DataError, match="cannot be loaded"):  # the folder has no weights: the blocks were right
            load_pretrained(rows[name], str(tmp_path / name))


def test_the_tool_writes_depth_anything_as_the_start_of_a_training(depth_anything, tmp_path, capsys):
    torch.save(authors_depth_anything(depth_anything), tmp_path / "v2.pth")
    run = tmp_path / "run"
    arguments = ["depth_anything", str(tmp_path / "v2.pth"), "--backbone", "tiny", "--output", str(run)]
    assert tool.main(arguments) == 0
    said = capsys.readouterr().out
    assert "78 tensors: encoder" in said
    assert "54 tensors: neck" in said
    assert "11 tensors: relative head and unused layers, dropped" in said
    assert "16 tensors: heads, untrained" in said
    assert "tiny reads the blocks of V2" in said
    assert_trunk_is_that_of(load_depth_net(run), depth_anything)
    network = DepthNet(backbone="tiny")
    load_pretrained(network, str(run))
    assert_trunk_is_that_of(network, depth_anything)


def test_the_tool_wants_depth_anything_and_a_row_that_can_hold_it(tmp_path, capsys):
    backbone = Dinov2Backbone(tiny_dinov2(out_indices=[1, 2, 3, 4]))
    save_file(authors_encoder(backbone), tmp_path / "dinov2.safetensors")
    start = ["depth_anything", str(tmp_path / "dinov2.safetensors"), "--output", str(tmp_path / "run"), "--backbone"]
    assert tool.main([*start, "tiny"]) == 4
    assert "holds a DINOv2 encoder alone; name it in MODEL.DEPTH.WEIGHTS" in capsys.readouterr().err
    assert tool.main([*start, "resnet18"]) == 4
    assert "is for a DINOv2 row, but the backbone is resnet18" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    start[1] = str(tmp_path / "empty")
    assert tool.main([*start, "tiny"]) == 4
    assert "holds no weights" in capsys.readouterr().err


# --- ImageNet


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """A torch hub cache that holds ImageNet weights of resnet18, in the form of the file on the net."""
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = torchvision.models.resnet18().state_dict()
    state = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    return state


def test_imagenet_weights_come_from_the_cache_or_a_file(imagenet, tmp_path):
    torch.save(imagenet, tmp_path / "mine.pth")
    for source in ("", str(tmp_path / "mine.pth")):
        network = depth_net("resnet18")
        load_pretrained(network, source)
        for name, tensor in network.trunk.encoder.state_dict().items():
            assert name.endswith("num_batches_tracked") or torch.equal(tensor, imagenet[name])


def test_pose_network_sees_both_images_through_the_imagenet_layer(imagenet):
    network = PoseNet()
    network.load_imagenet()
    first = network.encoder.conv1.weight
    assert torch.equal(first[:, :3], first[:, 3:])
    torch.testing.assert_close(first[:, :3] + first[:, 3:], imagenet["conv1.weight"])
    assert torch.equal(network.encoder.layer4[1].conv2.weight, imagenet["layer4.1.conv2.weight"])


def test_imagenet_weights_that_cannot_be_had_are_a_one_line_error(imagenet, monkeypatch):
    asked = []

    def no_network(url, path, digits):
        asked.append((url.rpartition("/")[2], digits))
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(DataError, match=r"ImageNet weights of resnet50 .*no route to host.*put resnet50-\w+\.pth into"):
        imagenet_resnet("resnet50")
    assert asked == [(f"resnet50-{asked[0][1]}.pth", asked[0][1])]
    with pytest.raises(DataError, match=r"does not fit ResNet: \d+ missing, 0 unexpected and \d+ misshapen"):
        load_pretrained(depth_net("resnet50"), f"{torch.hub.get_dir()}/checkpoints/resnet18-f37072fd.pth")


def test_no_row_is_started_from_weights_it_has_not(tmp_path):
    with pytest.raises(DataError, match=r"backbone resnet_small has no pretrained weights; set MODEL\.DEPTH\.PRETR"):
        load_pretrained(depth_net("resnet_small"))
