"""Booster and ClearGrasp: their layouts, splits, calibrations, depth, classes, evaluation and what is refused."""

import pickle
import shutil

import made_folders
import numpy as np
import pytest
import torch
from made_folders import SIZE
from PIL import Image

from ude.data.cropped import CroppedFrames
from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.data.excluded import WithoutFrames
from ude.data.folders.booster import BoosterFrames
from ude.data.folders.cleargrasp import ClearGraspFrames
from ude.data.folders.exr import read_exr_depth
from ude.evaluation.evaluate import evaluate, scene_names
from ude.files import DataError, MissingFileError


@pytest.fixture(scope="module")
def made_booster(tmp_path_factory):
    return made_folders.write_booster(tmp_path_factory.mktemp("made") / "booster")


@pytest.fixture
def booster(made_booster, tmp_path):
    return shutil.copytree(made_booster, tmp_path / "booster")


@pytest.fixture
def cleargrasp(tmp_path):
    return made_folders.write_cleargrasp(tmp_path / "cleargrasp")


def refusal(call) -> str:
    """The one-line message of a DataError."""
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Booster


def test_booster_frames_are_a_quarter_as_large_as_recorded(booster):
    frames = BoosterFrames(booster)
    names = [frames.frame_id(index) for index in range(len(frames))]
    assert names == ["Glass_im0", "Glass_im1", "Wood_im0", "Wood_im1", "Wood_im2"]
    assert {frames.scene(index) for index in range(5)} == {"Glass", "Wood"}
    assert frames.native_size(0) == SIZE
    blocks = made_folders.picture(0, (4 * SIZE[0], 4 * SIZE[1])).reshape(SIZE[0], 4, SIZE[1], 4, 3).mean((1, 3))
    assert np.abs(frames.image(0) - blocks).max() <= 0.5
    K = frames.intrinsics(0)
    assert K[0, 0] == K[1, 1] == 130
    assert K[:2, 2].tolist() == [80.5 - 0.375, 24 - 0.375]  # the centre of a block of 4 x 4 pixels


def test_depth_and_material_of_booster_are_those_of_every_fourth_pixel(booster):
    frames = BoosterFrames(booster)
    index, depth = frames.sparse_lidar(1)
    assert index[0] == 2  # the first has a disparity of 0, the second an endless one
    assert len(index) == SIZE[0] * SIZE[1] - 2
    assert depth[:10].tolist() == pytest.approx([2] * 10, rel=1e-6)
    assert depth[-10:].tolist() == pytest.approx([4] * 10, rel=1e-6)
    assert np.unique(frames.pixel_class(0)).tolist() == [0, 1, 2, 3]
    assert np.unique(frames.pixel_class(4)).tolist() == [0, 1]
    mask = booster / "train/balanced/Glass/mask_cat.png"
    Image.fromarray(np.full((4 * SIZE[0], 4 * SIZE[1]), 7, np.uint8)).save(mask)
    assert (frames.pixel_class(0) == -1).all()


def test_the_scenes_of_booster_may_lie_in_the_root(booster, tmp_path):
    shutil.move(booster / "train" / "balanced", tmp_path / "scenes")
    assert len(BoosterFrames(tmp_path / "scenes")) == 5
    split = tmp_path / "split.txt"
    split.write_text("Wood_im1 day-clear\n")
    assert BoosterFrames(tmp_path / "scenes", split=str(split)).frame_id(0) == "Wood_im1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (None, None, "no such calibration file; download"),
        ("<proj_matL", "<proj_matX", "is no calibration file"),
        ("proj_matL", "proj_matX", "proj_matL must be 12 numbers, got nothing"),
        ("<baselineLR>80.0<", "<baselineLR>0<", "baselineLR must be above 0 mm, got 0; download"),
        ("<baselineLR>80.0<", "<baselineLR>nan<", "baselineLR must be 1"),
        ("<baselineLR>80.0<", "<baselineLR>eighty<", "baselineLR holds what is no number"),
        ("5.2", "-5.2", "are no intrinsics of an image of 48 x 160"),
    ],
)
def test_a_calibration_of_booster_that_does_not_fit_is_refused(booster, old, new, message):
    path = booster / "train/balanced/Glass/calib_00-02.xml"
    if old is None:
        path.unlink()
    else:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    assert message in refusal(lambda: BoosterFrames(booster))


def test_entities_of_a_calibration_do_not_multiply(booster):
    path = booster / "train/balanced/Glass/calib_00-02.xml"
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    head = f'<!DOCTYPE x [<!ENTITY a0 "{"1 " * 99}">{entities}]>'
    path.write_text(path.read_text().replace("<opencv_storage>", f"{head}<opencv_storage>").replace("80.0", "&a11;"))
    assert "is no calibration file" in refusal(lambda: BoosterFrames(booster))


