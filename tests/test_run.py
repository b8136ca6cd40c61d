"""Training runs that are interrupted, killed, short of space or not alone in their folder."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import power_cut, rows, tiny_fit, tiny_module

from ude.engine import claim_run, records
from ude.engine.run_folder import require_checkpoint_space
from ude.files import DataError, DiskFullError, MissingFileError, clean_temporary, load_checkpoint

ROOT = Path(__file__).parents[1]


def weights(folder):
    return load_file(folder / "depth_net" / "model.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def cut(folder, step, **options):
    """Train until a step, and lose what was not saved."""
    with pytest.raises(RuntimeError, match="power cut"):
        tiny_fit(folder, at=step, action=power_cut, **options)


# --- resumed is as never interrupted (fault F31); 9 frames in batches of 2: an epoch has 4 steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Uninterrupted runs by their options."""
    finished = {}

    def run(**options):
        key = json.dumps(options, sort_keys=True)
        if key not in finished:
            folder = tmp_path_factory.mktemp("whole")
            finished[key] = folder, tiny_fit(folder, **options)
        return finished[key]

    return run


TEACHER = {"stage": "teacher", "max_steps": 8, "epochs": 99}
STUDENT = {"stage": "student", "epochs": 2}


@pytest.mark.parametrize(
    ("cuts", "options"),
    [
        ([7], TEACHER),
        ([4, 7], STUDENT),  # between two epochs, and in the middle of the one that was resumed
        ([5], STUDENT | {"workers": 1}),
        *(
            pytest.param(cuts, options, marks=pytest.mark.slow)
            for cuts in ([10], [8], [8, 11], [3, 5, 13])
            for options in (TEACHER | {"max_steps": 20}, STUDENT | {"epochs": 5}, STUDENT | {"epochs": 5, "workers": 2})
        ),
    ],
)
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(cuts, options, whole, tmp_path):
    expected_folder, expected = whole(**{key: value for key, value in options.items() if key != "workers"})
    for step in cuts:
        cut(tmp_path, step, **options)
    resumed = tiny_fit(tmp_path, **options)
    first = cuts[-1] // 2 * 2  # there is a checkpoint every second step
    assert resumed.seen == expected.seen[first:]
    assert resumed.noted_losses == expected.noted_losses[first:]
    assert same(weights(tmp_path), weights(expected_folder))
    assert rows(tmp_path) == rows(expected_folder)
    assert [row["step"] for row in rows(tmp_path)] == list(range(len(expected.seen)))


def test_no_frame_comes_twice_in_an_epoch_that_was_resumed(tmp_path):
    seen = []
    cut(tmp_path, 3, epochs=1, seen=seen)
    checkpoint, step = records.usable_checkpoint(tmp_path / "checkpoints")
    assert (checkpoint.name, step) == ("last.ckpt", 2)
    del seen[step:]
    tiny_fit(tmp_path, epochs=1, seen=seen)
    frames = [frame for ids, *_ in seen for frame in ids]
    assert len(frames) == len(set(frames)) == 8


def test_a_resumed_run_replaces_what_was_logged_behind_its_checkpoint(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cut(tmp_path, 3, max_steps=4)
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2]
    tiny_fit(tmp_path, max_steps=4)
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2, 3]
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/total")] == [0, 1, 2, 3]


def test_the_dump_of_a_fault_is_gone_when_its_run_goes_on(tmp_path):
    dump = tmp_path / "non_finite.json"
    cut(tmp_path, 3, max_steps=4)
    dump.write_text("{}")
    there = []
    tiny_fit(tmp_path, max_steps=4, at=2, action=lambda: there.append(dump.exists()))
    assert there == [False]


def test_a_checkpoint_holds_tensors_and_plain_values_and_no_configuration(tmp_path):
    tiny_fit(tmp_path, max_steps=2)
    state = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert not [key for key in state if "hyper" in key or "config" in key]

    def kinds(value):
        if isinstance(value, dict):
            return set().union({type(key) for key in value}, *map(kinds, value.values()))
        return set().union(*map(kinds, value)) if isinstance(value, list | tuple) else {type(value)}

    assert kinds(state) <= {torch.Tensor, str, int, float, bool, type(None)}


