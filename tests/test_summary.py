"""Tables of several predictors: columns, seeds, published rows, and their forms as text, LaTeX and JSON."""

import json
import re
import shutil
import subprocess

import pytest
from evaluation_frames import frame, measure
from made_results import made_results

from ude.evaluation.columns import COLUMNS, columns_of, scaled, signed
from ude.evaluation.comparison_text import comparison_json, comparison_markdown
from ude.evaluation.gaps import gap_rows
from ude.evaluation.latex import comparison_latex, escape_latex, results_latex
from ude.evaluation.published import PublishedRow
from ude.evaluation.significance import paired_rows
from ude.evaluation.summary import REPORTED, best, comparison_table
from ude.evaluation.tables import aligned_table, escape_markdown, number

ABS_REL, SCALED = COLUMNS[:2]
HOSTILE = r"<script>alert(1)</script> \input{x} a_b % & # $ ~ ^ | `c` [d](e) *f*"


def published(method: str = "paper", *, alignment: str = "none", value: float = 0.001) -> PublishedRow:
    return PublishedRow(
        method=method,
        data_set="nuscenes",
        protocol="md4all",
        alignment=alignment,
        supervision="M",
        source="Someone, arXiv 0000.00000, Table 1",
        metrics={"night": {"abs_rel": value, "delta_1": 0.9999}},
    )


def test_several_seeds_stand_as_their_mean_with_spread_and_interval():
    seeds = [made_results(shift) for shift in (0.0, 0.01, 0.05)]
    table = comparison_table({"ours": seeds, "other": [made_results(0.1)]})
    ours, other = table.rows
    cell = ours.cells["day-clear", ABS_REL]
    assert cell.value == pytest.approx(seeds[0].means["day-clear"]["abs_rel"] + 0.02)
    assert cell.spread == pytest.approx(0.026457513)  # of 0, 0.01 and 0.05
    assert cell.interval[0] < cell.value < cell.interval[1]
    only = other.cells["day-clear", ABS_REL].interval
    assert only == pytest.approx(made_results(0.1).intervals("day-clear")["abs_rel"], abs=1e-12)
    assert (ours.seeds, other.seeds) == (3, 1)
    assert other.cells["day-clear", ABS_REL].spread is None
    assert table.conditions == REPORTED
    assert table.frames == {"day-clear": 40, "night-clear": 40, "day-rain": 40, "night-rain": 0}


def test_one_scene_has_no_interval():
    results = made_results(scenes=1)
    assert results.intervals("day-clear") == {}
    cell = comparison_table({"a": [results]}).rows[0].cells["day-clear", ABS_REL]
    assert (cell.value is None, cell.interval) == (False, None)


def test_a_condition_without_frames_is_not_available_anywhere():
    table = comparison_table({"a": [made_results()], "b": [made_results(0.1)]})
    paired = paired_rows({"a": [made_results()], "b": [made_results(0.1)]}, "a")
    for row in table.rows:
        for column in table.columns:
            cell = row.cells["night-rain", column]
            assert (cell.value, cell.interval, cell.spread) == (None, None, None)
    assert best(table, "night-rain", ABS_REL) is None
    markdown = comparison_markdown(table, paired)
    (empty,) = re.findall(r"### night-rain \(0 frames\)\n\n(.*?)\n\n", markdown, re.DOTALL)
    assert empty.count("n/a") == 2 * len(COLUMNS)
    assert not re.search(r"\d", empty.replace("d1", ""))
    tests = [line for line in markdown.splitlines() if " night-rain |" in line]
    assert len(tests) == len(COLUMNS)
    assert all(line.count("n/a") == 4 for line in tests)
    assert comparison_latex(table).count("n/a") == 2 * len(COLUMNS)
    document = comparison_json(table, paired)
    assert document["predictors"][0]["conditions"]["night-rain"]["abs_rel"] == dict.fromkeys(
        ["value", "interval", "spread"]
    )
    text = json.dumps(document, allow_nan=False)
    assert all(
        "nan" not in form.lower() for form in (text, markdown, comparison_latex(table), results_latex(made_results()))
    )


def test_published_rows_are_marked_and_never_the_best():
    table = comparison_table({"a": [made_results()], "b": [made_results(0.1)]}, published=[published()])
    assert table.conditions == ("day-clear", "night", "day-rain", "all")
    theirs = table.rows[-1]
    assert theirs.published
    assert not table.rows[0].published
    assert theirs.cells["night", ABS_REL].value == 0.001
    assert theirs.cells["day-clear", ABS_REL].value is None
    assert best(table, "night", ABS_REL) == table.rows[0].cells["night", ABS_REL].value
    markdown, latex = comparison_markdown(table), comparison_latex(table)
    assert re.search(r"\| paper \[1\] +\| +0\.001 \| +n/a \| +n/a \| +100\.0 \|", markdown)
    assert "- [1] Someone, arXiv 0000.00000, Table 1" in markdown
    assert "**0.001" not in markdown
    assert r"\textbf{0.001}" not in latex
    assert "paper$^{1}$ & n/a" in latex
    assert latex.count(r"\midrule") == 2 * len(table.conditions)
    found = comparison_json(table)["predictors"][-1]
    assert (found["published"], found["seeds"], found["source"]) == (True, None, "Someone, arXiv 0000.00000, Table 1")


