"""Results as files, and accumulated over batches and processes."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from evaluation_frames import frame, measure
from json_schema import violations
from made_results import made_results
from torch import distributed, multiprocessing

from ude.evaluation import result_files
from ude.evaluation.accumulate import CONDITIONS, condition_means
from ude.evaluation.result_files import read_results, results_json, utc_time, write_results
from ude.evaluation.results import Results
from ude.files import DataError, MissingFileError

SCHEMA = json.loads((Path(result_files.__file__).parent / "metrics.schema.json").read_text())


def test_the_files_say_null_and_not_available_and_keep_every_frame(tmp_path):
    frames = [frame(f"frame-{number}", depth=10.0 + number) for number in range(4)] + [frame("far", depth=90.0)]
    scenes = {item["frame_id"]: f"scene-{number % 2}" for number, item in enumerate(frames)}
    results = measure(frames, scenes=scenes)
    text = write_results(tmp_path / "eval", results, extra={"seed": 3, "commit": None})

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    written = json.loads((tmp_path / "eval/metrics.json").read_text(), parse_constant=refuse)
    assert violations(written, SCHEMA) == []
    assert written["schema_version"] == 2
    assert written["run"] == {"seed": 3, "commit": None}
    assert written["skipped"] == ["far"]
    assert written["conditions"]["day-clear"]["frames"] == 4
    assert written["conditions"]["night"]["abs_rel"] is None
    assert written["conditions"]["night"]["intervals"] is None
    low, high = written["conditions"]["day-clear"]["intervals"]["abs_rel"]
    assert low <= written["conditions"]["day-clear"]["abs_rel"] <= high
    rows = list(csv.DictReader((tmp_path / "eval/per_frame.csv").open()))
    assert [row["frame_id"] for row in rows] == ["far", "frame-0", "frame-1", "frame-2", "frame-3"]
    assert [row["abs_rel"] == "" for row in rows] == [True, False, False, False, False]
    mean = sum(float(row["abs_rel_flip_median"]) for row in rows[1:]) / 4
    assert mean == pytest.approx(written["conditions"]["all"]["abs_rel_flip_median"], rel=1e-12)
    assert (tmp_path / "eval/table.md").read_text() == text
    assert text.count("| night-rain  |      0 |") == 4
    assert text.count("n/a") == 4 * 4 * 7  # four modes, four rows without frames, seven metrics
    assert "nan" not in text.lower()
    assert len({len(line) for line in results.table().splitlines()}) == 1  # aligned


def test_means_are_those_of_the_frames_of_each_row():
    values = torch.rand(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    conditions = [CONDITIONS[number % 3] for number in range(9)]  # no night-rain
    means = condition_means(values, conditions, ["x", "y"])
    assert means["night-rain"] == {"frames": 0, "x": None, "y": None}
    assert means["all"] == pytest.approx(
        {"frames": 9, "x": values[:, 0].mean().item(), "y": values[:, 1].mean().item()}
    )
    assert means["night"]["y"] == means["night-clear"]["y"] == pytest.approx(values[2::3, 1].mean().item(), rel=1e-12)


def evaluate_share(rank: int, world: int, folder: str) -> None:
    """One process of two: evaluates every second frame and stores the results."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    frames = [frame(f"frame-{number}", CONDITIONS[number % 3]) for number in range(5)]
    write_results(f"{folder}/{rank}", measure(frames[rank::world]), extra={})
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_report_what_one_process_reports(tmp_path):
    multiprocessing.spawn(evaluate_share, args=(2, str(tmp_path)), nprocs=2)
    frames = [frame(f"frame-{number}", CONDITIONS[number % 3]) for number in range(5)]
    write_results(tmp_path / "single", measure(frames), extra={})
    for name in ("per_frame.csv", "table.md", "table.tex"):
        assert (tmp_path / "0" / name).read_text() == (tmp_path / "1" / name).read_text()
    ranks = [json.loads((tmp_path / rank / "metrics.json").read_text()) for rank in "01"]
    timed = {"written", "speed"}
    first, second = ({name: part for name, part in rank.items() if name not in timed} for rank in ranks)
    assert first == second
    single, double = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("single", "0"))
    for row, means in single["conditions"].items():
        values = {name: value for name, value in means.items() if value is not None}
        assert {name: double["conditions"][row][name] for name in values} == pytest.approx(values, rel=1e-12)
        assert [name for name, value in double["conditions"][row].items() if value is not None] == list(values)


