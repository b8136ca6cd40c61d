"""Processes that evaluate together: their shares, and how they end."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import evaluate_nuscenes
import pytest
from evaluation_calls import document, means, save_runs, words
from tiny_run import in_processes
from torch import distributed

from ude.build.processes import first_goes_ahead, first_process, process_group, share
from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.files import DataError

TOOLS = Path(__file__).parents[1] / "tools"


def codes_of(action, folder, count=2):
    """Exit codes of processes that do an action within a group, and the last words of each."""

    def act(rank):
        os.environ["RANK"] = str(rank)
        try:
            with process_group("cpu"):
                return action(rank)
        except Exception as error:
            (folder / f"{rank}.txt").write_text(str(error))
            raise

    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in in_processes(act, count)]


@pytest.mark.parametrize(("batch_size", "processes"), [(3, 2), (1, 3), (8, 3), (4, 1)])
def test_every_process_has_whole_batches_and_no_frame_is_lost_or_doubled(val, batch_size, processes):
    frames = EvaluationFrames(val, size=(64, 96))
    alone = [batch["frame_id"] for batch in EvaluationLoader(frames, batch_size)]
    shares = [
        [batch["frame_id"] for batch in EvaluationLoader(frames, batch_size, share=(rank, processes))]
        for rank in range(processes)
    ]
    assert [shares[place % processes][place // processes] for place in range(len(alone))] == alone
    assert sum(map(len, shares)) == len(alone)


def test_without_torchrun_there_is_one_process_that_writes():
    with process_group("cpu"), first_goes_ahead():
        assert not distributed.is_initialized()
        assert (first_process(), share()) == (True, (0, 1))


def test_the_first_of_two_goes_ahead_and_their_group_ends_with_the_block(tmp_path):
    def act(rank):
        assert share() == (rank, 2)
        with first_goes_ahead():
            assert (tmp_path / "made").exists() == bool(rank)
            (tmp_path / "made").touch()
        return 10 + rank

    assert codes_of(act, tmp_path) == [10, 11]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_one_process_ends_the_others_with_its_exit_code(tmp_path, failing):
    def act(rank):
        if rank == failing:
            raise DataError("frame-7 is damaged")
        distributed.all_gather_object([None, None], rank)

    codes = codes_of(act, tmp_path)
    assert codes[failing] == 4
    assert (tmp_path / f"{failing}.txt").read_text() == "frame-7 is damaged"
    assert codes[1 - failing] in ((4,) if failing else (1, 4))  # what the first process knew may have gone with it
    assert "another process of this evaluation ended" in (tmp_path / f"{1 - failing}.txt").read_text()


def results_of(runs, output):
    """All numbers of an evaluation of two runs, and which predictions were kept."""
    comparison = document(output / "eval" / "nuscenes-val" / "comparison.json")
    comparison.pop("run")
    files = [(run / "eval" / "val" / "per_frame.csv").read_text() for run in runs]
    kept = sorted(str(path.relative_to(output)) for path in (output / "kept").rglob("*.npz"))
    return comparison, [means(run / "eval" / "val") for run in runs], files, kept


@pytest.mark.parametrize("batch_size", [3, 64])  # 64: the second process has no frame at all
def test_two_processes_give_the_same_files_as_one_and_the_first_prints(world_root, tmp_path, batch_size):
    runs = [save_runs(tmp_path, "first", "second") / name for name in ("first", "second")]
    found = []
    for count in (1, 2):
        output = tmp_path / str(count)
        args = words(world_root, output, "--save-predictions", output / "kept", "EVAL.BATCH_SIZE", batch_size)
        args += ["--weights", *map(str, runs), "--gallery", "0"]

        def act(rank, args=args, output=output):
            os.environ["RANK"] = str(rank)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                code = evaluate_nuscenes.main(args)
            output.with_suffix(f".{rank}").write_text(printed.getvalue())
            return code

        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in in_processes(act, count)] == [0] * count
        found.append(results_of(runs, output))
    assert found[0] == found[1]
    assert len(found[1][-1]) == 2 * 8
    assert "comparison: " in (tmp_path / "2.0").read_text()
    assert (tmp_path / "2.1").read_text() == ""


@pytest.mark.slow
def test_unreadable_frames_of_all_processes_count_together(val, broken_root, tmp_path):
    run = save_runs(tmp_path, "first") / "first"
    for index in (0, 3):  # one in the first batch, which the first process has, one in the second
        (broken_root / val.image_path(index).relative_to(val.root)).write_bytes(b"")
    args = [*words(broken_root, tmp_path), "--weights", str(run), "--no-report", "DATA.ON_ERROR", "skip"]

    def act(rank, most):
        os.environ["RANK"] = str(rank)
        return evaluate_nuscenes.main([*args, "DATA.MAX_SKIPPED", most])

    for most, code in (("0.2", 4), ("0.3", 0)):
        ended = [os.waitpid(pid, 0)[1] for pid in in_processes(lambda rank, most=most: act(rank, most), 2)]
        assert [os.waitstatus_to_exitcode(status) for status in ended] == [code, code]
        assert (run / "eval" / "val" / "metrics.json").exists() == (code == 0)
    assert means(run / "eval" / "val")["all"]["frames"] == 6


@pytest.mark.slow
def test_torchrun_evaluates_and_a_damaged_frame_ends_it(broken_root, tmp_path):
    run = save_runs(tmp_path, "first") / "first"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        str(TOOLS / "evaluate_nuscenes.py"),
    ]
    command += [*words(broken_root, tmp_path), "--weights", str(run), "--no-report"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.count("results: ") == 1
    assert means(run / "eval" / "val")["all"]["frames"] == 8
    for path in (broken_root / "samples" / "CAM_FRONT").glob("*.jpg"):
        path.write_bytes(path.read_bytes()[:200])
    result = subprocess.run([*command, "--split", "test"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 1  # torchrun's own
    assert "exitcode  : 4" in result.stderr
    assert "error: " in result.stderr
    assert not (run / "eval" / "test").exists()
