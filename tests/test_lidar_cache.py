"""The cache of sparse LiDAR depth: exact, small to send, never stale, and whole after a kill."""

import os
import pickle
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import made_folders
import numpy as np
import pytest

from ude.data.caches import lidar as cache_module
from ude.data.caches import lidar_files as files_module
from ude.data.caches.lidar import LidarCache, write_lidar_cache
from ude.data.folders.kitti import KittiFrames
from ude.data.nuscenes import NuScenesFrames
from ude.files import DataError, FolderInUseError, MissingFileError, lock_folder

COUNTS = (5, 0, 700, 33)


@dataclass
class Recorded:
    """A source whose LiDAR files hold the depths themselves."""

    folder: Path
    names: tuple[str, ...] = ("a", "b", "c", "d")
    size: tuple[int, int] = (50, 80)
    rules: str = "corrected"
    scale: float = 1.0
    scales: dict[str, float] = field(default_factory=dict)  # by scene
    scenes: dict[str, str] = field(default_factory=dict)  # by frame
    focal: dict[str, float] = field(default_factory=dict)  # by frame
    calls: list[str] = field(default_factory=list)

    def __post_init__(self):
        for name, count in zip(self.names, COUNTS, strict=False):
            if name != "none" and not self.path(name).exists():
                rng = np.random.default_rng(count)
                index = np.sort(rng.choice(self.size[0] * self.size[1], count, replace=False))
                self.path(name).write_bytes(np.stack([index, rng.uniform(1, 80, count)]).tobytes())

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def __len__(self) -> int:
        return len(self.names)

    def frame_id(self, index: int) -> str:
        return self.names[index]

    def scene(self, index: int) -> str:
        return self.scenes.get(self.names[index], "drive")

    def intrinsics(self, index: int) -> np.ndarray:
        return np.diag([self.focal.get(self.names[index], 40.0)] * 2 + [1.0])

    def native_size(self, index: int) -> tuple[int, int]:
        return self.size

    def lidar_path(self, index: int) -> Path | None:
        return None if self.names[index] == "none" else self.path(self.names[index])

    def sparse_lidar(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self.calls.append(self.names[index])
        path = self.lidar_path(index)
        if b"broken" in path.read_bytes():
            raise DataError(f"{path}: broken")
        pixels, depth = np.frombuffer(path.read_bytes()).reshape(2, -1)
        return pixels.astype(np.int64), (self.scale * self.scales.get(self.scene(index), 1.0) * depth).astype(
            np.float32
        )


@pytest.fixture
def source(tmp_path: Path) -> Recorded:
    (tmp_path / "data").mkdir()
    return Recorded(tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "lidar"


def assert_holds(cache: LidarCache, source: Recorded) -> None:
    for i in range(len(source)):
        for kept, computed in zip(cache.read(source.frame_id(i)), source.sparse_lidar(i), strict=True):
            assert kept.dtype == computed.dtype
            np.testing.assert_array_equal(kept, computed)


def rewrite(path: Path, data: bytes) -> None:
    """Write with a time that differs, however coarse the clock of the file system is."""
    path.write_bytes(data)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def test_every_frame_comes_back_exactly_and_as_a_copy(source, folder):
    assert write_lidar_cache(source, folder, progress=False) == 4
    cache = LidarCache(folder, source)
    assert len(cache) == 4
    assert "c" in cache
    assert "z" not in cache
    assert_holds(cache, source)
    index, depth = cache.read("c")
    index[:], depth[:] = 0, 0
    assert_holds(cache, source)


def test_the_sample_world_comes_back_exactly(val, folder):
    write_lidar_cache(val, folder, progress=False)
    assert_holds(LidarCache(folder, val), val)


def test_it_takes_eight_bytes_per_return_and_little_to_send_to_a_loader_process(source, folder):
    write_lidar_cache(source, folder, progress=False)
    assert sum((folder / name).stat().st_size for name in ("index.bin", "depth.bin")) == 8 * sum(COUNTS)
    cache = LidarCache(folder, source)
    data = pickle.dumps(cache)
    assert len(data) < 1000
    assert_holds(pickle.loads(data), source)


def test_nothing_is_computed_twice_and_another_split_is_added(source, folder):
    first = Recorded(source.folder, names=("a", "b"))
    assert write_lidar_cache(first, folder, progress=False) == 2
    assert write_lidar_cache(source, folder, progress=False) == 2
    assert write_lidar_cache(source, folder, progress=False) == 0
    for split in (first, source, Recorded(source.folder, names=("d", "a"))):
        assert_holds(LidarCache(folder, split), split)
    assert len(LidarCache(folder, first)) == 2


def test_frames_without_lidar_are_passed_over(source, folder):
    mixed = Recorded(source.folder, names=("none", "b", "c"))
    assert write_lidar_cache(mixed, folder, progress=False) == 2
    cache = LidarCache(folder, mixed)
    assert "none" not in cache
    with pytest.raises(MissingFileError, match="holds no LiDAR depth of none"):
        cache.read("none")
    with pytest.raises(DataError, match="no frame of the source has LiDAR"):
        write_lidar_cache(Recorded(source.folder, names=("none",)), folder.with_name("other"), progress=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: rewrite(s.path("b"), b"1234"), "out of date: the LiDAR file of b has changed"),
        (lambda s: os.utime(s.path("b"), ns=(0, 1)), "out of date: the LiDAR file of b has changed"),
        (lambda s: s.path("b").unlink(), r"b\.bin: no such LiDAR file"),
        (lambda s: setattr(s, "size", (80, 50)), "out of date: the native size of a has changed"),
        (lambda s: setattr(s, "rules", "md4all"), "was written for .*rules corrected.*, not for .*rules md4all"),
        (lambda s: setattr(s, "crop", (0, 0, 20, 50)), r"crop None, not for .*crop \[0, 0, 20, 50\]"),
        (lambda s: setattr(s, "scale", 1.001), "another depth of c than its LiDAR and calibration give now"),
        (lambda s: setattr(s, "names", ("a", "e")) or s.__post_init__(), "holds no LiDAR depth of e"),
    ],
    ids=["size", "time", "gone", "native size", "rules", "crop", "calibration", "frame"],
)
def test_a_stale_cache_is_refused_in_one_line(source, folder, change, words):
    write_lidar_cache(source, folder, progress=False)
    change(source)
    with pytest.raises(DataError, match=words) as caught:
        LidarCache(folder, source)
    assert "again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: rewrite(s.path("b"), s.path("d").read_bytes()),
        lambda s: setattr(s, "rules", "md4all"),
        lambda s: setattr(s, "scale", 2.0),
    ],
    ids=["file", "rules", "calibration"],
)
def test_writing_again_brings_a_stale_cache_up_to_date(source, folder, change):
    write_lidar_cache(source, folder, progress=False)
    change(source)
    assert write_lidar_cache(source, folder, progress=False) > 0
    assert_holds(LidarCache(folder, source), source)


