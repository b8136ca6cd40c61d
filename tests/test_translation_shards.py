"""Several processes on one output folder: parts of the frames, who is refused, and what the last one writes."""

import json
import os
import time
from itertools import chain
from multiprocessing import get_context

import pytest
from tiny_run import forked
from translation_runs import Frames, Recorder, counts, grey, images_of, leftovers, rows_of, run, tree_of

from ude.files import DataError, write_jsonl
from ude.translation.run.rows import SharedRows
from ude.translation.run.shards import Shard


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_divide_the_frames(count):
    shards = [list(Shard(i, count).positions(5)) for i in range(count)]
    assert sorted(chain(*shards)) == list(range(5))
    assert len({len(shard) for shard in shards} - {0}) <= 2


@pytest.mark.parametrize(("index", "count"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_beyond_the_count_is_refused(index, count):
    with pytest.raises(ValueError, match="must be i/n with 0 <= i < n"):
        Shard(index, count)


def test_the_environment_of_torchrun_names_the_shard():
    assert Shard.of_environment({"RANK": "2", "WORLD_SIZE": "4"}) == Shard(2, 4)
    assert Shard.of_environment({}) == Shard(0, 1)
    with pytest.raises(ValueError, match="RANK and WORLD_SIZE must be whole numbers, got 'a' and '2'"):
        Shard.of_environment({"RANK": "a", "WORLD_SIZE": "2"})


def test_two_shards_one_after_the_other_leave_the_tree_of_one_process(tmp_path):
    run(tmp_path / "whole", depth=grey)
    first = run(tmp_path / "parts", depth=grey, shard=Shard(1, 2))
    assert counts(first) == (4, 0, 0)
    assert set(rows_of(tmp_path / "parts")) == {(f"frame-{i}", c) for i in (1, 3) for c in ("night", "rain")}
    assert counts(run(tmp_path / "parts", depth=grey, shard=Shard(0, 2))) == (6, 0, 0)
    assert tree_of(tmp_path / "parts") == tree_of(tmp_path / "whole")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("batch_size", [1, 2])
def test_shards_at_the_same_time_leave_the_tree_of_one_process(tmp_path, batch_size):
    context = get_context("fork")
    barrier = context.Barrier(3)

    def act(index):
        barrier.wait(20)
        summary = run(tmp_path / "parts", Frames(7), depth=grey, shard=Shard(index, 3), batch_size=batch_size)
        return 7 if summary.gallery else 0

    processes = [forked(lambda index=index: act(index)) for index in range(3)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in processes]
    assert set(codes) <= {0, 7}
    assert 7 in codes  # one of them was the last
    run(tmp_path / "whole", Frames(7), depth=grey, batch_size=batch_size)
    assert tree_of(tmp_path / "parts") == tree_of(tmp_path / "whole")
    assert leftovers(tmp_path) == []


def test_while_a_shard_works_the_same_one_and_other_divisions_are_refused(tmp_path):
    refused = []

    def intrude(call):
        if call:
            return
        for shard in (Shard(0, 2), Shard(0, 1), Shard(1, 3)):
            with pytest.raises(DataError) as caught:
                run(tmp_path, shard=shard)
            refused.append(str(caught.value))
        assert run(tmp_path, shard=Shard(1, 2)).gallery is None  # another part of the same division may

    summary = run(tmp_path, translator=Recorder(intrude), shard=Shard(0, 2))
    assert summary.gallery is not None
    assert "in use by process" in refused[0]
    for message, count in zip(refused[1:], (1, 3), strict=True):
        assert f"{tmp_path} is being translated in 2 shard(s), not {count}: " in message
        assert "\n" not in message
    run(tmp_path / "whole")
    assert images_of(tmp_path) == images_of(tmp_path / "whole")


def test_what_a_killed_division_left_is_used_by_another_one(tmp_path):
    def die(call):
        if call == 2:
            os._exit(9)

    pid = forked(lambda: run(tmp_path / "a", translator=Recorder(die), shard=Shard(0, 2), batch_size=1))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    finished = len(rows_of(tmp_path / "a"))
    assert (tmp_path / "a" / "manifest.0-of-2.jsonl").is_file() == bool(finished)
    summary = run(tmp_path / "a", batch_size=1)
    assert counts(summary) == (10 - finished, finished, 0)
    run(tmp_path / "whole", batch_size=1)
    assert tree_of(tmp_path / "a") == tree_of(tmp_path / "whole")
    assert leftovers(tmp_path) == []


def test_a_newer_row_counts_whatever_the_part_of_the_older_one_was(tmp_path):
    run(tmp_path)
    older = {**rows_of(tmp_path)["frame-0", "night"], "source_sha256": "old"}
    (tmp_path / "manifest.1-of-2.jsonl").write_text(json.dumps(older) + "\n")
    assert counts(run(tmp_path)) == (1, 9, 0)
    assert rows_of(tmp_path)["frame-0", "night"]["source_sha256"] != "old"
    assert counts(run(tmp_path)) == (0, 10, 0)


def test_a_shard_that_comes_while_another_one_joins_what_was_left_loses_nothing(tmp_path, monkeypatch):
    output, others = tmp_path / "parts", []
    run(tmp_path / "whole")
    run(output, Frames(2), shard=Shard(1, 2))
    (output / "manifest.jsonl").rename(output / "manifest.1-of-2.jsonl")  # as a killed run leaves it

    def write_as_another_shard_comes(path, rows):
        if not others:
            others.append(None)
            others[0] = forked(lambda: run(output, shard=Shard(1, 2)) and 0)
            time.sleep(1)
        write_jsonl(path, rows)

    monkeypatch.setattr("ude.translation.run.rows.write_jsonl", write_as_another_shard_comes)
    run(output, shard=Shard(0, 2))
    assert os.waitstatus_to_exitcode(os.waitpid(others[0], 0)[1]) == 0
    assert tree_of(output) == tree_of(tmp_path / "whole")


def test_joining_removes_no_part_that_it_has_not_read(tmp_path, monkeypatch):
    rows, late = SharedRows(tmp_path, "captions", part="0-of-2"), tmp_path / "captions.1-of-2.jsonl"
    rows.add({"frame_id": "a"})

    def write_late(path, joined):
        write_jsonl(path, joined)
        write_jsonl(late, [{"frame_id": "b"}])

    monkeypatch.setattr("ude.translation.run.rows.write_jsonl", write_late)
    assert rows.join({}) == [{"frame_id": "a"}]
    assert sorted(path.name for path in tmp_path.iterdir()) == [late.name, "captions.jsonl"]
