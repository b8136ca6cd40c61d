"""Batches of made-up frames, small networks, and a trainer in one process, for tests of the training step."""

from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from ude.engine import Solver, TeacherModule, TeacherWeights
from ude.engine.records import JsonLinesLogger
from ude.models import DepthNet

H, W = 32, 64
SOLVER = Solver(lr_encoder=1e-3, lr_decoder=2e-3, lr_pose=3e-3, warmup=3)


def network(num_scales=2, backbone="resnet_small"):
    torch.manual_seed(0)
    return DepthNet(backbone=backbone, num_scales=num_scales, input_height=H, input_width=W)


def batch(size=2, seed=1):
    torch.manual_seed(seed)
    target, sources = torch.rand(size, 3, H, W), torch.rand(size, 2, 3, H, W)
    T = torch.eye(4).repeat(size, 2, 1, 1)
    T[:, 0, 2, 3], T[:, 1, 2, 3] = 0.5, -0.5
    return {
        "frame_id": [f"frame-{index}" for index in range(size)],
        "condition": ["day-clear"] * size,
        "target": target,
        "sources": sources,
        "depth_input": target.clone(),
        "flipped": torch.zeros(size, dtype=torch.bool),
        "pose_input": torch.cat([target[:, None], sources], 1),
        "K": torch.tensor([[50.0, 0, 31.5], [0, 50.0, 15.5], [0, 0, 1]]).repeat(size, 1, 1),
        "T_source_target": T,
        "distance": torch.full((size, 2), 0.5),
    }


def batches(count):
    """So many batches, whose frames are called after their step."""
    made = [batch(seed=step) for step in range(count)]
    for step, one in enumerate(made):
        one["frame_id"] = [f"step-{step}-{index}" for index in range(len(one["frame_id"]))]
    return made


def teacher_module(pose_net=None, solver=SOLVER, **weights):
    return TeacherModule(network(), pose_net, weights=TeacherWeights(**weights), offsets=(-1, 1), solver=solver)


def trainer(folder: Path, *, steps: int, save_every: int = 1, log_every: int = 1, **options) -> L.Trainer:
    """A trainer on the CPU that writes scalars and checkpoints into a folder, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    saving = ModelCheckpoint(
        dirpath=folder, filename="last", every_n_train_steps=save_every, enable_version_counter=False
    )
    options = {"callbacks": [saving], "accelerator": "cpu"} | options
    return L.Trainer(
        max_steps=steps,
        max_epochs=-1,
        log_every_n_steps=log_every,
        logger=[JsonLinesLogger(folder / "metrics.jsonl")],
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=folder,
        **options,
    )


def checkpoint(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)


def loader(data):
    return DataLoader(data, batch_size=None)
