"""Networks: shapes, ranges, gradients for every parameter, storage, and the order in which poses are asked for."""

import contextlib
import copy
import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tiny_networks import SIZE, depth_net, tiny_depth_anything, tiny_dinov2
from torch.nn import functional as F
from transformers import Dinov2Model, DPTImageProcessor

from ude.config.validate import _SMALLEST_SIDE, CHOICES
from ude.files import DataError, MissingFileError
from ude.geometry import inverse_depth_from_disparity
from ude.models import DepthNet, PoseNet, load_model, save_model
from ude.models.checkpoint import from_hub, load_depth_net
from ude.models.depth_net import BACKBONES, initial_depth
from ude.models.foundation import FoundationDepth
from ude.models.normalisation import NORMALISATIONS
from ude.models.pretrained import load_pretrained
from ude.models.resnet_unet import ResnetUnet
from ude.models.semantic import DinoFeatures

SMALL_ROWS = ["tiny", "resnet_small", "resnet18"]


@pytest.mark.parametrize("backbone", SMALL_ROWS)
def test_scales_halve_and_depth_starts_near_ten_metres(backbone):
    prediction = depth_net(backbone)(torch.rand(2, 3, *SIZE))
    shapes = [tuple(d.shape[-2:]) for d in prediction.inverse_depths]
    assert shapes == [(96, 160), (48, 80), (24, 40), (12, 20)]
    for inverse_depth in prediction.inverse_depths:
        assert (1 / inverse_depth).median().item() == pytest.approx(10, rel=0.35)


@pytest.mark.parametrize("bounds", [(0.1, 10.0), (0.1, 5.0), (10.0, 80.0), (20.0, 200.0), (9.99, 10.01)])
def test_depth_starts_well_within_a_range_that_has_not_ten_metres(bounds):
    low, high = bounds
    start = initial_depth(low, high)
    assert low * (high / low) ** 0.09 < start < high / (high / low) ** 0.09
    inverse_depths = depth_net(min_depth=low, max_depth=high)(torch.rand(2, 3, *SIZE)).inverse_depths
    assert (1 / inverse_depths[0]).median().item() == pytest.approx(start, rel=0.35)


@pytest.mark.parametrize("bounds", [(0.1, 80.0), (0.1, 100.0), (0.5, 60.0)])
def test_depth_starts_at_exactly_ten_metres_in_the_usual_ranges(bounds):
    assert initial_depth(*bounds) == 10


def gradients_of_all_scales(network, images):
    sum(d.mean() for d in network(images).inverse_depths).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("num_scales", [1, 4])
@pytest.mark.parametrize("backbone", [*SMALL_ROWS, "resnet50", "dinov2_vits14"])
def test_every_parameter_gets_a_gradient(backbone, num_scales):
    network = DepthNet(backbone=backbone, num_scales=num_scales, input_height=70, input_width=98)
    gradients = gradients_of_all_scales(network, torch.rand(2, 3, 70, 98))
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    assert [name for name, gradient in gradients.items() if not gradient.isfinite().all()] == []
    encoder, others = network.parameter_groups()
    assert {id(p) for p in (*encoder, *others)} == {id(p) for p in network.parameters()}
    assert len(encoder) + len(others) == len(gradients)


@pytest.mark.parametrize("num_scales", [1, 4])
@pytest.mark.parametrize("backbone", ["dinov2_vitb14", "dinov2_vitl14"])
def test_every_parameter_of_the_large_rows_gets_a_gradient(backbone, num_scales, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())  # the device has none
    with torch.device("meta"):  # shapes only
        network = DepthNet(backbone=backbone, num_scales=num_scales, input_height=70, input_width=98)
        gradients = gradients_of_all_scales(network, torch.rand(1, 3, 70, 98))
    assert [name for name, gradient in gradients.items() if gradient is None] == []


@pytest.mark.parametrize("backbone", SMALL_ROWS)
def test_channels_last_changes_nothing_but_the_order_in_memory(backbone):
    network, images = depth_net(backbone).train(), torch.rand(2, 3, *SIZE)
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    assert any(not parameter.is_contiguous() for parameter in network.parameters())
    assert all(parameter.is_contiguous() for parameter in plain.parameters())
    inverse_depths, features = network(images)
    maps, plain_features = plain.trunk(plain.normalise(images))
    torch.testing.assert_close(features, plain_features, rtol=1e-4, atol=1e-4)
    for scale, head in enumerate(plain.heads):
        logits = F.interpolate(head(maps[scale]).sigmoid(), inverse_depths[scale].shape[-2:], mode="bilinear")
        expected = inverse_depth_from_disparity(logits, **plain.range)
        torch.testing.assert_close(inverse_depths[scale], expected, rtol=1e-5, atol=1e-6)


