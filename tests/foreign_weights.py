"""Weights in the exact layouts of md4all and monodepth2, and what their documented networks make of them.

The reference is written from the published description with plain functions on dictionaries of tensors: a ResNet whose
maps at 1/2 to 1/32 feed a U-Net (mirrored borders, ELU, nearest doubling) with one sigmoid per scale.
"""

import pickle
import sys
import types
from pathlib import Path

import torch
import torchvision
from torch.nn import functional as F

WIDTHS = [16, 32, 64, 128, 256]


def random_state(shapes, generator):
    """Random weights that keep features of order one and disparities away from 0 and 1."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        elif len(shape) == 1 and name.endswith("weight"):  # of batch normalisation
            state[name] = 0.5 * torch.rand(shape, generator=generator) + 0.25
        else:
            gain = 1.2 / max(1, shape[1:].numel()) ** 0.5 if len(shape) > 1 else 0.1
            state[name] = gain * torch.randn(shape, generator=generator)
    return state


def resnet_shapes(depth, prefix, channels=3):
    network = getattr(torchvision.models, f"resnet{depth}")()
    shapes = {prefix + name: tensor.shape for name, tensor in network.state_dict().items()}
    return {**shapes, prefix + "conv1.weight": torch.Size([64, channels, 7, 7])}


def decoder_shapes(depth, prefix):
    """The table of the decoder's layers: 20 tensors of convolutions and 8 of heads."""
    encoder = [64, 64, 128, 256, 512] if depth == 18 else [64, 256, 512, 1024, 2048]
    pairs, inputs = [], encoder[-1]
    for level in (4, 3, 2, 1, 0):
        width = WIDTHS[level]
        pairs += [(width, inputs), (width, width + (encoder[level - 1] if level else 0))]
        inputs = width
    shapes = {}
    for index, (outputs, channels) in enumerate(pairs):
        shapes[f"{prefix}{index}.conv.conv.weight"] = torch.Size([outputs, channels, 3, 3])
        shapes[f"{prefix}{index}.conv.conv.bias"] = torch.Size([outputs])
    for scale in range(4):
        shapes[f"{prefix}{10 + scale}.conv.weight"] = torch.Size([1, WIDTHS[scale], 3, 3])
        shapes[f"{prefix}{10 + scale}.conv.bias"] = torch.Size([1])
    return shapes


def pose_shapes(prefix, last=512):
    sizes = [(256, last, 1), (256, 256, 3), (256, 256, 3), (12, 256, 1)]
    shapes = {f"{prefix}{i}.weight": torch.Size([o, c, k, k]) for i, (o, c, k) in enumerate(sizes)}
    return shapes | {f"{prefix}{i}.bias": torch.Size([o]) for i, (o, _, _) in enumerate(sizes)}


def md4all_state(generator, *, teacher=False):
    """280 tensors of the baseline, 430 of the distilled network with its teacher."""
    shapes = {
        **resnet_shapes(18, "depth_model.encoder.encoder."),
        **decoder_shapes(18, "depth_model.decoder.decoder."),
        **resnet_shapes(18, "pose_model.encoder.encoder.", 6),
        **pose_shapes("pose_model.decoder.net."),
    }
    if teacher:
        shapes |= resnet_shapes(18, "loss.supervised_loss.teacher_net.encoder.encoder.")
        shapes |= decoder_shapes(18, "loss.supervised_loss.teacher_net.decoder.decoder.")
    return random_state(shapes, generator)


def md4all_config(*, mode="Dataset", day=(0.4130, 0.2093), size=(64, 96)):
    normalize = {
        "MODE": mode,
        "DATASET": {"MEAN": 0.45, "STD": 0.225},
        "DAYTIME": {"DAY": {"MEAN": day[0], "STD": day[1]}, "NIGHT": {"MEAN": 0.1652, "STD": 0.1728}},
    }
    return {
        "EXPERIMENT_NAME": "train-baseline",
        "DATASET": {
            "NAME": "nuscenes",
            "AUGMENTATION": {"RESIZE": {"HEIGHT": size[0], "WIDTH": size[1]}, "NORMALIZE": normalize},
        },
        "MODEL": {"DEPTH": {"ENCODER": {"VERSION": "resnet-18"}, "MIN_DEPTH": 0.1, "MAX_DEPTH": 80.0}},
    }