# --- kills (fault F15)


def test_the_checkpoint_before_is_kept_and_is_not_changed_with_the_last(tmp_path):
    cut(tmp_path, 5, epochs=2)
    last, previous = (tmp_path / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt"))
    assert [load_checkpoint(path)["global_step"] for path in (previous, last)] == [2, 4]
    last.write_bytes(b"damaged")
    assert load_checkpoint(previous)["global_step"] == 2
    assert records.usable_checkpoint(last.parent) == (previous, 2)


def test_the_checkpoint_before_is_kept_however_its_folder_is_spelled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    io, last = records.AtomicCheckpointIO(Path(".")), Path("checkpoints") / "last.ckpt"
    for step, path in enumerate((last, os.path.realpath(last), last)):
        io.save_checkpoint({"global_step": step}, path)
        if step:
            assert load_checkpoint(last.with_name("previous.ckpt"))["global_step"] == step - 1
    fresh = records.AtomicCheckpointIO(Path("."))
    fresh.load_checkpoint(last)
    fresh.save_checkpoint({"global_step": 3}, os.path.realpath(last))
    assert load_checkpoint(last.with_name("previous.ckpt"))["global_step"] == 2


def test_where_files_cannot_have_two_names_the_checkpoint_before_is_a_copy(tmp_path, monkeypatch):
    def unsupported(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", unsupported)
    cut(tmp_path, 5, epochs=2)
    assert load_checkpoint(tmp_path / "checkpoints" / "previous.ckpt")["global_step"] == 2


def test_a_checkpoint_that_could_not_be_written_costs_neither_of_those_before(tmp_path, monkeypatch):
    last, io = tmp_path / "checkpoints" / "last.ckpt", records.AtomicCheckpointIO(tmp_path)
    io.save_checkpoint({"global_step": 1}, last)
    with monkeypatch.context() as patch:
        patch.setattr(records, "save_checkpoint", lambda *_: power_cut())
        with pytest.raises(RuntimeError, match="power cut"):
            io.save_checkpoint({"global_step": 2}, last)
    io.save_checkpoint({"global_step": 3}, last)
    names = {path.name: path for path in last.parent.iterdir() if path.suffix != ".sha256"}
    assert {name: load_checkpoint(path)["global_step"] for name, path in names.items()} == {
        "last.ckpt": 3,
        "previous.ckpt": 1,
    }


def write_checkpoints_until_killed(folder):
    path = folder / "checkpoints" / "last.ckpt"
    (_, step), io = records.usable_checkpoint(path.parent), records.AtomicCheckpointIO(folder)
    if step:
        io.load_checkpoint(path)
    while True:
        step += 1
        io.save_checkpoint({"global_step": step, "weights": torch.full((300_000,), float(step))}, path)


@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_while_checkpoints_are_written_leave_the_last_one_good(kills, tmp_path):
    draw, last = random.Random(0), tmp_path / "checkpoints" / "last.ckpt"
    records.AtomicCheckpointIO(tmp_path).save_checkpoint({"global_step": 0, "weights": torch.zeros(300_000)}, last)
    for _ in range(kills):
        before, writer = last.stat().st_ino, os.fork()
        if writer == 0:
            write_checkpoints_until_killed(tmp_path)
        while last.stat().st_ino == before:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        path, step = records.usable_checkpoint(last.parent)
        assert path == last
        assert (load_checkpoint(path)["weights"] == step).all()
    clean_temporary(tmp_path)
    assert {path.name.removesuffix(".sha256") for path in last.parent.iterdir()} == {"last.ckpt", "previous.ckpt"}


def test_what_a_killed_run_left_is_removed_at_the_next_start_even_without_a_checkpoint(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    with claim_run(tmp_path / "probe", "hash", resume=False):
        (prepared,) = (tmp_path / "probe" / ".lock").iterdir()
    host = prepared.name.split("-")[1]
    stale = tmp_path / "run" / "checkpoints" / f".tmp-{host}-{dead.pid}-0.ckpt"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"half")
    with claim_run(tmp_path / "run", "hash", resume=False) as unfinished:
        assert unfinished
        assert not stale.exists()


# --- disks (faults F16, F17)


def test_a_full_disk_ends_the_run_and_a_resumed_one_is_bit_for_bit_the_uninterrupted_one(whole, tmp_path, monkeypatch):
    save, saves = records.save_checkpoint, []

    def full(path, state):
        saves.append(path)
        if len(saves) > 3:
            monkeypatch.setattr(os, "fsync", no_space)
        save(path, state)

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "save_checkpoint", full)
    pattern = r"no space left to write .*last\.ckpt \(\d+\.\d MB needed, \d+\.\d MB free on that disk\)"
    with pytest.raises(DiskFullError, match=pattern) as error:
        tiny_fit(tmp_path, **TEACHER)
    assert error.value.exit_code == 6
    monkeypatch.undo()
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 6
    tiny_fit(tmp_path, **TEACHER)
    assert same(weights(tmp_path), weights(whole(**TEACHER)[0]))


def test_too_little_space_for_checkpoints_is_found_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    tiny_fit(tmp_path / "measured", max_steps=1)
    size = (tmp_path / "measured" / "checkpoints" / "last.ckpt").stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(2.5 * size)))
    with pytest.raises(
        DiskFullError, match=r"run has too little space for 3 checkpoints of \d+\.\d MB: .* free"
    ) as error:
        tiny_fit(tmp_path / "run", max_steps=1, at=0, action=power_cut)
    needed = float(str(error.value).split("MB: ")[1].split(" MB needed")[0])
    assert needed * 1e6 == pytest.approx(3 * size, rel=0.05)
    assert not (tmp_path / "run").exists()
    module = tiny_module()
    require_checkpoint_space(module, tmp_path / "measured")  # what is there makes room