def test_channels_last_survives_storage_and_is_not_in_the_file(tmp_path):
    network = depth_net("resnet18")
    save_model(network, tmp_path)
    restored = load_model(DepthNet, tmp_path)
    weight = restored.trunk.encoder.layer1[0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, network.trunk.encoder.layer1[0].conv1.weight)
    plain = load_file(tmp_path / "model.safetensors")
    assert all(tensor.is_contiguous() for tensor in plain.values())


def test_the_encoder_really_uses_fused_attention(monkeypatch):
    calls, attention = [], F.scaled_dot_product_attention

    def counted(*args, **kwargs):
        calls.append(1)
        return attention(*args, **kwargs)

    network = depth_net("tiny")
    assert network.trunk.encoder.config._attn_implementation == "sdpa"
    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    network(torch.rand(1, 3, *SIZE))
    assert len(calls) == BACKBONES["tiny"].depth


def test_normalisation_is_an_argument_that_is_stored_and_old_folders_have_imagenet(tmp_path):
    network, images = depth_net("resnet_small", normalisation="md4all_nuscenes_night").eval(), torch.rand(1, 3, *SIZE)
    torch.testing.assert_close(network.normalise(images), (images - 0.1652) / 0.1728)
    assert network.arguments["normalisation"] == "md4all_nuscenes_night"
    save_model(network, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["normalisation"] == "md4all_nuscenes_night"
    restored = load_model(DepthNet, tmp_path)
    assert torch.equal(restored(images).inverse_depths[0], network(images).inverse_depths[0])
    del config["normalisation"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    old = load_model(DepthNet, tmp_path)
    assert old.arguments["normalisation"] == "imagenet"
    red = (images[0, 0] - 0.485) / 0.229
    torch.testing.assert_close(old.normalise(images)[0, 0], red)


def test_the_configuration_offers_every_row():
    assert CHOICES["MODEL.DEPTH.BACKBONE"] == tuple(BACKBONES)
    assert CHOICES["MODEL.DEPTH.NORMALISATION"] == tuple(NORMALISATIONS)


def test_depth_stays_between_its_bounds():
    network = depth_net(min_depth=2.0, max_depth=50.0)
    torch.nn.init.normal_(network.heads[0][-1].weight, std=100)
    depth = 1 / network(torch.rand(2, 3, *SIZE)).inverse_depths[0]
    assert depth.min() >= 2 - 1e-4
    assert depth.max() <= 50 + 1e-2


def test_a_head_answers_to_every_feature():
    # behind a ReLU, features that switch all hidden units off would share one depth for ever
    head = depth_net().heads[0]
    for value in (-3.0, -1.0, 1.0, 3.0):
        features = torch.full((1, head[0].in_channels, 5, 5), value, requires_grad=True)
        head[0].weight.data.fill_(0.1)
        head(features).sum().backward()
        assert features.grad.abs().min() > 0


def test_half_precision_does_not_round_the_depth_to_steps():
    network, images = depth_net(num_scales=1).eval(), torch.rand(1, 3, *SIZE)
    full = 1 / network(images).inverse_depths[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = 1 / network(images).inverse_depths[0]
    assert half.dtype == torch.float32
    assert half.unique().numel() > 0.9 * full.unique().numel()
    assert ((half - full) / full).abs().max() < 0.02


@pytest.mark.parametrize("backbone", SMALL_ROWS)
def test_other_image_sizes_come_back_at_their_size(backbone):
    prediction = depth_net(backbone)(torch.rand(1, 3, 75, 131))
    assert [tuple(d.shape[-2:]) for d in prediction.inverse_depths] == [(75, 131), (37, 65), (18, 32), (9, 16)]


@pytest.mark.parametrize("backbone", SMALL_ROWS)
def test_networks_see_sizes_that_are_no_multiples_of_32(backbone):
    network = DepthNet(backbone=backbone, input_height=75, input_width=131)
    prediction = network(torch.rand(1, 3, 75, 131))
    assert [tuple(d.shape[-2:]) for d in prediction.inverse_depths] == [(75, 131), (37, 65), (18, 32), (9, 16)]


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_the_configuration_knows_the_smallest_image_of_each_row(backbone):
    size = BACKBONES[backbone]
    assert _SMALLEST_SIDE.get(backbone, 1) == (ResnetUnet.SMALLEST if isinstance(size, str) else 1)


def test_a_resnet_says_which_images_are_too_small_for_it():
    with pytest.raises(ValueError, match=r"sides of at least 33 px, got \(32, 64\)"):
        DepthNet(backbone="resnet18", input_height=32, input_width=64)(torch.rand(1, 3, 32, 64))


def test_resnet_row_has_the_published_size():
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in DepthNet(backbone="resnet18").parameters())
    # 14.84 million in md4all and monodepth2, of which the classifier, never run, takes 512 * 1000 + 1000
    assert count == pytest.approx(14.84e6 - 513_000, abs=5_000)


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name.startswith("dinov2")])
def test_full_size_rows_are_the_published_architectures(backbone):
    with torch.device("meta"):
        network = DepthNet(backbone=backbone)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    expected = {"dinov2_vits14": 24.8, "dinov2_vitb14": 97.5, "dinov2_vitl14": 335.3}[backbone.removesuffix("_last4")]
    assert millions == pytest.approx(expected, rel=0.01)


