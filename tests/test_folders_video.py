"""Videos: taken apart once, outside of the data set, whole or not at all."""

import json
import logging
import os
import re
import struct
import threading
import time
from pathlib import Path

import made_folders
import numpy as np
import pytest

from ude.data.folders import video as video_module
from ude.data.folders.image_folder import ImageFolderFrames
from ude.data.folders.video import MANIFEST, extracted_frames
from ude.files import DataError, DiskFullError, lock, lock_folder, turns

CONTENT = {"K": [[0.58, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]], "normalised": True}


def video_folder(root: Path, name: str = "drive.avi", **content: object) -> Path:
    made_folders.write_video(root / name)
    (root / "intrinsics.json").write_text(json.dumps({**CONTENT, **content}))
    return root


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_every_frame_of_a_video_is_a_frame_in_order(tmp_path, suffix):
    root = video_folder(tmp_path / "own", f"drive.{suffix}")
    frames = ImageFolderFrames(root, index_root=tmp_path / "index")
    assert len(frames) == 12
    assert [frames.frame_id(index) for index in (0, 11)] == ["drive_000000", "drive_000011"]
    assert {frames.scene(index) for index in range(12)} == {"drive"}
    for index in range(12):
        assert np.abs(frames.image(index).astype(int) - (20 * index + 5)).max() <= 6


def test_neighbours_of_a_frame_are_the_frames_before_and_after(tmp_path):
    frames = ImageFolderFrames(video_folder(tmp_path / "own"), offsets=(-1, 1), index_root=tmp_path / "index")
    assert len(frames) == 10
    assert [round(frames.image(3, offset).mean() / 20) for offset in (-1, 0, 1)] == [3, 4, 5]


