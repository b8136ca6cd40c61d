"""Training runs of a small network on made-up frames, for tests of what goes on around the steps."""

import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ude.data.datasets import TrainingFrames
from ude.data.transforms import DeviceTransform
from ude.engine import (
    RunOptions,
    Solver,
    StudentModule,
    StudentWeights,
    TeacherModule,
    TeacherWeights,
    TrainingData,
    claim_run,
    fit,
)
from ude.engine.monitor import Monitor
from ude.models import DepthNet

SIZE = (32, 64)
OFFSETS = (-1, 1)
SOLVER = Solver(lr_encoder=1e-3, lr_decoder=1e-3, schedule="linear", warmup=3)


class MadeUpFrames:
    """A frame source of smooth noise that moves to the side."""

    def __init__(self, length: int) -> None:
        noise = torch.rand(length, 3, 6, 18, generator=torch.Generator().manual_seed(0))
        wide = torch.nn.functional.interpolate(noise, (SIZE[0], SIZE[1] + 8), mode="bilinear")
        self.pixels = (wide * 255).byte().permute(0, 2, 3, 1).numpy()

    def __len__(self) -> int:
        return len(self.pixels)

    def frame_id(self, index: int) -> str:
        return f"frame-{index:02d}"

    def condition(self, index: int) -> str:
        return "day-clear"

    def native_size(self, index: int) -> tuple[int, int]:
        return SIZE

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        start = 4 + 2 * offset
        return np.ascontiguousarray(self.pixels[index, :, start : start + SIZE[1]])

    def intrinsics(self, index: int) -> np.ndarray:
        return np.array([[50.0, 0, 31.5], [0, 50.0, 15.5], [0, 0, 1]])

    def distance(self, index: int, offset: int) -> float:
        return 0.5

    def T_source_target(self, index: int, offset: int) -> np.ndarray:  # noqa: N802
        T = np.eye(4)
        T[0, 3] = 0.2 * offset
        return T


class MadeUpTranslations:
    """Translations that are as dark as a night."""

    conditions = ("night", "rain")

    def __init__(self, source: MadeUpFrames) -> None:
        self.source = source

    def require(self, frame_ids: object) -> None:
        pass

    def usable(self, frame_id: str) -> tuple[str, ...]:
        return self.conditions

    def image(self, frame_id: str, condition: str) -> np.ndarray:
        return self.source.image(int(frame_id[-2:])) // (4 if condition == "night" else 2)


class Brightness(torch.nn.Module):
    """A model of relative depth for which what is bright is near."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(1, keepdim=True)


def network(backbone: str) -> DepthNet:
    torch.manual_seed(0)
    return DepthNet(backbone=backbone, num_scales=1, input_height=SIZE[0], input_width=SIZE[1])


def tiny_module(
    stage: str = "teacher",
    backbone: str = "resnet_small",
    weights: StudentWeights | None = None,
    protect: Callable[[DepthNet], None] | None = None,
) -> TeacherModule | StudentModule:
    """A teacher or a student that notes what it saw in every step, and can be made to fail."""

    class Noted(TeacherModule if stage == "teacher" else StudentModule):
        def training_step(self, batch, batch_idx):
            if self.at == self.global_step:
                self.action()
            self.seen.append((batch["frame_id"], batch["input_condition"], batch["depth_input"].sum().item()))
            loss = super().training_step(batch, batch_idx)
            self.noted_losses.append(loss.item())
            return loss

    shared = {"offsets": OFFSETS, "solver": SOLVER}
    if stage == "teacher":
        module = Noted(network(backbone), weights=TeacherWeights(), **shared)
    else:
        depth_net = network(backbone)
        with torch.no_grad():  # else it were equal to its teacher
            for parameter in depth_net.parameters():
                parameter.mul_(0.9)
        if protect is not None:
            protect(depth_net)
        frozen = {"teacher": network(backbone), "guide": None if weights is None else Brightness()}
        module = Noted(depth_net, weights=weights or StudentWeights(), **frozen, **shared)
    module.seen, module.noted_losses, module.at, module.action = [], [], None, None
    return module


def tiny_data(
    *, stage: str = "teacher", frames: int = 9, batch_size: int = 2, devices: int = 1, workers: int = 0
) -> TrainingData:
    source = MadeUpFrames(frames)
    data = TrainingFrames(
        source,
        size=SIZE,
        offsets=OFFSETS,
        translated=MadeUpTranslations(source) if stage == "student" else None,
        with_poses=True,
        seed=1,
    )
    transform = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), flip_prob=0.5, noise_prob=0.5, seed=1)
    return TrainingData(data, transform, batch_size=batch_size, num_workers=workers, seed=1, devices=devices)


def tiny_fit(
    folder: Path,
    *,
    stage: str = "teacher",
    backbone: str = "resnet_small",
    at: int | None = None,
    action: Callable[[], None] | None = None,
    seen: list | None = None,
    workers: int = 0,
    devices: int = 1,
    batch_size: int = 2,
    weights: StudentWeights | None = None,
    protect: Callable[[DepthNet], None] | None = None,
    monitor: Monitor | None = None,
    **options: int,
) -> TeacherModule | StudentModule:
    """Train in a folder, or go on with what was begun there; does an action at the beginning of a step."""
    module = tiny_module(stage, backbone, weights, protect)
    module.at, module.action = at, action
    module.seen = [] if seen is None else seen
    chosen = {"accelerator": "cpu", "devices": devices, "log_every": 1, "checkpoint_every": 2} | options
    with claim_run(folder, "hash", resume=True) as unfinished:
        if unfinished:
            fit(
                module,
                tiny_data(stage=stage, workers=workers, devices=devices, batch_size=batch_size),
                folder=folder,
                options=RunOptions(**chosen),
                config_text="NAME: tiny\n",
                identity={"config_hash": "hash"},
                monitor=monitor,
            )
    return module


EVERY_TERM = StudentWeights(
    semantic_margin=0.9,
    reliability_sources="mean",
    reliability_out_of_view="keep",
    reliability_margin=0.001,
    reliability_regions=20,
    features=0.1,
    ordinal=0.1,
)


def power_cut() -> None:
    raise RuntimeError("power cut")


def rows(folder: Path) -> list[dict[str, float]]:
    """The logged rows without what depends on the clock."""
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in logged]


def forked(action: Callable[[], int | None]) -> int:
    """Runs an action in a process of its own, which ends with the action's number; returns the process's."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        torch.set_num_threads(1)  # renews torch's pool, which two threads of a forked process cannot do at a time
        code = action() or 0
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        traceback.print_exc()
        code = getattr(error, "exit_code", 98)
    finally:
        sys.stderr.flush()
        os._exit(code)


def in_processes(action: Callable[[int], int | None], count: int = 2) -> list[int]:
    """Starts an action, which is given its rank, in the processes of a distributed run; returns their numbers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def act(rank: int) -> int | None:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
        os.environ |= {"NODE_RANK": "0", "LOCAL_RANK": str(rank)}
        return action(rank)

    return [forked(lambda rank=rank: act(rank)) for rank in range(count)]
