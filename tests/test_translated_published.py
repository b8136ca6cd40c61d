"""Translations that others publish: found by file name in any folders, from a folder or from the hub."""

import errno
import logging
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ude.data import published
from ude.data import translated as translated_module
from ude.data.published import translated_root
from ude.data.translated import STAMP, TranslatedFrames, quarantine_path
from ude.files import DataError, DiskFullError, MissingFileError, lock, lock_folder, write_image, write_json

NAMES = (
    "n015-2018-07-24-11-22-45+0800__CAM_FRONT__1532402927612460",
    "n008-2018-08-01-15-16-36-0400__CAM_FRONT__1533151603512404",
)
LEVELS = {"night": 20, "rain": 160}
HUB = "fabiotosi92/Diffusion4RobustDepth"


def publish(root: Path, inner: str = "samples/CAM_FRONT", suffix: str = ".jpg") -> Path:
    for condition, level in LEVELS.items():
        for number, name in enumerate(NAMES):
            write_image(root / condition / inner / f"{name}{suffix}", np.full((8, 12, 3), level + number, np.uint8))
    return root


@pytest.mark.parametrize("inner", ["samples/CAM_FRONT", "", "a/b/c"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".jpeg"])
def test_a_translation_is_found_by_the_name_of_its_file(tmp_path, inner, suffix):
    translated = TranslatedFrames(publish(tmp_path, inner, suffix), ("night", "rain"))
    translated.require(NAMES)
    for condition, level in LEVELS.items():
        for number, name in enumerate(NAMES):
            assert translated.path(name, condition).suffix == suffix
            assert abs(int(translated.image(name, condition)[0, 0, 0]) - level - number) <= 1
    assert translated.usable(NAMES[0]) == ("night", "rain")


def test_our_own_and_published_conditions_stand_side_by_side(tmp_path):
    publish(tmp_path)
    for name in NAMES:
        write_image(tmp_path / "fog" / f"{name}.jpg", np.full((8, 12, 3), 200, np.uint8))
    translated = TranslatedFrames(tmp_path, ("fog", "night"))
    translated.require(NAMES)
    assert translated.path(NAMES[0], "fog") == tmp_path / "fog" / f"{NAMES[0]}.jpg"


def test_a_missing_published_translation_is_counted(tmp_path):
    publish(tmp_path)
    (tmp_path / "rain/samples/CAM_FRONT" / f"{NAMES[1]}.jpg").unlink()
    with pytest.raises(MissingFileError, match=r"'rain' of n008.*\(1 of 4 translated frames are missing\)"):
        TranslatedFrames(tmp_path, ("night", "rain")).require(NAMES)


def test_nothing_is_listed_when_an_image_is_read(tmp_path, monkeypatch):
    translated = TranslatedFrames(publish(tmp_path), ("night", "rain"))
    for name in ("walk", "listdir", "scandir"):
        monkeypatch.setattr(os, name, None)
    assert translated.image(NAMES[0], "night").shape == (8, 12, 3)
    assert translated.usable(NAMES[1]) == ("night", "rain")


def test_two_translations_of_a_frame_are_refused_when_it_is_asked_for(tmp_path):
    publish(tmp_path)
    write_image(tmp_path / "night/samples/CAM_FRONT" / f"{NAMES[1]}.png", np.zeros((8, 12, 3), np.uint8))
    translated = TranslatedFrames(tmp_path, ("night",))
    translated.require(NAMES[:1])
    assert translated.image(NAMES[0], "night").mean() == pytest.approx(20, abs=1)
    for ask in (lambda: translated.require(NAMES), lambda: translated.path(NAMES[1], "night")):
        with pytest.raises(DataError, match=r"n008.*are translations of the same frame; remove one"):
            ask()


def test_our_own_and_a_published_translation_of_a_frame_are_refused(tmp_path):
    publish(tmp_path)
    write_image(tmp_path / "night" / f"{NAMES[0]}.jpg", np.zeros((8, 12, 3), np.uint8))
    translated = TranslatedFrames(tmp_path, ("night",))
    with pytest.raises(DataError, match=r"night/n015.*night/samples/.*same frame"):
        translated.image(NAMES[0], "night")