def test_files_of_booster_that_are_missing_or_of_another_size_are_named(booster):
    frames, scene = BoosterFrames(booster), booster / "train/balanced/Glass"
    np.save(scene / "disp_00.npy", np.ones((5, 5), np.float32))
    assert "of shape (5, 5), but its image has 192 x 640" in refusal(lambda: frames.sparse_lidar(0))
    np.save(scene / "disp_00.npy", np.array([{}]), allow_pickle=True)
    assert "disp_00.npy cannot be read" in refusal(lambda: frames.sparse_lidar(0))
    (scene / "disp_00.npy").unlink()
    assert frames.lidar_path(0) is None
    assert "only the training scenes" in refusal(lambda: frames.sparse_lidar(0))
    Image.new("RGB", (640, 192)).save(scene / "mask_cat.png")
    assert "no 8-bit grey image" in refusal(lambda: frames.pixel_class(0))
    (scene / "mask_cat.png").write_bytes(b"no image")
    assert "cannot be decoded (it is no image)" in refusal(lambda: frames.pixel_class(0))
    Image.new("L", (5, 5)).save(scene / "mask_cat.png")
    assert "is 5 x 5, but its image is 192 x 640" in refusal(lambda: frames.pixel_class(0))
    (scene / "mask_cat.png").unlink()
    assert "no such mask" in refusal(lambda: frames.pixel_class(0))
    made_folders.write_picture(scene / "camera_00" / "im1.png", 1)
    assert "its scene has 192 x 640" in refusal(lambda: frames.image(1))
    made_folders.write_picture(scene / "camera_00" / "im0.png", 1, (50, 160))
    assert "no multiples of 4" in refusal(lambda: BoosterFrames(booster))
    assert "holds no train/balanced" in refusal(lambda: BoosterFrames(booster / "train/balanced/Wood"))


# --- ClearGrasp


def test_each_split_of_cleargrasp_has_its_own_frames(cleargrasp, tmp_path):
    names = {split: len(ClearGraspFrames(cleargrasp, split=split)) for split in ("real", "real-val", "real-test")}
    assert names == {"real": 6, "real-val": 4, "real-test": 2}
    frames = ClearGraspFrames(cleargrasp, split="real-test")
    assert frames.frame_id(1) == "real-test_d435_000000001"
    assert frames.image_path(1).name == "000000001-transparent-rgb-img.jpg"
    assert frames.intrinsics(0).tolist() == [[115, 0, 80], [0, 115, 24], [0, 0, 1]]
    shutil.move(cleargrasp, tmp_path / "around" / "cleargrasp-dataset-test-val")
    assert len(ClearGraspFrames(tmp_path / "around")) == 6


def test_depth_of_cleargrasp_is_that_of_the_painted_objects(cleargrasp):
    frames = ClearGraspFrames(cleargrasp)
    index, depth = frames.sparse_lidar(0)
    classes = frames.pixel_class(0)
    assert index[0] == 3  # 0, NaN and infinity are no depths
    assert set(depth.tolist()) == {0.25, 0.5}
    assert classes.sum() == 16 * 40
    assert (depth[classes.ravel()[index] == 1] == 0.25).all()


def test_the_first_colour_of_an_exr_file_is_its_depth(tmp_path):
    pixels = np.random.default_rng(0).uniform(0.1, 9, (12, 20, 3)).astype(np.float16).astype(np.float32)
    made_folders.write_exr(tmp_path / "colours.exr", pixels)
    assert np.array_equal(read_exr_depth(tmp_path / "colours.exr", (12, 20)), pixels[..., 2])  # OpenCV writes B, G, R
    made_folders.write_exr(tmp_path / "one.exr", pixels[..., 0])
    assert np.array_equal(read_exr_depth(tmp_path / "one.exr", (12, 20)), pixels[..., 0])


def test_an_exr_file_that_is_damaged_or_of_another_size_is_refused(tmp_path, capfd):
    path = tmp_path / "depth.exr"
    pixels = np.random.default_rng(0).uniform(0.1, 9, (40, 60)).astype(np.float32)
    made_folders.write_exr(path, pixels)
    whole = path.read_bytes()
    assert "is 40 x 60, but its image is 8 x 9" in refusal(lambda: read_exr_depth(path, (8, 9)))
    for content, message in (
        (whole[: len(whole) // 2], "cannot be decoded"),
        (b"", "is no OpenEXR file"),
        (b"v/1\x01" + bytes(500), "is no OpenEXR file"),
        (whole.replace(b"channels", b"chanmels"), "cannot be decoded"),
    ):
        path.write_bytes(content)
        assert message in refusal(lambda: read_exr_depth(path, (40, 60)))
    path.unlink()
    with pytest.raises(MissingFileError, match="no such depth map"):
        read_exr_depth(path, (40, 60))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such calibration file"),
        ("fx: 115\n", "must name xres, yres, fx, fy, cx and cy"),
        ("[", "must name xres"),
        ("xres: 320\nyres: 96\nfx: 1\nfy: 1\ncx: 1\ncy: 1\n", "belongs to images of 96 x 320, but they are 48 x 160"),
        ("xres: 160\nyres: 48\nfx: -5\nfy: 1\ncx: 1\ncy: 1\n", "are no intrinsics"),
    ],
)
def test_a_calibration_of_cleargrasp_that_does_not_fit_is_refused(cleargrasp, content, message):
    path = cleargrasp / "real-val/d415/camera_intrinsics.yaml"
    path.unlink() if content is None else path.write_text(content)
    assert message in refusal(lambda: ClearGraspFrames(cleargrasp))