def stored() -> Results:
    """Results of two conditions with scenes and a skipped frame."""
    frames = [frame(f"frame-{number}", CONDITIONS[number % 2], depth=10.0 + number) for number in range(4)]
    scenes = {f"frame-{number}": f"scene-{number}" for number in range(4)} | {"far": "scene-9"}
    return measure([*frames, frame("far", depth=90.0)], scenes=scenes)


def test_stored_results_are_read_back(tmp_path):
    results = stored()
    write_results(tmp_path, results, extra={})
    read = read_results(tmp_path)
    assert read.frames == results.frames
    assert read.modes == results.modes
    assert results_json(read) == results_json(results)


def of_version_1(document: dict, run: dict) -> dict:
    """A metrics.json as it was before schema_version 2 and before protocols."""
    rules, kept = document["rules"], ("frames", "skipped", "conditions")
    bounds = {name: rules[name] for name in ("min_depth", "max_depth")}
    return {"schema_version": 1, **bounds, **{name: document[name] for name in kept}, "run": run}


def test_results_keep_their_protocol_and_older_ones_have_that_of_their_run(tmp_path):
    results = measure([frame("a")], protocol="kitti_eigen", alignment="least_squares", max_depth=60.0)
    text = write_results(tmp_path, results, extra={"protocol": "ude"})
    assert text.startswith("Protocol kitti_eigen, alignment least_squares, LiDAR depths from 0.1 m to 60 m\n\nplain")
    assert read_results(tmp_path).rules == results.rules
    document = json.loads((tmp_path / "metrics.json").read_text())
    for run, top, expected in (
        ({"protocol": "ude"}, {}, "ude"),
        ({}, {}, "md4all"),
        ({"protocol": "ude"}, {"protocol": "kitti_garg"}, "kitti_garg"),
    ):
        (tmp_path / "metrics.json").write_text(json.dumps(of_version_1(document, run) | top))
        read = read_results(tmp_path)
        assert (read.protocol, read.rules["alignment"], read.max_depth) == (expected, "least_squares", 60.0)
        assert read.frames == results.frames
        assert (read.ranges, read.seconds) == (None, None)


@pytest.mark.parametrize("name", ["missing column", "protocol without alignment", "classes", "no scenes"])
def test_every_kind_of_results_obeys_the_schema_and_is_read_back(tmp_path, name):
    results = {
        "missing column": made_results(alignment="_least_squares", plain=False),
        "protocol without alignment": made_results(alignment=""),
        "classes": made_results(protocol="booster", alignment="_least_squares", max_depth=10.0),
        "no scenes": measure([frame("a"), frame("b")], flip=False),
    }[name]
    write_results(tmp_path, results, extra={"config": {"DATA": {"SIZE": [8, 12]}}})
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert violations(document, SCHEMA) == []
    assert results_json(read_results(tmp_path)) == results_json(results)
    text = (tmp_path / "table.md").read_text() + (tmp_path / "per_frame.csv").read_text()
    assert "nan" not in text.lower()
    if name == "missing column":
        assert document["conditions"]["day-clear"]["abs_rel"] is None
        assert "abs_rel" not in document["conditions"]["day-clear"]["intervals"]
        assert "n/a" in text
    if name == "classes":
        assert document["frames"] == 3 * 8 * 5
        assert list(document["conditions"]) == ["tom", "other", "all"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"written": "21.11.2026 19:30"}, r"\$\.written: '21\.11\.2026 19:30' is not like"),
        ({"frames": "5"}, r"\$\.frames: '5' is no integer"),
        ({"surprise": 1}, r"\$: surprise is not known"),
        ({"speed": {"seconds": 1.0}}, r"\$\.speed: frames_per_second is missing"),
        ({"conditions": {"all": {"frames": 1, "intervals": {"abs_rel": [1.0]}}}}, r"intervals\.abs_rel: fewer than 2"),
        (
            {"conditions": {"all": {"frames": 1, "intervals": None, "abs_rel": "n/a"}}},
            r"all\.abs_rel: 'n/a' is no number",
        ),
    ],
)
def test_the_schema_sees_what_is_wrong(tmp_path, change, message):
    write_results(tmp_path, stored(), extra={})
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert any(re.search(message, found) for found in violations(document | change, SCHEMA))