@pytest.mark.parametrize("folder", ["@eaDir", ".thumbnails", "samples/CAM_FRONT/@eaDir"])
def test_thumbnails_are_no_translations(tmp_path, folder):
    publish(tmp_path)
    for name in NAMES:
        write_image(tmp_path / "night" / folder / f"{name}.jpg", np.zeros((2, 3, 3), np.uint8))
    translated = TranslatedFrames(tmp_path, ("night",))
    translated.require(NAMES)
    assert translated.image(NAMES[0], "night").shape == (8, 12, 3)


def test_years_that_number_their_images_alike_leave_the_other_images_usable(tmp_path):
    for year in ("2012/training/colored_0", "2015/training/image_2"):
        write_image(tmp_path / "challenging" / year / "000000_10.jpg", np.zeros((8, 12, 3), np.uint8))
    write_image(tmp_path / "challenging" / "2015/training/image_2" / "000199_10.jpg", np.zeros((8, 12, 3), np.uint8))
    translated = TranslatedFrames(tmp_path, ("challenging",))
    translated.require(["000199_10"])
    with pytest.raises(DataError, match=r"2012/.*000000_10\.jpg and .*2015/"):
        translated.require(["000000_10"])


def test_half_written_files_are_no_translations(tmp_path):
    publish(tmp_path)
    (tmp_path / "night" / ".tmp-123-456-789.jpg").write_bytes(b"")
    (tmp_path / "night" / "samples" / "CAM_FRONT" / "README.txt").write_bytes(b"")
    TranslatedFrames(tmp_path, ("night",)).require(NAMES)


def test_quarantine_holds_for_published_translations_too(tmp_path):
    publish(tmp_path, suffix=".png")
    write_image(quarantine_path(tmp_path, NAMES[0], "night"), np.zeros((8, 12, 3), np.uint8))
    assert TranslatedFrames(tmp_path, ("night", "rain")).usable(NAMES[0]) == ("rain",)


@pytest.mark.parametrize("inner", ["2014-12-09-13-21-02/stereo/left", ""])
def test_a_robotcar_image_is_found_by_its_time(tmp_path, inner):
    write_image(tmp_path / "night" / inner / "1418132504537582.jpg", np.full((8, 12, 3), 30, np.uint8))
    translated = TranslatedFrames(tmp_path, ("night",))
    translated.require(["2014-12-09-13-21-02_1418132504537582"])
    assert translated.image("2014-12-09-13-21-02_1418132504537582", "night").mean() == pytest.approx(30, abs=1)
    with pytest.raises(MissingFileError, match="1 of 1"):
        translated.require(["2014-12-09-13-21-02_1418132504537583"])


def test_a_cityscapes_image_is_found_without_its_ending(tmp_path):
    folder = tmp_path / "challenging" / "train" / "aachen"
    write_image(folder / "aachen_000000_000019_leftImg8bit.jpg", np.full((8, 12, 3), 30, np.uint8))
    TranslatedFrames(tmp_path, ("challenging",)).require(["aachen_000000_000019"])


def test_the_listing_of_a_condition_is_fast(tmp_path):
    for number in range(2000):
        path = tmp_path / "night" / "samples" / f"frame{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    translated = TranslatedFrames(tmp_path, ("night",))
    assert len(translated._elsewhere["night"]) == 2000
    assert translated_module._elsewhere(tmp_path, "rain") == {}


# --- where the folder is


def test_the_folder_of_the_conditions_is_found_inside(tmp_path):
    inner = publish(tmp_path / "nuscenes/driving/nuscenes/challenging")
    assert translated_root(tmp_path / "nuscenes", ("night", "rain")) == inner
    assert translated_root(inner, ("night",)) == inner
    assert translated_root(tmp_path, ("snow",)) == tmp_path
    assert translated_root(tmp_path / "nowhere", ("night",)) == tmp_path / "nowhere"


@pytest.mark.parametrize("folder", ["rejected", "@eaDir", ".old", "night/rejected"])
def test_images_that_are_not_to_be_used_are_never_taken_for_what_is_missing(tmp_path, folder):
    publish(tmp_path / "tr" / folder)
    assert translated_root(tmp_path / "tr", ("rain",)) == tmp_path / "tr"
    write_image(tmp_path / "tr" / "night" / f"{NAMES[0]}.jpg", np.zeros((8, 12, 3), np.uint8))
    for root in (tmp_path, tmp_path / "tr"):
        assert translated_root(root, ("night", "rain")) == root