@pytest.mark.parametrize("column", ["index.bin", "depth.bin"])
def test_damage_is_seen_and_repaired(source, folder, column):
    write_lidar_cache(source, folder, progress=False)
    data = bytearray((folder / column).read_bytes())
    data[2000] ^= 1
    (folder / column).write_bytes(data)
    with pytest.raises(DataError, match=rf"{column} is damaged, since its SHA-256"):
        LidarCache(folder, source)
    assert write_lidar_cache(source, folder, progress=False) == 4
    assert_holds(LidarCache(folder, source), source)
    (folder / column).write_bytes(data[:-1])
    with pytest.raises(DataError, match=f"{column} is cut or missing"):
        LidarCache(folder, source)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "is damaged"),
        ('{"schema": 2}', "is of version 2, not 1"),
        ('{"schema": 1, "kind": {}, "returns": 9, "sha256": {}, "frames": {"a": [[1, 2, 3, 4], 5, 6]}}', "is damaged"),
        ('{"schema": 1, "kind": {}, "returns": 9, "sha256": {}, "frames": {"a": [[1, 2, 3], 5, 1]}}', "is damaged"),
        ('{"schema": 1, "kind": {}, "returns": 9, "sha256": {}, "frames": {"a": [[1, 2, 3, 4], -5, 1]}}', "is damaged"),
    ],
)
def test_a_damaged_manifest_is_refused_by_name(source, folder, text, words):
    write_lidar_cache(source, folder, progress=False)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        LidarCache(folder, source)
    assert str(folder / "manifest.json") in str(caught.value)
    assert write_lidar_cache(source, folder, progress=False) == 4


def test_a_folder_without_a_cache_is_named(source, folder):
    with pytest.raises(MissingFileError, match=r"holds no LiDAR cache; run tools/cache_frames\.py again"):
        LidarCache(folder, source)


