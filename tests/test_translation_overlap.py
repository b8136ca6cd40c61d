"""Threads around the networks, and batches that shrink when memory runs out."""

import logging
import threading
import time

import pytest
import torch
from translation_runs import Frames, Recorder, counts, grey, images_of, leftovers, run

from ude.translation.run.memory import ConstantBatch, OutOfMemoryError
from ude.translation.run.overlap import Follower, Writer, ahead


def test_results_come_in_order_and_are_computed_ahead():
    started = []

    def slow_first(item):
        started.append(item)
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    results = ahead(slow_first, range(20), lookahead=4)
    assert next(results) == 0
    time.sleep(0.1)
    assert 4 <= len(started) <= 6  # what may wait, and no more
    assert list(results) == [item * item for item in range(1, 20)]


def test_an_error_while_reading_ahead_comes_at_its_item():
    def load(item):
        if item == 3:
            raise ValueError("three")
        return item

    results = ahead(load, range(10), lookahead=8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_reading_ahead_ends_with_its_caller():
    before = threading.active_count()
    results = ahead(lambda item: item, range(1000), lookahead=4)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_the_writer_has_done_everything_at_the_end_of_its_block():
    done = []
    with Writer(waiting=2) as write:
        for item in range(10):
            write(lambda item=item: (time.sleep(0.01), done.append(item)))
    assert sorted(done) == list(range(10))


def test_what_waits_is_written_even_if_the_block_fails():
    done = []

    def interrupted():
        with Writer(waiting=9) as write:
            for item in range(5):
                write(lambda item=item: (time.sleep(0.01), done.append(item)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(done) == list(range(5))


def test_a_follower_hands_results_on_in_order_at_a_fixed_distance():
    received, when = [], []
    with Follower(lambda item: item * item, received.append, lag=2) as follow:
        for item in range(5):
            follow(item)
            when.append(list(received))
    assert when == [[], [], [0], [0, 1], [0, 1, 4]]
    assert received == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(("error", "expected"), [(KeyboardInterrupt, [0, 1, 2]), (ValueError, [0])])
def test_an_interrupted_follower_hands_on_what_is_outstanding_and_a_failed_one_does_not(error, expected):
    received = []

    def stopped():
        with Follower(lambda item: item, received.append, lag=2) as follow:
            for item in range(3):
                follow(item)
            raise error

    with pytest.raises(error):
        stopped()
    assert received == expected


def test_an_error_of_the_writer_is_raised():
    def fail():
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"), Writer(waiting=9) as write:
        write(fail)


def test_the_batch_is_filled_up_with_copies_of_its_last_row():
    seen = []
    results = ConstantBatch(4)(lambda rows: seen.append(list(rows)) or [2 * row for row in rows], [1, 2, 3, 4, 5])
    assert results == [2, 4, 6, 8, 10]
    assert seen == [[1, 2, 3, 4], [5, 5, 5, 5]]


class Small(Recorder):
    """A translator whose memory holds so many images."""

    def __init__(self, most):
        super().__init__()
        self.most, self.refused = most, 0

    def __call__(self, images, **kwargs):
        if len(images) > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().__call__(images, **kwargs)


def test_out_of_memory_halves_the_batch_for_the_rest_of_the_run(tmp_path, caplog):
    translator = Small(2)
    with caplog.at_level(logging.WARNING):
        assert counts(run(tmp_path / "small", Frames(9), translator, batch_size=8)) == (18, 0, 0)
    assert {len(call["images"]) for call in translator.calls} == {2}
    assert translator.refused == 2  # at 8 and at 4, then never again
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [f"out of memory (CUDA out of memory); from here on with batches of {n}" for n in (4, 2)]
    run(tmp_path / "whole", Frames(9), batch_size=8)
    assert images_of(tmp_path / "small") == images_of(tmp_path / "whole")


def test_every_network_may_run_out_of_memory(tmp_path):
    sizes = []

    def depth(images):
        sizes.append(len(images))
        if len(images) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return grey(images)

    assert counts(run(tmp_path, depth=depth)) == (10, 0, 0)
    assert sizes == [2, *[1] * 5]


def test_a_single_image_that_does_not_fit_ends_the_run_with_its_own_exit_code(tmp_path):
    with pytest.raises(OutOfMemoryError, match=r"out of memory with a single image .*choose a smaller size") as caught:
        run(tmp_path, translator=Small(0))
    assert caught.value.exit_code == 7
    assert leftovers(tmp_path) == []
