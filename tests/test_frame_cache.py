"""The cache of frames: the same pixels and training without decoding, whatever kind of kill, damage or change."""

import os
import pickle
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from walled_street import SIZE, PhotographedStreet, translations

from ude.data.batches import collate
from ude.data.caches import frames as cache_frames
from ude.data.caches.frames import FrameCache
from ude.data.caches.manifest import MANIFEST, UNFINISHED, FrameFormat, file_state, read_manifest
from ude.data.caches.stores import MapStore
from ude.data.caches.writing import CacheOptions, write_frame_cache
from ude.data.cropped import CroppedFrames
from ude.data.datasets import EvaluationFrames, TrainingFrames
from ude.data.pixels import SourcePixels
from ude.files import DataError, DiskFullError, FolderInUseError, lock_folder, read_jsonl, write_image

OFFSETS = (-1, 1)
QUIET = CacheOptions(threads=2, progress=False)


@pytest.fixture
def source(tmp_path):
    return PhotographedStreet(tmp_path / "data")


def fill(folder, source, translated=None, *, offsets=OFFSETS, store="memmap", options=QUIET, size=SIZE, roots=None):
    """Write the frames of a source into a cache; returns the summary."""
    pixels = SourcePixels(source, size, translated=translated)
    readers = {
        path: lambda index=index, which=which: pixels.read(index, which).numpy()
        for index, which, path in pixels.paths(offsets)
    }
    roots = roots or {"frames": source.root} | ({"translated": translated.root} if translated else {})
    return write_frame_cache(folder, readers, FrameFormat(size, store=store), roots=roots, options=options)


def frames_of(source, cache=None, **options):
    return TrainingFrames(source, **({"size": SIZE, "offsets": OFFSETS, "frame_cache": cache} | options))


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert value.equal(theirs[key]) if torch.is_tensor(value) else value == theirs[key], key


# --- the same samples


def test_samples_are_those_of_the_files_bit_for_bit_without_reading_any(source, tmp_path):
    translated = translations(tmp_path / "translated", source, "night", "rain")
    fill(tmp_path / "cache", source, translated)
    plain = frames_of(source, translated=translated, with_poses=True)
    cached = frames_of(source, FrameCache(tmp_path / "cache"), translated=translated, with_poses=True)
    for epoch in range(3):
        plain.set_epoch(epoch)
        expected = [plain[index] for index in range(len(source))]
        source.images_read = 0
        cached.set_epoch(epoch)
        for index, sample in enumerate(expected):
            assert_equal(cached[index], sample)
        assert source.images_read == 0


def test_evaluation_frames_are_those_of_the_files(source, tmp_path):
    fill(tmp_path / "cache", source, offsets=())
    plain = EvaluationFrames(source, size=SIZE)
    cached = EvaluationFrames(source, size=SIZE, frame_cache=FrameCache(tmp_path / "cache"))
    for index in range(len(source)):
        assert_equal(cached[index], plain[index])


def test_frames_are_cropped_before_they_are_kept(source, tmp_path):
    cropped = CroppedFrames(source, (8, 4, 48, 80))
    pixels = SourcePixels(cropped, SIZE)
    readers = {path: lambda i=i, which=which: pixels.read(i, which).numpy() for i, which, path in pixels.paths(OFFSETS)}
    what = FrameFormat(SIZE, crop=(8, 4, 48, 80))
    write_frame_cache(tmp_path / "cache", readers, what, roots={"frames": source.root}, options=QUIET)
    cache = FrameCache(tmp_path / "cache")
    cache.require(size=SIZE, crop=(8, 4, 48, 80))
    assert_equal(frames_of(cropped, cache)[1], frames_of(cropped)[1])
    assert not frames_of(cropped)[1]["target"].equal(frames_of(source)[1]["target"])