def test_a_value_that_is_not_finite_leaves_no_finished_folder(tmp_path):
    results = stored()
    broken = replace(results, means={**results.means, "all": {**results.means["all"], "abs_rel": float("nan")}})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_results(tmp_path, broken, extra={})
    assert not (tmp_path / "metrics.json").exists()


FOREIGN = """
import json, locale, sys, time
sys.path.insert(0, sys.argv[2])
try:
    locale.setlocale(locale.LC_ALL, sys.argv[3])
except locale.Error:
    sys.exit(77)
from made_results import made_results
from ude.evaluation.comparison_text import comparison_markdown
from ude.evaluation.result_files import read_results, results_json, write_results
from ude.evaluation.summary import comparison_table
results = made_results()
print(write_results(sys.argv[1], results, extra={"names": "\\u591c"}))
assert results_json(read_results(sys.argv[1])) == results_json(results)
print(comparison_markdown(comparison_table({"a": [results, results], "b": [results]})))
"""


@pytest.mark.slow
@pytest.mark.parametrize("language", ["C", "de_DE.UTF-8"])
def test_language_and_time_zone_of_the_machine_change_no_file(tmp_path, language):
    here, there = tmp_path / "here", tmp_path / "there"
    write_results(here, made_results(), extra={"names": "\u591c"})
    compiler = shutil.which("localedef")
    if compiler and language != "C":
        name, _, charmap = language.partition(".")
        subprocess.run([compiler, "-i", name, "-f", charmap, tmp_path / language], capture_output=True, check=False)
    settings = {
        "LOCPATH": str(tmp_path),
        "LC_ALL": language,
        "TZ": "Asia/Kathmandu",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    command = [sys.executable, "-c", FOREIGN, str(there), str(Path(__file__).parent), language]
    run = subprocess.run(command, env=os.environ | settings, capture_output=True, check=False)
    if run.returncode == 77:
        pytest.skip(f"this machine has no {language}")
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    for name in ("per_frame.csv", "table.md", "table.tex"):
        assert (there / name).read_bytes() == (here / name).read_bytes()
    first, second = (json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in (here, there))
    times = [datetime.fromisoformat(document.pop("written")) for document in (first, second)]
    assert first == second
    assert timedelta(0) <= times[1] - times[0] < timedelta(minutes=5)


def test_times_are_those_of_utc_wherever_the_machine_is(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        written = datetime.fromisoformat(utc_time())
        assert written.tzinfo == UTC
        assert abs(written - datetime.now(UTC)) < timedelta(minutes=1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_killed_rewrite_leaves_no_new_frames_below_old_rules(tmp_path, monkeypatch):
    write_results(tmp_path, stored(), extra={})
    monkeypatch.setattr("ude.evaluation.result_files.write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_results(tmp_path, stored(), extra={})
    assert (tmp_path / "per_frame.csv").is_file()
    with pytest.raises(MissingFileError, match=r"no metrics\.json"):
        read_results(tmp_path)


def test_missing_or_damaged_results_are_refused_by_name(tmp_path):
    with pytest.raises(MissingFileError, match=r"no metrics\.json in .*run: python tools/evaluate_nuscenes\.py"):
        read_results(tmp_path)
    write_results(tmp_path, stored(), extra={})
    table = tmp_path / "per_frame.csv"
    table.write_text(table.read_text().replace("0.", "x"))
    with pytest.raises(DataError, match=r"has no readable results .*evaluate again"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: text.rindex("frame-3")], r"per_frame\.csv has 4 of 5 frames"),
        (lambda text: text[: text.rindex(",")], r"frame frame-3 in per_frame\.csv"),
        (lambda text: text.replace("0.", "nan", 1), r"could not convert|in per_frame\.csv"),
    ],
)
def test_cut_off_frames_are_noticed(tmp_path, damage, message):
    write_results(tmp_path, stored(), extra={})
    table = tmp_path / "per_frame.csv"
    table.write_text(damage(table.read_text()))
    with pytest.raises(DataError, match=message):
        read_results(tmp_path)
