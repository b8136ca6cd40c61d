"""Colour images of depth and error, and curves."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ude.evaluation.charts import Chart, Curve, render_chart, ticks
from ude.evaluation.figures import color_scale, data_uri, depth_image, error_image, lidar_image, picture


def test_the_depth_scale_runs_from_bright_to_dark_in_even_steps():
    scale = color_scale("depth").astype(float)
    luminance = scale @ [0.2126, 0.7152, 0.0722]
    assert luminance[0] > 235
    assert luminance[-1] < 25
    assert (np.diff(luminance) <= 0.5).all()
    assert np.abs(np.diff(scale, axis=0)).max() <= 8  # no visible edge


def test_depth_is_coloured_by_its_logarithm():
    image = depth_image(np.array([[1.0, 80**0.5, 80.0, 500.0, 0.0, np.nan]]))
    scale = color_scale("depth")
    assert image.dtype == np.uint8
    assert image[0].tolist() == [*(scale[i].tolist() for i in (0, 128, 255, 255)), [128] * 3, [128] * 3]
    assert depth_image(np.array([[2.0, 4.0, 8.0]]), near=2, far=8)[0].tolist() == scale[[0, 128, 255]].tolist()


def test_errors_are_drawn_at_the_returns_over_a_dark_image():
    lidar = np.zeros((40, 80))
    lidar[10, 20], lidar[30, 60] = 10.0, 10.0
    prediction = np.full((20, 40), 10.0)
    prediction[10:] = 15.0
    image = error_image(prediction, lidar, background=np.full((20, 40, 3), 200, np.uint8))
    scale = color_scale("error")
    assert image[5, 10].tolist() == scale[0].tolist()
    assert image[15, 30].tolist() == scale[255].tolist()  # 50 % off
    assert image[0, 0].tolist() == [70] * 3
    assert image[5, 12].tolist() == [70] * 3


def test_the_largest_of_overlapping_errors_is_on_top():
    lidar = np.zeros((9, 9))
    lidar[4, 3], lidar[4, 4], lidar[4, 5] = 10.0, 100.0, 10.0
    image = error_image(np.full((9, 9), 10.0), lidar)
    assert (image[3:6, 3:6] == color_scale("error")[255]).all()


def test_a_dense_error_fills_every_pixel():
    image = error_image(np.full((6, 8), 11.0), np.full((6, 8), 10.0))
    assert (image == color_scale("error")[51]).all()  # 10 % of a scale that ends at 50 %


def test_a_large_dense_map_is_drawn_as_it_looks_at_the_size_of_the_picture():
    lidar = np.full((600, 800), 10.0)
    lidar[:, 400:] = 20.0
    image = error_image(np.full((30, 40), 10.0), lidar, background=np.zeros((30, 40, 3), np.uint8))
    scale = color_scale("error")
    assert (image[:, :20] == scale[0]).all()
    assert (image[:, 20:] == scale[255]).all()


def test_the_lidar_has_the_colours_of_depth_and_near_returns_hide_far_ones():
    lidar = np.zeros((9, 9))
    lidar[4, 4], lidar[4, 5], lidar[0, 0] = 40.0, 2.0, 80.0
    image = lidar_image(lidar, np.full((9, 9, 3), 255, np.uint8), near=2, far=80)
    scale = color_scale("depth")
    assert (image[3:6, 4:7] == scale[0]).all()
    assert (image[3:6, 3] != scale[0]).any(-1).all()
    assert image[0, 0].tolist() == scale[255].tolist()
    assert np.ptp(image[8, 8]) == 0  # grey, neither as dark as far returns nor as bright as near ones
    assert 60 < image[8, 8, 0] < 160


def test_pictures_are_resized_and_embedded():
    shown = picture(np.full((600, 1200, 3), 90, np.uint8), (150, 300))
    image = Image.open(io.BytesIO(base64.b64decode(data_uri(shown).removeprefix("data:image/webp;base64,"))))
    assert image.size == (300, 150)
    assert abs(np.asarray(image).astype(int) - 90).max() <= 3


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0, 4000, [0, 1000, 2000, 3000, 4000]), (-1, 1, [-1, -0.5, 0, 0.5, 1])],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_curve_passes_through_its_points():
    figure = render_chart(Chart("loss", [Curve("a", [(0, 0.0), (10, 1.0), (20, 0.0)])]))
    points = re.search(r'class="line c0" points="([^"]+)"', figure)[1]
    xs, ys = zip(*(map(float, point.split(",")) for point in points.split()), strict=True)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])
    assert ys[0] == ys[2] > ys[1]


def test_long_curves_are_shortened_and_broken_values_left_out():
    noisy = [(step, float("nan") if step % 100 == 0 else 1.0) for step in range(10_000)]
    figure = render_chart(Chart("loss", [Curve("a", noisy), Curve("one", [(5, 1.0)])]))
    assert len(re.search(r'class="line c0" points="([^"]+)"', figure)[1].split()) == 150
    assert "nan" not in figure
    assert '<circle class="dot c1"' in figure
    assert "no data" in render_chart(Chart("loss", [Curve("a", [(0, float("inf"))])]))


def test_a_curve_keeps_the_colour_of_its_number_when_others_have_no_points():
    figure = render_chart(Chart("error", [Curve("none", []), Curve("b", [(0, 1.0), (1, 2.0)])], marked=True))
    assert 'class="line c1"' in figure
    assert "c0" not in figure
    assert "legend" not in figure  # the page has it
    assert figure.count("<circle") == 2


def test_columns_behind_the_curves_are_a_third_as_high_as_the_chart():
    shares = [(0, 10, 0.75), (10, 40, 0.25)]
    figure = render_chart(Chart("error", [Curve("a", [(5, 0.5)])], y_range=(0, 1), shares=shares))
    boxes = [tuple(map(float, box)) for box in re.findall(r'<rect [^>]*width="([\d.]+)" height="([\d.]+)"', figure)]
    assert boxes[0][1] == pytest.approx(3 * boxes[1][1], abs=0.2)
    assert boxes[0][1] == pytest.approx((220 - 10 - 36) / 3, abs=0.1)
    assert boxes[1][0] == pytest.approx(3 * boxes[0][0], abs=3)
    assert "<title>75%</title>" in figure