MOUNT = "mount -t tmpfs -o size={size} none {folder} && exec {python} {script} {folder}"


def in_private_mount(size, folder, script, tmp_path):
    """Run a script with a small file system at a folder."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("this system allows no private mounts")
    folder.mkdir()
    (tmp_path / "script.py").write_text(script)
    shell = MOUNT.format(size=size, folder=folder, python=sys.executable, script=tmp_path / "script.py")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    command = ["unshare", "-Urm", "sh", "-c", shell]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


FULL_DISK = """
import sys; from pathlib import Path; import torch
from safetensors.torch import load_file
from tiny_run import tiny_fit; from ude.files import DiskFullError, load_checkpoint
from ude.engine import run
folder = Path(sys.argv[1]); run.require_checkpoint_space = lambda *_: None
ballast = folder / "ballast"; free = lambda: __import__("shutil").disk_usage(folder).free
def fill():
    size = (folder / "run/checkpoints/last.ckpt").stat().st_size
    ballast.write_bytes(bytes(max(0, free() - size // 2)))
def weights(): return load_file(folder / "run/depth_net/model.safetensors")
def train(**options): tiny_fit(folder / "run", backbone="tiny", max_steps=6, epochs=9, **options)
try: train(at=3, action=fill)
except DiskFullError as error: print(error)
names = sorted(path.name for path in (folder / "run/checkpoints").iterdir()); print(names)
print(load_checkpoint(folder / "run/checkpoints/last.ckpt")["global_step"], list((folder / "run").rglob(".tmp-*")))
ballast.unlink(); train(); resumed = weights()
__import__("shutil").rmtree(folder / "run"); train(); whole = weights()
print(all(torch.equal(value, resumed[name]) for name, value in whole.items()))
"""


@pytest.mark.slow
def test_a_really_full_disk_ends_the_run_with_its_checkpoint_intact(tmp_path):
    result = in_private_mount("3m", tmp_path / "disk", FULL_DISK, tmp_path)
    message, names, state, equal = result.stdout.strip().splitlines() or [result.stderr] * 4
    assert "last.ckpt" in message, result.stderr
    assert " MB needed, " in message
    assert "Traceback" not in result.stderr
    assert names == "['last.ckpt', 'last.ckpt.sha256', 'previous.ckpt', 'previous.ckpt.sha256']"
    assert (state, equal) == ("2 []", "True")


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_loaded(tmp_path):
    (tmp_path / "file").write_text("")
    began = time.monotonic()
    with pytest.raises(DataError, match=r"cannot write .*\.lock: .*/file is a file; choose a folder") as error:
        tiny_fit(tmp_path / "file" / "runs" / "run", max_steps=1)
    assert "\n" not in str(error.value)
    assert time.monotonic() - began < 5
    with pytest.raises(DataError, match="cannot write"):
        tiny_fit(tmp_path / "file", max_steps=1)


READ_ONLY = """
import sys, subprocess; from pathlib import Path
from ude.engine import claim_run; from ude.files import DataError
subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
try:
    with claim_run(Path(sys.argv[1]) / "run", "hash", resume=False): print("in")
except DataError as error: print(error)
"""


@pytest.mark.slow
def test_a_read_only_disk_is_refused_before_anything_is_loaded(tmp_path):
    result = in_private_mount("3m", tmp_path / "disk", READ_ONLY, tmp_path)
    assert "Read-only file system; choose a folder that you can write to" in result.stdout, result.stderr


@pytest.mark.parametrize("log_every", [1, 50])
def test_a_run_folder_that_vanishes_is_one_line_of_error_and_is_not_made_anew(log_every, tmp_path):
    def vanish():
        (tmp_path / "run").rename(tmp_path / "elsewhere")  # at once, though TensorBoard writes in another thread

    with pytest.raises(MissingFileError, match=r"the run folder .*run has vanished; .* --resume") as error:
        tiny_fit(tmp_path / "run", max_steps=6, epochs=9, at=3, action=vanish, log_every=log_every)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


# --- not alone (fault F43)


def test_a_second_training_in_the_same_folder_is_refused_with_the_holder_and_the_folder(tmp_path):
    inside = []

    def second():
        with pytest.raises(DataError, match=f"{tmp_path} is in use by process {os.getpid()} on .* since .*; wait"):
            tiny_fit(tmp_path, max_steps=4)
        inside.append("once")

    tiny_fit(tmp_path, max_steps=4, at=3, action=second)
    assert inside == ["once"]
    assert not (tmp_path / ".lock").exists()
    assert json.loads((tmp_path / "version.json").read_text())["finished"] is True


def test_a_finished_run_is_only_looked_at(tmp_path):
    tiny_fit(tmp_path, max_steps=1)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    assert tiny_fit(tmp_path, max_steps=1).seen == []
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ending", ["error", "interrupt", "terminate"])
def test_the_folder_is_given_back_however_a_run_ends(ending, tmp_path):
    def end():
        if ending == "error":
            power_cut()
        os.kill(os.getpid(), signal.SIGINT if ending == "interrupt" else signal.SIGTERM)

    expected = {"error": RuntimeError, "interrupt": KeyboardInterrupt, "terminate": SystemExit}[ending]
    with pytest.raises(expected) as stop:
        tiny_fit(tmp_path, max_steps=4, at=1, action=end)
    assert ending != "terminate" or stop.value.code == 143
    assert not (tmp_path / ".lock").exists()


def test_a_run_that_is_terminated_while_it_loads_gives_the_folder_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, claim_run(tmp_path / "run", "hash", resume=False):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.value.code == 143
    assert not (tmp_path / "run").exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_processes_of_a_distributed_run_other_than_the_first_take_no_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with claim_run(tmp_path / "run", "hash", resume=False) as unfinished:
        assert unfinished
        assert not (tmp_path / "run").exists()
