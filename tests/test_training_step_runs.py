"""Whole runs: too little memory, lower precision, other layouts, the same seed, several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train
from made_batches import batch, batches, checkpoint, loader, network, teacher_module, trainer
from safetensors.torch import load_file

from ude.engine import Solver, StudentModule, StudentWeights, TeacherModule
from ude.engine.hardware import OutOfMemoryError, is_out_of_memory, slow_bfloat16
from ude.engine.optimiser import adamw, match_layout
from ude.models import PoseNet

TESTS = Path(__file__).parent
CUDA = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8.00 GiB of which ...\nmore"
CPU = "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (torch.OutOfMemoryError(CUDA), "(2.50 GiB more were asked for)"),
        (RuntimeError(CPU), "(99 bytes more were asked for)"),
        (MemoryError(), "of 32 x 64; lower"),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_too_little_memory_is_one_line_that_names_what_to_lower(tmp_path, error, asked):
    module, data = teacher_module(), batches(3)
    losses = module.losses

    def hungry(batch):
        if module.global_step == 2:
            raise error
        return losses(batch)

    module.losses = hungry
    with pytest.raises(OutOfMemoryError, match="in step 2 with 2 frames of 32 x 64") as stop:
        trainer(tmp_path, steps=3).fit(module, loader(data))
    message = str(stop.value)
    assert stop.value.exit_code == 7
    assert "\n" not in message
    keys = ("SOLVER.BATCH_SIZE", "DATA.SIZE", "MODEL.DEPTH.INPUT_SIZE", "MODEL.DEPTH.BACKBONE", "RUN.PRECISION")
    assert all(word in message for word in (asked, *keys))
    assert checkpoint(tmp_path)["global_step"] == 2
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def tool_arguments(output, root, *extra):
    return [
        *("--cfg", str(TESTS.parent / "configs" / "demo_teacher.yaml"), "OUTPUT_DIR", str(output)),
        *("DATA.ROOT", str(root), "DATA.SIZE", "[64, 96]", "MODEL.DEPTH.INPUT_SIZE", "[64, 96]"),
        *("SOLVER.BATCH_SIZE", "2", "RUN.LOG_EVERY", "1", "RUN.MAX_STEPS", "3", "RUN.CHECKPOINT_EVERY", "1"),
        *extra,
    ]


def test_a_run_without_memory_ends_with_code_7_and_can_be_continued(world_root, tmp_path, monkeypatch, capsys):
    losses = TeacherModule.losses

    def hungry(self, batch):
        if self.global_step == 2:
            raise torch.OutOfMemoryError(CUDA)
        return losses(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(TeacherModule, "losses", hungry)
        assert train.main(tool_arguments(tmp_path, world_root)) == 7
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "out of memory in step 2" in line
    assert train.main([*tool_arguments(tmp_path, world_root), "--resume"]) == 0


@pytest.mark.parametrize(
    ("accelerator", "devices", "gpus", "mps", "error"),
    [
        ("mps", 1, 4, False, "RUN.ACCELERATOR is mps, but torch finds no GPU for it; set it to auto or cpu"),
        ("gpu", 1, 0, False, "RUN.ACCELERATOR is gpu, but torch finds no GPU for it; set it to auto or cpu"),
        ("cuda", 1, 0, True, "RUN.ACCELERATOR is cuda, but torch finds no GPU for it; set it to auto or cpu"),
        ("gpu", 8, 4, False, "RUN.DEVICES is 8, but torch finds 4 GPU(s); set RUN.DEVICES 4"),
        ("auto", 8, 4, False, "RUN.DEVICES is 8, but torch finds 4 GPU(s); set RUN.DEVICES 4"),
        ("auto", 2, 0, True, "RUN.DEVICES is 2, but torch finds 1 GPU(s); set RUN.DEVICES 1"),
        ("gpu", 1, 0, True, None),
        ("gpu", 4, 4, False, None),
        ("auto", 8, 0, False, None),
        ("cpu", 8, 4, False, None),
    ],
)
def test_devices_that_the_machine_lacks_are_named_with_a_remedy(
    accelerator, devices, gpus, mps, error, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    keys = ("RUN.ACCELERATOR", accelerator, "RUN.DEVICES", str(devices))
    code = train.main(tool_arguments(tmp_path / "runs", tmp_path / "no data", *keys))
    lines = capsys.readouterr().err.strip().splitlines()
    if error is None:  # the next thing that is not there
        assert (code, "no data" in lines[-1]) == (4, True)
    else:
        assert (code, lines) == (2, [f"error: {error}"])
    assert not (tmp_path / "runs").exists()


def test_loss_terms_are_float32_whatever_autocast_says():
    teacher, data = teacher_module(PoseNet()), batch()
    student = StudentModule(
        network(),
        teacher=network(),
        teacher_pose=PoseNet(),
        weights=StudentWeights(),
        offsets=(-1, 1),
        solver=teacher.solver,
    )
    for module in (teacher, student):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            terms, maps = module.losses(data)
        assert {name: term.dtype for name, term in terms.items()} == dict.fromkeys(terms, torch.float32)
        assert maps["inverse_depth"].dtype == torch.float32


def test_twenty_steps_in_bfloat16_stay_within_two_percent_of_float32(tmp_path):
    curves = []
    for precision in ("32-true", "bf16-mixed"):
        module, folder = teacher_module(), tmp_path / precision
        trainer(folder, steps=20, save_every=100, precision=precision).fit(module, loader([batch()] * 20))
        curves.append([json.loads(line)["loss/total"] for line in (folder / "metrics.jsonl").read_text().splitlines()])
    assert len(curves[0]) == 20
    assert curves[1] == pytest.approx(curves[0], rel=0.02)
    assert curves[0] != curves[1]
    assert curves[0][-1] < curves[0][0]


def test_hardware_without_bfloat16_is_told_that_it_is_slower(monkeypatch, tmp_path, caplog):
    capable = dict.fromkeys(("avx2", "avx512_f"), True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable)
    assert "bf16-mixed is slower than 32-true" in slow_bfloat16(torch.device("cpu"))
    trainer(tmp_path, steps=1, precision="bf16-mixed").fit(teacher_module(), loader(batches(1)))
    trainer(tmp_path, steps=1).fit(teacher_module(), loader(batches(1)))
    own = [record.message for record in caplog.records if record.name == "ude.engine.base"]
    assert own == [slow_bfloat16(torch.device("cpu"))]
    for flag in ("amx_bf16", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flag=flag: capable | {flag: True})
        assert slow_bfloat16(torch.device("cpu")) is None


def test_moments_of_another_memory_layout_are_brought_into_that_of_the_weights():
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 3, 3, 3), torch.randn(3, 4, 3, 3, 3)
    weights = []
    for resumed_layout in (torch.contiguous_format, torch.channels_last):
        weight = torch.nn.Parameter(start.clone())
        optimizer = adamw({"decoder": [weight]}, Solver(0.1, 0.1))
        for number, gradient in enumerate(gradients):
            if number == 1:
                state = optimizer.state_dict()
                weight = torch.nn.Parameter(weight.detach().clone(memory_format=resumed_layout))
                optimizer = adamw({"decoder": [weight]}, Solver(0.1, 0.1))
                optimizer.load_state_dict(state)
                match_layout(optimizer)
            weight.grad = torch.empty_like(weight).copy_(gradient)
            optimizer.step()
        weights.append(weight.detach())
    assert weights[1].stride() != weights[0].stride()
    assert torch.equal(*weights)


def test_loader_processes_do_not_change_what_is_learned(world_root, tmp_path):
    learned = []
    for workers in ("0", "2"):
        output = tmp_path / workers
        assert train.main(tool_arguments(output, world_root, "RUN.NUM_WORKERS", workers)) == 0
        learned.append(load_file(output / "teacher" / "depth_net" / "model.safetensors"))
    assert all(torch.equal(value, learned[1][name]) for name, value in learned[0].items())


TWO_PROCESSES = """
import math, sys
from pathlib import Path
import torch
from made_batches import batches, checkpoint, loader, teacher_module, trainer
from lightning.pytorch.strategies import DDPStrategy

