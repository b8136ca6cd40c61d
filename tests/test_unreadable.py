"""Frames that cannot be read: named at once, or skipped, counted and capped (faults F02, F03); no leaks (F42)."""

import gc
import logging
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import train
from test_tools import CONFIGS, SMALL
from tiny_run import OFFSETS, MadeUpFrames, in_processes, tiny_module
from tiny_run import SIZE as TINY
from torch.utils.data import DataLoader
from walled_street import SIZE, MotionlessStreet, PhotographedStreet

from ude.data.batches import collate
from ude.data.datasets import TrainingFrames
from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.data.images import read_rgb
from ude.data.transforms import DeviceTransform
from ude.data.unreadable import UnreadableFrames
from ude.engine import RunOptions, TrainingData, fit
from ude.engine.datamodule import SkippedFrames
from ude.files import DataError

COUNT = 40


def truncated(data: bytes) -> dict[str, bytes]:
    """The fifteen kinds of damage of a broken copy or download."""
    shares = (0, 0.1, 1, 10, 25, 50, 75, 90, 99)
    cut = {f"{share} %": data[: int(len(data) * share / 100)] for share in shares}
    ends = {f"without {count} bytes": data[:-count] for count in (1, 2, 3, 8, 64)}
    return cut | ends | {"tail of zeros": data[: len(data) // 2].ljust(len(data), b"\0")}


@pytest.fixture
def source(tmp_path):
    return PhotographedStreet(tmp_path / "data", COUNT)


@pytest.fixture
def broken(source):
    """The source with fifteen damaged frames; their numbers."""
    numbers = list(range(2, 32, 2))
    data = source.file(0).read_bytes()
    for number, damage in zip(numbers, truncated(data).values(), strict=True):
        source.image_path(number).write_bytes(damage)
    return numbers


def frames_of(source, **options):
    return TrainingFrames(source, size=SIZE, offsets=(), **options)


def test_all_fifteen_kinds_of_truncation_are_refused_by_name(source, broken):
    for number in broken:
        with pytest.raises(DataError, match=source.image_path(number).name) as caught:
            read_rgb(source.image_path(number))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_raise_names_file_and_frame(source, broken, workers):
    started = time.monotonic()
    loader = EvaluationLoader(frames_of(source), 4, num_workers=workers)
    with pytest.raises(
        DataError, match=rf"frame frame-00002: .*{source.image_path(2).name} cannot be decoded"
    ) as caught:
        list(loader)
    del caught
    gc.collect()
    assert time.monotonic() - started < 4  # with two loader processes that nobody ends it takes ten more


@pytest.mark.parametrize("workers", [0, 2])
def test_skip_takes_the_next_frame_counts_exactly_and_says_each_once(source, broken, workers, caplog):
    frames = frames_of(source, on_error="skip", max_skipped=15 / COUNT)
    loader = EvaluationLoader(frames, 8, num_workers=workers)
    for _ in range(2):
        taken = [name for batch in loader for name in batch["frame_id"]]
        expected = [number + 1 if number in broken else number for number in range(COUNT)]
        assert taken == [source.frame_id(number) for number in expected]
    assert frames.unreadable.names() == [source.frame_id(number) for number in broken]
    if workers == 0:
        said = [record.getMessage() for record in caplog.records if "is left out" in record.getMessage()]
        assert len(said) == 15
        assert all(any(source.image_path(n).name in line for line in said) for n in broken)
    with caplog.at_level(logging.WARNING):
        frames.unreadable.report()
    assert "15 of 40 frames were left out" in caplog.text


@pytest.mark.parametrize("workers", [0, 2])
def test_more_than_the_cap_ends_the_run(source, broken, workers):
    frames = frames_of(source, on_error="skip", max_skipped=14 / COUNT)
    with pytest.raises(DataError, match=r"15 of 40 frames cannot be read, more than DATA\.MAX_SKIPPED 0\.35") as caught:
        list(EvaluationLoader(frames, 8, num_workers=workers))
    assert caught.value.exit_code == 4
    assert "raise DATA.MAX_SKIPPED or leave them out by DATA.EXCLUDE" in str(caught.value)


def flagged(numbers, max_skipped):
    unreadable = UnreadableFrames("frame-{:05d}".format, COUNT, on_error="skip", max_skipped=max_skipped)
    unreadable.merge(torch.tensor([number in numbers for number in range(COUNT)]))
    return unreadable


@pytest.mark.parametrize("second", [(1, 2), (2, 3)])
def test_the_cap_is_on_the_frames_that_all_processes_have_met_each_counted_once(second):
    ranks = [flagged(numbers, 3 / COUNT) for numbers in ((1, 2), second)]
    union = torch.stack([rank.flags() for rank in ranks])
    trainer = SimpleNamespace(world_size=2, is_global_zero=False)
    module = SimpleNamespace(device=torch.device("cpu"), all_gather=lambda flags: union)
    for rank in ranks:
        SkippedFrames(SimpleNamespace(unreadable=rank)).on_train_epoch_end(trainer, module)
        assert len(rank.names()) == len({1, 2, *second})
    union = torch.stack([union[0], flagged((8, 9), 1.0).flags()])
    words = rf"{len({1, 2, *second}) + 2} of 40 frames cannot be read, more than DATA\.MAX_SKIPPED 0\.075"
    with pytest.raises(DataError, match=words):
        SkippedFrames(SimpleNamespace(unreadable=ranks[0])).on_train_epoch_end(trainer, module)


def test_evaluation_leaves_unreadable_frames_out(source, broken, caplog):
    frames = EvaluationFrames(source, size=SIZE, on_error="skip", max_skipped=1.0)
    loader = EvaluationLoader(frames, 1)  # so that some batches are empty
    assert len(loader) == COUNT
    found = [name for batch in loader for name in batch["frame_id"]]
    assert found == [source.frame_id(number) for number in range(COUNT) if number not in broken]
    assert "15 of 40 frames were left out" in caplog.text
    with pytest.raises(DataError, match="frame frame-00002: "):
        list(EvaluationLoader(EvaluationFrames(source, size=SIZE), 4))


def test_a_source_of_which_nothing_can_be_read_does_not_hang(source):
    for number in range(COUNT):
        source.image_path(number).write_bytes(b"")
    with pytest.raises(DataError, match="none of 40 frames can be read"):
        frames_of(source, on_error="skip", max_skipped=1.0)[3]


def test_only_two_ways_are_known(source):
    with pytest.raises(ValueError, match="on_error must be one of raise, skip, got 'ignore'"):
        frames_of(source, on_error="ignore")


def test_motion_is_not_asked_for_where_nobody_needs_it():
    options = {"size": SIZE, "offsets": (-1, 1)}
    sample = TrainingFrames(MotionlessStreet(), with_distance=False, **options)[0]
    assert "distance" not in sample
    assert sample["sources"].shape == (2, 3, *SIZE)
    with pytest.raises(DataError, match=r"frame frame-00000: .*no poses; set LOSS\.VELOCITY 0 and MODEL\.POSE learned"):
        TrainingFrames(MotionlessStreet(), **options)[0]


# --- by the tools


@pytest.fixture
def damaged_run(broken_root, tmp_path):
    """Arguments of a short training on a world with one truncated picture, and the path of the picture."""
    picture = sorted((broken_root / "samples/CAM_FRONT").glob("w000-2026-01-01*.jpg"))[1]
    os.truncate(picture, picture.stat().st_size // 2)
    arguments = ["--cfg", str(CONFIGS / "demo_teacher.yaml"), *SMALL, "DATA.ROOT", str(broken_root)]
    return [*arguments, "OUTPUT_DIR", str(tmp_path / "runs"), "RUN.MAX_STEPS", "4"], picture


@pytest.mark.parametrize("workers", ["0", "2"])
def test_training_ends_in_seconds_and_names_file_and_frame(damaged_run, workers, capsys):
    arguments, picture = damaged_run
    started = time.monotonic()
    assert train.main([*arguments, "RUN.NUM_WORKERS", workers]) == 4
    assert time.monotonic() - started < 10
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: frame {picture.stem}: image {picture} cannot be decoded")


def test_training_goes_on_without_the_frame_up_to_the_cap(damaged_run, caplog, capsys):
    arguments, picture = damaged_run
    skipping = [*arguments, "DATA.ON_ERROR", "skip", "DATA.MAX_SKIPPED"]
    assert train.main([*skipping, "0.2"]) == 0
    assert f"frame {picture.stem} is left out: image {picture}" in caplog.text
    assert "1 of 8 frames were left out, since they cannot be read" in caplog.text
    capsys.readouterr()
    assert train.main([*skipping, "0.1", "NAME", "other"]) == 4
    assert "1 of 8 frames cannot be read, more than DATA.MAX_SKIPPED 0.1" in capsys.readouterr().err


@pytest.mark.slow
def test_truncated_images_stay_refused_whatever_is_imported():
    code = (
        "import importlib, pkgutil, ude\n"
        "for module in pkgutil.walk_packages(ude.__path__, 'ude.'): importlib.import_module(module.name)\n"
        "from PIL import ImageFile; print(ImageFile.LOAD_TRUNCATED_IMAGES)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def _open_files(most: int = 0) -> int:
    """Fewest open files within some seconds, as a worker's pipes close after it: at once where no more than `most`."""
    found, patience = [len(os.listdir("/proc/self/fd"))], time.monotonic() + (10 if most else 2)
    while min(found) > most and time.monotonic() < patience:
        time.sleep(0.05)
        gc.collect()
        found.append(len(os.listdir("/proc/self/fd")))
    return min(found)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_hundred_batches_leak_neither_memory_nor_files(tmp_path, workers):
    source = PhotographedStreet(tmp_path / "data", 100)
    frames = TrainingFrames(source, size=(96, 160), offsets=(-1, 1))  # a batch takes 276 kB
    loader = DataLoader(frames, batch_size=2, num_workers=workers, collate_fn=collate)

    def iterate():
        for batch in loader:
            assert torch.is_tensor(batch["target"])
        return _resident_bytes()

    iterate()
    before, files = iterate(), _open_files()
    for _ in range(4):  # of 50 batches
        after = iterate()
    assert after - before < 30e6
    assert _open_files(files) <= files


# --- in several processes


class Scratched(MadeUpFrames):
    """Twelve frames, three of which cannot be read; with seed 2, one process meets two of them in the first epoch."""

    def __init__(self) -> None:
        super().__init__(12)

    def image(self, index: int, offset: int = 0, *, min_size: tuple[int, int] | None = None) -> np.ndarray:
        if index in (1, 5, 7):
            raise DataError(f"image {index} cannot be decoded")
        return super().image(index, offset)


@pytest.mark.parametrize(("allowed", "codes"), [(3, [0, 0]), (2, [4, 4])])
def test_two_processes_may_skip_together_as_many_frames_as_one(tmp_path, allowed, codes):
    def act(rank):
        frames = TrainingFrames(
            Scratched(), size=TINY, offsets=OFFSETS, with_poses=True, on_error="skip", max_skipped=allowed / 12
        )
        data = TrainingData(frames, DeviceTransform(), batch_size=2, num_workers=0, seed=2, devices=2)
        options = RunOptions(accelerator="cpu", epochs=3, devices=2, log_every=1, checkpoint_every=100)
        module = tiny_module("teacher", "tiny")
        fit(module, data, folder=tmp_path / "run", options=options, config_text="", identity={"config_hash": "hash"})
        assert len(frames.unreadable.names()) == 3

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in in_processes(act)] == codes
