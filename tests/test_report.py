"""The HTML report: numbers, escaping, what is marked as published, and what is not there."""

import re
from dataclasses import replace
from html import escape

import pytest
from made_report import HOSTILE, LATEX, LONG, full_report, published_row, with_ranges
from made_results import made_results

from ude.evaluation.columns import COLUMNS
from ude.evaluation.gaps import GapRow, gap_rows
from ude.evaluation.metrics import METRICS
from ude.evaluation.range_charts import range_charts
from ude.evaluation.report import Report, render_report
from ude.evaluation.report_tables import Evaluated, render_gaps
from ude.evaluation.results import FrameRow, Results, results_of_frames
from ude.evaluation.significance import paired_rows
from ude.evaluation.style import STYLE
from ude.evaluation.summary import best, comparison_table


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


def page_of(*found: Results, names: str = "abcdefgh") -> str:
    """A page with the table of predictors called a, b, ..."""
    table = comparison_table({name: [result] for name, result in zip(names, found, strict=False)})
    return render_report(Report(title="t", table=table))


def visible(page: str) -> str:
    """The text of a page without its style sheet and tags."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))


def test_nothing_in_a_report_can_run_or_load():
    page = render_report(full_report())
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 20
    # an attribute that a quote in a name could have opened
    assert not re.search(r"<[a-z]+[^<>]*\son\w+=", page)
    assert not re.search(r"(?:src|href|url|xlink:href)\s*[=(]\s*[\"']?(?!data:image/webp;base64,)\w", page)
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page


@pytest.mark.parametrize(
    ("names", "protocol", "seeds"),
    [
        (["only"], "md4all", 1),
        (["only"], "booster", 1),
        ([HOSTILE, LATEX, LONG], "md4all", 2),
        ([HOSTILE, LATEX, LONG], "booster", 2),
        ([f"predictor {number}" for number in range(9)], "md4all", 1),
    ],
)
def test_every_part_shows_every_predictor(names, protocol, seeds):
    page = render_report(full_report(names, protocol=protocol, seeds=seeds))
    parts = re.findall(r'<section id="([a-z-]+)">', page)
    expected = ["results", "paired-tests", "conditions", "error-over-range", "gap-closed", "frames", "training"]
    absent = {"paired-tests"} if len(names) == 1 else set()
    absent |= {"gap-closed"} if protocol == "booster" else set()
    assert parts == [part for part in [*expected, "how-it-was-made"] if part not in absent]
    for part, content in zip(parts, page.split("<section")[1:], strict=True):
        if part not in ("gap-closed", "training"):
            assert [name for name in names if escape(name) not in content] == []
    assert not re.search(r"\bnan\b|\bNone\b", visible(page))
    conditions = ("tom", "other", "all") if protocol == "booster" else ("day-clear", "night", "day-rain", "all")
    assert all(f'class="group condition {condition}"' in page for condition in conditions)


def test_empty_parts_are_left_out():
    page = render_report(Report(title="nothing"))
    assert "<h1>nothing</h1>" in page
    assert "<section" not in page
    assert "<nav>" not in page


def test_conditions_without_frames_are_not_available():
    page = page_of(results(0.1, 0.3))
    assert page.count('none">n/a</td>') == 8  # two rain conditions, four columns
    assert page.count('<span class="none">n/a</span>') == 8  # the same as bars
    assert "nan" not in page.lower()
    assert "0 frames" in page


def test_the_best_predictor_of_each_column_is_bold():
    table = comparison_table({"a": [results(0.1, 0.3)], "b": [results(0.2, 0.2)]})
    page = render_report(Report(title="t", table=table))
    line_a, line_b = re.findall(r"<tbody>(<tr>.*?</tr>)(<tr>.*?</tr>)</tbody>", page)[0]
    assert re.findall(r'<td class="[^"]*?( best)?">\d', line_a) == [" best"] * 4 + [""] * 4
    assert re.findall(r'<td class="[^"]*?( best)?">\d', line_b) == [""] * 4 + [" best"] * 4
    assert best(table, "day-clear", COLUMNS[3]) == pytest.approx(0.899)  # d1: the highest
    assert best(table, "day-rain", COLUMNS[0]) is None


def test_values_that_are_printed_alike_are_all_bold():
    page = page_of(results(0.1, 0.3), results(0.1 + 2e-5, 0.3))
    assert page.count('best">0.101<') == 4  # absRel plain and aligned, of both
    assert "Bold: best of the column" in page


@pytest.mark.parametrize("published", [[], [published_row()]], ids=["alone", "beside published rows"])
def test_a_single_predictor_has_no_best_and_no_word_on_tests_that_are_not_there(published):
    table = comparison_table({"a": [results(0.1, 0.3)]}, published=published)
    page = render_report(Report(title="t", table=table))
    assert ' best"' not in page
    assert "Bold" not in page
    assert "bold" not in visible(page)
    assert "paired tests" not in page
    assert "all predictors" not in page


def test_bars_mention_the_paired_tests_where_there_are_some():
    assert "what the paired tests say" in render_report(full_report(["a", "b"]))
    assert "what the paired tests say" not in render_report(replace(full_report(["a", "b"]), paired=()))


def test_a_cell_shows_mean_and_interval():
    table = comparison_table({"a": [results(0.1, 0.3)]})
    cell = table.rows[0].cells["night-clear", COLUMNS[0]]
    assert cell.value == pytest.approx(0.301)
    low, high = cell.interval
    assert low < 0.301 < high
    assert (high - low) < 0.02
    page = render_report(Report(title="t", table=table))
    shown = [f"{100 - 100 * end:.1f}" for end in (high, low)]
    assert f"0.301<small>{f'{low:.3f}'[1:]}\N{EN DASH}{f'{high:.3f}'[1:]}</small>" in page
    assert f"69.9<small>{shown[0]}\N{EN DASH}{shown[1]}</small>" in page


def test_seeds_show_their_number_and_spread():
    seeds = [made_results(shift) for shift in (0.0, 0.01, 0.05)]
    page = render_report(Report(title="t", table=comparison_table({"ours": seeds})))
    assert "<small>3 seeds</small>" in page
    assert "<small>±.026</small>" in page  # the sample standard deviation of 0, 0.01 and 0.05
    assert "± sample standard deviation over seeds" in page
    assert "seeds" not in page_of(results(0.1, 0.3))


def test_published_rows_are_marked_set_apart_and_never_the_best():
    table = comparison_table({"ours": [made_results()], "other": [made_results(0.1)]}, published=[published_row()])
    page = render_report(Report(title="t", table=table))
    ours, published = re.search(r"<tbody>(.*?)</tbody><tbody class=\"published\">(.*?)</tbody>", page).groups()
    assert "Published: numbers from the papers, not measured here" in published
    assert "a paper&#x27;s method" in published
    assert "<small>Someone, arXiv 0000.00000, Table 1</small>" in published
    assert "best" not in published
    assert "best" in ours
    assert re.findall(r">(\d[\d.]*|n/a)</td>", published) == [
        *("0.010", "n/a", "n/a", "99.0", "0.020", "n/a", "8.00", "n/a"),
        *["n/a"] * 8,
    ]
    bars = page.partition('id="conditions"')[2]
    assert "a paper" not in bars


def test_predictors_on_different_frames_are_not_compared():
    with pytest.raises(ValueError, match="evaluated on different frames"):
        page_of(results(0.1, 0.3), results(0.1, 0.3, frames=4))


@pytest.mark.parametrize(
    ("other", "rule"),
    [
        ({"alignment": "_least_squares"}, "alignment"),
        ({"max_depth": 40.0}, "max_depth"),
        ({"protocol": "ude"}, "protocol"),
    ],
)
def test_predictors_measured_by_different_rules_are_not_compared(other, rule):
    pair = results(0.1, 0.3), results(0.1, 0.2, **other)
    with pytest.raises(ValueError, match=f"evaluated with different {rule}"):
        page_of(*pair)
    with pytest.raises(ValueError, match=f"evaluated with different {rule}"):
        gap_rows(*pair)


def test_a_gap_between_different_frames_is_refused():
    with pytest.raises(ValueError, match="evaluated on different frames"):
        gap_rows(results(0.1, 0.3), results(0.1, 0.2, frames=4))


def test_the_footnote_says_how_predictions_were_aligned():
    pages = [page_of(results(0.1, 0.3, alignment=alignment)) for alignment in ("_median", "_least_squares")]
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
    page = render_report(Report(title="t", gaps=rows))
    assert page.count('<td class="best">n/a</td>') == 4
    assert "<b style" not in page  # no interval


def test_paired_tests_show_sign_interval_and_p_and_colour_what_is_certain():
    found = {
        name: [made_results(shift, seed=seed, scenes=16)]
        for seed, (name, shift) in enumerate([("reference", 0.0), ("worse", 0.05), ("same", 0.0)])
    }
    rows = paired_rows(found, "reference", conditions=["day-clear", "night-rain"])
    page = render_report(Report(title="t", paired=rows))
    worse, same = re.findall(r'<tr class="start"><th scope="row" title="(?:worse|same)">.*?</tr>', page)
    cell = re.search(r'<td class="worse">\+0\.050 <em>worse</em><small>\[\+0\.0\d\d, \+0\.0\d\d\]</small>', worse)
    assert cell, worse
    row = next(row for row in rows if (row.name, row.condition, row.column.metric) == ("worse", "day-clear", "abs_rel"))
    assert f"<small>p {row.p:.3f}, adjusted {row.p_adjusted:.3f}</small>".replace("0.000", "&lt; 0.001") in worse
    assert worse.count('<td class="none">n/a</td>') == 1  # no rainy night
    assert "<em>" not in same
    d1 = page.partition("d1 [%]")[2]
    assert re.match(r'.*?<td class="worse">\N{MINUS SIGN}5\.0 <em>worse</em>', d1)
    assert "16 scenes" in page
    # eight tests: two predictors, four columns, in the one condition that has frames
    assert "16 scenes: p cannot fall below 0.0026, adjusted for 8 tests not below 0.021." in visible(page)
    assert "Predictor minus reference" in page


def test_bars_end_at_their_share_of_the_scale_and_carry_their_interval():
    table = comparison_table({"a": [results(0.1, 0.4)], "b": [results(0.2, 0.2)]})
    page = render_report(Report(title="t", table=table))
    d1 = page.partition("higher is better</small>")[2]
    widths = [float(width) for width in re.findall(r'class="fill c\d" style="width:([\d.]+)%"', d1)]
    assert widths == pytest.approx([89.9, 79.9, 59.9, 79.9])
    left, width = map(float, re.search(r'<b style="left:([\d.]+)%;width:([\d.]+)%"></b>', d1).groups())
    assert left < 89.9 < left + width
    absolute = page.partition('id="conditions"')[2].partition("<h3>")[2].partition("<h3>")[0]
    errors = [float(width) for width in re.findall(r'class="fill c\d" style="width:([\d.]+)%"', absolute)]
    assert errors[0] / errors[2] == pytest.approx(0.101 / 0.401, abs=0.002)
    assert 90 < errors[2] < 100  # the longest, with its interval, fills the scale


def test_curves_over_range_are_shared_scaled_and_leave_out_bins_without_returns():
    found = {"a": with_ranges(results(0.1, 0.3)), "b": with_ranges(results(0.1, 0.3), 2.0)}
    lines = range_charts(found, ["day-clear", "night-clear"])
    assert list(lines) == ["absRel ↓ lower is better", "d1 [%] ↑ higher is better"]
    errors, shares = lines.values()
    assert [chart.title for chart in errors] == ["day-clear", "night-clear"]
    assert errors[0].curves[1].points == [(5.0, 0.2), (25.0, 0.4)]
    assert shares[0].curves[0].points == [(5.0, 90.0), (25.0, 80.0)]
    assert errors[0].shares == [(0, 10, 0.75), (10, 40, 0.25), (40, 80, 0.0)]
    assert errors[0].y_range == errors[1].y_range
    assert 0.4 < errors[0].y_range[1] < 0.5
    assert range_charts({"old": results(0.1, 0.3)}, ["day-clear"]) == {}


def test_a_predictor_far_off_does_not_flatten_the_others_over_range():
    found = {name: with_ranges(results(0.1, 0.3), factor) for name, factor in (("a", 1), ("b", 1.5), ("far", 100))}
    chart = range_charts(found, ["day-clear"])["absRel ↓ lower is better"][0]
    assert chart.y_range[1] == pytest.approx(1.4 * 0.3)


def test_a_relative_predictor_makes_the_curves_aligned():
    relative = with_ranges(made_results(plain=False))
    lines = range_charts({"a": with_ranges(made_results()), "b": relative}, ["day-clear"])
    assert list(lines) == ["absRel scaled ↓ lower is better", "d1 scaled [%] ↑ higher is better"]


def test_shares_far_outside_are_printed_as_their_side_only():
    made = {"condition": "night-clear", "column": COLUMNS[0], "teacher_day": 0.1, "teacher": 0.3, "student": 0.2}
    shown = [
        ((-12.0, 3.004), "below -300% to over 300%"),
        ((-2.999, 9.5), "-300% to over 300%"),
        ((-0.001, 3.0), "0% to 300%"),
    ]
    for interval, text in shown:
        assert f"<td>{text}</td>" in render_gaps([GapRow(**made, closed=-0.002, interval=interval)])
    assert '<td class="best">0%</td>' in render_gaps([GapRow(**made, closed=-0.002)])


def test_what_was_evaluated_says_weights_checksum_and_speed():
    evaluated = [
        Evaluated(name="ours", kind="depth_net", weights="outputs/x", sha256="abc", frames_per_second=12.34),
        Evaluated(name="baseline", kind="baseline"),
        Evaluated(name="kept", kind="saved", from_files=True, frames_per_second=900.0),
    ]
    page = render_report(Report(title="t", evaluated=evaluated))
    assert "<td>outputs/x</td><td><code>abc</code></td><td>12.3</td>" in page
    assert "<td>n/a</td><td><code>n/a</code></td><td>n/a</td>" in page
    assert "<td>read from files</td>" in page
    assert "900" not in visible(page)


def test_tables_name_the_scope_of_their_headings_and_pictures_have_words():
    page = render_report(full_report())
    assert page.count("<th ") == len(re.findall(r'<th [^>]*scope="(?:row|col|colgroup|rowgroup)"', page))
    assert "<th>" not in page
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 3 * 2 * 2 * 3  # conditions, frames, lines, columns
    assert all(re.search(r' alt="(input|LiDAR|depth of .+|error of .+), frame frame-\d"', image) for image in images)
    assert all(re.search(r' width="64" height="36"', image) for image in images)
    assert '<html lang="en">' in page
    assert page.count('class="scroll" tabindex="0" role="region" aria-label="') >= 5
    assert page.count('role="img" aria-label="') == page.count("<svg")


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb. Source: WCAG 2.2."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_plots_can_be_read_in_both_schemes(scheme):
    block = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", block))

    def contrast(first: str, second: str) -> float:
        bright, dark = sorted((luminance(colors[first]), luminance(colors[second])), reverse=True)
        return (bright + 0.05) / (dark + 0.05)

    text = ("ink", "soft", "faint", "accent", "good", "bad")
    low = [(t, b) for t in text for b in ("page", "sheet", "tint", "apart") if contrast(t, b) < 4.5]
    low += [(f"c{i}", "sheet") for i in range(8) if contrast(f"c{i}", "sheet") < 3]
    assert low == []


def test_a_report_can_be_changed_before_it_is_rendered():
    page = render_report(replace(full_report(["only"]), title="another", text=["and text"]))
    assert "<h1>another</h1>" in page
    assert "<p>and text</p>" in page