folder, key = Path(sys.argv[1]), sys.argv[2]

class Ranked:
    def __len__(self): return 4
    def __getitem__(self, index):
        one = batches(4)[index]
        rank = torch.distributed.get_rank()
        one["frame_id"] = [f"rank-{rank}-{name}" for name in one["frame_id"]]
        if rank == 1 and index == 2 and key:
            one[key].view(-1)[0] = math.nan
        return one

torch.set_num_threads(1)
module = teacher_module()
gloo = DDPStrategy(process_group_backend="gloo")
run = trainer(folder, steps=4, devices=2, strategy=gloo, use_distributed_sampler=False)
try:
    run.fit(module, loader(Ranked()))
except FloatingPointError as error:
    print(f"rank {run.global_rank} {error}", flush=True)
    sys.exit(error.exit_code)
"""


def two_processes(folder, key):
    script = folder / "two_processes.py"
    script.write_text(TWO_PROCESSES)
    environment = os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, str(script), str(folder), key]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)


@pytest.mark.slow
def test_all_processes_stop_on_what_one_of_them_met(tmp_path):
    result = two_processes(tmp_path, "K")
    assert result.returncode == 5, result.stdout + result.stderr[-2000:]
    for rank in (0, 1):  # both know the frames of the second
        assert f"rank {rank} not finite at step 2: input K; frames: rank-1-step-2-0, rank-1-step-2-1" in result.stdout
    (report,) = json.loads((tmp_path / "non_finite.json").read_text())["processes"]
    assert report["frames"] == ["rank-1-step-2-0", "rank-1-step-2-1"]
    assert checkpoint(tmp_path)["global_step"] == 2


@pytest.mark.slow
def test_scalars_of_a_distributed_run_are_means_over_its_processes(tmp_path):
    result = two_processes(tmp_path, "")
    assert result.returncode == 0, result.stdout + result.stderr[-2000:]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    one = tmp_path / "one"
    trainer(one, steps=1).fit(teacher_module(), loader(batches(1)))  # both processes see the same first batch
    first = json.loads((one / "metrics.jsonl").read_text().splitlines()[0])
    assert rows[0]["loss/total"] == pytest.approx(first["loss/total"], rel=1e-6)
    assert rows[0]["grad/norm"] == pytest.approx(first["grad/norm"], rel=1e-5)
