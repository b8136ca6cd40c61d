"""The HTML report: numbers, escaping, pictures, charts, and what a browser makes of it."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ude.evaluation.charts import Chart, Curve
from ude.evaluation.gallery import Panel, gallery_row, render_gallery
from ude.evaluation.metrics import METRICS
from ude.evaluation.report import Highlight, Report, render_report
from ude.evaluation.results import FrameRow, Results, results_of_frames
from ude.evaluation.summary import COLUMNS, best, gap_rows, results_table

HOSTILE = "<script>document.title='broken'</script>\"'&"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def results(
    day: float,
    night: float,
    *,
    frames: int = 6,
    alignment: str = "_median",
    max_depth: float = 80.0,
    protocol: str = "md4all",
) -> Results:
    """Results with one error per condition, and no frames in rain; every scene has two frames."""
    rows = []
    for condition, error in (("day-clear", day), ("night-clear", night)):
        for number in range(frames):
            value = error + 0.001 * (number // 2)
            values = {m + s: 1 - value if "delta" in m else value for m in METRICS for s in ("", alignment)}
            scene = f"{condition}-{number // 2}"
            name = f"{condition}-{number}"
            rows.append(FrameRow(frame_id=name, condition=condition, scene=scene, valid=9, values=values))
    bounds = {"min_depth": 0.1, "max_depth": max_depth}
    return results_of_frames(tuple(rows), modes=("", alignment), **bounds, protocol=protocol)


def picture(height: int = 36, width: int = 64) -> np.ndarray:
    """An RGB image with a gradient."""
    return np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)


def report() -> Report:
    """A report with every part and a hostile name in every text."""
    teacher, student = results(0.1, 0.3), results(0.1, 0.2)
    depth = np.tile(np.geomspace(1, 80, 64), (36, 1))
    lidar = np.zeros((72, 128))
    lidar[40::5, ::7] = 20
    depths = {"teacher": depth, HOSTILE: depth * 1.1}
    rows = [
        gallery_row(HOSTILE, "day-clear", picture(), depths=depths, lidar_depth=lidar, translation=picture()),
        gallery_row("night", HOSTILE, picture(), depths=depths, lidar_depth=lidar),
    ]
    return Report(
        title=HOSTILE,
        text=[HOSTILE],
        highlights=[Highlight(HOSTILE, HOSTILE, HOSTILE)],
        table=results_table({"teacher": teacher, HOSTILE: student}),
        gaps=gap_rows(teacher, student),
        gallery=rows,
        charts=[Chart(HOSTILE, [Curve(HOSTILE, [(step, 1 / (step + 1)) for step in range(500)])], x_label=HOSTILE)],
        facts={HOSTILE: HOSTILE},
        commands=[HOSTILE],
    )


def test_nothing_in_a_report_can_run_or_load():
    page = render_report(report())
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10
    # an attribute that a quote in a name could have opened
    assert not re.search(r"<[a-z]+[^<>]*\son\w+=", page)
    assert not re.search(r"(?:src|href|url|xlink:href)\s*[=(]\s*[\"']?(?!data:image/jpeg;base64,)\w", page)
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in page


def test_empty_parts_are_left_out():
    page = render_report(Report(title="nothing"))
    assert "<h1>nothing</h1>" in page
    assert "<section>" not in page


def test_conditions_without_frames_are_not_available():
    page = render_report(Report(title="t", table=results_table({"teacher": results(0.1, 0.3)})))
    assert page.count('none">n/a</td>') == 8  # two rain conditions, four columns
    assert "nan" not in page.lower()
    assert "0 frames" in page


def test_the_best_predictor_of_each_column_is_bold():
    table = results_table({"a": results(0.1, 0.3), "b": results(0.2, 0.2)})
    page = render_report(Report(title="t", table=table))
    line_a, line_b = re.findall(r"<tbody>(<tr>.*?</tr>)(<tr>.*?</tr>)</tbody>", page)[0]
    assert re.findall(r'<td class="[^"]*?( best)?">\d', line_a) == [" best"] * 4 + [""] * 4
    assert re.findall(r'<td class="[^"]*?( best)?">\d', line_b) == [""] * 4 + [" best"] * 4
    assert best(table, "day-clear", COLUMNS[3]) == pytest.approx(0.899)  # d1: the highest
    assert best(table, "day-rain", COLUMNS[0]) is None


def test_a_cell_shows_mean_and_interval():
    table = results_table({"a": results(0.1, 0.3)})
    cell = table.cells["a"]["night-clear", COLUMNS[0]]
    assert cell.value == pytest.approx(0.301)
    assert cell.interval[0] == pytest.approx(0.300)
    assert cell.interval[1] == pytest.approx(0.302)
    page = render_report(Report(title="t", table=table))
    assert "0.301<small>.300\N{EN DASH}.302</small>" in page
    assert "69.9<small>69.8\N{EN DASH}70.0</small>" in page


def test_predictors_on_different_frames_are_not_compared():
    with pytest.raises(ValueError, match="'b' and 'a' were evaluated on different frames"):
        results_table({"a": results(0.1, 0.3), "b": results(0.1, 0.3, frames=4)})


@pytest.mark.parametrize(
    ("other", "rule"),
    [
        ({"alignment": "_least_squares"}, "alignment: least_squares, median"),
        ({"max_depth": 40.0}, "max_depth: 40.0, 80.0"),
        ({"protocol": "ude"}, "protocol: ude, md4all"),
    ],
)
def test_predictors_measured_by_different_rules_are_not_compared(other, rule):
    pair = results(0.1, 0.3), results(0.1, 0.2, **other)
    with pytest.raises(ValueError, match=f"'b' and 'a' were evaluated with different {rule}"):
        results_table(dict(zip("ab", pair, strict=True)))
    with pytest.raises(ValueError, match=f"'student' and 'teacher' were evaluated with different {rule}"):
        gap_rows(*pair)


def test_a_gap_between_different_frames_is_refused():
    with pytest.raises(ValueError, match="'student' and 'teacher' were evaluated on different frames"):
        gap_rows(results(0.1, 0.3), results(0.1, 0.2, frames=4))


def test_the_footnote_says_how_predictions_were_aligned():
    pages = [
        render_report(Report(title="t", table=results_table({"a": results(0.1, 0.3, alignment=alignment)})))
        for alignment in ("_median", "_least_squares")
    ]
    texts = (
        "absRel scaled: after scaling each prediction to the median",
        "absRel scaled: after fitting scale and shift",
    )
    assert [[text in page for text in texts] for page in pages] == [[True, False], [False, True]]


def test_the_gap_closed_is_half_for_errors_and_for_d1():
    rows = gap_rows(results(0.1, 0.3), results(0.1, 0.2))
    assert [(row.condition, row.column.label) for row in rows] == [
        ("night-clear", "d1 [%]"),
        ("night-clear", "RMSE [m]"),
        ("night-clear", "absRel scaled"),
        ("night-clear", "absRel"),
    ]
    for row in rows:
        assert row.closed == pytest.approx(0.5)
        assert row.interval[0] <= row.closed + 1e-9
        assert row.interval[1] >= row.closed - 1e-9
    page = render_report(Report(title="t", gaps=rows))
    assert page.count('<td class="best">50%</td>') == 4


def test_a_teacher_that_loses_nothing_leaves_no_gap():
    rows = gap_rows(results(0.3, 0.1), results(0.3, 0.05))
    assert all(row.closed is None and row.interval is None for row in rows)
    assert render_report(Report(title="t", gaps=rows)).count('<td class="best">n/a</td>') == 4


def test_a_column_without_any_picture_is_left_out():
    row = gallery_row("a", "night-clear", picture(), depths={"teacher": np.ones((9, 9))}, lidar_depth=np.ones((9, 9)))
    assert [panel.label for panel in row.panels] == ["input", "translation", "teacher depth", "teacher error"]
    page = render_gallery([row])
    assert page.count("<img") == 3
    assert "translation" not in page
    other = type(row)("b", "night-clear", [Panel("input", None), Panel("translation", picture(), note="seed 3")])
    page = render_gallery([row, other])
    assert page.count('<div class="none">none</div>') == 4  # the other frame has only a translation
    assert "seed 3" in page


def browse(*arguments: str, page: Path) -> str:
    """What the headless browser prints."""
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [BROWSER, *flags, profile, *arguments, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=90).stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_a_browser_draws_the_report(tmp_path, scheme):
    page, shot = tmp_path / "report.html", tmp_path / "shot.png"
    page.write_text(render_report(report()), encoding="utf-8")
    flags = f"--screenshot={shot}", "--window-size=1200,1600", f"--blink-settings=preferredColorScheme={scheme}"
    browse(*flags, page=page)
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (1600, 1200, 3)
    assert pixels.std() > 10  # not blank
    background = pixels[2, 2].mean()
    assert background < 40 if scheme == 0 else background > 230
    assert (np.abs(pixels.max(2) - pixels.min(2)) > 120).sum() > 5000  # the colours of the depth maps


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [500, 1200])
def test_the_page_never_scrolls_sideways_and_every_picture_loads(tmp_path, width):
    page = tmp_path / "report.html"
    probe = (
        "<script>addEventListener('load', () => { const images = [...document.images];"
        "document.body.dataset.probe = [document.documentElement.scrollWidth, innerWidth, images.length,"
        " images.filter(i => i.naturalWidth > 0).length, document.title.includes('broken') &&"
        " !document.title.includes('script')].join(' '); });</script>"
    )
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render_report(report()))
    page.write_text(text.replace("</head>", probe + "</head>"), encoding="utf-8")
    dumped = browse("--dump-dom", f"--window-size={width},1000", page=page)
    scroll, inner, images, loaded, hijacked = re.search(r'data-probe="([^"]+)"', dumped)[1].split()
    assert int(scroll) <= int(inner) <= width
    assert images == loaded == "11"
    assert hijacked == "false"