def test_rows_that_were_aligned_stand_in_aligned_columns():
    rows = [published("plain"), published("scaled", alignment="median")]
    table = comparison_table({"a": [made_results()]}, published=rows)
    plain, scaled = table.rows[1:]
    assert (plain.cells["night", ABS_REL].value, plain.cells["night", SCALED].value) == (0.001, None)
    assert (scaled.cells["night", ABS_REL].value, scaled.cells["night", SCALED].value) == (None, 0.001)


def test_the_best_of_ours_is_bold():
    table = comparison_table({"a": [made_results()], "b": [made_results(0.1)]})
    markdown, latex = comparison_markdown(table), comparison_latex(table)
    lines = [line for line in markdown.splitlines() if line.startswith(("| a ", "| b "))]
    assert [line.count("**") // 2 for line in lines] == [4, 0] * 3 + [0, 0]
    assert [line.count(r"\textbf") for line in latex.splitlines() if line.startswith(("a &", "b &"))] == [
        *[4, 0] * 3,
        *[0, 0],
    ]


def test_values_that_are_printed_alike_are_all_bold():
    table = comparison_table({"a": [made_results()], "b": [made_results(2e-5)], "c": [made_results(0.1)]})
    assert table.rows[0].cells["day-clear", ABS_REL].value != table.rows[1].cells["day-clear", ABS_REL].value
    for text, bold, names in (
        (comparison_markdown(table), "**", ("| a ", "| b ", "| c ")),
        (comparison_latex(table), r"\textbf", ("a &", "b &", "c &")),
    ):
        first = [line for line in text.splitlines() if line.startswith(names)][:3]
        assert [line.count(bold) // (2 if bold == "**" else 1) for line in first] == [4, 4, 0]


@pytest.mark.parametrize("rows", [[], [published()]], ids=["alone", "beside published rows"])
def test_a_single_predictor_has_no_best(rows):
    table = comparison_table({"a": [made_results()]}, published=rows)
    markdown, latex = comparison_markdown(table), comparison_latex(table)
    assert "**" not in markdown
    assert "bold" not in markdown
    assert "textbf" not in latex
    assert "bold: best of ours" in comparison_markdown(comparison_table({n: [made_results()] for n in "ab"}))


def test_nothing_is_minus_zero():
    assert (number(-0.0004, 3), number(-0.04, 1), number(-0.0006, 3)) == ("0.000", "0.0", "-0.001")
    d1 = COLUMNS[3]
    assert (scaled(-0.0004, d1), scaled(-0.0006, d1)) == ("0.0", "-0.1")
    assert (signed(-0.0004, ABS_REL), signed(0.0004, ABS_REL), signed(-0.0006, ABS_REL)) == ("0.000", "0.000", "-0.001")
    found = {"a": [made_results()], "b": [made_results(-1e-7)]}
    text = comparison_markdown(comparison_table(found), paired_rows(found, "a"))
    assert "(0.000, 0.000)" in text
    assert not re.search(r"[-+]0\.0+\b", text)


def test_the_paired_tests_name_the_smallest_p_that_is_possible():
    found = {"a": [made_results(scenes=6)], "b": [made_results(0.1, scenes=6)]}
    text = comparison_markdown(comparison_table(found), paired_rows(found, "a"))
    assert "6 scenes: p cannot fall below 0.031, adjusted for 12 tests not below 0.38." in text


def test_a_latex_table_is_no_wider_than_one_condition():
    table = comparison_table({"a": [made_results()], "b": [made_results(0.1)]}, published=[published()])
    latex = comparison_latex(table)
    blocks = re.findall(r"\\begin\{tabular\}\{(l+r+)\}(.*?)\\end\{tabular\}", latex, re.DOTALL)
    assert [columns for columns, _ in blocks] == ["lrrrr"] * 4
    for condition, (_, body) in zip(table.conditions, blocks, strict=True):
        assert [name in body for name in table.conditions].count(True) == 1
        assert rf"\multicolumn{{4}}{{c}}{{{condition} (" in body
        assert all(line.count("&") in (1, 4) for line in body.splitlines() if line.endswith(r"\\"))
    assert latex.count("Table 1") == 1


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, ["absRel", "absRel scaled", "RMSE [m]", "d1 [%]"]),
        ({"alignment": ""}, ["absRel", "RMSE [m]", "d1 [%]"]),
        ({"alignment": "_least_squares", "plain": False}, ["absRel scaled", "RMSE scaled [m]", "d1 scaled [%]"]),
        (
            {"alignment": "_least_squares", "protocol": "booster"},
            [f"{name} scaled [{unit}]" for name, unit in (("d1", "%"), ("d1.15", "%"), ("d1.05", "%"), ("MAE", "m"))]
            + ["absRel scaled", "RMSE scaled [m]"],
        ),
    ],
)
def test_columns_follow_protocol_alignment_and_predictors(options, labels):
    results = made_results(**options)
    assert [column.label for column in columns_of([results])] == labels
    table = comparison_table({"a": [results]})
    assert all(table.rows[0].cells[table.conditions[0], column].value is not None for column in table.columns)
    assert comparison_markdown(table).count("| a ") == len(table.conditions)
    expected = ("tom", "other", "all") if "protocol" in options else REPORTED
    assert table.conditions == expected
    assert results_latex(results).count(r"\begin{tabular}") == len(results.modes)


