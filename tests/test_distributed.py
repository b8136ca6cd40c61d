"""Runs of two processes (gloo, CPU): the same as one with twice the batch, resumed exactly, ended together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import EVERY_TERM, in_processes, rows, tiny_data, tiny_fit

from ude.engine import processes
from ude.files import DataError, atomic, load_checkpoint
from ude.models.encoders import add_lora

ROOT = Path(__file__).parents[1]
EPOCHS = {"backbone": "tiny", "epochs": 3}  # 9 frames, 4 in a step: 2 steps per epoch


def ended(pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def fit_on_two(folder, *, codes=(0, 0), at=None, actions=(None, None), **options):
    """What two processes saw and lost in each step; they must end with these exit codes."""

    def act(rank):
        seen, notes = [], folder.with_name(f"{folder.name}-{rank}.json")
        if rank:  # only the first process writes
            atomic.temporary_beside = None
        try:
            module = tiny_fit(folder, devices=2, at=at, action=actions[rank] or bool, seen=seen, **options)
            notes.write_text(json.dumps([seen, module.noted_losses]))
        except BaseException as error:
            notes.with_suffix(".error").write_text(f"{type(error).__name__}: {error}")
            raise

    assert ended(in_processes(act)) == list(codes)
    notes = [folder.with_name(f"{folder.name}-{rank}.json") for rank in range(2)]
    return [json.loads(note.read_text()) if note.is_file() else ([], []) for note in notes]


def error_of(folder, rank):
    return folder.with_name(f"{folder.name}-{rank}.error").read_text()


def test_the_batches_of_all_processes_are_those_of_one():
    alone = tiny_data(frames=23, batch_size=4).sampler
    shares = [tiny_data(frames=23, batch_size=2, devices=2).sampler for _ in range(2)]
    shares[1].rank = 1
    for epoch, done in [(0, 0), (1, 0), (1, 3)]:
        for sampler in (alone, *shares):
            sampler.set_epoch(epoch)
            sampler.skip = done
        order, first, second = (list(sampler) for sampler in (alone, *shares))
        assert len(order) == len(alone) == 20
        assert len(first) == len(second) == len(shares[0]) == 10
        for step in range(5):
            own = slice(2 * step, 2 * step + 2)
            assert first[own] + second[own] == order[4 * step : 4 * step + 4]
        assert len({*first, *second}) == 20


def lora(network):
    add_lora(network, rank=4)


@pytest.mark.parametrize(
    "options",
    [{"stage": "teacher"}, {"stage": "student"}, {"stage": "student", "weights": EVERY_TERM, "protect": lora}],
    ids=["teacher", "student", "every-term"],
)
def test_two_processes_train_like_one_with_twice_the_batch(options, tmp_path):
    alone = tiny_fit(tmp_path / "one", batch_size=4, **options, **EPOCHS)
    (first, first_losses), (second, second_losses) = fit_on_two(tmp_path / "two", **options, **EPOCHS)
    seen = [[a + b for a, b in zip(one[:2], two[:2], strict=True)] for one, two in zip(first, second, strict=True)]
    assert seen == [[ids, conditions] for ids, conditions, _ in alone.seen]
    means = [(a + b) / 2 for a, b in zip(first_losses, second_losses, strict=True)]
    assert means == pytest.approx(alone.noted_losses, rel=1e-5)
    one, two = (load_file(tmp_path / name / "depth_net" / "model.safetensors") for name in ("one", "two"))
    moved = max((value - one[name]).abs().max().item() for name, value in two.items())
    assert moved < 1e-5  # a hundredth of one AdamW step, which makes noise of small gradients large
    for a, b in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        assert a["loss/total"] == pytest.approx(b["loss/total"], rel=1e-5)
    assert len(list((tmp_path / "two" / "tensorboard").glob("events*"))) == 1
    assert json.loads((tmp_path / "two" / "version.json").read_text())["finished"] is True
    assert (tmp_path / "two" / "config.yaml").is_file()


def test_two_processes_resume_in_the_middle_of_an_epoch_bit_for_bit(tmp_path):
    options = EPOCHS | {"stage": "student", "checkpoint_every": 3}
    whole = fit_on_two(tmp_path / "whole", **options)

    def power_cut():
        os._exit(77)

    fit_on_two(tmp_path / "cut", at=4, actions=(power_cut, power_cut), codes=(77, 77), **options)
    resumed = fit_on_two(tmp_path / "cut", **options)
    for rank in range(2):
        assert resumed[rank] == [notes[3:] for notes in whole[rank]]
    one, two = (load_file(tmp_path / name / "depth_net" / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_stops_both_behind_the_same_step_with_a_checkpoint(rank, tmp_path):
    actions = [None, None]
    actions[rank] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    folder = tmp_path / "run"
    fit_on_two(folder, at=2, actions=actions, codes=(143, 143), **EPOCHS)
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == 3
    assert not (folder / ".lock").exists()


def test_the_death_of_one_process_ends_the_other_in_one_line_and_leaves_the_checkpoint(tmp_path):
    folder = tmp_path / "run"
    actions = (None, lambda: os.kill(os.getpid(), signal.SIGKILL))
    fit_on_two(folder, at=3, actions=actions, codes=(1, -9), **EPOCHS)
    assert error_of(folder, 0).startswith("LostProcessError: another process of this run ended or did not answer")
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == 2
    assert not (folder / ".lock").exists()
    assert not (folder / "depth_net").exists()


def test_an_error_of_one_process_keeps_its_own_exit_code(tmp_path):
    def bad_frame():
        raise DataError("image x.jpg cannot be decoded")

    fit_on_two(tmp_path / "run", at=3, actions=(None, bad_frame), codes=(1, 4), **EPOCHS)
    assert error_of(tmp_path / "run", 1) == "DataError: image x.jpg cannot be decoded"


def test_a_number_that_all_processes_agree_on_is_the_largest(monkeypatch):
    assert processes.LargestOfAll()(15) == 15


# --- launched as users do (fault F34)

SCRIPT = """
import os, signal, sys, time; from datetime import timedelta; from pathlib import Path
sys.path[:0] = [{tests!r}, {tools!r}]
import torch, train; from ude.engine import TeacherModule, processes; from ude.files import DataError
torch.set_num_threads(1); processes.TIMEOUT = timedelta(seconds={patience})
step = TeacherModule.training_step
def training_step(self, batch, batch_idx):
    if self.global_step == 5 and self.trainer.global_rank == int(os.environ["FAULTY"]):
        fault = os.environ["FAULT"]; Path({folder!r}, "fault").write_text(str(time.time()))
        if fault == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if fault == "raise": raise RuntimeError("something broke")
        if fault == "data": raise DataError("image x.jpg cannot be decoded")
        if fault == "hang": time.sleep(600)
        if fault == "terminate": os.kill(os.getpid(), signal.SIGTERM)
    return step(self, batch, batch_idx)
