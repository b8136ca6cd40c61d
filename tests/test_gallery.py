"""The pictures of a report: columns, colour scale, what is left out."""

import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from made_report import HOSTILE, picture, pictured

from ude.evaluation.figures import color_scale, depth_image
from ude.evaluation.gallery import WIDTH, Panel, gallery, gallery_row, render_gallery


def test_a_frame_has_the_input_above_lidar_and_depths_above_errors():
    row = gallery_row(pictured("a", "night-clear", ["teacher", "student"]))
    assert {name: [panel.kind for panel in panels] for name, panels in row.columns.items()} == {
        "input": ["input", "LiDAR"],
        "teacher": ["depth", "error"],
        "student": ["depth", "error"],
    }
    translated = gallery_row(pictured("a", "night", ["teacher"], translation=picture() // 4))
    assert [panel.kind for panel in translated.columns["input"]] == ["input", "translation"]
    assert (translated.columns["input"][1].image == picture() // 4).all()


def test_pictures_are_no_wider_than_needed_and_all_of_one_size():
    frame = replace(pictured("a", "night", ["teacher"]), image=picture(900, 1600))
    shapes = {panel.image.shape for panels in gallery_row(frame).columns.values() for panel in panels}
    assert shapes == {(315, WIDTH, 3)}


def test_all_predictors_and_frames_share_one_colour_scale():
    near, far = pictured("a", "day-clear", ["x"]), pictured("b", "day-clear", ["x"])
    same = np.full((36, 64), 12.0)
    near = replace(near, lidar_depth=near.lidar_depth / 10, depths={"x": same})
    shown = gallery([near, replace(far, depths={"x": same, "y": same})])
    colors = {tuple(row.columns[name][0].image[5, 5]) for row in shown.rows for name in row.columns if name != "input"}
    assert colors == {tuple(depth_image(same, near=shown.near, far=shown.far)[5, 5])}
    assert (shown.near, shown.far) == (0.2, 80)
    assert "≥ 80" in render_gallery(shown)


@pytest.mark.parametrize(
    ("depths", "ends"),
    [([3.0, 71.0], (2, 80)), ([0.31, 2.4], (0.2, 3)), ([5.0, 5.0], (2.5, 5)), ([], (1, 80))],
)
def test_the_colour_scale_ends_at_round_numbers_around_the_returns(depths, ends):
    lidar = np.zeros((4, 6))
    lidar.flat[: len(depths)] = depths
    shown = gallery([replace(pictured("a", "night", ["x"]), lidar_depth=lidar)])
    assert (shown.near, shown.far) == pytest.approx(ends)


def test_a_column_without_any_picture_is_left_out():
    one = gallery_row(pictured("a", "night-clear", ["teacher"]))
    other = replace(one, frame_id="b", columns={"input": one.columns["input"]})
    shown = gallery([])
    page = render_gallery(replace(shown, rows=[one, other]))
    assert page.count("<img") == 6
    assert page.count('<div class="none">n/a</div>') == 2  # the teacher of the other frame
    empty = replace(one, columns={**one.columns, "none": (Panel("depth"), Panel("error"))})
    assert "--columns:2" in render_gallery(replace(shown, rows=[empty]))


def test_conditions_keep_their_order_and_names_are_escaped():
    rows = [gallery_row(pictured(HOSTILE, name, [HOSTILE])) for name in ("night", HOSTILE, "night")]
    page = render_gallery(replace(gallery([]), rows=rows, text=HOSTILE))
    assert "<script" not in page
    titles = re.findall(r"<h3 [^>]*>([^<]*)</h3>", page)
    assert titles == ["night", escape(HOSTILE)]
    assert page.count("<b>best</b>") == 3
    assert "absRel of &lt;script&gt;" in page


def test_a_scale_of_small_depths_has_labels_that_do_not_touch():
    lidar = np.full((4, 6), 0.5)
    lidar[0, 0] = 1.9
    page = render_gallery(gallery([replace(pictured("a", "tom", ["x"]), lidar_depth=lidar)]))
    ticks = re.search(r'<div class="ticks">(.*?)</div>', page)[1]
    assert re.findall(r">([^<]+)</span>", ticks) == ["0.5", "1", "≥ 2"]
    places = [float(place) for place in re.findall(r"left:([\d.]+)%", ticks)]
    assert places[0] == 0
    assert places[-1] == 100
    assert np.diff(places).min() > 12
    assert color_scale("depth")[0].tolist() == depth_image(np.array([[0.5]]), near=0.5, far=2)[0, 0].tolist()
