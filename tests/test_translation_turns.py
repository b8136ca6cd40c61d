"""Turns of several processes on one output folder: who waits for whom, and for how long."""

import os
import signal
import time
from contextlib import ExitStack, nullcontext
from itertools import count as numbers
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
from tiny_run import forked
from translation_runs import leftovers, run

from ude.files import DataError, lock, lock_folder
from ude.translation.run import QualityOptions, shards
from ude.translation.run.shards import Shard, ShardClaim, turn


def test_a_calibration_is_done_by_one_process_while_the_others_wait(tmp_path):
    with turn(tmp_path, "calibration"):
        context = get_context("fork")
        began, got = context.Event(), context.Event()

        def other():
            began.set()
            with turn(tmp_path, "calibration"):
                got.set()

        pid = forked(other)
        assert began.wait(20)
        assert not got.wait(0.5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert got.is_set()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_ends_the_wait_for_the_calibration_of_another_process(tmp_path, monkeypatch, number, raised):
    polls = []

    def sleep(_):
        polls.append(number)
        assert len(polls) == 1
        os.kill(os.getpid(), number)

    clock = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
    with turn(tmp_path, "calibration"):
        monkeypatch.setattr(shards, "time", clock)
        with pytest.raises(raised):
            run(tmp_path, quality=QualityOptions())
    assert polls == [number]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("lives", [True, False])
def test_who_waits_gives_up_only_if_the_holder_may_be_dead(tmp_path, monkeypatch, lives):
    polls, held = [], ExitStack()

    def sleep(_):
        polls.append(lives)
        if len(polls) == 3:
            held.close()

    times = numbers(step=1000)
    held.enter_context(turn(tmp_path, "calibration"))
    monkeypatch.setattr(shards, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: next(times)))
    monkeypatch.setattr(shards, "_WAIT_S", 1500)
    monkeypatch.setattr(lock, "_lives", lambda holder: True if lives else None)
    refused = nullcontext() if lives else pytest.raises(DataError, match="if it is gone, remove")
    with held, refused, turn(tmp_path, "calibration"):
        pass
    assert len(polls) == (3 if lives else 1)


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        run(tmp_path / "file" / "out")


def test_the_locks_of_a_finished_run_are_gone(tmp_path):
    with ShardClaim(tmp_path / "out", Shard(0, 1)) as claim:
        with claim.arriving() as alone:
            assert alone
        with claim.finishing() as last:
            assert last
        with lock_folder(tmp_path / "out" / ".shards" / "0-of-1"):
            pass
    assert not (tmp_path / "out").exists()
