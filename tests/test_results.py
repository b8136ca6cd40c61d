"""Results as files, and accumulated over batches and processes."""

import csv
import json

import pytest
import torch
from evaluation_frames import frame, measure
from torch import distributed, multiprocessing

from ude.evaluation.accumulate import CONDITIONS, condition_means
from ude.evaluation.results import Results, read_results, write_results
from ude.files import DataError, MissingFileError


def test_the_files_say_null_and_not_available_and_keep_every_frame(tmp_path):
    frames = [frame(f"frame-{number}", depth=10.0 + number) for number in range(4)] + [frame("far", depth=90.0)]
    scenes = {item["frame_id"]: f"scene-{number % 2}" for number, item in enumerate(frames)}
    results = measure(frames, scenes=scenes)
    text = write_results(tmp_path / "eval", results, extra={"seed": 3, "commit": None})

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    written = json.loads((tmp_path / "eval/metrics.json").read_text(), parse_constant=refuse)
    assert written["schema_version"] == 1
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
    for name in ("metrics.json", "per_frame.csv", "table.md"):
        assert (tmp_path / "0" / name).read_text() == (tmp_path / "1" / name).read_text()
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
    assert read.to_json() == results.to_json()


def test_results_keep_their_protocol_and_older_ones_have_that_of_their_run(tmp_path):
    results = measure([frame("a")], protocol="kitti_eigen", alignment="least_squares", max_depth=60.0)
    text = write_results(tmp_path, results, extra={"protocol": "ude"})
    assert text.startswith("Protocol kitti_eigen, alignment least_squares, LiDAR depths from 0.1 m to 60 m\n\nplain")
    assert read_results(tmp_path).rules == results.rules
    document = json.loads((tmp_path / "metrics.json").read_text())
    for run, expected in (({"protocol": "ude"}, "ude"), ({}, "md4all")):
        older = {name: value for name, value in document.items() if name != "protocol"} | {"run": run}
        (tmp_path / "metrics.json").write_text(json.dumps(older))
        assert read_results(tmp_path).protocol == expected


def test_missing_or_damaged_results_are_refused_by_name(tmp_path):
    with pytest.raises(MissingFileError, match=r"no metrics\.json in .*run: python tools/evaluate_nuscenes\.py"):
        read_results(tmp_path)
    write_results(tmp_path, stored(), extra={})
    table = tmp_path / "per_frame.csv"
    table.write_text(table.read_text().replace("0.", "x"))
    with pytest.raises(DataError, match=r"has no readable results .*evaluate again"):
        read_results(tmp_path)
