"""Networks: shapes, ranges, gradients for every parameter, storage, and the order in which poses are asked for."""

import pytest
import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    Dinov2Model,
    DPTImageProcessor,
)

from ude.files import DataError, MissingFileError
from ude.models import DepthNet, PoseNet, load_model, save_model
from ude.models.checkpoint import load_depth_net, load_pretrained_encoder
from ude.models.depth_net import BACKBONES
from ude.models.foundation import FoundationDepth
from ude.models.semantic import DinoFeatures

SIZE = (96, 160)


def depth_net(backbone="resnet_small", **kwargs):
    torch.manual_seed(0)
    return DepthNet(backbone=backbone, input_height=SIZE[0], input_width=SIZE[1], **kwargs)


def tiny_dinov2(**kwargs):
    return Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        use_mask_token=False,
        **kwargs,
    )


def tiny_depth_anything():
    backbone = tiny_dinov2(out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[4, 8, 8, 16], fusion_hidden_size=8
    )
    return DepthAnythingForDepthEstimation(config)


@pytest.mark.parametrize("backbone", ["tiny", "resnet_small"])
def test_scales_halve_and_depth_starts_near_ten_metres(backbone):
    prediction = depth_net(backbone)(torch.rand(2, 3, *SIZE))
    shapes = [tuple(d.shape[-2:]) for d in prediction.inverse_depths]
    assert shapes == [(96, 160), (48, 80), (24, 40), (12, 20)]
    for inverse_depth in prediction.inverse_depths:
        assert (1 / inverse_depth).median().item() == pytest.approx(10, rel=0.35)


@pytest.mark.parametrize("backbone", ["tiny", "resnet_small"])
def test_every_parameter_gets_a_gradient(backbone):
    network = depth_net(backbone)
    prediction = network(torch.rand(2, 3, *SIZE))
    sum(d.mean() for d in prediction.inverse_depths).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    encoder, decoder = network.parameter_groups()
    assert len(encoder) + len(decoder) == len(list(network.parameters()))


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


def test_other_image_sizes_come_back_at_their_size():
    prediction = depth_net("tiny")(torch.rand(1, 3, 75, 131))
    assert prediction.inverse_depths[0].shape == (1, 1, 75, 131)


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name.startswith("dinov2")])
def test_full_size_rows_are_the_published_architectures(backbone):
    with torch.device("meta"):
        network = DepthNet(backbone=backbone)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    expected = {"dinov2_vits14": 24.8, "dinov2_vitb14": 97.5, "dinov2_vitl14": 335.3}[backbone]
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
        load_pretrained_encoder(network)
    assert "facebook/dinov2-small cannot be loaded" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"set MODEL\.DEPTH\.PRETRAINED False"):
        load_pretrained_encoder(depth_net("tiny"))


def test_unknown_backbone_and_scale_count_are_refused():
    with pytest.raises(ValueError, match=r"backbone must be one of tiny, .*got 'vgg'"):
        DepthNet(backbone="vgg")
    with pytest.raises(ValueError, match="num_scales must be 1 to 4, got 5"):
        DepthNet(backbone="tiny", num_scales=5)


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


def test_pose_net_starts_near_the_identity_and_learns():
    torch.manual_seed(0)
    network = PoseNet()
    T = network.source_poses(torch.rand(2, 3, 3, 64, 96), (-1, 1))
    assert T.shape == (2, 2, 4, 4)
    assert (T - torch.eye(4)).abs().max() < 0.2
    T[..., :3, :].sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_dino_features_have_the_asked_grid(tmp_path):
    Dinov2Model(tiny_dinov2()).save_pretrained(tmp_path)
    encoder = DinoFeatures(tmp_path)
    features = encoder(torch.rand(2, 3, *SIZE), (7, 11))
    assert features.shape == (2, encoder.channels, 7, 11)
    assert not any(p.requires_grad for p in encoder.parameters())


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