def test_every_file_is_decoded_once_though_frames_share_it(source, tmp_path):
    made = fill(tmp_path / "cache", source, options=CacheOptions(progress=False))
    assert made.made == source.images_read == 9  # frames 0, 2, 4, 6 with neighbours -1 ... 7
    assert made.bytes > 9 * 3 * SIZE[0] * SIZE[1]
    assert len(FrameCache(tmp_path / "cache")) == 9


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_processes_share_the_cache(source, tmp_path, workers):
    fill(tmp_path / "cache", source)
    frames = frames_of(source, FrameCache(tmp_path / "cache"))
    loader = DataLoader(frames, batch_size=2, num_workers=workers, collate_fn=collate)
    for batch, start in zip(loader, (0, 2), strict=True):
        assert_equal(batch, collate([frames[start], frames[start + 1]]))


def test_a_cache_pickles_as_its_name(source, tmp_path):
    fill(tmp_path / "cache", source)
    cache = FrameCache(tmp_path / "cache")
    before, data = cache.read(source.file(3)), pickle.dumps(cache)
    assert len(data) < 1000
    assert pickle.loads(data).read(source.file(3)).equal(before)


def test_jpegs_are_close_and_a_fraction_of_the_size(tmp_path):
    source = PhotographedStreet(tmp_path / "data")
    exact, small = (fill(tmp_path / store, source, store=store) for store in ("memmap", "jpeg"))
    assert small.bytes < 0.6 * exact.bytes
    ours, theirs = (FrameCache(tmp_path / store).read(source.file(2)).float() for store in ("jpeg", "memmap"))
    assert (ours - theirs).abs().mean() < 1.5
    assert ours.shape == theirs.shape


def test_numpy_can_map_the_file(source, tmp_path):
    fill(tmp_path / "cache", source)
    rows = np.memmap(tmp_path / "cache/frames.uint8", np.uint8, "r", shape=(9, 3, *SIZE))
    header, *files = read_jsonl(tmp_path / "cache" / MANIFEST)
    assert header["size"] == list(SIZE)
    pixels = SourcePixels(source, SIZE)
    (row,) = [file["row"] for file in files if file["path"] == "camera/0002.jpg"]
    np.testing.assert_array_equal(rows[row], pixels.read(1, 0).numpy())


# --- on the device


def test_a_resident_cache_hands_out_numbers_and_gathers_the_same_batches(source, tmp_path):
    translated = translations(tmp_path / "translated", source, "night")
    fill(tmp_path / "cache", source, translated)
    plain = frames_of(source, translated=translated)
    resident = frames_of(source, FrameCache(tmp_path / "cache"), translated=translated, on_device=True)
    for batch in (plain.__getitems__([3, 1]), plain.__getitems__([0])):
        numbers = resident.__getitems__([int(name[-5:]) for name in batch["frame_id"]])
        assert {numbers[key].dtype for key in ("target", "sources", "input")} == {torch.int64}
        assert numbers["sources"].shape == batch["sources"].shape[:2]
        assert_equal(resident.gather(numbers), batch)
    assert plain.gather(batch) is batch


def test_too_little_memory_for_a_resident_cache_is_said_in_one_line(source, tmp_path, monkeypatch):
    fill(tmp_path / "cache", source)
    frames = frames_of(source, FrameCache(tmp_path / "cache"), on_device=True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (50_000, 100_000))
    with pytest.raises(DataError, match=r"the 9 frames of .* set DATA\.CACHE_ON_DEVICE False"):
        frames.pixels._resident._require_memory(torch.device("cuda:0"), 9 * 3 * 32 * 48)


# --- kills, damage and changes


def contents(folder: Path) -> bytes:
    return (folder / "frames.uint8").read_bytes()


