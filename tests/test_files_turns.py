"""One process of each machine makes what all of them need, whoever else holds the folder."""

import os
import threading
import time
from pathlib import Path

import pytest
from tiny_run import forked

from ude.files import DataError, in_turn, lock, lock_folder, turns


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(turns, "_WAIT_S", 0.02)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def held_elsewhere(tmp_path, monkeypatch):
    """A folder that a process of another machine holds."""
    here = lock._this_process()
    monkeypatch.setattr(lock, "_this_process", lambda: here | {"host": "node2"})
    with lock_folder(tmp_path / "work"):
        monkeypatch.setattr(lock, "_this_process", lambda: here)
        yield tmp_path / "work"


def workers(folder: Path, done: Path, count: int) -> list[bool]:
    """What of several threads that come together each was told; one that works takes a while."""
    told = []

    def work():
        with in_turn(folder, done=done.is_file) as mine:
            if mine:
                time.sleep(0.2)
                done.touch()
            told.append(mine)

    jobs = [threading.Thread(target=work) for _ in range(count)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(20)
    return told


def test_one_works_and_the_others_find_it_done(tmp_path):
    assert sorted(workers(tmp_path / "work", tmp_path / "done", 6)) == [False] * 5 + [True]
    assert names(tmp_path) == ["done"]  # no lock is left


def test_while_another_machine_holds_the_folder_one_process_of_this_one_works(held_elsewhere, tmp_path):
    assert sorted(workers(held_elsewhere, tmp_path / "done", 6)) == [False] * 5 + [True]
    assert names(tmp_path) == ["done", "work"]
    assert names(held_elsewhere) == [".lock"]


def test_what_another_machine_finishes_ends_the_wait(tmp_path):
    done = tmp_path / "done"
    with lock_folder(tmp_path / f"work.{lock.process_space()}"):
        threading.Timer(0.1, done.touch).start()
        with in_turn(tmp_path / "work", done=done.is_file) as mine:
            assert not mine


def test_the_turn_of_a_killed_process_is_taken_over(tmp_path):
    def killed():
        with in_turn(tmp_path / "work", done=lambda: False):
            os._exit(9)

    os.waitpid(forked(killed), 0)
    assert names(tmp_path)  # its locks are still there
    with in_turn(tmp_path / "work", done=lambda: False) as mine:
        assert mine
    assert names(tmp_path) == []


def test_work_that_is_done_takes_no_lock(tmp_path):
    with in_turn(tmp_path / "work", done=lambda: True) as mine:
        assert not mine
        assert names(tmp_path) == []


def test_an_error_in_the_work_gives_the_turn_back(tmp_path):
    with pytest.raises(ValueError, match="bad"), in_turn(tmp_path / "work", done=lambda: False):
        raise ValueError("bad")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"), in_turn(tmp_path / "file" / "work", done=lambda: False):
        pytest.fail("a turn without a folder")
