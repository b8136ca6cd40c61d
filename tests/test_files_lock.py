"""A folder for one process at a time."""

import json
import os
import platform
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tiny_run import forked

from ude.files import DataError, clean_temporary, lock, lock_folder


def holder_that_never_ends(folder) -> int:
    def hold():
        with lock_folder(folder):
            (folder / "held").touch()
            time.sleep(600)
        return 0

    pid = forked(hold)
    while not (folder / "held").exists():
        time.sleep(0.005)
    return pid


def left_by(folder, **changes) -> None:
    """A lock as of this process, but for some of what it says."""
    with lock_folder(folder):
        (token,) = (folder / ".lock").iterdir()
        text = json.dumps(json.loads(token.read_text()) | changes)
    (folder / ".lock").mkdir(parents=True)
    (folder / ".lock" / "token").write_text(text)


def test_the_second_is_refused_with_holder_host_and_folder_until_the_first_is_done(tmp_path):
    with lock_folder(tmp_path):
        pattern = rf"{tmp_path} is in use by process {os.getpid()} on {platform.node()} since \d+-.*; wait for it, stop"
        with pytest.raises(DataError, match=pattern) as error, lock_folder(tmp_path):
            pass
        assert "\n" not in str(error.value)
        assert error.value.exit_code == 4
    with lock_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_exception_gives_the_folder_back(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_for_nothing_is_removed_and_one_with_files_stays(tmp_path):
    with lock_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / ".lock").is_dir()
    assert list(tmp_path.iterdir()) == []
    with lock_folder(tmp_path / "a"):
        (tmp_path / "a" / "x").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x"]


def test_a_folder_that_vanishes_meanwhile_is_no_error(tmp_path):
    with lock_folder(tmp_path / "a"):
        shutil.rmtree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_respected_while_it_lives_and_then_taken_over(tmp_path):
    holder = holder_that_never_ends(tmp_path)
    with pytest.raises(DataError, match=f"in use by process {holder} "), lock_folder(tmp_path):
        pass
    os.kill(holder, signal.SIGKILL)
    while Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.005)
    with lock_folder(tmp_path):  # nobody has asked for its exit code yet
        pass
    os.waitpid(holder, 0)
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"started": "1"},  # the number belongs to a later process now
        {"boot": "before", "namespace": "another"},  # the machine was started anew
        {"pid": 2**22 + 1},
    ],
)
def test_the_lock_of_a_process_that_is_gone_is_taken_over(changes, tmp_path):
    left_by(tmp_path, **changes)
    with lock_folder(tmp_path):
        (token,) = (tmp_path / ".lock").iterdir()
        assert json.loads(token.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"host": "node-7"}, {"namespace": "another container"}])
def test_a_lock_from_where_nobody_can_look_is_respected_and_the_remedy_is_named(changes, tmp_path):
    left_by(tmp_path, **changes, pid=2**22 + 1)
    pattern = (
        rf"on {changes.get('host', platform.node())} since .*; wait for it, or, if it is gone, remove {tmp_path}/\.lock"
    )
    with pytest.raises(DataError, match=pattern), lock_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    shutil.rmtree(tmp_path / ".lock")
    with lock_folder(tmp_path):
        pass


def test_the_lock_of_another_machine_of_the_same_name_is_respected(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_MACHINE_ID", tmp_path / "machine-id")
    gone = {"boot": "before", "pid": 2**22 + 1}
    (tmp_path / "machine-id").write_text("0123\n")
    left_by(tmp_path / "other", **gone, machine="4567")
    with pytest.raises(DataError, match="wait for it, or, if it is gone, remove"), lock_folder(tmp_path / "other"):
        pass
    left_by(tmp_path / "same", **gone)
    with lock_folder(tmp_path / "same"):  # started anew
        pass
    (tmp_path / "machine-id").unlink()
    with lock_folder(tmp_path / "other"):  # this system does not tell
        pass


def test_a_lock_without_a_legible_holder_is_respected(tmp_path):
    (tmp_path / ".lock").mkdir()
    (tmp_path / ".lock" / "token").write_text("{")
    with pytest.raises(DataError, match=r"by a process that left no name; wait for it, or"), lock_folder(tmp_path):
        pass


def test_an_empty_lock_is_taken(tmp_path):
    (tmp_path / ".lock").mkdir()
    with lock_folder(tmp_path):
        assert len(list((tmp_path / ".lock").iterdir())) == 1


@pytest.mark.parametrize("stale", [False, True])
def test_of_processes_that_start_together_exactly_one_gets_in(stale, tmp_path):
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        if stale:
            left_by(folder, pid=2**22 + 1)
        gate, begin = os.pipe()

        def enter(folder=folder, gate=gate, begin=begin):
            os.close(begin)
            os.read(gate, 1)  # until the pipe is closed
            try:
                with lock_folder(folder):
                    patience = time.monotonic() + 20
                    while not (folder / "all others are out").exists() and time.monotonic() < patience:
                        time.sleep(0.005)
            except DataError:
                return 4
            return 0

        together = [forked(enter) for _ in range(6)]
        os.close(begin)
        os.close(gate)
        first_to_end = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(5)]
        (folder / "all others are out").touch()
        assert first_to_end == [4] * 5
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0, together
        assert [path.name for path in folder.iterdir()] == ["all others are out"]


def test_what_a_process_left_that_was_killed_on_its_way_in_is_cleaned_up(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    with lock_folder(tmp_path / "probe"):
        (token,) = (tmp_path / "probe" / ".lock").iterdir()
    prepared = tmp_path / f".tmp-{token.name.split('-')[1]}-{dead.pid}-00"
    prepared.mkdir()
    (prepared / "token").write_text("{}")
    assert clean_temporary(tmp_path) == 1
    assert not prepared.exists()


def test_a_place_that_cannot_be_locked_is_one_line_of_error(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(DataError, match=r"cannot write .*\.lock: .*; choose a folder"), lock_folder(folder):
            pass
