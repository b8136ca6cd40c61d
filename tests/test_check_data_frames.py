"""Intrinsics, neighbours, names and LiDAR that cannot be true are named, each with its frame."""

import numpy as np
import pytest
from checked_frames import SIZE, Frame, K, MadeUpFrames

from ude.data.check import (
    frame_files,
    frame_problems,
    intrinsics_objection,
    lidar_facts,
    lidar_problems,
    missing_files,
)
from ude.files import DataError

HEIGHT, WIDTH = SIZE
BAD_K = {
    "fx and cx swapped": np.array([[32.0, 0, 60], [0, 24, 60], [0, 0, 1]]),
    "zero": np.zeros((3, 3)),
    "NaN": np.where(np.eye(3) > 0, np.nan, K),
    "3 x 4": np.hstack([K, np.zeros((3, 1))]),
    "of another resolution": np.diag([2.0, 2, 1]) @ K,
    "text": "not a K",
}


def problems_of(frames, offsets=(), **options):
    source = MadeUpFrames(frames, offsets, **options)
    return frame_problems(source, frame_files(source))


def only_problem(*args, **options):
    (problem,) = problems_of(*args, **options)
    return problem.problem


@pytest.mark.parametrize("name", BAD_K)
def test_a_bad_k_is_reported_with_its_frame(tmp_path, name):
    frames = [Frame("good", tmp_path / "good.jpg"), Frame("bad", tmp_path / "bad.jpg", K=BAD_K[name])]
    (problem,) = problems_of(frames)
    assert (problem.kind, problem.frame_ids, problem.path) == ("calibration", ("bad",), str(tmp_path / "bad.jpg"))
    assert "intrinsics" in problem.problem


@pytest.mark.parametrize(
    ("size", "fx", "fy", "cx", "cy"),
    [
        ((900, 1600), 1266.42, 1266.42, 816.27, 491.51),  # nuScenes
        ((960, 1280), 983.04, 983.04, 643.65, 493.38),  # RobotCar
        ((375, 1242), 721.54, 721.54, 609.56, 172.85),  # KITTI
        ((1024, 2048), 2262.52, 2265.30, 1096.98, 513.14),  # Cityscapes
    ],
)
def test_k_of_real_cameras_is_accepted_at_its_own_size_only(size, fx, fy, cx, cy):
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    assert intrinsics_objection(K, size) is None
    assert "centre" in intrinsics_objection(K, (size[0] // 2, size[1] // 2))


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ((1.2, 1, 1), "focal lengths 72 and 60 px"),
        ((-1, -1, 1), "focal lengths -60 and -60 px"),
        ((1, 1, 1.5), "centre (48, 24) px"),
        ((1, 1, np.nan), "not finite"),
    ],
)
def test_each_way_of_being_wrong_has_words_of_its_own(scale, words):
    changed = K.copy()
    changed[[0, 1, 0], [0, 1, 2]] *= scale
    assert words in intrinsics_objection(changed, SIZE)


def test_skew_and_a_last_row_that_is_none_are_refused():
    for row, column in ((0, 1), (1, 0), (2, 0), (2, 2)):
        changed = K.copy()
        changed[row, column] += 0.5
        assert "skew or last row" in intrinsics_objection(changed, SIZE)


def test_a_source_that_refuses_its_own_calibration_is_quoted(tmp_path):
    class Refusing(MadeUpFrames):
        def intrinsics(self, index):
            raise DataError("calib.txt: no line P2; download it again")

    source = Refusing([Frame("a", tmp_path / "a.jpg")])
    (problem,) = frame_problems(source, frame_files(source))
    assert problem.problem == "calib.txt: no line P2; download it again"


def at(folder, microseconds):
    return folder / f"{1_532_402_927_000_000 + microseconds}.jpg"


def test_neighbours_at_the_camera_s_rate_are_accepted(tmp_path):
    frame = Frame("a", at(tmp_path, 0), neighbours=(at(tmp_path, -83_000), at(tmp_path, 84_000)), distance=1.4)
    assert problems_of([frame], (-1, 1)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"microseconds": 83_000}, "was taken +0.083 s from the frame"),  # after, not before
        ({"microseconds": -7_000_000}, "was taken -7.000 s"),
        ({"microseconds": 0}, "is the frame itself"),
        ({"distance": 7.0}, "is 7.0 m away, faster than 60 m/s"),  # in 83 ms
        ({"distance": float("nan")}, "is nan m away"),
        ({"T": np.full((4, 4), np.nan)}, "no rigid motion"),
        ({"T": np.diag([1.0, 1, 2, 1])}, "no rigid motion"),
    ],
)
def test_a_neighbour_that_cannot_be_one_is_named(tmp_path, change, words):
    microseconds = change.pop("microseconds", -83_000)
    frame = Frame("a", at(tmp_path, 0), neighbours=(at(tmp_path, microseconds),), **change)
    (problem,) = problems_of([frame], (-1,))
    assert words in problem.problem
    assert (problem.kind, problem.frame_ids) == ("neighbour", ("a",))


def test_a_source_without_poses_is_not_asked_for_distances(tmp_path):
    frame = Frame("a", tmp_path / "000002.png", neighbours=(tmp_path / "000001.png",))
    assert problems_of([frame], (-1,), poses=False) == []
    frame.distance = 61.0
    assert "faster" in only_problem([frame], (-1,))