def save_md4all(path: Path, state, config, **save_options):
    """A checkpoint as Lightning wrote it, with the configuration as an object of a class that we do not have."""
    module = types.ModuleType("config.config")
    node = type("CfgNode", (dict,), {"__module__": "config.config"})
    module.CfgNode = node

    def nodes(value):
        if not isinstance(value, dict):
            return value
        result = node({key: nodes(item) for key, item in value.items()})
        result.__dict__["__immutable__"] = True  # as yacs does
        return result

    checkpoint = {
        "epoch": 19,
        "global_step": 37820,
        "pytorch-lightning_version": "1.8.0",
        "state_dict": state,
        "callbacks": {"ModelCheckpoint{'monitor': 'x'}": {"best_model_score": torch.tensor(0.1), "dirpath": "log"}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(5.0)}}, "param_groups": [{"lr": 2e-4}]}],
        "lr_schedulers": [{"last_epoch": 19}],
        "hparams_name": "kwargs",
        "hyper_parameters": {"cfg": nodes(config), "is_train": True},
    }
    sys.modules |= {"config": types.ModuleType("config"), "config.config": module}
    try:
        torch.save(checkpoint, path, pickle_module=pickle, **save_options)
    finally:
        del sys.modules["config"], sys.modules["config.config"]


def save_monodepth2(folder: Path, generator, *, depth=18, size=(64, 96), use_stereo=False, pose=True):
    """The files of a trained network; returns their tensors by file."""
    folder.mkdir(parents=True, exist_ok=True)
    last = 512 if depth == 18 else 2048
    layouts = {"encoder": resnet_shapes(depth, "encoder."), "depth": decoder_shapes(depth, "decoder.")}
    if pose:
        layouts |= {"pose_encoder": resnet_shapes(depth, "encoder.", 6), "pose": pose_shapes("net.", last)}
    files = {name: random_state(shapes, generator) for name, shapes in layouts.items()}
    for name, state in files.items():
        extra = {"height": size[0], "width": size[1], "use_stereo": use_stereo} if name == "encoder" else {}
        torch.save({**state, **extra}, folder / f"{name}.pth")
    return files


def reference_maps(state, images, prefix):
    """The five maps of a ResNet in evaluation mode at 1/2 to 1/32."""

    def batch_norm(x, name):
        values = [state[f"{prefix}{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *values, eps=1e-5)

    def convolution(x, name, stride=1, padding=0):
        return F.conv2d(x, state[f"{prefix}{name}.weight"], stride=stride, padding=padding)

    def block(x, name, stride):
        shortcut = x
        if f"{prefix}{name}.downsample.0.weight" in state:
            shortcut = batch_norm(convolution(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        if f"{prefix}{name}.conv3.weight" in state:
            x = batch_norm(convolution(x, f"{name}.conv1"), f"{name}.bn1").relu()
            x = batch_norm(convolution(x, f"{name}.conv2", stride, 1), f"{name}.bn2").relu()
            x = batch_norm(convolution(x, f"{name}.conv3"), f"{name}.bn3")
        else:
            x = batch_norm(convolution(x, f"{name}.conv1", stride, 1), f"{name}.bn1").relu()
            x = batch_norm(convolution(x, f"{name}.conv2", 1, 1), f"{name}.bn2")
        return (x + shortcut).relu()

    maps = [batch_norm(convolution(images, "conv1", 2, 3), "bn1").relu()]
    x = F.max_pool2d(maps[0], 3, 2, 1)
    for stage in (1, 2, 3, 4):
        number = 0
        while f"{prefix}layer{stage}.{number}.conv1.weight" in state:
            x = block(x, f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1)
            number += 1
        maps.append(x)
    return maps


def reference_inverse_depths(state, images, *, encoder, decoder, mean, std, min_depth, max_depth):
    """Inverse depths [1/m] of images in [0, 1] at 1/1 to 1/8, as md4all and monodepth2 compute them."""
    maps = reference_maps(state, (images - mean) / std, encoder)

    def convolution(x, name):
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, state[f"{decoder}{name}.weight"], state[f"{decoder}{name}.bias"])

    results, x = {}, maps[-1]
    for step, level in enumerate((4, 3, 2, 1, 0)):
        x = F.elu(convolution(x, f"{2 * step}.conv.conv"))
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        if level:
            x = torch.cat([x, maps[level - 1]], 1)
        x = F.elu(convolution(x, f"{2 * step + 1}.conv.conv"))
        if level < 4:
            disparity = torch.sigmoid(convolution(x, f"{10 + level}.conv"))
            results[level] = 1 / max_depth + (1 / min_depth - 1 / max_depth) * disparity
    return [results[level] for level in range(4)]


def reference_motion(encoder_state, decoder_state, earlier, later):
    """Rotation vector [rad] and translation of monodepth2's pose network, (B, 3) each."""
    images = (torch.cat([earlier, later], 1) - 0.45) / 0.225
    x = reference_maps(encoder_state, images, "encoder.")[-1]
    for layer, padding in enumerate((0, 1, 1, 0)):
        x = F.conv2d(x, decoder_state[f"net.{layer}.weight"], decoder_state[f"net.{layer}.bias"], padding=padding)
        x = x.relu() if layer < 3 else x
    motion = 0.01 * x.mean((2, 3)).view(len(x), 2, 6)[:, 0]
    return motion[:, :3], motion[:, 3:]
