"""Translation runs that are killed at random moments leave nothing that stays, and end as if they had not been."""

import os
import random
import signal
import time

import pytest
from tiny_run import forked
from translation_runs import Frames, Recorder, grey, images_of, leftovers, rows_of, run, tree_of

from ude.files import DataError, read_image
from ude.translation.quality import Verdict
from ude.translation.run import QualityOptions, Shard, judging, shards
from ude.translation.run.frames import read_control

FRAMES = 14


class Slow(Recorder):
    """A translator that takes a moment, and notes its seeds in a file that outlives the process."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __call__(self, images, *, seeds, **kwargs):
        with open(self.log, "a") as file:
            file.write("".join(f"{seed}\n" for seed in dict.fromkeys(seeds)))
        time.sleep(0.01)
        return super().__call__(images, seeds=seeds, **kwargs)


@pytest.fixture(autouse=True)
def strict_gate(monkeypatch):
    """A gate that rejects some images by what they are."""

    class Strict:
        def __init__(self, condition, **_):
            pass

        def __call__(self, sources, translated, inverse_depth=None):
            means = [float(image.mean()) for image in translated]
            return [Verdict(int(1e6 * mean) % 3 > 0, "unlucky", {"mean": mean}) for mean in means]

    monkeypatch.setattr(judging, "QualityGate", Strict)
    monkeypatch.setattr(judging, "mismatched_threshold", lambda sources, translated: 0.25)


def start(output, log, shard=None):
    """A process that translates."""
    options = {"depth": grey, "captioner": lambda images: ["a street"] * len(images), "quality": QualityOptions()}
    return forked(lambda: run(output, Frames(FRAMES), Slow(log), batch_size=3, shard=shard, **options) and 0)


def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def every_final_file_can_be_read(output):
    for name in (name for name in images_of(output) if ".tmp-" not in name):
        assert read_image(output / name).shape == (48, 64, 3)
    for path in (output / "control").glob("frame*.png") if (output / "control").is_dir() else ():
        assert read_control(path).shape == (1, 48, 64)


def killed_and_resumed(folder, whole, kills, duration, draw):
    """Kill a run some times, finish it, and compare; returns how many of the kills met a run at work."""
    output, log, met = folder / "out", folder / "log", 0
    folder.mkdir()
    for kill in range(kills + 1):
        log.write_text("")
        finished = {row["seed"] for row in rows_of(output).values()} if output.is_dir() else set()
        pid = start(output, log)
        if kill < kills:
            time.sleep(draw.uniform(0, duration / 2))
            os.kill(pid, signal.SIGKILL)
        code = end(pid)
        met += code == -signal.SIGKILL
        assert code == 0 or kill < kills
        every_final_file_can_be_read(output)
        assert finished.isdisjoint(map(int, log.read_text().split()))  # no finished image was made again
    assert tree_of(output) == whole
    assert leftovers(output) == []
    return met


def whole_tree(folder):
    """Files of a run that nobody disturbs, and how long it took [s]."""
    began = time.monotonic()
    assert end(start(folder / "whole", folder / "log")) == 0
    return tree_of(folder / "whole"), time.monotonic() - began


def test_a_killed_run_ends_like_one_that_was_not(tmp_path):
    whole, duration = whole_tree(tmp_path)
    assert any(name.startswith("rejected") for name in whole)
    assert killed_and_resumed(tmp_path / "killed", whole, 3, duration, random.Random(0)) > 0


@pytest.mark.slow
def test_thirty_kills_at_random_moments_change_nothing(tmp_path):
    whole, duration = whole_tree(tmp_path)
    met, trials = 0, 0
    while met < 30 and trials < 40:
        met += killed_and_resumed(tmp_path / f"{trials}", whole, 3, duration, random.Random(trials))
        trials += 1
    assert met >= 30


@pytest.mark.slow
def test_shards_of_which_some_are_killed_end_like_one_run(tmp_path):
    whole, duration = whole_tree(tmp_path)
    draw, output = random.Random(1), tmp_path / "out"
    for _ in range(4):
        pids = [start(output, tmp_path / "log", Shard(i, 2)) for i in range(2)]
        time.sleep(draw.uniform(0, duration))
        os.kill(pids[draw.randrange(2)], signal.SIGKILL)
        assert {end(pid) for pid in pids} <= {0, -signal.SIGKILL}
        every_final_file_can_be_read(output)
    for i in range(2):
        assert end(start(output, tmp_path / "log", Shard(i, 2))) == 0
    assert tree_of(output) == whole
    assert leftovers(output) == []


def test_two_runs_at_once_on_one_folder_do_no_work_twice(tmp_path):
    whole, _ = whole_tree(tmp_path)
    output, log = tmp_path / "out", tmp_path / "seeds"
    codes = [end(pid) for pid in [start(output, log) for _ in range(2)]]
    assert sorted(codes) in ([0, DataError.exit_code], [0, 0])  # the second is refused, or came after the first
    seeds = log.read_text().split()
    assert len(seeds) == len(set(seeds))
    assert tree_of(output) == whole


def test_the_lock_of_a_calibration_that_was_killed_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_WAIT_S", 5)
    whole, _ = whole_tree(tmp_path)

    def die(*_):
        os._exit(9)

    with monkeypatch.context() as patch:
        patch.setattr(judging.Thresholds, "add", die)
        assert end(start(tmp_path / "out", tmp_path / "log")) == 9
    assert (tmp_path / "out" / ".shards" / "calibration").is_dir()
    assert not (tmp_path / "out" / "quality.json").exists()
    assert end(start(tmp_path / "out", tmp_path / "log")) == 0
    assert tree_of(tmp_path / "out") == whole
    assert leftovers(tmp_path / "out") == []
