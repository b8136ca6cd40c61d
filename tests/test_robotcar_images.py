"""Demosaicing and undistortion of raw RobotCar images, against convolutions, SciPy and the SDK."""

import numpy as np
import pytest
import torch
from PIL import Image
from robotcar_oracles import DAY, NIGHT, colours, sdk, straightened

from ude.data.robotcar.calibration import read_calibration
from ude.data.robotcar.undistortion import Undistortion, demosaic, read_mosaic
from ude.files import DataError, MissingFileError


@pytest.fixture(scope="module")
def calibration(robotcar_raw):
    return read_calibration("stereo_wide_left", raw=robotcar_raw)


def raw_images(root, traverse, count=3):
    return sorted((root / traverse / "stereo/left").glob("*.png"))[:: 28 // count][:count]


def test_a_colour_that_a_pixel_lacks_is_the_mean_of_its_nearest_neighbours_that_have_it():
    mosaic = np.zeros((6, 6), np.uint8)
    mosaic[2, 2], mosaic[2, 3], mosaic[3, 2] = 100, 40, 60  # green, blue, red
    red, green, blue = demosaic(mosaic).numpy()
    assert (green[2, 2], green[2, 3], green[1, 2], green[3, 3]) == (100, 25, 25, 0)
    assert (blue[2, 3], blue[2, 2], blue[1, 3], blue[1, 2]) == (40, 20, 20, 10)
    assert (red[3, 2], red[3, 3], red[2, 2], red[2, 3]) == (60, 30, 30, 15)


@pytest.mark.parametrize("size", [(4, 6), (30, 40)])
def test_demosaicing_equals_the_convolution_to_the_border(size):
    mosaic = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    np.testing.assert_array_equal(demosaic(mosaic).numpy(), np.moveaxis(colours(mosaic), -1, 0))


def test_a_look_up_table_of_the_own_places_changes_nothing():
    v, u = np.mgrid[:20, :30].astype(np.float64)
    image = torch.randint(0, 256, (3, 20, 30)).float()
    straight = Undistortion(np.stack([u.ravel(), v.ravel()]), (20, 30))(image)
    assert torch.equal(straight, image.to(torch.uint8))


def test_undistortion_interpolates_rounds_and_is_black_outside():
    image = torch.arange(12.0).reshape(1, 3, 4).expand(3, 3, 4) * 10  # columns 10 apart, rows 40
    u = np.array([[0.5, 1.26, 3.0, -0.01], [3.01, 0, 0, 0], [0, 0, 0, 0]])
    v = np.array([[0.0, 1.0, 2.0, 0.0], [0, 2.01, -1, 0.51], [0, 0, 0, 0]])
    straight = Undistortion(np.stack([u.ravel(), v.ravel()]), (3, 4))(image)[0]
    assert straight[:2].tolist() == [[5, 53, 110, 0], [0, 0, 0, 20]]


@pytest.mark.parametrize("traverse", [DAY, NIGHT])
def test_raw_images_are_within_a_grey_level_of_scipy_and_mostly_equal_when_rounded(robotcar_raw, calibration, traverse):
    for path in raw_images(robotcar_raw, traverse):
        mosaic = read_mosaic(path)
        ours = Undistortion(calibration.lookup, mosaic.shape)(demosaic(mosaic)).permute(1, 2, 0).numpy().astype(int)
        exact = straightened(colours(mosaic), calibration.lookup)
        assert np.abs(ours - np.floor(exact)).max() <= 1
        assert np.abs(ours - exact).max() < 0.53  # half for rounding, the rest for float32
        assert (ours == np.floor(exact + 0.5)).mean() > 0.999


@pytest.mark.parametrize("traverse", [DAY, NIGHT])
def test_images_are_within_a_grey_level_of_the_sdk(robotcar_raw, calibration, traverse):
    with sdk("image", "camera_model") as (image, camera_model):
        for path in raw_images(robotcar_raw, traverse):
            model = camera_model.CameraModel(str(robotcar_raw / "models"), str(path.parent))
            theirs = image.load_image(str(path), model).astype(int)
            mosaic = read_mosaic(path)
            ours = Undistortion(calibration.lookup, mosaic.shape)(demosaic(mosaic)).permute(1, 2, 0).numpy()
            assert np.abs(ours - theirs).max() <= 1


def test_a_table_for_another_size_is_refused_in_one_line(calibration):
    with pytest.raises(DataError, match=r"images are 480 x 640 .* 76800 pixels; use the camera models that belong"):
        Undistortion(calibration.lookup, (480, 640))


def test_an_image_that_has_colours_already_is_no_mosaic(tmp_path):
    path = tmp_path / "1.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    with pytest.raises(
        DataError, match=r"1\.png has mode RGB, so it is no Bayer mosaic.*download the raw images again"
    ):
        read_mosaic(path)


def test_missing_and_cut_raw_images_are_named(tmp_path, robotcar_raw):
    with pytest.raises(MissingFileError, match=r"nothing\.png"):
        read_mosaic(tmp_path / "nothing.png")
    (path,) = raw_images(robotcar_raw, DAY, 1)
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"cut\.png cannot be decoded"):
        read_mosaic(tmp_path / "cut.png")