def test_a_relative_predictor_stands_beside_a_metric_one():
    metric, relative = (made_results(alignment="_least_squares", plain=plain) for plain in (True, False))
    table = comparison_table({"metric": [metric], "relative": [relative]})
    assert table.columns == COLUMNS
    cells = table.rows[1].cells
    assert cells["day-clear", ABS_REL].value is None
    assert cells["day-clear", SCALED].value is not None
    assert "n/a" in comparison_markdown(table)


def test_results_that_cannot_be_compared_are_refused_by_name():
    for other, reason in (
        (made_results(frames=4), "on different frames"),
        (made_results(max_depth=60.0), "with different max_depth: 60.0, 80.0"),
        (made_results(alignment="_least_squares"), "with different alignment: least_squares, median"),
    ):
        with pytest.raises(ValueError, match=f"'b' and 'a' were evaluated {reason}"):
            comparison_table({"a": [made_results()], "b": [made_results(), other]})


def test_flip_averaged_tables_say_so():
    results = measure([frame("a"), frame("b")])
    for mode, said in (("", False), ("_flip", True)):
        table = comparison_table({"a": [results]}, conditions=["all"], mode=mode)
        assert table.rows[0].cells["all", ABS_REL].value == results.means["all"][f"abs_rel{mode}"]
        assert table.rows[0].cells["all", SCALED].value == results.means["all"][f"abs_rel{mode}_median"]
        assert ("flip-averaged" in comparison_markdown(table)) == ("flip-averaged" in comparison_latex(table)) == said
        assert comparison_json(table)["mode"] == mode


def test_a_gap_is_closed_without_alignment_too():
    rows = gap_rows(made_results(alignment=""), made_results(-0.01, alignment=""))
    assert [row.column.label for row in rows[:3]] == ["d1 [%]", "RMSE [m]", "absRel"]
    assert rows[2].closed == pytest.approx(0.1, abs=0.03)  # 0.01 of the way from 0.2 back to 0.1


def test_names_are_shown_and_never_carried_out():
    table = comparison_table({HOSTILE: [made_results()], "b": [made_results()]}, published=[published(HOSTILE)])
    paired = paired_rows({HOSTILE: [made_results()], "b": [made_results()]}, HOSTILE)
    markdown, latex = comparison_markdown(table, paired), comparison_latex(table)
    for text in (markdown, latex):
        assert "<script>" not in text
    assert not re.search(r"(?<!\\)\|(?! )", markdown.replace(" |\n", "\n"))  # no further column
    assert "[d](e)" not in markdown.replace(r"\[d\](e)", "")
    assert r"\input" not in latex
    assert r"a\_b \% \& \# \$ \textasciitilde{} \textasciicircum{}" in latex
    assert comparison_json(table)["predictors"][0]["name"] == HOSTILE


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="this machine has no LaTeX")
def test_the_tables_compile_and_no_line_is_wider_than_a_page(tmp_path):
    table = comparison_table({HOSTILE: [made_results()], "b": [made_results()]}, published=[published(HOSTILE)])
    text = comparison_latex(table) + "\n\\clearpage\n" + results_latex(made_results())
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage[landscape,margin=1cm]{geometry}"
        f"\\usepackage{{booktabs}}\\begin{{document}}\\noindent\n{text}\\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("50 % of a_b & c", r"50 \% of a\_b \& c"),
        ("[2cm] *", "{[}2cm] {*}"),
        ("a\nb\tc\x00d", "a b c d"),
        ("夜 ü", "夜 ü"),
        ("x\u202ey", "xy"),
    ],
)
def test_latex_prints_any_text(text, escaped):
    assert escape_latex(text) == escaped


def test_markdown_shows_any_text_in_one_cell():
    assert escape_markdown("a|b\n<i> `c` [d](e) *f* &lt; \\") == r"a\|b \<i\> \`c\` \[d\](e) \*f\* \&lt; \\"
    assert escape_markdown("_x_ ~~y~~ __z__, a_b_") == r"\_x\_ \~\~y\~\~ \_\_z\_\_, a_b\_"
    assert escape_markdown("md4all-DD (R18), seed_1") == "md4all-DD (R18), seed_1"


def test_every_cell_of_a_table_is_as_wide_as_its_column():
    table = aligned_table(["a", "bc"], [["long name", "1"], ["x", "1234"]])
    assert table == "| a         |   bc |\n| :-------- | ---: |\n| long name |    1 |\n| x         | 1234 |"
