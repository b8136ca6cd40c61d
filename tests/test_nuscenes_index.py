"""The index of nuScenes' tables: the devkit's values, kept outside the data set, never trusted if it does not fit."""

import json
import logging
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from nuscenes.utils.splits import create_splits_scenes
from pyquaternion import Quaternion
from world_edits import VERSION, edit_table, frame_ids

from ude.data.nuscenes import SPLITS, NuScenesFrames, build_index, cache
from ude.data.nuscenes.cache import load_index
from ude.data.nuscenes.index import ABSENT, TableIndex, index_from_columns
from ude.data.nuscenes.poses import camera_poses
from ude.files import DataError, lock, lock_folder, turns


@pytest.fixture(scope="module")
def kept(world_root, tmp_path_factory) -> tuple[Path, TableIndex]:
    """File and content of the index of the tiny world."""
    folder = tmp_path_factory.mktemp("index")
    index = load_index(world_root, VERSION, folder)
    (path,) = folder.iterdir()
    return path, index


def equal(a: TableIndex, b: TableIndex) -> bool:
    return all(np.array_equal(column, b.columns()[name]) for name, column in a.columns().items())


def pose(row) -> np.ndarray:
    return np.column_stack([Quaternion(row["rotation"]).rotation_matrix, row["translation"]])


def test_every_image_is_the_devkits(devkit, kept):
    _, index = kept
    rows = [row for row in devkit.sample_data if row["channel"] == "CAM_FRONT"]
    assert [name.decode() for name in index.image_file] == [row["filename"] for row in rows]
    assert index.image_time.tolist() == [row["timestamp"] for row in rows]
    numbers = {row["token"]: number for number, row in enumerate(rows)} | {"": ABSENT}
    assert index.image_previous.tolist() == [numbers[row["prev"]] for row in rows]
    assert index.image_next.tolist() == [numbers[row["next"]] for row in rows]
    T_global_camera = camera_poses(index, np.arange(len(rows)))
    for number, row in enumerate(rows):
        ego = devkit.get("ego_pose", row["ego_pose_token"])
        sensor = devkit.get("calibrated_sensor", row["calibrated_sensor_token"])
        np.testing.assert_array_equal(index.image_T_global_ego[number], pose(ego))
        calibration = index.image_calibration[number]
        np.testing.assert_array_equal(index.calibration_T_ego_sensor[calibration], pose(sensor))
        np.testing.assert_array_equal(index.calibration_K[calibration], sensor["camera_intrinsic"])
        point = np.array([1.0, 2.0, 30.0])
        for step in (sensor, ego):
            point = Quaternion(step["rotation"]).rotate(point) + step["translation"]
        np.testing.assert_allclose(T_global_camera[number] @ [1.0, 2.0, 30.0, 1.0], [*point, 1], atol=1e-8)


def test_every_key_frame_and_scene_is_the_devkits(devkit, kept):
    _, index = kept
    assert [token.decode() for token in index.key_sample] == [sample["token"] for sample in devkit.sample]
    for number, sample in enumerate(devkit.sample):
        camera, lidar = (devkit.get("sample_data", sample["data"][name]) for name in ("CAM_FRONT", "LIDAR_TOP"))
        scene = devkit.get("scene", sample["scene_token"])
        assert index.image_file[index.key_image[number]].decode() == camera["filename"]
        assert index.key_lidar_file[number].decode() == lidar["filename"]
        assert index.scene_name[index.key_scene[number]].decode() == scene["name"]
        assert index.scene_description[index.key_scene[number]].decode() == scene["description"]
        assert index.key_size[number].tolist() == [camera["height"], camera["width"]]
        assert (index.key_first[number], index.key_last[number]) == (not sample["prev"], not sample["next"])
        np.testing.assert_array_equal(
            index.key_lidar_T_global_ego[number], pose(devkit.get("ego_pose", lidar["ego_pose_token"]))
        )
        sensor = devkit.get("calibrated_sensor", lidar["calibrated_sensor_token"])
        np.testing.assert_array_equal(index.calibration_T_ego_sensor[index.key_lidar_calibration[number]], pose(sensor))
    sensor = devkit.field2token("sensor", "channel", "CAM_FRONT")[0]
    first = devkit.get("calibrated_sensor", devkit.field2token("calibrated_sensor", "sensor_token", sensor)[0])
    np.testing.assert_array_equal(index.calibration_K[index.first_camera], first["camera_intrinsic"])
    assert {split: index.scenes_of(split) for split in SPLITS} == {
        split: set(scenes) for split, scenes in create_splits_scenes().items()
    }


