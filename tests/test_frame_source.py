"""The contract of `FrameSource`: one set of tests for every source, on made data and, where they are, real samples."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import made_folders
import numpy as np
import pytest
from PIL import Image

from ude.data.folders.booster import BoosterFrames
from ude.data.folders.cityscapes import CityscapesFrames
from ude.data.folders.cleargrasp import ClearGraspFrames
from ude.data.folders.drivingstereo import DrivingStereoFrames
from ude.data.folders.image_folder import ImageFolderFrames
from ude.data.folders.kitti import KittiFrames
from ude.data.sample import CONDITIONS, FrameSource
from ude.files import DataError

REAL = Path(os.environ.get("UDE_REAL_SAMPLES", "nowhere"))
"""Folder with the real samples that no test may need: a nuScenes key frame and a KITTI sequence."""


@dataclass
class Case:
    """A source and what it promises.

    Attributes:
        source: the frames.
        lidar: it has depth to compare with.
        distance: it knows how far its frames are apart.
        poses: it knows how its frames lie to each other.
        linked: neighbours of its frames are frames of it, too.
        shrink: its frames are by this factor smaller than the image files.
    """

    source: FrameSource
    lidar: bool = True
    distance: bool = True
    poses: bool = True
    linked: bool = True
    shrink: int = 1


Build = Callable[[pytest.FixtureRequest, Path], Case]


def nuscenes(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(request.getfixturevalue("train"), linked=False)


def nuscenes_evaluation(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(request.getfixturevalue("val"), distance=False, poses=False)


def robotcar(request: pytest.FixtureRequest, folder: Path) -> Case:
    from ude.data.robotcar import RobotCarFrames

    root = request.getfixturevalue("robotcar_prepared")
    return Case(RobotCarFrames(root, split="all", offsets=(-1, 1), min_speed=0.5))


def robotcar_evaluation(request: pytest.FixtureRequest, folder: Path) -> Case:
    from ude.data.robotcar import RobotCarFrames

    source = RobotCarFrames(request.getfixturevalue("robotcar_prepared"), split="all")
    return Case(source, distance=False, poses=False)


def kitti(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(KittiFrames(made_folders.write_kitti(folder), offsets=(-1, 1)))


def kitti_without_oxts(request: pytest.FixtureRequest, folder: Path) -> Case:
    root = made_folders.write_kitti(folder, frames=3, oxts=False)
    return Case(KittiFrames(root, offsets=(1,)), distance=False, poses=False)


def drivingstereo(request: pytest.FixtureRequest, folder: Path) -> Case:
    source = DrivingStereoFrames(made_folders.write_drivingstereo(folder), offsets=(-1, 1))
    return Case(source, distance=False, poses=False)


def drivingstereo_fog(request: pytest.FixtureRequest, folder: Path) -> Case:
    source = DrivingStereoFrames(made_folders.write_drivingstereo(folder), split="foggy")
    return Case(source, distance=False, poses=False)


def cityscapes(request: pytest.FixtureRequest, folder: Path) -> Case:
    root = made_folders.write_cityscapes(folder, frames=3)
    return Case(CityscapesFrames(root, split="val", offsets=(1,)), poses=False)


def booster(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(BoosterFrames(made_folders.write_booster(folder)), distance=False, poses=False, shrink=4)


def cleargrasp(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(ClearGraspFrames(made_folders.write_cleargrasp(folder)), distance=False, poses=False)


def image_folder(request: pytest.FixtureRequest, folder: Path) -> Case:
    source = ImageFolderFrames(made_folders.write_own_images(folder), split="train", offsets=(-1, 1, 2))
    return Case(source, lidar=False, distance=False, poses=False)


def image_folder_with_depth(request: pytest.FixtureRequest, folder: Path) -> Case:
    source = ImageFolderFrames(made_folders.write_own_images(folder), split="val")
    return Case(source, distance=False, poses=False)


def video(request: pytest.FixtureRequest, folder: Path) -> Case:
    made_folders.write_video(folder / "videos" / "drive.mp4", frames=6)
    made_folders.write_text(folder / "videos" / "intrinsics.json", "[[0.58, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]]")
    source = ImageFolderFrames(folder / "videos", index_root=folder / "cache", offsets=(-1, 1))
    return Case(source, lidar=False, distance=False, poses=False)


def cropped(request: pytest.FixtureRequest, folder: Path) -> Case:
    from ude.data.cropped import CroppedFrames

    return Case(CroppedFrames(request.getfixturevalue("train"), (8, 16, 80, 128)), linked=False)


def without_some(request: pytest.FixtureRequest, folder: Path) -> Case:
    from ude.data.excluded import WithoutFrames

    source = KittiFrames(made_folders.write_kitti(folder), offsets=(-1, 1))
    return Case(WithoutFrames(source, {source.frame_id(1)}))


def real_kitti(request: pytest.FixtureRequest, folder: Path) -> Case:
    return Case(KittiFrames(REAL / "kitti_sequence", offsets=(-1, 1)), distance=False, poses=False)


def real_nuscenes(request: pytest.FixtureRequest, folder: Path) -> Case:
    import json

    from ude.data.lidar import project_lidar, read_points

    kept = REAL / "nuscenes_keyframe"
    calibration = json.loads((kept / "calibration.json").read_text())
    camera = calibration["CAM_FRONT"]
    K = np.array(camera["cam2img"])
    points = read_points(kept / calibration["lidar_points"]["lidar_path"])
    depth = project_lidar(points, np.array(camera["lidar2cam"]), K, (900, 1600))
    name = Path(camera["img_path"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(kept / name)
    made_folders.write_png16(folder / "depth" / f"{name.stem}.png", np.round(depth * 256))
    made_folders.write_text(folder / "intrinsics.json", json.dumps({"K": K.tolist(), "size": [900, 1600]}))
    return Case(ImageFolderFrames(folder), distance=False, poses=False)


BUILDS: tuple[Build, ...] = (
    *(nuscenes, nuscenes_evaluation, robotcar, robotcar_evaluation, kitti, kitti_without_oxts, drivingstereo),
    *(drivingstereo_fog, cityscapes, booster, cleargrasp, image_folder, image_folder_with_depth, video, cropped),
    without_some,
)
needs_samples = pytest.mark.skipif(not REAL.is_dir(), reason="UDE_REAL_SAMPLES names no folder of real samples")


@pytest.fixture(scope="session")
def robotcar_prepared(robotcar_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared frames of the raw RobotCar world."""
    from ude.data.robotcar import Preparation, prepare

    output = tmp_path_factory.mktemp("robotcar_prepared")
    prepare(robotcar_raw, output, Preparation(margin=0.5), sdk=robotcar_raw, progress=False)
    return output