def test_depth_anything_weights_fit_name_for_name():
    theirs = {
        name.replace("backbone.", "encoder.").replace("neck.", "decoder."): tensor.shape
        for name, tensor in tiny_depth_anything().state_dict().items()
        if not name.startswith("head.") and "layers.0.residual_layer1" not in name
    }
    assert {name: tensor.shape for name, tensor in depth_net("tiny").trunk.state_dict().items()} == theirs


def test_saved_model_comes_back_equal(tmp_path):
    network = depth_net("tiny", num_scales=2, max_depth=60.0).eval()
    save_model(network, tmp_path / "depth_net")
    images = torch.rand(1, 3, *SIZE)
    for restored in (load_model(DepthNet, tmp_path / "depth_net"), load_depth_net(tmp_path)):
        assert torch.equal(restored(images).inverse_depths[1], network(images).inverse_depths[1])
    hub = DepthNet.from_pretrained(tmp_path / "depth_net").eval()
    assert torch.equal(hub(images).inverse_depths[0], network(images).inverse_depths[0])


def test_a_folder_without_a_model_says_how_to_make_one(tmp_path):
    with pytest.raises(MissingFileError, match=r"no trained model in .*run: python tools/train.py"):
        load_depth_net(tmp_path)


def test_weights_of_another_class_are_refused_with_counts(tmp_path):
    save_model(depth_net("tiny"), tmp_path)
    other = depth_net("resnet_small")
    (tmp_path / "config.json").write_text('{"backbone": "resnet_small"}')
    missing = len(other.state_dict()) - len(other.heads.state_dict())
    with pytest.raises(DataError, match=rf"{missing} missing, \d+ unexpected and \d+ misshapen tensors"):
        load_model(DepthNet, tmp_path)


def test_pretrained_weights_offline_are_a_one_line_error():
    with torch.device("meta"):
        network = DepthNet(backbone="dinov2_vits14")
    with pytest.raises(DataError) as error:
        load_pretrained(network)
    assert "facebook/dinov2-small cannot be loaded" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"set MODEL\.DEPTH\.PRETRAINED False"):
        load_pretrained(depth_net("tiny"))


def test_unknown_backbone_and_scale_count_are_refused():
    with pytest.raises(ValueError, match=r"backbone must be one of tiny, .*got 'vgg'"):
        DepthNet(backbone="vgg")
    with pytest.raises(ValueError, match="num_scales must be 1 to 4, got 5"):
        DepthNet(backbone="tiny", num_scales=5)
    with pytest.raises(ValueError, match=r"normalisation must be one of imagenet, .*got 'kitti'"):
        DepthNet(backbone="tiny", normalisation="kitti")
    with pytest.raises(ValueError, match="encoder must be resnet18 or resnet50, got 'vgg16'"):
        PoseNet(encoder="vgg16")


def test_pose_net_sees_pairs_in_time_order_and_inverts_the_past_one(monkeypatch):
    network = PoseNet()
    seen = []

    def forward(earlier, later):
        seen.append((earlier.mean().item(), later.mean().item()))
        T = torch.eye(4)[None].clone()
        T[0, 2, 3] = -0.5  # driving forward: points come nearer
        return T

    monkeypatch.setattr(network, "forward", forward)
    frames = torch.stack([torch.full((3, 8, 8), value) for value in (0.5, 0.0, 1.0)])[None]  # target, past, future
    T = network.source_poses(frames, (-1, 1))
    assert seen == [(0.0, 0.5), (0.5, 1.0)]
    assert T[0, :, 2, 3].tolist() == pytest.approx([0.5, -0.5])