def test_a_folder_of_the_translation_tool_is_taken_as_it_is(tmp_path):
    inner = publish(tmp_path / "first" / "older")
    assert translated_root(tmp_path, ("night", "rain")) == inner
    write_json(tmp_path / "first" / STAMP, {})
    assert translated_root(tmp_path / "first", ("night", "rain")) == tmp_path / "first"
    assert translated_root(tmp_path, ("night", "rain")) == tmp_path


def test_a_folder_with_some_of_the_conditions_is_taken_as_it_is(tmp_path):
    publish(tmp_path / "older")
    (tmp_path / "night").mkdir()
    assert translated_root(tmp_path, ("night", "rain")) == tmp_path


def test_two_folders_equally_near_are_refused_by_name(tmp_path):
    first, second = publish(tmp_path / "a/A"), publish(tmp_path / "b/B")
    with pytest.raises(DataError, match=rf"both {first} and {second} hold .*; name one of them"):
        translated_root(tmp_path, ("night", "rain"))
    assert translated_root(tmp_path / "a", ("night", "rain")) == first


def test_the_folder_that_was_found_is_logged(tmp_path, caplog):
    inner = publish(tmp_path / "deeper")
    with caplog.at_level(logging.INFO):
        translated_root(inner, ("night",))
        assert caplog.text == ""
        translated_root(tmp_path, ("night",))
    assert f"the translated frames of {tmp_path} are those in {inner}" in caplog.text


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one data set of one archive; what was asked for is kept."""
    publish(tmp_path / "made/driving/nuscenes/challenging")
    snapshot = tmp_path / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    with tarfile.open(snapshot / "nuscenes.tar", "w") as archive:
        archive.add(tmp_path / "made" / "driving", "driving")
    asked = []

    def snapshot_download(repository, **options):
        asked.append((repository, options))
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return snapshot, asked


def test_a_data_set_of_the_hub_is_unpacked_once_and_read(hub, tmp_path, monkeypatch):
    root = translated_root(f"{HUB}/nuscenes", ("night", "rain"), index_root=tmp_path / "index")
    assert root.is_relative_to(tmp_path / "index" / "hub" / "fabiotosi92--Diffusion4RobustDepth" / "0123abc")
    TranslatedFrames(root, ("night", "rain")).require(NAMES)
    _, asked = hub
    patterns = ["nuscenes/**", "nuscenes.tar", "nuscenes_part*.tar"]
    assert asked == [(HUB, {"repo_type": "dataset", "revision": None, "allow_patterns": patterns})]
    monkeypatch.setattr(tarfile, "open", None)
    assert translated_root(f"{HUB}/nuscenes", ("night", "rain"), index_root=tmp_path / "index") == root


def test_the_parts_of_an_archive_are_one_folder_and_each_is_unpacked_once(hub, tmp_path, monkeypatch):
    snapshot, _ = hub
    (snapshot / "nuscenes.tar").unlink()
    made = tmp_path / "made/driving/nuscenes/challenging"
    for number, condition in ((1, "night"), (2, "rain")):
        with tarfile.open(snapshot / f"nuscenes_part{number}.tar", "w") as archive:
            archive.add(made / condition, f"driving/nuscenes/challenging/{condition}")
    whole = (snapshot / "nuscenes_part2.tar").read_bytes()
    (snapshot / "nuscenes_part2.tar").write_bytes(whole[:1000])
    with pytest.raises(DataError, match=r"nuscenes_part2\.tar cannot be unpacked"):
        translated_root(f"{HUB}/nuscenes", ("night", "rain"), index_root=tmp_path / "index")
    (snapshot / "nuscenes_part2.tar").write_bytes(whole)
    opened, original = [], tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda path: opened.append(path.name) or original(path))
    root = translated_root(f"{HUB}/nuscenes", ("night", "rain"), index_root=tmp_path / "index")
    TranslatedFrames(root, ("night", "rain")).require(NAMES)
    assert opened == ["nuscenes_part2.tar"]


def test_an_archive_is_unpacked_though_another_machine_holds_its_folder(hub, tmp_path, monkeypatch):
    here = lock._this_process()
    monkeypatch.setattr(lock, "_this_process", lambda: here | {"host": "node1"})
    place = tmp_path / "index" / "hub" / "fabiotosi92--Diffusion4RobustDepth" / "0123abc"
    with lock_folder(place / "nuscenes.unpacking"):
        monkeypatch.setattr(lock, "_this_process", lambda: here)
        root = translated_root(f"{HUB}/nuscenes", ("night", "rain"), index_root=tmp_path / "index")
    TranslatedFrames(root, ("night", "rain")).require(NAMES)
    assert sorted(path.name for path in place.iterdir()) == ["nuscenes"]  # no lock is left


def test_a_second_machine_that_unpacks_never_leaves_a_file_half_written(hub, tmp_path):
    snapshot, _ = hub
    folder = tmp_path / "unpacked"
    published._unpack_part(snapshot / "nuscenes.tar", folder)
    image = next(folder.rglob("*.jpg"))
    with image.open("rb") as reader:  # what another process has open stays as it was
        before = os.fstat(reader.fileno()).st_ino
        published._unpack_part(snapshot / "nuscenes.tar", folder)
        assert image.stat().st_ino != before
        assert reader.read() == image.read_bytes()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EIO, DataError), (errno.EACCES, DataError)]
)
def test_trouble_with_the_disk_is_refused_with_the_key_and_leaves_nothing(hub, tmp_path, monkeypatch, number, kind):
    def refused(self, path, **_):
        (path / "half.jpg").touch()
        raise OSError(number, os.strerror(number), str(path / "a" / "b" / "half.jpg"))

    monkeypatch.setattr(tarfile.TarFile, "extractall", refused)
    with pytest.raises(kind, match=r"set DATA\.INDEX_ROOT") as caught:
        translated_root(f"{HUB}/nuscenes", ("night",), index_root=tmp_path / "index")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert not [*tmp_path.glob("index/**/half.jpg")]


def test_a_place_for_archives_that_cannot_be_written_to_is_refused_with_the_key(hub, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.*set DATA\.INDEX_ROOT"):
        translated_root(f"{HUB}/nuscenes", ("night",), index_root=tmp_path / "file" / "index")


def test_a_revision_and_plain_folders_of_the_hub_are_taken(hub, tmp_path):
    snapshot, asked = hub
    publish(snapshot / "street")
    root = translated_root(f"{HUB}@main/street", ("night",), index_root=tmp_path / "index")
    assert root == snapshot / "street"
    assert asked[0][1]["revision"] == "main"


def test_a_cut_archive_is_refused_by_name_and_leaves_nothing(hub, tmp_path):
    snapshot, _ = hub
    data = (snapshot / "nuscenes.tar").read_bytes()
    (snapshot / "nuscenes.tar").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"nuscenes\.tar cannot be unpacked \(.*\); download it again") as caught:
        translated_root(f"{HUB}/nuscenes", ("night",), index_root=tmp_path / "index")
    assert "\n" not in str(caught.value)
    assert not [*(tmp_path / "index").rglob("*.jpg")]


def test_an_archive_that_leads_elsewhere_is_refused(hub, tmp_path):
    snapshot, _ = hub
    with tarfile.open(snapshot / "nuscenes.tar", "w") as archive:
        archive.add(tmp_path / "made" / "driving", "../../../../evil")
    with pytest.raises(DataError, match=r"nuscenes\.tar cannot be unpacked"):
        translated_root(f"{HUB}/nuscenes", ("night",), index_root=tmp_path / "index")
    assert not [*tmp_path.rglob("evil*")]


def test_without_a_network_the_name_and_all_remedies_are_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"Diffusion4RobustDepth/nuscenes cannot be loaded: .*hf download") as caught:
        translated_root(f"{HUB}/nuscenes", ("night",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["outputs/translated", "../a/b", "/a/b", "single", "a/../../b"])
def test_a_path_is_no_name_of_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)  # cannot be called
    assert translated_root(name, ("night",)) == Path(name)