@pytest.mark.parametrize("moment", [1, 4, 8])
def test_a_killed_pass_goes_on_and_ends_as_an_uninterrupted_one(source, tmp_path, moment):
    one = CacheOptions(threads=1, progress=False)
    fill(tmp_path / "whole", source, options=one)

    class Killed(PhotographedStreet):
        def image(self, *args, **kwargs):
            if self.images_read == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().image(*args, **kwargs)

    child = os.fork()
    if child == 0:
        fill(tmp_path / "cache", Killed(source.root), options=one)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    with pytest.raises(DataError, match=r"holds an unfinished cache; run again: python tools/cache_frames\.py"):
        FrameCache(tmp_path / "cache")
    source.images_read = 0
    done = fill(tmp_path / "cache", source, options=one)
    assert 0 < done.made == source.images_read <= 9 - moment + 1 + one.threads * 4
    assert done.kept == 9 - done.made
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["frames.jsonl", "frames.uint8"]


def test_rows_that_were_lost_or_changed_on_the_disk_are_made_again(source, tmp_path):
    fill(tmp_path / "cache", source)
    path, before = tmp_path / "cache/frames.uint8", contents(tmp_path / "cache")
    damaged = bytearray(before)
    damaged[5 * 3 * SIZE[0] * SIZE[1] + 7] ^= 1
    path.write_bytes(damaged[: 8 * 3 * SIZE[0] * SIZE[1] + 9])  # and the ninth row is cut
    done = fill(tmp_path / "cache", source)
    assert (done.made, done.kept) == (2, 7)
    assert contents(tmp_path / "cache") == before


def test_a_cut_cache_is_refused_while_reading(source, tmp_path):
    fill(tmp_path / "cache", source)
    cache = FrameCache(tmp_path / "cache")
    os.truncate(tmp_path / "cache/frames.uint8", 100)
    with pytest.raises(DataError, match=r"frames\.uint8 ends before row .*; run again"):
        cache.read(source.file(0))


@pytest.mark.parametrize("store", ["memmap", "jpeg"])
def test_a_changed_file_is_refused_and_made_again_alone(source, tmp_path, store):
    fill(tmp_path / "cache", source, store=store)
    before = FrameCache(tmp_path / "cache").read(source.file(2))
    write_image(source.file(2), PhotographedStreet.pixels(40))
    with pytest.raises(DataError, match=r"0002\.jpg has changed since .* \(1 of 9 files\); run again: python tools"):
        frames_of(source, FrameCache(tmp_path / "cache"))
    done = fill(tmp_path / "cache", source, store=store)
    assert (done.made, done.kept) == (1, 8)
    after = frames_of(source, FrameCache(tmp_path / "cache"))[1]["target"]
    assert not after.equal(before)
    if store == "memmap":
        assert after.equal(frames_of(source)[1]["target"])


@pytest.mark.parametrize("store", ["memmap", "jpeg"])
def test_a_training_that_runs_keeps_its_pixels_while_the_cache_is_filled_again(source, tmp_path, store):
    fill(tmp_path / "cache", source, store=store, offsets=())
    plain, resident = (
        frames_of(source, FrameCache(tmp_path / "cache"), offsets=(), on_device=on_device)
        for on_device in (False, True)
    )
    before = [plain[index]["target"] for index in range(len(source))]
    for number in (2, 6):  # the last row, too
        write_image(source.file(number), PhotographedStreet.pixels(40 + number))
    for _ in range(2):  # new versions of two files, and other files: none of them may take the place of an old version
        fill(tmp_path / "cache", source, store=store)
    after = resident.gather(resident.__getitems__([0, 1, 2, 3]))["target"]
    for index, pixels in enumerate(before):
        assert plain[index]["target"].equal(pickle.loads(pickle.dumps(plain))[index]["target"])
        assert plain[index]["target"].equal(pixels)
        assert after[index].equal(pixels)
    assert not frames_of(source, FrameCache(tmp_path / "cache"))[1]["target"].equal(before[1])


