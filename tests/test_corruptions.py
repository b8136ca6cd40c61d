"""The pixels of the 15 corruptions: severities, seeds, sizes, and a known number of each."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage.filters import gaussian

from ude.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from ude.evaluation.corruptions.pixels import convolve, disc_kernel, line_kernel, value_noise

DRAWN = {"gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "snow", "frost", "fog"}
DRAWN |= {"elastic_transform"}
OUT_OF_ORDER = {"snow", "frost", "fog"}
"""Whose published severities do not always grow in mean absolute difference."""
each = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def street(val):
    """A rendered street by day, (96, 160, 3)."""
    image = val.image(next(index for index in range(len(val)) if val.condition(index) == "day-clear"))
    assert image.std() > 20
    return image


def grey(value, size=(224, 224)):
    return np.full((*size, 3), value, np.uint8)


def changes(image, name, measure, seeds=6):
    return [np.mean([measure(image, corrupt(image, name, s, seed=k)) for k in range(seeds)]) for s in SEVERITIES]


def difference(first, second):
    return np.abs(first.astype(float) - second).mean()


def lost_structure(first, second):
    """1 - correlation of what is left of the brightness without its slow parts."""
    fine = [image.mean(-1) - gaussian(image.mean(-1), 4) for image in (first, second)]
    return 1 - np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1]


def test_there_are_the_fifteen_corruptions_of_the_paper_in_its_order():
    assert " ".join(CORRUPTIONS) == (
        "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur "
        "snow frost fog brightness contrast elastic_transform pixelate jpeg_compression"
    )


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in OUT_OF_ORDER])
def test_every_severity_changes_the_image_more_than_the_one_before(street, name):
    found = changes(street, name, difference)
    assert found[0] > 1
    assert all(np.diff(found) > 0), found


@pytest.mark.parametrize("name", ["frost", "fog"])
def test_every_severity_of_frost_and_fog_hides_more_of_the_structure(street, name):
    found = changes(street, name, lost_structure)
    assert found[0] > 0.02
    assert all(np.diff(found) > 0), found


def test_severities_of_snow_grow_but_for_the_published_step_from_2_to_3(street):
    found = changes(street, "snow", difference)
    assert found[0] < found[2] < found[3] < found[4]
    assert found[2] < found[1]  # published so: fewer flakes, of twice the size


@each
def test_a_seed_decides_all_that_is_drawn(street, name):
    first = corrupt(street, name, 3, seed=5)
    assert np.array_equal(first, corrupt(street, name, 3, seed=5))
    assert np.array_equal(first, corrupt(street, name, 3, seed=6)) == (name not in DRAWN)


@each
@pytest.mark.parametrize("size", [(2, 2), (3, 8), (31, 45), (97, 33)])
def test_any_size_and_black_and_white_give_pixels_of_the_same_size(name, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for image in (noise, grey(0, size), grey(255, size)):
        before = image.copy()
        for severity in (1, 5):
            result = corrupt(image, name, severity, seed=0)
            assert result.dtype == np.uint8
            assert result.shape == image.shape
        assert np.array_equal(image, before)


def test_what_is_no_image_corruption_or_severity_is_refused():
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        corrupt(grey(0).astype(np.float32), "fog", 1, seed=0)
    with pytest.raises(ValueError, match="at least 2 x 2"):
        corrupt(grey(0, (1, 9)), "fog", 1, seed=0)
    with pytest.raises(ValueError, match=r"gaussian_noise, .*, got 'rain'"):
        corrupt(grey(0), "rain", 1, seed=0)
    with pytest.raises(ValueError, match="severity must be 1 to 5, got 0"):
        corrupt(grey(0), "fog", 0, seed=0)


def test_noises_have_the_published_strength():
    values = corrupt(grey(128), "gaussian_noise", 1, seed=0) / 255
    assert values.std() == pytest.approx(0.08, rel=0.02)
    values = corrupt(grey(51), "shot_noise", 1, seed=0) / 255  # 12 photons of 60
    assert values.mean() == pytest.approx(0.2, rel=0.01)
    assert values.std() == pytest.approx((0.2 / 60) ** 0.5, rel=0.02)
    values = corrupt(grey(128), "impulse_noise", 5, seed=0)
    assert (values == 0).mean() == pytest.approx(0.135, rel=0.03)
    assert (values == 255).mean() == pytest.approx(0.135, rel=0.03)
    assert set(np.unique(values)) == {0, 128, 255}


def test_a_point_out_of_focus_becomes_a_disc_of_the_published_radius():
    image = np.zeros((224, 224, 1), np.float32)
    image[100, 120] = 1
    blurred = convolve(image, disc_kernel(10))
    assert blurred.sum() == pytest.approx(1, abs=1e-4)
    assert 1 / blurred[100, 120, 0] == pytest.approx(np.pi * 10**2, rel=0.03)
    assert abs(blurred[100, 131, 0]) < 1e-6
    assert blurred[90, 120, 0] == pytest.approx(0.5 * blurred[100, 120, 0], rel=1e-2)


def test_lengths_grow_with_the_image(street):
    large = np.asarray(Image.fromarray(street).resize((480, 288), Image.Resampling.LANCZOS))
    small = np.asarray(Image.fromarray(large).resize((160, 96), Image.Resampling.BOX))
    for name in ("defocus_blur", "zoom_blur"):
        shrunk = Image.fromarray(corrupt(large, name, 5, seed=0)).resize((160, 96), Image.Resampling.BOX)
        assert (
            difference(np.asarray(shrunk), corrupt(small, name, 5, seed=0)) < 0.1 * changes(small, name, difference)[4]
        )


def test_a_motion_fades_along_half_a_line():
    kernel = line_kernel(21, 3, 0)
    reach = kernel.shape[1] // 2
    row = kernel[reach]
    assert kernel.sum() == pytest.approx(1)
    assert row.sum() == pytest.approx(1)  # nothing above or below
    assert row[: reach - 1].max() == 0
    assert row[reach + 6] / row[reach + 3] == pytest.approx(np.exp(-0.5 * (4 - 1)), rel=0.05)  # two and one sigma
    down = line_kernel(21, 3, -np.pi / 2)
    assert down[reach + 1 :, reach].sum() > 0.7  # an angle below zero falls


def test_brightness_adds_to_the_value_and_keeps_hue_and_saturation():
    image = np.stack([grey(v) for v in (100, 50, 20)])[:, :, :, 0].transpose(1, 2, 0)
    assert corrupt(image, "brightness", 1, seed=0)[0, 0].tolist() == [126, 63, 25]  # times (100 + 25.5) / 100
    assert np.unique(corrupt(grey(0), "brightness", 2, seed=0)).tolist() == [51]
    assert np.unique(corrupt(grey(255), "brightness", 5, seed=0)).tolist() == [255]


def test_contrast_draws_to_the_mean_of_each_channel():
    image = grey(100)
    image[:112] = (200, 100, 0)
    result = corrupt(image, "contrast", 1, seed=0)  # means 150, 100, 50
    assert result[0, 0].tolist() == [170, 100, 30]
    assert result[-1, -1].tolist() == [130, 100, 70]


def test_elastic_transform_moves_pixels_by_the_published_amount():
    ramp = np.repeat(np.arange(16, 240, dtype=np.uint8)[None, :, None], 224, 0).repeat(3, 2)
    for severity, pixels in ((1, 1.0), (5, 2.4)):
        moved = corrupt(ramp, "elastic_transform", severity, seed=0)[20:-20, 20:-20].astype(float)
        assert (moved - ramp[20:-20, 20:-20])[..., 0].std() == pytest.approx(pixels, rel=0.1)


def test_pixels_and_jpeg_are_those_of_pillow(street):
    coarse = corrupt(street, "pixelate", 5, seed=0)  # 24 x 40 boxes of 4 x 4
    assert np.array_equal(coarse[::4, ::4].repeat(4, 0).repeat(4, 1), coarse)
    assert np.abs(coarse[0, 0] - street[:4, :4].mean((0, 1))).max() <= 0.5
    buffer = io.BytesIO()
    Image.fromarray(street).save(buffer, "JPEG", quality=7)
    assert np.array_equal(np.asarray(Image.open(buffer)), corrupt(street, "jpeg_compression", 5, seed=0))


def test_fog_keeps_black_black_and_the_brightest_value(street):
    assert corrupt(grey(0), "fog", 5, seed=0).max() == 0
    assert corrupt(street, "fog", 3, seed=0).max() <= street.max()


def test_clouds_of_less_decay_are_rougher():
    rough, smooth = (value_noise((96, 160), np.random.default_rng(0), cell=128, decay=decay) for decay in (1.2, 2.5))
    assert (rough.min(), rough.max(), smooth.min(), smooth.max()) == (0, 1, 0, 1)
    assert np.abs(np.diff(rough)).mean() > 3 * np.abs(np.diff(smooth)).mean()
