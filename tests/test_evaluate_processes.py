"""An evaluation shared by two processes (gloo, CPU): the results of one."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from evaluation_frames import BOUNDS, batches, frame, from_brightness
from tiny_run import in_processes
from torch import distributed

from ude.evaluation.evaluate import evaluate
from ude.evaluation.result_files import results_json
from ude.evaluation.results import Results
from ude.evaluation.saved import SavedPredictions
from ude.evaluation.saving import Saving

CONDITIONS = ("day-clear", "night-rain", "night-clear")
FRAMES = [frame(f"frame-{number}", CONDITIONS[number % 3], depth=3.0 + 4 * number) for number in range(13)]
SCENES = {item["frame_id"]: f"scene-{place // 4}" for place, item in enumerate(FRAMES)}


def measured(predictor, rank: int = 0, processes: int = 1, size: int = 2) -> Results:
    share = list(batches(FRAMES, size))[rank::processes]
    return evaluate(predictor, share, scenes=SCENES, progress=False, **BOUNDS)


def kept(results: Results) -> dict:
    """All that does not depend on the speed of the machine."""
    document = results_json(results)
    return {name: document[name] for name in ("frames", "skipped", "conditions", "ranges")} | {
        "rows": [asdict(row) for row in results.frames]
    }


def on_two(folder: Path, predictor, size: int = 2) -> list[dict]:
    """The results that each of two processes gets."""

    def act(rank: int) -> None:
        distributed.init_process_group("gloo", rank=rank, world_size=2)
        results = measured(predictor, rank, 2, size)
        (folder / f"{rank}.json").write_text(json.dumps([kept(results), results.seconds]))
        distributed.destroy_process_group()

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in in_processes(act)] == [0, 0]
    (first, first_seconds), (second, second_seconds) = (
        json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)
    )
    assert first_seconds == second_seconds > 0  # those of the slower one
    return [first, second]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["network", "saving", "saved"])
def test_two_processes_get_the_results_of_one_with_an_odd_number_of_frames(tmp_path, kind):
    alone = json.loads(json.dumps(kept(measured(from_brightness))))
    options = {"metric": True, "flip": True, "made_by": {}}
    predictor = from_brightness
    if kind != "network":
        predictor = Saving(from_brightness, tmp_path / "saved", **options)
    if kind == "saved":
        measured(predictor)
        predictor = SavedPredictions(tmp_path / "saved")
    assert alone["frames"] == len(alone["rows"]) == 13
    assert sum(alone["ranges"]["returns"]["all"]) == 13 * 40
    assert on_two(tmp_path, predictor) == [alone, alone]
    if kind == "saving":
        assert len(list((tmp_path / "saved").glob("*.npz"))) == 13


@pytest.mark.slow
def test_a_process_without_a_frame_gets_the_results_too(tmp_path):
    alone = json.loads(json.dumps(kept(measured(from_brightness))))
    assert on_two(tmp_path, from_brightness, size=13) == [alone, alone]