def test_a_cache_whose_changes_were_interrupted_serves_the_training_that_runs_but_no_new_one(source, tmp_path):
    fill(tmp_path / "cache", source)
    running = frames_of(source, FrameCache(tmp_path / "cache"))
    before = running[1]
    write_image(source.file(2), PhotographedStreet.pixels(40))
    write_image(source.file(4), PhotographedStreet.pixels(41))
    source.images_read, read = 0, source.image

    def interrupted(*args, **kwargs):
        if source.images_read == 1:
            raise KeyboardInterrupt
        return read(*args, **kwargs)

    source.image = interrupted
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "cache", source, options=CacheOptions(progress=False))
    assert (tmp_path / "cache" / UNFINISHED).is_file()
    assert_equal(running[1], before)
    with pytest.raises(DataError, match=r"0002\.jpg has changed since .*; run again"):
        frames_of(source, FrameCache(tmp_path / "cache"))
    source.image = read
    assert fill(tmp_path / "cache", source).made == 1
    assert_equal(running[1], before)
    plain, cached = frames_of(source), frames_of(source, FrameCache(tmp_path / "cache"))
    for index in range(len(source)):
        assert_equal(cached[index], plain[index])


def test_a_touched_file_is_not_decoded_again(source, tmp_path):
    fill(tmp_path / "cache", source)
    os.utime(source.file(2), ns=(1, 1))
    source.images_read = 0
    assert fill(tmp_path / "cache", source).made == source.images_read == 0
    frames_of(source, FrameCache(tmp_path / "cache"))


def test_a_cache_outlives_the_move_and_the_loss_of_its_files(source, tmp_path):
    fill(tmp_path / "cache", source)
    expected = frames_of(source)[1]["sources"]
    source.root = shutil.move(tmp_path / "data", tmp_path / "moved")
    source.root = Path(source.root)
    cache = FrameCache(tmp_path / "cache", {"frames": source.root})
    assert frames_of(source, cache)[1]["sources"].equal(expected)
    shutil.rmtree(source.root)
    assert frames_of(source, cache)[1]["sources"].equal(expected)


def test_frames_that_the_cache_lacks_are_an_error_with_a_remedy(source, tmp_path):
    fill(tmp_path / "cache", source, offsets=())
    cache = FrameCache(tmp_path / "cache")
    frames_of(source, cache, offsets=())
    with pytest.raises(DataError, match=r"lacks .*-001\.jpg \(5 of 9 files\); run again: .*cache_frames.* --split <"):
        frames_of(source, cache)


def test_more_frames_are_added_to_what_is_there(source, tmp_path):
    fill(tmp_path / "cache", source, offsets=())
    first = contents(tmp_path / "cache")
    assert fill(tmp_path / "cache", source).made == 5
    assert contents(tmp_path / "cache").startswith(first)
    assert fill(tmp_path / "cache", source, offsets=()).made == 0
    assert len(FrameCache(tmp_path / "cache")) == 9


def test_frames_of_another_size_or_crop_are_refused(source, tmp_path):
    fill(tmp_path / "cache", source)
    with pytest.raises(DataError, match="holds frames of another kind"):
        fill(tmp_path / "cache", source, size=(64, 96))
    cache = FrameCache(tmp_path / "cache")
    cache.require(size=SIZE, crop=(0, 0, 0, 0))
    with pytest.raises(DataError, match=r"of DATA\.SIZE \(32, 48\), not \(64, 96\); name another DATA\.CACHE_ROOT"):
        frames_of(source, cache, size=(64, 96))
    with pytest.raises(DataError, match=r"of DATA\.CROP \(0, 0, 0, 0\), not \(0, 0, 32, 96\)"):
        cache.require(size=SIZE, crop=(0, 0, 32, 96))


def test_a_folder_without_a_cache_is_said_to_be_none(tmp_path):
    with pytest.raises(DataError, match="holds no cache of frames; run again"):
        FrameCache(tmp_path)


def test_a_full_disk_is_found_before_anything_is_decoded(source, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: (10**9, 10**9, 40_000))
    with pytest.raises(DiskFullError, match="too little space for the frames"):
        fill(tmp_path / "cache", source)
    assert source.images_read == 0


