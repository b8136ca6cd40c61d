"""monodepth2's own losses and training step, from a checkout of https://github.com/nianticlabs/monodepth2.

Its Trainer is made without its constructor, which wants a data set and a command line; networks, view synthesis and
losses then run as they are. On today's torch its grid_sample reads with align_corners=False, it smooths the sigmoid
output, and it breaks ties with noise, so its loss differs from ours; the plain form in its conventions equals it.
"""

import urllib
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from .peers import load_peer, stand_in
from .plain import image_pyramid, plain_reprojection_loss, plain_smoothness_loss
from .scene import NUM_SCALES, Street

MIN_DEPTH, MAX_DEPTH = 0.1, 100.0
OFFSETS = (-1, 1)
SMOOTHNESS = 1e-3
NAME = "monodepth2's own code"
BOUND = 1e-4
"""Relative difference of the loss to the plain form by its conventions: the noise that breaks ties is 1e-5."""


def monodepth2_loss(folder: Path, scene: Street) -> Callable[[], list[Tensor]]:
    """A call that returns its loss of the street's estimates and the gradients to disparities and transforms."""
    trainer = _trainer(folder, scene)
    inputs = _inputs(scene)
    disparities = [disparity.requires_grad_() for disparity in _disparities(scene)]
    transforms = [T.clone().requires_grad_() for T in scene.T_source_target.unbind(1)]

    def step() -> list[Tensor]:
        outputs = {("disp", scale): disparity for scale, disparity in enumerate(disparities)}
        outputs |= {("cam_T_cam", 0, offset): T for offset, T in zip(OFFSETS, transforms, strict=True)}
        trainer.generate_images_pred(inputs, outputs)
        loss = trainer.compute_losses(inputs, outputs)["loss"]
        return [loss.detach(), *torch.autograd.grad(loss, [*disparities, *transforms])]

    return step


def plain_loss_by_its_conventions(scene: Street) -> Tensor:
    """What its loss of the street's estimates has to be, but for the noise."""
    images = image_pyramid(scene.target, NUM_SCALES)
    arguments = (list(scene.inverse_depths), scene.target, scene.sources, scene.K, scene.T_source_target)
    photometric = plain_reprojection_loss(*arguments, align_corners=False)
    return photometric + SMOOTHNESS * plain_smoothness_loss(_disparities(scene), images)


def monodepth2_step(
    folder: Path, scene: Street, learning_rate: float, saved: Path
) -> tuple[Callable[[], Tensor], Path]:
    """A whole training step of its ResNet-18 networks with its Adam, and where it wrote the weights before the first.

    Args:
        folder: the checkout.
        scene: what it trains on.
        learning_rate: of its optimiser.
        saved: folder to write in.

    Returns:
        A call that does a step and returns the loss, and the folder of weights in its own format.
    """
    trainer = _trainer(folder, scene)
    networks, device = trainer.modules.networks, scene.target.device
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks torchvision for weights by an argument of old
        encoder, pose_encoder = networks.ResnetEncoder(18, False), networks.ResnetEncoder(18, False, 2)
    trainer.models = {
        "encoder": encoder,
        "depth": networks.DepthDecoder(encoder.num_ch_enc, range(NUM_SCALES)),
        "pose_encoder": pose_encoder,
        "pose": networks.PoseDecoder(pose_encoder.num_ch_enc, 1, 2),
    }
    parameters = [p for model in trainer.models.values() for p in model.to(device).train().parameters()]
    trainer.model_optimizer = optimizer = torch.optim.Adam(parameters, learning_rate)
    trainer.log_path, trainer.epoch = str(saved), 0
    trainer.save_model()
    inputs = _inputs(scene)

    def step() -> Tensor:
        _, losses = trainer.process_batch(inputs)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        return losses["loss"].detach()

    return step, saved / "models" / "weights_0"


def _disparities(scene: Street) -> list[Tensor]:
    """The sigmoid outputs that stand for the street's estimates."""
    lowest, highest = 1 / MAX_DEPTH, 1 / MIN_DEPTH
    return [(inverse_depth - lowest) / (highest - lowest) for inverse_depth in scene.inverse_depths]


def _trainer(folder: Path, scene: Street) -> SimpleNamespace:
    """Its Trainer for one size and batch, without networks."""
    modules = load_peer(
        folder,
        ("trainer", "layers", "networks.resnet_encoder"),
        {
            "tensorboardX": stand_in("tensorboardX", SummaryWriter=None),
            "IPython": stand_in("IPython", embed=None),
            "six": stand_in("six"),
            "six.moves": stand_in("six.moves", urllib=urllib),
        },
    )
    batch, _, height, width = scene.target.shape
    device = scene.target.device
    trainer = object.__new__(modules.trainer.Trainer)
    trainer.modules = modules.trainer
    trainer.device = device
    trainer.num_scales, trainer.num_pose_frames, trainer.use_pose_net = NUM_SCALES, 2, True
    trainer.opt = SimpleNamespace(
        height=height,
        width=width,
        scales=list(range(NUM_SCALES)),
        frame_ids=[0, *OFFSETS],
        min_depth=MIN_DEPTH,
        max_depth=MAX_DEPTH,
        disparity_smoothness=SMOOTHNESS,
        v1_multiscale=False,
        pose_model_type="separate_resnet",
        disable_automasking=False,
        avg_reprojection=False,
        predictive_mask=False,
        no_ssim=False,
        use_stereo=False,
    )
    trainer.ssim = modules.layers.SSIM().to(device)
    trainer.backproject_depth = {0: modules.layers.BackprojectDepth(batch, height, width).to(device)}
    trainer.project_3d = {0: modules.layers.Project3D(batch, height, width)}
    return trainer


def _inputs(scene: Street) -> dict[tuple, Tensor]:
    """A batch as its loader delivers it, without jitter."""
    K = torch.eye(4, device=scene.K.device).repeat(len(scene.K), 1, 1)
    K[:, :3, :3] = scene.K
    inputs = {("K", 0): K, ("inv_K", 0): torch.linalg.inv(K)}
    for offset, image in zip((0, *OFFSETS), (scene.target, *scene.sources.unbind(1)), strict=True):
        inputs[("color_aug", offset, 0)] = image.contiguous()
        for scale, resized in enumerate(image_pyramid(image.contiguous(), NUM_SCALES)):
            inputs[("color", offset, scale)] = resized
    return inputs