def test_fewer_frames_a_second_are_evenly_spread(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = video_folder(tmp_path / "own", fps=5)
    frames = ImageFolderFrames(root, index_root=tmp_path / "index")
    assert [round((frames.image(index).mean() - 5) / 20) for index in range(len(frames))] == [0, 2, 5, 7, 10]
    assert "about 12 frames, one in 2.4 is written to " in caplog.text


def test_more_frames_a_second_than_there_are_keeps_all(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    root = video_folder(tmp_path / "own", fps=100)
    assert len(ImageFolderFrames(root, index_root=tmp_path / "index")) == 12
    assert "about 12 frames, all are written to " in caplog.text


def test_a_video_is_taken_apart_once(tmp_path, monkeypatch):
    root = video_folder(tmp_path / "own")
    first = extracted_frames(root / "drive.avi", tmp_path / "index")
    monkeypatch.setattr(video_module, "_extract", None)  # cannot be called
    assert extracted_frames(root / "drive.avi", tmp_path / "index") == first
    assert not first.is_relative_to(root)


def test_a_changed_video_is_taken_apart_again(tmp_path):
    path = made_folders.write_video(tmp_path / "own" / "drive.avi")
    first = extracted_frames(path, tmp_path / "index")
    made_folders.write_video(path, frames=7)
    os.utime(path, ns=(1, 1))
    second = extracted_frames(path, tmp_path / "index")
    assert first != second
    assert len([*second.glob("*.jpg")]) == 7
    assert extracted_frames(path, tmp_path / "index", fps=6.0) != second


def test_a_killed_extraction_goes_on_and_ends_with_the_same_frames(tmp_path, monkeypatch):
    path = made_folders.write_video(tmp_path / "own" / "drive.avi")
    whole = extracted_frames(path, tmp_path / "whole")
    write, written = video_module.write_image, []

    def killed(place, pixels):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(place)
        write(place, pixels)

    monkeypatch.setattr(video_module, "write_image", killed)
    with pytest.raises(KeyboardInterrupt):
        extracted_frames(path, tmp_path / "index")
    (folder,) = (tmp_path / "index" / "videos").iterdir()
    assert not (folder / MANIFEST).is_file()
    rest = []
    monkeypatch.setattr(video_module, "write_image", lambda place, pixels: (rest.append(place), write(place, pixels)))
    assert extracted_frames(path, tmp_path / "index") == folder
    assert len(rest) == 7
    for image in whole.glob("*.jpg"):
        assert (folder / image.name).read_bytes() == image.read_bytes()


def test_processes_that_come_together_take_a_video_apart_once(tmp_path, monkeypatch):
    path = made_folders.write_video(tmp_path / "own" / "drive.avi")
    extract, extracted, found = video_module._extract, [], []

    def slow_extract(*args):
        extracted.append(args)
        time.sleep(0.2)
        extract(*args)

    monkeypatch.setattr(video_module, "_extract", slow_extract)
    monkeypatch.setattr(turns, "_WAIT_S", 0.05)
    here = lock._this_process()
    monkeypatch.setattr(lock, "_this_process", lambda: here | {"host": "node2"})
    name = extracted_frames(path, tmp_path / "other").name
    extracted.clear()
    with lock_folder(tmp_path / "index" / "videos" / name):  # by another machine, dead or alive
        monkeypatch.setattr(lock, "_this_process", lambda: here)
        jobs = [
            threading.Thread(target=lambda: found.append(extracted_frames(path, tmp_path / "index"))) for _ in range(4)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(20)
    assert len(extracted) == 1
    assert [len([*folder.glob("*.jpg")]) for folder in found] == [12] * 4


def damaged(path: Path, kind: str) -> Path:
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"no video", "half": data[: len(data) // 2]}[kind])
    return path


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv"])
@pytest.mark.parametrize("kind", ["empty", "text", "half"])
def test_a_damaged_video_is_refused_by_name_in_one_line(tmp_path, suffix, kind):
    path = damaged(made_folders.write_video(tmp_path / "own" / f"drive.{suffix}", frames=40), kind)
    with pytest.raises(DataError, match=rf"drive\.{suffix}: ") as caught:
        extracted_frames(path, tmp_path / "index")
    assert "\n" not in str(caught.value)
    assert not [*(tmp_path / "index").rglob(MANIFEST)]


def stretched(path: Path, factor: float) -> Path:
    """Move the frames of a Matroska file apart in time, and its end: the rate that it states is wrong then."""
    data = bytearray(path.read_bytes())
    length = data.index(b"\x44\x89\x88") + 3
    struct.pack_into(">d", data, length, struct.unpack_from(">d", data, length)[0] * factor)
    clusters = re.finditer(rb"\x1f\x43\xb6\x75..\xbf\x84....\xe7\x82(?=..)", data, re.DOTALL)  # start: two bytes [ms]
    frames = [*re.finditer(rb"\xa3[\x40-\x7f].\x81(?=..\x80\xff\xd8)", data, re.DOTALL)]  # from the cluster's start
    assert len(frames) == 60
    for place in [match.end() for match in (*clusters, *frames)]:
        struct.pack_into(">h", data, place, round(struct.unpack_from(">h", data, place)[0] * factor))
    path.write_bytes(data)
    return path


def test_a_video_of_a_varying_rate_is_taken_with_a_warning(tmp_path, caplog):
    path = stretched(made_folders.write_video(tmp_path / "own" / "drive.mkv", frames=60, fps=24), 80 / 60)
    folder = extracted_frames(path, tmp_path / "index")
    assert len([*folder.glob("*.jpg")]) == 60
    assert "60 frames instead of the announced 80" in caplog.text


def test_a_cut_video_of_a_varying_rate_is_refused(tmp_path):
    path = stretched(made_folders.write_video(tmp_path / "own" / "drive.mkv", frames=60, fps=24), 80 / 60)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 5])
    with pytest.raises(DataError, match=r"drive\.mkv: only \d+ of 80 frames can be decoded up to second"):
        extracted_frames(path, tmp_path / "index")


@pytest.mark.parametrize(
    ("count", "last_s", "announced", "rate", "whole"),
    [
        (60, 5.9, 60, 10, True),
        (45, 7.83, 80, 10, True),  # frames of 0.178 s
        (45, 6.5, 80, 10, False),
        (45, 0.0, 80, 10, False),  # the times are unknown
        (45, 7.83, 80, 0, False),  # so is the rate
        (60, 0.0, 0, 0, True),  # nothing is announced
        (0, 0.0, 0, 0, False),
        (2, 3.0, 90, 10, False),
        (2, 3.0, 60, 10, True),  # one frame each three seconds
    ],
)
def test_only_a_video_without_its_end_is_cut(count, last_s, announced, rate, whole):
    if whole:
        video_module._require_end(Path("a.mkv"), count, last_s, announced, rate)
        return
    with pytest.raises(DataError, match="copy or download the video again"):
        video_module._require_end(Path("a.mkv"), count, last_s, announced, rate)


def test_a_place_that_cannot_be_written_to_is_refused_with_the_key(tmp_path):
    path = made_folders.write_video(tmp_path / "own" / "drive.avi")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.*set DATA\.INDEX_ROOT") as caught:
        extracted_frames(path, tmp_path / "file" / "index")
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_refused_with_the_key(tmp_path, monkeypatch):
    def full(*_):
        raise DiskFullError("no space left to write it")

    path = made_folders.write_video(tmp_path / "own" / "drive.avi")
    monkeypatch.setattr(video_module, "write_image", full)
    with pytest.raises(DiskFullError, match=r"set DATA\.INDEX_ROOT"):
        extracted_frames(path, tmp_path / "index")


def test_frames_are_never_written_beside_the_video(tmp_path):
    root = video_folder(tmp_path / "own")
    with pytest.raises(DataError, match=r"set DATA\.INDEX_ROOT to a folder outside"):
        ImageFolderFrames(root, index_root=root / "index")


def test_a_rate_that_is_none_is_refused(tmp_path):
    for fps in (0, -1, "10", True):
        root = video_folder(tmp_path / "own", fps=fps)
        with pytest.raises(DataError, match="fps must be a positive number"):
            ImageFolderFrames(root, index_root=tmp_path / "index")


def test_a_folder_and_a_video_of_the_same_name_are_refused(tmp_path):
    root = video_folder(tmp_path / "own")
    made_folders.write_picture(root / "drive" / "1.jpg", 1)
    with pytest.raises(DataError, match="would both be sequence drive; rename one"):
        ImageFolderFrames(root, index_root=tmp_path / "index")
