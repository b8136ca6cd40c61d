"""What a browser makes of a report: it draws it in both schemes, at every width and on paper, and runs nothing."""

import re
from itertools import chain

import numpy as np
import pytest
from browser import browse, console, needs_browser, probe
from made_report import HOSTILE, LATEX, LONG, full_report, made_gallery
from PIL import Image

from ude.evaluation.report import Report, render_report

pytestmark = needs_browser
WIDTHS = (420, 1400)


@pytest.fixture(scope="module")
def pages():
    """Reports: of one predictor, of hostile and long names, of eight, and of transparent and mirroring objects."""
    eight = [f"predictor {number}" for number in range(8)]
    return {
        "one": render_report(full_report(["only"])),
        "hostile": render_report(full_report([HOSTILE, LATEX, LONG], seeds=2)),
        "eight": render_report(full_report(eight)),
        "tom": render_report(full_report([HOSTILE, LONG], protocol="booster")),
    }


@pytest.mark.parametrize("scheme", [0, pytest.param(1, marks=pytest.mark.slow)], ids=["dark", "light"])
def test_a_browser_draws_the_pictures_on_a_light_or_dark_page(tmp_path, scheme):
    page, shot = tmp_path / "report.html", tmp_path / "shot.png"
    pictures = Report(title="t", gallery=made_gallery(["a", "b"]))  # no other part is as colourful
    page.write_text(render_report(pictures), encoding="utf-8")
    flags = f"--screenshot={shot}", "--window-size=1200,1000", f"--blink-settings=preferredColorScheme={scheme}"
    assert console(browse(*flags, page=page)) == []
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (1000, 1200, 3)
    assert pixels.std() > 10  # not blank
    background = pixels[2, 2].mean()
    assert background < 40 if scheme == 0 else background > 230
    assert (np.abs(pixels.max(2) - pixels.min(2)) > 120).sum() > 5000  # the colours of the depth maps


@pytest.fixture(scope="module")
def probed(pages, tmp_path_factory):
    """What a browser finds in every report at every width, and what stood in the console."""
    found, messages = probe(pages.values(), WIDTHS, folder=tmp_path_factory.mktemp("probe"))
    names = [(name, width) for name in pages for width in WIDTHS]
    return dict(zip(names, chain.from_iterable(found), strict=True)), messages


def test_nothing_runs_and_the_console_is_silent(probed):
    found, messages = probed
    assert messages == []
    assert {value["scripts"] for value in found.values()} == {0}
    assert {value["title"] for value in found.values()} == {HOSTILE}


def test_the_page_never_scrolls_sideways(probed):
    for (name, width), value in probed[0].items():
        assert value["width"] == width
        assert value["scroll"] <= width, (name, width)
        assert value["outside"] == [], (name, width)


def test_bars_of_the_same_length_mean_the_same_value(probed):
    for (name, width), value in probed[0].items():
        assert len(value["tracks"]) == 1, (name, width)
        assert value["tracks"][0] > 500, (name, width)  # tenths of a pixel


def test_every_picture_loads(probed):
    columns = {"one": 2, "hostile": 4, "eight": 9, "tom": 3}
    for (name, width), value in probed[0].items():
        assert value["drawn"] == value["images"] == 3 * 2 * 2 * columns[name], (name, width)


def test_hostile_names_are_read_as_text(probed):
    text = probed[0]["hostile", 420]["text"]
    for name in (HOSTILE, LATEX, LONG):
        assert text.count(name) > 20


def test_a_report_is_printed_with_all_its_parts(pages, tmp_path):
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(pages["one"], encoding="utf-8")
    browse(f"--print-to-pdf={paper}", "--no-pdf-header-footer", page=page)
    written = paper.read_bytes()
    assert written.startswith(b"%PDF")
    assert written.count(b"/Subtype /Image") == 4  # input, LiDAR, depth and error, the same for every frame
    assert re.search(rb"/MediaBox \[0 0 84[12][.\d]* 59[45]", written)  # A4 on its side