@pytest.fixture(
    scope="session",
    params=[*BUILDS, *(pytest.param(build, marks=needs_samples) for build in (real_kitti, real_nuscenes))],
    ids=lambda build: build.__name__,
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    build: Build = request.param
    return build(request, tmp_path_factory.mktemp(build.__name__) / "data")


@pytest.fixture(scope="session")
def source(case: Case) -> FrameSource:
    return case.source


def digest(source: FrameSource, index: int, lidar: bool) -> str:
    """What a frame holds, as one word."""
    arrays = [source.image(index, offset) for offset in (0, *source.offsets)]
    arrays += [source.intrinsics(index), *(source.sparse_lidar(index) if lidar else ())]
    text = f"{source.frame_id(index)} {source.scene(index)} {source.condition(index)} {source.native_size(index)}"
    return sha256(text.encode() + b"".join(array.tobytes() for array in arrays)).hexdigest()


def linked_pairs(source: FrameSource) -> list[tuple[int, int]]:
    """Indices of frames of which the second is the neighbour at 1 of the first."""
    if 1 not in source.offsets:
        return []
    by_path = {source.image_path(index): index for index in range(len(source))}
    pairs = ((index, by_path.get(source.image_path(index, 1))) for index in range(len(source)))
    return [(first, second) for first, second in pairs if second is not None]


def test_it_has_frames(source):
    assert len(source) > 0
    assert all(isinstance(offset, int) and offset for offset in source.offsets)


def test_it_counts_what_it_leaves_out_by_reason(source):
    assert all(reason and count >= 0 for reason, count in source.left_out.items())
    assert source.left_out["a reason that it never has"] == 0


def test_frame_ids_differ_and_are_fit_for_file_names(source):
    ids = [source.frame_id(index) for index in range(len(source))]
    assert len(set(ids)) == len(ids)
    assert ids == [source.frame_id(index) for index in range(len(source))]
    for frame_id in ids:
        assert frame_id
        assert not set(frame_id) & set("/\\\0\n")
        assert not frame_id.startswith(".")
        assert len(f"{frame_id}.jpg".encode()) <= 255


def test_condition_and_scene_are_known(source):
    for index in range(len(source)):
        assert source.condition(index) in CONDITIONS
        assert isinstance(source.scene(index), str)
        assert source.scene(index)


def test_images_are_rgb_bytes_of_the_native_size(source):
    for index in (0, len(source) - 1):
        for offset in (0, *source.offsets):
            image = source.image(index, offset)
            assert image.dtype == np.uint8
            assert image.shape == (*source.native_size(index), 3)
            assert image.flags.c_contiguous
            assert image.std() > 0


def test_a_smaller_version_is_never_below_the_size_asked_for(source):
    height, width = source.native_size(0)
    asked = (height // 2, width // 2)
    image = source.image(0, min_size=asked)
    assert image.dtype == np.uint8
    assert asked[0] <= image.shape[0] <= height
    assert asked[1] <= image.shape[1] <= width


def test_intrinsics_belong_to_the_image(source):
    for index in range(len(source)):
        K, (height, width) = source.intrinsics(index), source.native_size(index)
        assert K.dtype == np.float64
        assert K.shape == (3, 3)
        assert 0.2 * width < K[0, 0] < 5 * width
        assert K[0, 0] / K[1, 1] == pytest.approx(1, abs=0.5)
        assert 0 < K[0, 2] < width - 1
        assert 0 < K[1, 2] < height - 1
        assert (K[[0, 1, 2, 2], [1, 0, 0, 1]] == 0).all()
        assert K[2, 2] == 1


def test_the_caller_cannot_change_the_intrinsics_of_the_source(source):
    before = source.intrinsics(0).copy()
    source.intrinsics(0)[:] = 0
    assert (source.intrinsics(0) == before).all()


def test_the_named_file_holds_the_pixels(case):
    source = case.source
    for offset in (0, *source.offsets):
        path = source.image_path(0, offset)
        assert path.is_file()
        with Image.open(path) as image:
            stored = np.asarray(image.convert("RGB").reduce(case.shrink)).astype(int)
        found = source.image(0, offset).astype(int)
        top, left = 0, 0
        if stored.shape != found.shape:  # cropped
            top, left = source.crop[:2]
        part = stored[top : top + found.shape[0], left : left + found.shape[1]]
        assert np.abs(part - found).max() <= 2  # decoders differ by the rounding of the colours


def test_neighbours_are_other_images_in_the_order_of_time(case):
    source = case.source
    for index in (0, len(source) - 1):
        paths = [source.image_path(index, offset) for offset in (0, *source.offsets)]
        assert len(set(paths)) == len(paths)
        for offset in source.offsets:
            assert (source.image(index, offset) != source.image(index)).any()
    pairs = linked_pairs(source)
    assert bool(pairs) == (case.linked and 1 in source.offsets)
    for first, second in pairs[:2]:
        assert (source.image(first, 1) == source.image(second)).all()
        assert source.scene(first) == source.scene(second)
        if -1 in source.offsets:
            assert source.image_path(second, -1) == source.image_path(first)


def test_an_offset_that_was_not_asked_for_is_refused(source):
    for method in (source.image, source.image_path, source.distance, source.T_source_target):
        with pytest.raises(ValueError, match="offset must be"):
            method(0, 99)


def test_distances_and_poses_agree(case):
    source = case.source
    for index in (0, len(source) - 1):
        for offset in source.offsets if case.poses else ():
            T = source.T_source_target(index, offset)
            assert T.dtype == np.float64
            assert np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() < 1e-6
            assert (T[3] == (0, 0, 0, 1)).all()
            assert source.distance(index, offset) == pytest.approx(np.linalg.norm(T[:3, 3]), abs=1e-9)
        for offset in source.offsets if case.distance else ():
            assert 0 <= source.distance(index, offset) < 20 * abs(offset)


def test_the_way_there_and_back_is_no_way(case):
    source = case.source
    if not case.poses or -1 not in source.offsets:
        return
    for first, second in linked_pairs(source)[:3]:
        there, back = source.T_source_target(first, 1), source.T_source_target(second, -1)
        np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-6)


def test_the_car_drives_forward(case):
    if not case.poses:
        return
    ways = [case.source.T_source_target(index, 1)[2, 3] for index in range(len(case.source))]
    assert sum(ways) < 0  # what lies ahead comes nearer


def test_missing_poses_are_an_error_with_the_remedy(case):
    source = case.source
    for method, there in ((source.distance, case.distance), (source.T_source_target, case.poses)):
        for offset in source.offsets if not there else ():
            with pytest.raises(DataError, match=r"LOSS\.VELOCITY 0") as caught:
                method(0, offset)
            assert "\n" not in str(caught.value)


def test_sparse_and_dense_depth_are_the_same(case):
    source = case.source
    if not case.lidar:
        return
    for index in (0, len(source) - 1):
        assert source.lidar_path(index).is_file()
        pixel, depth = source.sparse_lidar(index)
        dense = source.lidar_depth(index)
        height, width = source.native_size(index)
        assert pixel.dtype == np.int64
        assert depth.dtype == dense.dtype == np.float32
        assert dense.shape == (height, width)
        assert (np.diff(pixel) > 0).all()
        assert pixel[0] >= 0
        assert pixel[-1] < height * width
        assert (depth > 0).all()
        assert np.isfinite(depth).all()
        assert (np.flatnonzero(dense) == pixel).all()
        assert (dense.ravel()[pixel] == depth).all()


def test_classes_are_of_every_pixel(case):
    source = case.source
    if not hasattr(source, "pixel_class"):
        return
    for index in (0, len(source) - 1):
        classes = source.pixel_class(index)
        assert classes.dtype == np.int8
        assert classes.shape == source.native_size(index)
        assert classes.min() >= -1


def test_missing_depth_is_an_error(case):
    if case.lidar:
        return
    assert case.source.lidar_path(0) is None
    for method in (case.source.sparse_lidar, case.source.lidar_depth):
        with pytest.raises(DataError) as caught:
            method(0)
        assert "\n" not in str(caught.value)


def test_a_loader_process_gets_a_small_copy_that_reads_the_same(case):
    data = pickle.dumps(case.source)
    assert len(data) < 1e6
    assert digest(pickle.loads(data), 0, case.lidar) == digest(case.source, 0, case.lidar)


def test_another_process_reads_the_same(case):
    with get_context("fork").Pool(1) as pool:
        other = pool.apply(digest, (case.source, 0, case.lidar))
    assert other == digest(case.source, 0, case.lidar)