def test_an_empty_folder_is_no_cleargrasp(tmp_path):
    assert "holds no real-val/<camera>" in refusal(lambda: ClearGraspFrames(tmp_path))


# --- both


def loader(source, size=(48, 160)) -> EvaluationLoader:
    return EvaluationLoader(EvaluationFrames(source, size=size), 2)


def test_a_batch_has_the_class_of_every_return_and_pads_it(booster):
    disparity = np.load(booster / "train/balanced/Wood/disp_00.npy")
    disparity[:, ::8] = 0  # fewer depths than the other scene has
    np.save(booster / "train/balanced/Wood/disp_00.npy", disparity)
    source = BoosterFrames(booster)
    batches = list(loader(CroppedFrames(WithoutFrames(source, ["Glass_im1"]), (0, 0, 40, 120))))
    first = batches[0]
    assert first["frame_id"] == ["Glass_im0", "Wood_im0"]
    assert first["lidar_class"].dtype == torch.int8
    assert first["lidar_class"].shape == first["lidar_index"].shape
    for row, whole in enumerate((0, 2)):
        there = first["lidar_index"][row] >= 0
        expected = source.pixel_class(whole)[:40, :120].ravel()[first["lidar_index"][row][there]]
        assert np.array_equal(first["lidar_class"][row][there].numpy(), expected)
        assert (first["lidar_class"][row][~there] == -1).all()
    assert not there.all()
    cut = pickle.loads(pickle.dumps(WithoutFrames(source, ["Glass_im1"])))
    assert np.array_equal(cut.pixel_class(1), source.pixel_class(2))


def test_a_source_without_classes_has_none_however_it_is_wrapped(tmp_path):
    from ude.data.folders.drivingstereo import DrivingStereoFrames

    source = DrivingStereoFrames(made_folders.write_drivingstereo(tmp_path))
    for frames in (source, WithoutFrames(source, []), CroppedFrames(source, (0, 0, 8, 8))):
        assert not hasattr(frames, "pixel_class")
        assert "lidar_class" not in EvaluationFrames(frames, size=(8, 8))[0]


class Truth:
    """A predictor that knows the depth of a source up to scale and shift of inverse depth, but for half of a class."""

    def __init__(self, source, wrong: int) -> None:
        self.source, self.wrong, self.position = source, wrong, 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        found = []
        for _ in images:
            depth = np.where(self.source.lidar_depth(self.position) > 0, self.source.lidar_depth(self.position), 1)
            inverse = 0.2 / depth + 3
            wrong = (self.source.pixel_class(self.position) == self.wrong) & (np.arange(depth.shape[1]) % 2 == 0)
            found.append(np.where(wrong, inverse * 1.01, inverse))
            self.position += 1
        return torch.from_numpy(np.stack(found))[:, None].float()


@pytest.mark.parametrize(
    ("build", "write", "wrong"),
    [(BoosterFrames, made_folders.write_booster, 3), (ClearGraspFrames, made_folders.write_cleargrasp, 1)],
)
def test_a_prediction_that_fails_on_glass_alone_is_bad_in_that_row(build, write, wrong, tmp_path):
    source = build(write(tmp_path))
    rules = {"min_depth": 0.001, "max_depth": 10.0, "alignment": "least_squares", "metric": False}
    protocol = "booster" if build is BoosterFrames else "cleargrasp"
    for number, worse in ((-9, False), (wrong, True)):
        results = evaluate(
            Truth(source, number),
            loader(source),
            protocol=protocol,
            flip=False,
            scenes=scene_names(source),
            progress=False,
            **rules,
        )
        means = {row: values["abs_rel_least_squares"] for row, values in results.means.items()}
        assert (means["tom"] > 2 * means["all"] > 2e-3) if worse else max(means.values()) < 1e-5
        assert results.means["all"]["frames"] == results.count == len(source)
        assert results.means["tom"]["frames"] == (2 if protocol == "booster" else 6)