def test_repeated_and_unfit_names_and_unknown_conditions_are_named(tmp_path):
    names = ("a", "b", "a", "with/slash", "line\nbreak", "")
    frames = [Frame(name, tmp_path / f"{n}.jpg") for n, name in enumerate(names)]
    words = [problem.problem for problem in problems_of(frames)]
    assert words[0] == "frame_id a stands for 2 frames"
    assert [word.partition(" is ")[2] for word in words[1:]] == 3 * ["not fit for a file name"]
    dusk = Frame("c", tmp_path / "c.jpg", condition="dusk")
    assert "'dusk'" in only_problem([dusk])


def test_missing_files_are_found_by_folder_and_named_with_all_frames_that_need_them(tmp_path):
    paths = {name: tmp_path / name for name in ("a.jpg", "b.jpg", "n.jpg", "a.bin", "gone/c.jpg")}
    for name in ("a.jpg", "a.bin"):
        paths[name].write_bytes(b"x")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "n.jpg").mkdir()
    frames = [
        Frame("a", paths["a.jpg"], neighbours=(paths["n.jpg"],), lidar=paths["a.bin"]),
        Frame("b", paths["b.jpg"], neighbours=(paths["n.jpg"],), lidar=tmp_path / "b.bin"),
        Frame("c", paths["gone/c.jpg"], neighbours=(paths["a.jpg"],)),
    ]
    problems = missing_files(frame_files(MadeUpFrames(frames, (-1,))))
    assert {(problem.kind, problem.path.removeprefix(f"{tmp_path}/"), problem.frame_ids) for problem in problems} == {
        ("image", "b.jpg", ("b",)),
        ("image", "gone/c.jpg", ("c",)),
        ("neighbour", "n.jpg", ("a", "b")),
        ("LiDAR", "b.bin", ("b",)),
    }


def sweep(points, seed=0):
    """A sweep of whole firings of 32 beams."""
    values = np.random.default_rng(seed).uniform(-40, 40, (points, 5)).astype(np.float32)
    values[:, 4] = np.arange(points) % 32
    return values


def lost_echoes(values):
    """What a scanner that leaves out beams without an echo would write."""
    return values[np.random.default_rng(len(values)).random(len(values)) < 0.9]


def problems_of_sweeps(folder, changes, keep=lambda values: values):
    source = MadeUpFrames([])
    for n, (name, change) in enumerate(changes.items()):
        path = folder / f"{name}.pcd.bin"
        path.write_bytes(change(keep(sweep(34_688 + 32 * (n % 3), seed=n))))
        source.frames.append(Frame(name, folder / f"{name}.jpg", lidar=path))
    frames = frame_files(source)
    return lidar_problems(frames, lidar_facts(source, frames, workers=0, description="", progress=False))


def with_nan(values):
    values[len(values) // 2, 1] = np.nan
    return values.tobytes()


BAD_SWEEPS = {
    "empty": lambda values: b"",
    "three_bytes_less": lambda values: values.tobytes()[:-3],
    "four_bytes_less": lambda values: values.tobytes()[:-4],
    "one_point_less": lambda values: values.tobytes()[:-20],
    "half_at_a_record": lambda values: values[: len(values) // 2].tobytes(),
    "nan": with_nan,
    "ten_points": lambda values: values[:10].tobytes(),
}
GOOD_SWEEPS = {f"good_{n}": np.ndarray.tobytes for n in range(12)}


def test_7_of_7_bad_sweeps_are_refused_and_the_good_ones_accepted(tmp_path):
    problems = problems_of_sweeps(tmp_path, GOOD_SWEEPS | BAD_SWEEPS)
    assert sorted(problem.frame_ids for problem in problems) == sorted((name,) for name in BAD_SWEEPS)
    for problem in problems:
        assert problem.path == str(tmp_path / f"{problem.frame_ids[0]}.pcd.bin")
        assert problem.path not in problem.problem  # once is enough


def test_of_sweeps_that_leave_out_lost_echoes_a_half_is_refused_and_none_of_the_whole(tmp_path):
    half = {"half": BAD_SWEEPS["half_at_a_record"]}
    assert [p.frame_ids for p in problems_of_sweeps(tmp_path, GOOD_SWEEPS | half, lost_echoes)] == [("half",)]


def many():
    return np.arange(500), np.full(500, 7.0)


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        (lambda: (np.arange(120), np.full(120, 3.0)), None),
        (lambda: (np.array([], int), np.array([])), "has no return"),
        (lambda: (np.array([3, 9]), np.array([2.0, 5.0])), "has 2 returns, where the median of the split is 500"),
        (lambda: (np.array([3, 9]), np.array([2.0, np.inf])), "not finite and positive"),
        (lambda: (np.array([3, HEIGHT * WIDTH]), np.array([2.0, 5.0])), "outside of the image"),
    ],
)
def test_lidar_of_other_formats_is_read_through_the_source(tmp_path, returns, words):
    ways = [many, many, returns]
    frames = [Frame(f"{n}", tmp_path / f"{n}.jpg", lidar=tmp_path / f"{n}.npz", returns=w) for n, w in enumerate(ways)]
    source = MadeUpFrames(frames)
    found = frame_files(source)
    problems = lidar_problems(found, lidar_facts(source, found, workers=0, description="", progress=False))
    assert [problem.frame_ids for problem in problems] == ([] if words is None else [("2",)])
    assert words is None or words in problems[0].problem
