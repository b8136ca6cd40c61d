"""Threads around the networks."""

import threading
import time

import pytest
from translation_runs import SIZE, counts, grey, run

from ude.translation.run import frames
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


@pytest.mark.parametrize("stages", [1, 3])
def test_a_finished_frame_is_not_resized_again(tmp_path, monkeypatch, stages):
    resized = []
    whole = frames.resize_image
    monkeypatch.setattr(frames, "resize_image", lambda image, size: resized.append(size) or whole(image, size))
    options = {"depth": grey, "captioner": lambda images: ["a street"] * len(images)} if stages == 3 else {}
    run(tmp_path, **options)
    assert len(resized) == 5 * (stages + 1)  # in each stage and for the thumbnails
    resized.clear()
    assert counts(run(tmp_path, **options)) == (0, 10, 0)
    assert resized == []
    (tmp_path / "night" / "frame-3.jpg").unlink()
    assert counts(run(tmp_path, **options)) == (1, 9, 0)
    assert resized == [SIZE] * 2  # the image, the thumbnail