def test_two_cannot_fill_one_cache(source, tmp_path):
    with lock_folder(tmp_path / "cache"), pytest.raises(FolderInUseError):
        fill(tmp_path / "cache", source)


def test_a_file_that_cannot_be_read_ends_the_pass_or_is_kept_as_a_problem(source, tmp_path):
    source.file(2).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0002\.jpg cannot be decoded"):
        fill(tmp_path / "cache", source)
    noted = fill(tmp_path / "cache", source, options=CacheOptions(progress=False, keep_problems=True))
    assert len(noted.problems) == 1
    cached = frames_of(source, FrameCache(tmp_path / "cache"), on_error="skip", max_skipped=0.5)
    assert cached[1]["frame_id"] == "frame-00002"  # the next one
    assert cached.unreadable.names() == ["frame-00001"]
    with pytest.raises(DataError, match=r"frame frame-00001: .*0002\.jpg cannot be decoded"):
        frames_of(source, FrameCache(tmp_path / "cache"))[1]
    write_image(source.file(2), PhotographedStreet.pixels(2))
    assert fill(tmp_path / "cache", source).problems == ()
    assert frames_of(source, FrameCache(tmp_path / "cache"))[1]["frame_id"] == "frame-00001"


# --- once per process, short writes, threads


def test_a_file_is_looked_at_once_and_the_manifest_not_by_loader_processes(source, tmp_path, monkeypatch):
    fill(tmp_path / "cache", source)
    cache, looks, reads = FrameCache(tmp_path / "cache"), [], []
    monkeypatch.setattr(cache_frames, "file_state", lambda path: looks.append(path) or file_state(path))
    monkeypatch.setattr(cache_frames, "read_manifest", lambda path: reads.append(path) or read_manifest(path))
    frames = frames_of(source, cache)
    assert len(looks) == 9
    frames_of(source, cache, offsets=())
    assert len(looks) == 9
    copy = pickle.loads(pickle.dumps(frames))
    assert_equal(copy[2], frames[2])
    assert (len(looks), reads) == (9, [])


def test_frames_of_another_filter_are_used_with_a_warning(source, tmp_path, monkeypatch, caplog):
    fill(tmp_path / "cache", source)
    FrameCache(tmp_path / "cache")
    assert not caplog.records
    monkeypatch.setattr(cache_frames, "resize_filter", lambda: "bicubic")
    FrameCache(tmp_path / "cache")
    assert "resized by the filter lanczos, but this torch resizes by bicubic; remove the folder" in caplog.text


def test_calls_that_write_and_read_less_than_asked_are_repeated(source, tmp_path, monkeypatch):
    fill(tmp_path / "whole", source)
    pwrite, preadv = os.pwrite, os.preadv
    monkeypatch.setattr(os, "pwrite", lambda file, data, start: pwrite(file, data[:1000], start))
    fill(tmp_path / "cache", source)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")
    monkeypatch.setattr(os, "preadv", lambda file, parts, start: preadv(file, [parts[0][:1000]], start))
    assert_equal(frames_of(source, FrameCache(tmp_path / "cache"))[1], frames_of(source)[1])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_threads_that_open_a_store_at_once_leave_no_file_open(tmp_path, monkeypatch):
    store, opened = MapStore(tmp_path, SIZE, to_write=True), os.open
    frame, before = np.zeros((3, *SIZE), np.uint8), len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "open", lambda *args: (opened(*args), time.sleep(0.05))[0])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda row: store.write(row, frame), range(4)))
    store.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_damaged_manifest_is_refused_in_one_line(source, tmp_path):
    fill(tmp_path / "cache", source)
    manifest = tmp_path / "cache" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"sha256"', '"sha"'))
    with pytest.raises(DataError, match=r"frames\.jsonl is damaged"):
        FrameCache(tmp_path / "cache")