def test_a_killed_run_goes_on_where_its_manifest_ends(source, folder, monkeypatch):
    monkeypatch.setattr(cache_module, "_SAVE_EVERY", 2)
    real = source.sparse_lidar

    def killed(index):
        if source.frame_id(index) == "d":
            os._exit(9)  # nothing is flushed, closed or unlocked
        return real(index)

    monkeypatch.setattr(source, "sparse_lidar", killed)
    child = os.fork()
    if child == 0:
        write_lidar_cache(source, folder, progress=False)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    monkeypatch.setattr(source, "sparse_lidar", real)
    (folder / "depth.bin").open("ab").write(b"half a frame")
    assert write_lidar_cache(source, folder, progress=False) == 2  # c was written, but is in no manifest
    assert_holds(LidarCache(folder, source), source)
    assert sorted(path.name for path in folder.iterdir()) == [
        "depth.bin",
        "index.bin",
        "manifest.json",
        "verified.json",
    ]


def test_a_broken_lidar_file_is_named_and_the_frames_before_it_are_kept(source, folder):
    good = source.path("c").read_bytes()
    rewrite(source.path("c"), b"broken")
    with pytest.raises(DataError, match=r"c\.bin: broken"):
        write_lidar_cache(source, folder, progress=False)
    rewrite(source.path("c"), good)
    assert write_lidar_cache(source, folder, progress=False) == 2
    assert_holds(LidarCache(folder, source), source)


def test_a_reader_keeps_the_old_content_when_the_cache_is_replaced(source, folder):
    write_lidar_cache(source, folder, progress=False)
    cache, before = LidarCache(folder, source), source.sparse_lidar(2)
    source.scale = 2.0
    write_lidar_cache(source, folder, progress=False)
    for kept, expected in zip(cache.read("c"), before, strict=True):
        np.testing.assert_array_equal(kept, expected)


def test_two_writers_do_not_meet(source, folder):
    with lock_folder(folder), pytest.raises(FolderInUseError):
        write_lidar_cache(source, folder, progress=False)


# --- a calibration that changes where no LiDAR file does


def many_scenes(folder: Path, count: int) -> Recorded:
    """Scenes of three frames each, all with the same number of returns."""
    names = tuple(f"{scene:03d}-{frame}" for scene in range(count) for frame in range(3))
    rng = np.random.default_rng(0)
    for name in names:
        index = np.sort(rng.choice(4000, 30, replace=False))
        (folder / f"{name}.bin").write_bytes(np.stack([index, rng.uniform(1, 80, 30)]).tobytes())
    return Recorded(folder, names, scenes={name: name[:3] for name in names})


def test_a_calibration_that_changes_in_one_scene_is_seen_and_repaired(source, folder):
    many = many_scenes(source.folder, 5)
    write_lidar_cache(many, folder, progress=False)
    LidarCache(folder, many)
    many.scales = {"001": 1.01}
    with pytest.raises(DataError, match="another depth of 001-0 than its LiDAR and calibration give now"):
        LidarCache(folder, many)
    assert write_lidar_cache(many, folder, progress=False) == 3
    assert_holds(LidarCache(folder, many), many)


def test_repairing_one_split_leaves_those_of_others_in_the_cache(source, folder):
    many = many_scenes(source.folder, 4)
    write_lidar_cache(many, folder, progress=False)
    many.scales = {"003": 1.01}
    last = Recorded(many.folder, many.names[9:], scenes=many.scenes, scales=many.scales)
    assert write_lidar_cache(last, folder, progress=False) == 3
    assert_holds(LidarCache(folder, many), many)


def test_of_many_scenes_some_are_compared_when_it_is_opened_and_all_when_it_is_written(source, folder, monkeypatch):
    monkeypatch.setattr(cache_module, "MAX_COMPARED", 6)
    many = many_scenes(source.folder, 20)
    many.focal = {name: 41.0 for name in many.names if name[:3] == "013"}  # another vehicle, in one scene
    write_lidar_cache(many, folder, progress=False)
    many.calls.clear()
    LidarCache(folder, many)
    assert len({name[:3] for name in many.calls}) == len(many.calls) == 6
    assert {"000", "013", "019"} <= {name[:3] for name in many.calls}
    unseen = next(f"{scene:03d}" for scene in range(20) if f"{scene:03d}-0" not in many.calls)
    many.scales = {unseen: 1.01}
    assert write_lidar_cache(many, folder, progress=False) == 3
    assert_holds(LidarCache(folder, many), many)