def test_a_later_start_gives_the_same_without_the_devkit(world_root, kept, train):
    path, _ = kept
    code = (
        "import sys; from ude.data.nuscenes import NuScenesFrames\n"
        "frames = NuScenesFrames(sys.argv[1], split='train', offsets=(-1, 1), index_root=sys.argv[2])\n"
        "frames.lidar_depth(0)\n"
        "print(*[frames.frame_id(index) for index in range(len(frames))])\n"
        "print(*sorted({'nuscenes', 'pyquaternion', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(world_root), str(path.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ids, imported = done.stdout.split("\n")[:2]
    assert ids.split() == frame_ids(train)
    assert imported == ""


def test_the_index_is_written_once_and_read_again_to_the_bit(world_root, kept, monkeypatch):
    path, index = kept
    monkeypatch.setattr(build_index, "build_index", None)
    assert equal(load_index(world_root, VERSION, path.parent), index)


@pytest.mark.parametrize("table", ["scene", "attribute"])
def test_changed_tables_are_read_again(broken_root, tmp_path, table):
    before = load_index(broken_root, VERSION, tmp_path / "index")
    edit_table(broken_root, "scene", lambda rows: rows[0].update(description="Night, all of it"))
    if table != "scene":  # the same size, another time of change
        edit_table(broken_root, table, lambda rows: None)
    after = load_index(broken_root, VERSION, tmp_path / "index")
    assert not equal(before, after)
    assert after.scene_description[0] == b"Night, all of it"
    assert len(list((tmp_path / "index").iterdir())) == 1  # the stale one is replaced


def test_a_time_of_change_alone_is_enough_to_read_again(broken_root, tmp_path, monkeypatch):
    load_index(broken_root, VERSION, tmp_path / "index")
    built = []
    original = build_index.build_index
    monkeypatch.setattr(build_index, "build_index", lambda *args: built.append(args) or original(*args))
    load_index(broken_root, VERSION, tmp_path / "index")
    assert not built
    (broken_root / VERSION / "sample.json").touch()
    load_index(broken_root, VERSION, tmp_path / "index")
    assert len(built) == 1


def test_the_index_of_another_place_is_not_taken(world_root, broken_root, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    edit_table(broken_root, "scene", lambda rows: rows[0].update(description="Night, all of it"))
    expected = load_index(broken_root, VERSION, ours)
    load_index(world_root, VERSION, theirs)
    (own,), (foreign,) = ours.iterdir(), theirs.iterdir()
    own.write_bytes(foreign.read_bytes())
    assert equal(load_index(broken_root, VERSION, ours), expected)


def test_a_damaged_index_is_never_trusted(world_root, kept, tmp_path):
    path, index = kept
    identity, data = cache._identity(world_root, VERSION), path.read_bytes()
    rng, copy = np.random.default_rng(0), tmp_path / path.name
    refused = 0
    for cut in (0, 1, 100, len(data) // 2, len(data) - 1):
        copy.write_bytes(data[:cut])
        assert cache._read(copy, identity) is None
    for position in rng.integers(0, len(data), 150):
        flipped = bytearray(data)
        flipped[position] ^= 1 << rng.integers(8)
        copy.write_bytes(flipped)
        found = cache._read(copy, identity)
        refused += found is None
        assert found is None or equal(found, index)  # a time in the archive's headers may flip unnoticed
    assert refused > 100
    copy.write_bytes(data[: len(data) // 2])
    assert equal(load_index(world_root, VERSION, tmp_path), index)  # built again in its place
    assert cache._read(copy, identity) is not None


class Canary:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_an_index_that_holds_objects_runs_nothing(world_root, kept, tmp_path, caplog):
    path, index = kept
    columns = index.columns() | {"image_file": np.array([Canary()], object)}
    with open(tmp_path / path.name, "wb") as file:
        np.savez(file, identity=np.array(cache._identity(world_root, VERSION)), **columns)
    assert equal(load_index(world_root, VERSION, tmp_path), index)
    assert "is damaged" in caplog.text


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("image_next", lambda column: column + 1_000_000),
        ("key_scene", lambda column: column - 1),
        ("key_image", lambda column: column[:-1]),
        ("image_T_global_ego", lambda column: column[:, :2]),
        ("image_time", lambda column: column.astype(float)),
        ("official_splits", lambda column: column[None]),
    ],
)
def test_columns_that_do_not_belong_together_are_refused(kept, name, change):
    _, index = kept
    columns = index.columns()
    with pytest.raises(ValueError, match=r"."):
        index_from_columns(columns | {name: change(columns[name])})
    assert equal(index_from_columns(columns), index)


def test_without_a_place_to_write_the_run_goes_on_with_one_warning(world_root, train, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    options = {"split": "train", "offsets": (-1, 1), "index_root": tmp_path / "file" / "index"}
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert frame_ids(NuScenesFrames(world_root, **options)) == frame_ids(train)
    warnings = [record.getMessage() for record in caplog.records if "cannot be kept" in record.getMessage()]
    assert len(warnings) == 1
    assert "set DATA.INDEX_ROOT" in warnings[0]


def test_the_index_never_goes_into_the_data_set(broken_root):
    with pytest.raises(DataError, match=r"must not lie in the data set; set DATA\.INDEX_ROOT"):
        NuScenesFrames(broken_root, split="val", index_root=broken_root / "index")
    assert not (broken_root / "index").exists()


def test_of_several_that_find_none_one_builds_it(world_root, kept, tmp_path, monkeypatch):
    _, index = kept
    built, found = [], []

    def slow_build(*args):
        built.append(args)
        time.sleep(0.3)
        return index

    monkeypatch.setattr(build_index, "build_index", slow_build)
    monkeypatch.setattr(turns, "_WAIT_S", 0.05)
    jobs = [threading.Thread(target=lambda: found.append(load_index(world_root, VERSION, tmp_path))) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(20)
    assert len(built) == 1
    assert len(found) == 4
    assert all(equal(index, other) for other in found)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]  # no lock is left


def test_while_another_machine_holds_the_index_one_process_of_this_one_builds_it(
    world_root, kept, tmp_path, monkeypatch
):
    _, index = kept
    built, found = [], []

    def slow_build(*args):
        built.append(args)
        time.sleep(0.3)
        return index

    monkeypatch.setattr(build_index, "build_index", slow_build)
    monkeypatch.setattr(turns, "_WAIT_S", 0.05)
    here = lock._this_process()
    monkeypatch.setattr(lock, "_this_process", lambda: here | {"host": "node2"})
    with lock_folder(tmp_path / kept[0].with_suffix(".building").name):
        monkeypatch.setattr(lock, "_this_process", lambda: here)
        jobs = [
            threading.Thread(target=lambda: found.append(load_index(world_root, VERSION, tmp_path))) for _ in range(4)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(20)
    assert len(built) == 1
    assert len(found) == 4


@pytest.mark.slow
def test_processes_that_start_together_leave_one_whole_index(world_root, kept, tmp_path):
    code = "import sys; from ude.data.nuscenes import NuScenesFrames as N; print(len(N(sys.argv[1], split='val')))"
    command = [sys.executable, "-c", code, str(world_root)]
    environment = {"UDE_CACHE": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"}
    jobs = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {job.communicate(timeout=120)[0].strip() for job in jobs} == {"8"}
    (path,) = tmp_path.iterdir()
    assert equal(cache._read(path, cache._identity(world_root, VERSION)), kept[1])


@pytest.mark.slow
def test_opening_all_of_nuscenes_takes_little_longer_than_reading_the_bytes_of_its_index(
    world_root, tmp_path, monkeypatch
):
    monkeypatch.setattr(build_index, "build_index", lambda *_: large_index(scenes=850, keys=40, steps=6))
    ratios = []
    for _ in range(6):
        start = time.process_time()
        frames = NuScenesFrames(world_root, split="train", offsets=(-1, 1), min_speed=0.5, index_root=tmp_path)
        opened = time.process_time()
        (path,) = tmp_path.iterdir()
        zlib.crc32(path.read_bytes())
        ratios.append((opened - start) / (time.process_time() - opened))
    assert len(frames) == 700 * 39  # every first frame lacks the one before
    assert sorted(ratios[1:])[2] < 5  # 1.5 where nothing else runs, 60 ms


def large_index(*, scenes: int, keys: int, steps: int) -> TableIndex:
    """An index of the size of nuScenes: a straight drive, the same in every scene."""
    length = keys * steps
    image = np.arange(scenes * length)
    place, scene = image % length, image // length
    key_image = image[place % steps == 0]
    T = np.tile(np.eye(3, 4), (len(image), 1, 1))
    T[:, 0, 3] = 0.5 * place
    names = create_splits_scenes()
    return TableIndex(
        image_file=np.array(
            [b"samples/CAM_FRONT/n015-2018-11-21-19-21-35+0800__CAM_FRONT__%016d.jpg" % i for i in image]
        ),
        image_time=scene * 10**9 + place * 83_333,
        image_T_global_ego=T,
        image_calibration=2 * scene.astype(np.int32),
        image_previous=np.where(place == 0, ABSENT, image - 1).astype(np.int32),
        image_next=np.where(place == length - 1, ABSENT, image + 1).astype(np.int32),
        key_sample=np.array([b"%032x" % i for i in key_image]),
        key_image=key_image.astype(np.int32),
        key_scene=scene[key_image].astype(np.int32),
        key_first=place[key_image] == 0,
        key_last=place[key_image] == length - steps,
        key_size=np.tile(np.int32([900, 1600]), (len(key_image), 1)),
        key_lidar_file=np.array(
            [b"samples/LIDAR_TOP/n015-2018-11-21-19-21-35+0800__%016d.pcd.bin" % i for i in key_image]
        ),
        key_lidar_T_global_ego=T[key_image],
        key_lidar_calibration=2 * scene[key_image].astype(np.int32) + 1,
        scene_name=np.array((names["train"] + names["val"])[:scenes], np.bytes_),
        scene_description=np.array([b"Parked cars"] * scenes),
        scene_first_image=np.array([b"samples/CAM_FRONT/first.jpg"] * scenes),
        calibration_T_ego_sensor=np.tile(np.eye(3, 4), (2 * scenes, 1, 1)),
        calibration_K=np.tile(np.diag([1266.0, 1266.0, 1.0]), (2 * scenes, 1, 1)),
        first_camera=np.array(0),
        official_splits=np.array(json.dumps(names)),
    )