TeacherModule.training_step = training_step
if __name__ == "__main__": sys.exit(train.main(sys.argv[1:]))
"""


def processes_of(session):
    """Running processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


def launched(tmp_path, world_root, fault, faulty, *launcher):
    """Exit code, text and duration after the fault [s] of a run of two processes, of which none may be left."""
    script, patience = tmp_path / "faulty_train.py", 25 if fault == "hang" else 100  # they take a while to start
    paths = {"tests": str(ROOT / "tests"), "tools": str(ROOT / "tools"), "folder": str(tmp_path)}
    script.write_text(SCRIPT.format(**paths, patience=patience))
    options = [
        *("--cfg", str(ROOT / "configs" / "demo_teacher.yaml"), "OUTPUT_DIR", str(tmp_path)),
        *("DATA.ROOT", str(world_root), "DATA.SIZE", "[64, 96]", "MODEL.DEPTH.INPUT_SIZE", "[64, 96]"),
        *("MODEL.DEPTH.BACKBONE", "tiny", "SOLVER.BATCH_SIZE", "2", "RUN.MAX_STEPS", "8"),
        *("RUN.DEVICES", "2", "RUN.ACCELERATOR", "cpu", "RUN.CHECKPOINT_EVERY", "2", "RUN.LOG_EVERY", "1"),
    ]
    environment = os.environ | {"FAULT": fault, "FAULTY": str(faulty), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [*(launcher or (sys.executable,)), str(script), *options]
    began = time.monotonic()
    with open(tmp_path / "output.txt", "w+") as output:
        run = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        code = run.wait(timeout=300)
        while (left := processes_of(run.pid)) and time.monotonic() - began < 300:
            time.sleep(0.1)
        output.seek(0)
        text = output.read()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], text
    fault_s = time.time() - float((tmp_path / "fault").read_text()) if (tmp_path / "fault").exists() else 0
    print(f"{text}\nended {fault_s:.1f} s after the fault")
    assert fault_s < 60
    return code, text


def state(tmp_path):
    return load_checkpoint(tmp_path / "teacher" / "checkpoints" / "last.ckpt")["global_step"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "faulty"), [("kill", 1), ("kill", 0), ("raise", 1), ("data", 1), ("data", 0), ("hang", 1)]
)
def test_a_fault_of_one_process_ends_the_whole_run(fault, faulty, world_root, tmp_path):
    code, text = launched(tmp_path, world_root, fault, faulty)
    assert code != 0
    assert fault != "data" or code == 4
    assert state(tmp_path) == 4
    assert not (tmp_path / "teacher" / "depth_net").exists()
    if fault in ("data", "hang") and faulty == 1:
        assert "error: another process of this run ended or did not answer" in text
        assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("faulty", [0, 1])
def test_a_terminated_run_of_two_processes_ends_with_a_checkpoint(faulty, world_root, tmp_path):
    code, text = launched(tmp_path, world_root, "terminate", faulty)
    assert (code, state(tmp_path)) == (143, 6)
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["none", "kill"])
def test_torchrun_starts_a_run_as_well(fault, world_root, tmp_path):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    code, text = launched(tmp_path, world_root, fault, 1, *launcher)
    assert (code == 0) == (fault == "none"), text
    assert state(tmp_path) == (8 if fault == "none" else 4)