def test_two_cameras_of_a_scene_are_compared_each(source, folder):
    source.focal = {"b": 41.0, "d": 41.0}
    write_lidar_cache(source, folder, progress=False)
    source.calls.clear()
    LidarCache(folder, source)
    assert sorted(source.calls) == ["c", "d"]  # those with most returns


def test_a_calibration_file_of_one_kitti_date_that_changes_is_seen_and_repaired(tmp_path, folder):
    root = made_folders.write_kitti(tmp_path / "kitti", frames=2)
    first, last = root / "2011_09_26", root / "2011_10_03"
    shutil.copytree(first, last)
    shutil.copytree(first, root / "2011_09_29")
    write_lidar_cache(KittiFrames(root), folder, progress=False)
    path = root / "2011_09_29" / "calib_velo_to_cam.txt"
    path.write_text(path.read_text().replace("T: ", "T: 1"))
    frames = KittiFrames(root)
    with pytest.raises(DataError, match="another depth of 2011_09_29_2011_09_26_drive_0001_sync_02_"):
        LidarCache(folder, frames)
    assert write_lidar_cache(frames, folder, progress=False) == 4
    assert_holds(LidarCache(folder, frames), frames)


def test_a_cache_of_nuscenes_is_for_its_rules(world_root, val, folder):
    write_lidar_cache(NuScenesFrames(world_root, split="val", rules="md4all"), folder, progress=False)
    with pytest.raises(DataError, match=r"source NuScenesFrames, rules md4all, .*not for .*, rules corrected"):
        LidarCache(folder, val)


# --- what it costs


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Columns that are read in full, in turn."""
    found, real = [], files_module.column_hash

    def counted(folder, column, returns):
        found.append(column)
        return real(folder, column, returns)

    for module in (files_module, cache_module):
        monkeypatch.setattr(module, "column_hash", counted)
    return found


def test_hashes_are_compared_once_after_writing(source, folder, hashed):
    write_lidar_cache(Recorded(source.folder, names=("a", "b")), folder, progress=False)
    hashed.clear()
    for _ in range(3):
        LidarCache(folder, Recorded(source.folder, names=("a", "b")))
    assert hashed == ["index", "depth"]
    hashed.clear()
    write_lidar_cache(source, folder, progress=False)
    assert hashed == ["index", "depth"]  # to compare them, and to go on from there
    for _ in range(2):
        LidarCache(folder, source)
    assert hashed == ["index", "depth"] * 2


def test_damage_after_the_first_opening_is_seen(source, folder):
    write_lidar_cache(source, folder, progress=False)
    LidarCache(folder, source)
    data = bytearray((folder / "depth.bin").read_bytes())
    data[20] ^= 1
    rewrite(folder / "depth.bin", bytes(data))
    for _ in range(2):
        with pytest.raises(DataError, match=r"depth\.bin is damaged, since its SHA-256"):
            LidarCache(folder, source)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": 3}'])
def test_a_damaged_note_of_the_comparison_is_written_again(source, folder, text, hashed):
    write_lidar_cache(source, folder, progress=False)
    LidarCache(folder, source)
    (folder / "verified.json").write_text(text)
    hashed.clear()
    for _ in range(2):
        LidarCache(folder, source)
    assert hashed == ["index", "depth"]


def test_a_folder_that_cannot_be_written_to_can_be_read(source, folder, monkeypatch):
    write_lidar_cache(source, folder, progress=False)

    def refused(path, value):
        raise DataError(f"{path}: read only")

    monkeypatch.setattr(files_module, "write_json", refused)
    assert_holds(LidarCache(folder, source), source)


def test_depth_of_most_pixels_is_refused_in_one_line_and_nothing_is_changed(source, folder):
    write_lidar_cache(source, folder, progress=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    pixels = np.arange(110_000.0)
    dense = Recorded(source.folder, names=("e",), rules="md4all", size=(400, 500))
    source.path("e").write_bytes(np.stack([pixels, 5 + pixels]).tobytes())
    with pytest.raises(DataError, match=r"e\.bin: 55% of the pixels have depth, .*; leave --lidar away") as caught:
        write_lidar_cache(dense, folder, progress=False)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_refused_leaves_no_empty_folder_that_looks_like_a_cache(source, folder):
    pixels = np.arange(110_000.0)
    source.path("e").write_bytes(np.stack([pixels, 5 + pixels]).tobytes())
    for names in (("e",), ("none",)):
        with pytest.raises(DataError):
            write_lidar_cache(Recorded(source.folder, names=names, size=(400, 500)), folder, progress=False)
        assert not folder.exists()