@pytest.mark.parametrize("encoder", ["resnet18", "resnet50"])
def test_pose_net_starts_near_the_identity_and_learns(encoder):
    torch.manual_seed(0)
    network = PoseNet(encoder=encoder)
    T = network.source_poses(torch.rand(2, 3, 3, 64, 96), (-1, 1))
    assert T.shape == (2, 2, 4, 4)
    assert (T - torch.eye(4)).abs().max() < 0.2
    T[..., :3, :].sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_dino_features_have_the_asked_grid(tmp_path):
    Dinov2Model(tiny_dinov2()).save_pretrained(tmp_path)
    encoder = DinoFeatures(tmp_path)
    features = encoder(torch.rand(2, 3, *SIZE), (7, 11))
    assert features.shape == (2, encoder.channels, 7, 11)
    assert not any(p.requires_grad for p in encoder.parameters())


def save_without(model, pattern, folder):
    """A model on disk that lacks the tensors whose names hold a text; returns how many those are."""
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in state.items() if pattern not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return len(state) - len(kept)


@pytest.mark.parametrize(
    ("network", "model", "name"),
    [
        (DinoFeatures, lambda: Dinov2Model(tiny_dinov2()), "Dinov2Model"),
        (FoundationDepth, tiny_depth_anything, "Depth"),
    ],
)
def test_frozen_models_without_a_layer_are_refused_in_one_line(network, model, name, tmp_path):
    count = save_without(model(), "encoder.layer.0.", tmp_path)
    assert count > 10
    with pytest.raises(DataError) as error:
        network(tmp_path)
    message = str(error.value)
    assert f"does not fit {name}" in message
    assert f": {count} missing, 0 unexpected and 0 misshapen tensors (missing " in message
    assert "encoder.layer.0.attention.k_proj.bias, " in message
    assert "\n" not in message


def test_frozen_models_with_a_tensor_of_another_shape_are_refused(tmp_path):
    Dinov2Model(tiny_dinov2()).save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors") | {"layernorm.bias": torch.zeros(3)}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"0 missing, .* and 1 misshapen tensors \(misshapen layernorm\.bias\)"):
        DinoFeatures(tmp_path)


def test_frozen_models_may_lack_what_is_never_read(tmp_path):
    config = tiny_dinov2()
    config.use_mask_token = True
    assert save_without(Dinov2Model(config), "mask_token", tmp_path / "dino") == 1
    assert DinoFeatures(tmp_path / "dino").encoder.embeddings.mask_token is not None
    DPTImageProcessor(size={"height": 70, "width": 70}, ensure_multiple_of=14).save_pretrained(tmp_path / "depth")
    assert save_without(tiny_depth_anything(), "fusion_stage.layers.0.residual_layer1", tmp_path / "depth") == 4
    FoundationDepth(tmp_path / "depth")


def test_semantic_features_come_from_a_dinov2_only(tmp_path):
    tiny_depth_anything().save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"holds a depth_anything; choose an encoder of DINOv2, such as [^\n]*$"):
        DinoFeatures(tmp_path)


def test_damaged_weights_in_a_folder_are_one_line_that_says_so(tmp_path):
    Dinov2Model(tiny_dinov2()).save_pretrained(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"x" * 100):
        (tmp_path / "model.safetensors").write_bytes(damaged)
        with pytest.raises(
            DataError, match=r"cannot be loaded: [^\n]*the folder is incomplete or damaged[^\n]*$"
        ) as error:
            DinoFeatures(tmp_path)
        assert "no folder" not in str(error.value)


def test_damaged_weights_in_the_hub_cache_are_one_line_with_the_remedy(monkeypatch):
    def damaged(name):
        raise SafetensorError("incomplete metadata")

    monkeypatch.setattr(Dinov2Model, "from_pretrained", damaged)
    with pytest.raises(DataError, match=r"the hub gave: incomplete metadata; .*hf download a/b --force-download$"):
        from_hub(Dinov2Model, "a/b")


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "~/nowhere"])
def test_a_path_without_a_folder_is_no_name_on_the_hub(name):
    with pytest.raises(DataError) as caught:
        FoundationDepth(name)
    assert str(caught.value) == f"{name} cannot be loaded: no such folder; correct the path, or name a hub id"


def test_foundation_model_gives_relative_inverse_depth_at_the_image_size(tmp_path):
    tiny_depth_anything().save_pretrained(tmp_path)
    DPTImageProcessor(
        size={"height": 70, "width": 70}, keep_aspect_ratio=True, ensure_multiple_of=14, do_pad=False
    ).save_pretrained(tmp_path)
    depth = FoundationDepth(tmp_path)(torch.rand(2, 3, *SIZE))
    assert depth.shape == (2, 1, *SIZE)
    assert (depth >= 0).all()
    with pytest.raises(DataError, match=r"no/model cannot be loaded"):
        FoundationDepth("no/model")
