"""The tools on a tiny sample world: each stage alone, chained by run folder, resumed, and refused in one line."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import evaluate_nuscenes
import numpy as np
import pytest
import torch
import train
import translate
from safetensors.torch import load_file
from tiny_pipeline import IP_ADAPTER_WEIGHTS, save_tiny_pipeline

from ude.engine import TeacherModule, records
from ude.files import lock_folder, read_image, write_image

CONFIGS = Path(__file__).parents[1] / "configs"
SMALL = [
    *("DATA.SIZE", "[64, 96]", "MODEL.DEPTH.INPUT_SIZE", "[64, 96]", "SOLVER.BATCH_SIZE", "2"),
    *("RUN.IMAGES_EVERY", "2", "RUN.LOG_EVERY", "1"),
]
TRANSLATE = ["TRANSLATOR.SIZE", "[64, 96]", "TRANSLATOR.BATCH_SIZE", "2"]


def arguments(stage, output, root, *extra):
    values = {
        "teacher": [*SMALL, "RUN.MAX_STEPS", "3"],
        "translate": [*TRANSLATE, "TRANSLATOR.DEPTH_MODEL", str(output / "teacher")],
        "student": [
            *SMALL,
            *("RUN.MAX_STEPS", "3", "MODEL.TEACHER", str(output / "teacher")),
            *("DATA.TRANSLATED.ROOT", str(output / "translated")),
        ],
    }[stage]
    return [
        *("--cfg", str(CONFIGS / f"demo_{stage}.yaml"), "OUTPUT_DIR", str(output), "DATA.ROOT", str(root)),
        *values,
        *extra,
    ]


@pytest.fixture(scope="module")
def runs(world_root, tmp_path_factory):
    """Teacher, translations and student of the tiny world."""
    output = tmp_path_factory.mktemp("runs")
    assert train.main(arguments("teacher", output, world_root)) == 0
    assert translate.main(arguments("translate", output, world_root)) == 0
    assert train.main(arguments("student", output, world_root)) == 0
    return output


def one_line_error(capsys, code, main, args):
    """The message of a tool that must end with an exit code and one line."""
    capsys.readouterr()
    assert main(args) == code
    error = capsys.readouterr().err.strip()
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, error
    assert "Traceback" not in error
    return lines[0]


def test_run_folder_holds_what_the_design_promises(runs):
    for name in ("teacher", "student"):
        run = runs / name
        for file in ("config.yaml", "version.json", "metrics.jsonl", "checkpoints/last.ckpt"):
            assert (run / file).is_file(), file
        assert (run / "depth_net" / "model.safetensors").is_file()
        assert list((run / "tensorboard").glob("events*"))
        assert json.loads((run / "version.json").read_text())["finished"] is True
    state = torch.load(runs / "student" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(name.startswith("depth_net.") for name in state)


def test_tensorboard_has_image_grids_with_named_columns(runs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(runs / "student" / "tensorboard"))
    events.Reload()
    (grid,) = events.Tags()["images"]
    assert grid.startswith("vis/input | target | reliable | error")


def test_scalars_are_logged_as_json_lines_and_in_tensorboard(runs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = [json.loads(line) for line in (runs / "student" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert {"loss/distillation", "loss/semantic", "loss/total", "mask/reliable", "depth/median"} <= rows[0].keys()
    events = EventAccumulator(str(runs / "student" / "tensorboard"))
    events.Reload()
    logged = [event.value for event in events.Scalars("loss/distillation")]
    assert logged == pytest.approx([row["loss/distillation"] for row in rows])


def test_second_call_redoes_nothing(runs, world_root, capsys):
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}
    assert train.main([*arguments("teacher", runs, world_root), "--resume"]) == 0
    assert translate.main(arguments("translate", runs, world_root)) == 0
    assert train.main([*arguments("student", runs, world_root), "--resume"]) == 0
    assert "was finished already" in capsys.readouterr().out
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert [path.name for path in changed if path.suffix in (".jpg", ".safetensors", ".ckpt")] == []


def interrupted(monkeypatch, step, action):
    """Make a teacher do something at the beginning of a step."""
    original = TeacherModule.training_step

    def training_step(self, batch, batch_idx):
        if self.global_step == step:
            action()
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TeacherModule, "training_step", training_step)


def weights(run):
    return load_file(run / "depth_net" / "model.safetensors")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_behind_a_step_and_resumes_bit_for_bit(world_root, tmp_path, number):
    steps = ("RUN.MAX_STEPS", "7")  # 8 frames in batches of 2: interrupted in the middle of the second epoch
    assert train.main(arguments("teacher", tmp_path / "whole", world_root, *steps)) == 0
    args = arguments("teacher", tmp_path / "cut", world_root, *steps)
    with pytest.MonkeyPatch.context() as patch:
        interrupted(patch, 4, lambda: os.kill(os.getpid(), number))
        if number == signal.SIGINT:
            assert train.main(args) == 130
        else:
            with pytest.raises(SystemExit) as stop:
                train.main(args)
            assert stop.value.code == 143
    stored = torch.load(tmp_path / "cut" / "teacher" / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["global_step"] == 5
    assert train.main([*args, "--resume"]) == 0
    whole, cut = weights(tmp_path / "whole" / "teacher"), weights(tmp_path / "cut" / "teacher")
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def test_a_damaged_checkpoint_falls_back_to_the_one_before(world_root, tmp_path, caplog):
    args = arguments("teacher", tmp_path, world_root, "RUN.MAX_STEPS", "6", "RUN.CHECKPOINT_EVERY", "2")

    def fail():
        raise RuntimeError("power cut")

    def fail_to_save(path, state):
        raise RuntimeError("another power cut")

    with pytest.MonkeyPatch.context() as patch:
        interrupted(patch, 5, fail)
        with pytest.raises(RuntimeError, match="power cut"):
            train.main(args)
    last = tmp_path / "teacher" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    before = last.with_name("previous.ckpt").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "save_checkpoint", fail_to_save)
        with pytest.raises(RuntimeError, match="another power cut"):
            train.main([*args, "--resume"])
    assert last.with_name("previous.ckpt").read_bytes() == before  # the damaged one has not replaced it
    assert train.main([*args, "--resume"]) == 0
    assert "trying the one before" in caplog.text
    assert train.main([*arguments("teacher", tmp_path / "whole", world_root, *args[-4:])]) == 0
    whole, resumed = weights(tmp_path / "whole" / "teacher"), weights(tmp_path / "teacher")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_run_that_never_began_leaves_its_name_free(world_root, tmp_path, capsys):
    assert train.main(arguments("teacher", tmp_path, tmp_path / "nowhere")) == 4
    assert train.main(arguments("teacher", tmp_path, world_root)) == 0
    other = arguments("teacher", tmp_path, world_root, "LOSS.SMOOTHNESS", "0.5")
    assert "another configuration" in one_line_error(capsys, 4, train.main, other)
    assert "add --resume" in one_line_error(capsys, 4, train.main, arguments("teacher", tmp_path, world_root))


def test_an_output_folder_that_cannot_be_written_is_named_before_anything_is_loaded(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    args = arguments("teacher", tmp_path / "file" / "runs", tmp_path / "nowhere")
    error = one_line_error(capsys, 4, train.main, args)
    assert f"cannot write {tmp_path}/file/runs/teacher/.lock: {tmp_path}/file is a file; choose a folder" in error


def test_a_second_training_into_the_same_folder_is_refused_at_once(world_root, tmp_path, capsys):
    with lock_folder(tmp_path / "teacher"):
        error = one_line_error(capsys, 4, train.main, arguments("teacher", tmp_path, tmp_path / "nowhere"))
        holder = f"{tmp_path}/teacher is in use by process {os.getpid()} on {platform.node()} since "
        assert error.startswith(f"error: {holder}")
    assert train.main(arguments("teacher", tmp_path, world_root, "RUN.MAX_STEPS", "1")) == 0


def test_a_full_disk_ends_training_with_code_6_and_the_need(world_root, tmp_path, capsys, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    error = one_line_error(capsys, 6, train.main, arguments("teacher", tmp_path, world_root))
    assert re.search(r"too little space for 3 checkpoints of .* MB: .* MB needed, 1\.0 MB free on that disk", error)
    assert not (tmp_path / "teacher").exists()


@pytest.mark.slow
def test_two_processes_train_together(world_root, tmp_path):
    options = ("RUN.DEVICES", "2", "RUN.ACCELERATOR", "cpu")
    command = [sys.executable, str(CONFIGS.parent / "tools" / "train.py")]
    command += arguments("teacher", tmp_path, world_root, *options)
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    assert json.loads((tmp_path / "teacher" / "version.json").read_text())["steps"] == 3


def test_evaluation_writes_tables_per_condition(runs, world_root, capsys):
    args = ["--cfg", str(CONFIGS / "demo.yaml"), "--weights", str(runs / "teacher"), "--split", "val"]
    assert evaluate_nuscenes.main([*args, "DATA.ROOT", str(world_root), "DATA.SIZE", "[64, 96]"]) == 0
    metrics = json.loads((runs / "teacher" / "eval" / "val" / "metrics.json").read_text())
    frames = {name: row["frames"] for name, row in metrics["conditions"].items()}
    assert frames["night"] == frames["night-clear"] + frames["night-rain"] > 0
    assert frames["all"] == frames["night"] + frames["day-clear"] + frames["day-rain"]
    assert "night-rain" in capsys.readouterr().out


def test_learned_poses_in_mixed_precision_chain_into_a_student(runs, world_root, tmp_path):
    mixed = ("RUN.PRECISION", "bf16-mixed", "MODEL.POSE", "learned", "MODEL.POSE_PRETRAINED", "False")
    assert train.main(arguments("teacher", tmp_path, world_root, *mixed)) == 0
    rows = [json.loads(line) for line in (tmp_path / "teacher" / "metrics.jsonl").read_text().splitlines()]
    assert "loss/velocity" in rows[0]
    assert rows[-1]["depth/min"] < rows[-1]["depth/max"]
    assert (tmp_path / "teacher" / "pose_net" / "model.safetensors").is_file()
    args = arguments("student", tmp_path, world_root, *mixed, "DATA.TRANSLATED.ROOT", str(runs / "translated"))
    assert train.main(args) == 0


def test_same_seed_gives_the_same_weights(runs, world_root, tmp_path):
    assert train.main(arguments("teacher", tmp_path, world_root)) == 0
    first, second = weights(runs / "teacher"), weights(tmp_path / "teacher")
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_unknown_key_is_one_line_with_a_suggestion(world_root, tmp_path, capsys):
    error = one_line_error(capsys, 2, train.main, arguments("teacher", tmp_path, world_root, "SOLVER.BATCHSIZE", "2"))
    assert "SOLVER.BATCHSIZE" in error
    assert "SOLVER.BATCH_SIZE" in error
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize("tool", ["train", "translate", "evaluate"])
def test_missing_data_root_is_named(runs, tmp_path, capsys, tool):
    nowhere = tmp_path / "nowhere"
    main, args = {
        "train": (train.main, arguments("teacher", tmp_path, nowhere)),
        "translate": (
            translate.main,
            arguments("translate", tmp_path, nowhere, "TRANSLATOR.DEPTH_MODEL", str(runs / "teacher")),
        ),
        "evaluate": (
            evaluate_nuscenes.main,
            ["--cfg", str(CONFIGS / "demo.yaml"), "--weights", str(runs / "teacher"), "DATA.ROOT", str(nowhere)],
        ),
    }[tool]
    assert "nowhere" in one_line_error(capsys, 4, main, args)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            ("TRANSLATOR.CONDITIONS", "[nigth]"),
            ("TRANSLATOR.CONDITIONS", "night, rain, night_rain, snow, fog", "nigth"),
        ),
        (("TRANSLATOR.DEPTH_MODEL", "''"), ("TRANSLATOR.DEPTH_MODEL", "teacher's run folder")),
        (
            ("TRANSLATOR.DEPTH_MODEL", "outputs/none/run"),
            ("TRANSLATOR.DEPTH_MODEL: no trained model", "tools/train.py"),
        ),
        (("TRANSLATOR.DEPTH_MODEL", "some/model"), ("TRANSLATOR.DEPTH_MODEL: some/model cannot", "hf download")),
        (
            ("TRANSLATOR.KIND", "diffusion", "TRANSLATOR.REFERENCES", "data/no_references"),
            ("TRANSLATOR.REFERENCES: ", "data/no_references/night"),
        ),
    ],
)
def test_translator_settings_without_a_meaning_are_named(runs, world_root, capsys, override, words):
    code = 2 if len(words) == 3 or "run folder" in words[1] else 4
    args = arguments("translate", runs, world_root, "NAME", "unmade", *override)
    error = one_line_error(capsys, code, translate.main, args)
    assert all(word in error for word in words)
    assert not (runs / "unmade").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (("MODEL.DEPTH.MAX", "40.0"), ("max_depth is 40.0 but 80.0", "MODEL.INIT_FROM_TEACHER")),
        (("MODEL.POSE", "learned"), ("which has none", "MODEL.POSE ego")),
    ],
)
def test_a_student_that_does_not_fit_its_teacher_is_told_why(runs, world_root, capsys, override, words):
    args = arguments("student", runs, world_root, "NAME", "misfit", *override)
    error = one_line_error(capsys, 2, train.main, args)
    assert all(word in error for word in words)
    assert not (runs / "misfit").exists()


def test_new_translations_make_a_new_student(runs, world_root, tmp_path, capsys):
    output = tmp_path / "copy"
    shutil.copytree(runs, output)
    manifest = output / "translated" / "translation.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"config_hash": "another"}))
    args = [*arguments("student", runs, world_root), "DATA.TRANSLATED.ROOT", str(output / "translated")]
    assert "another configuration" in one_line_error(capsys, 4, train.main, [*args, "--resume"])


def test_missing_translation_is_named(runs, world_root, tmp_path, capsys):
    shutil.copytree(runs / "translated", tmp_path / "translated")
    (removed,) = sorted((tmp_path / "translated" / "night").glob("*.jpg"))[:1]
    removed.unlink()
    args = arguments("student", tmp_path, world_root, "MODEL.TEACHER", str(runs / "teacher"))
    error = one_line_error(capsys, 4, train.main, args)
    assert f"no translated frame for 'night' of {removed.stem}" in error
    assert "python tools/translate.py" in error
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize(("damage", "workers"), [("truncated", 0), ("missing", 0), ("missing", 1)])
def test_damaged_image_is_named(world_root, tmp_path, capsys, damage, workers):
    shutil.copytree(world_root, tmp_path / "world")
    for sweep in (tmp_path / "world" / "sweeps" / "CAM_FRONT").glob("*.jpg"):
        sweep.write_bytes(sweep.read_bytes()[:200]) if damage == "truncated" else sweep.unlink()
    args = arguments("teacher", tmp_path, tmp_path / "world", "RUN.NUM_WORKERS", str(workers))
    error = one_line_error(capsys, 4, train.main, args)
    assert "sweeps/CAM_FRONT/" in error
    assert not (tmp_path / "teacher" / "depth_net").exists()
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_student_without_a_trained_teacher_is_told_to_train_one(runs, world_root, tmp_path, capsys):
    args = arguments("student", runs, world_root, "MODEL.TEACHER", str(tmp_path / "none"), "NAME", "other")
    error = one_line_error(capsys, 4, train.main, args)
    assert "MODEL.TEACHER: no trained model in" in error
    assert "tools/train.py" in error


def test_devices_that_are_not_there_or_find_too_few_frames_are_named(world_root, tmp_path, capsys):
    if not torch.cuda.is_available():
        args = arguments("teacher", tmp_path, world_root, "RUN.ACCELERATOR", "gpu")
        assert "RUN.ACCELERATOR is gpu, but torch finds no GPU" in one_line_error(capsys, 2, train.main, args)
    args = arguments("teacher", tmp_path, world_root, "RUN.DEVICES", "8", "RUN.ACCELERATOR", "cpu")
    assert "SOLVER.BATCH_SIZE 2 on 8 device(s)" in one_line_error(capsys, 4, train.main, args)
    assert not (tmp_path / "teacher").exists()


def test_diffusion_translates_a_data_set_with_weights_from_folders(runs, world_root, tmp_path):
    weights, references = tmp_path / "weights", tmp_path / "references"
    save_tiny_pipeline(weights)
    for index, condition in enumerate(("night", "rain")):
        pixels = np.full((32, 32, 3), 40 + 90 * index, np.uint8)
        pixels[8:24, 8:24] = 200
        write_image(references / condition / "a.png", pixels)
    options = [
        *("TRANSLATOR.KIND", "diffusion", "TRANSLATOR.STEPS", "2", "TRANSLATOR.CONDITIONS", "[night, rain]"),
        *("TRANSLATOR.BASE_MODEL", str(weights / "base"), "TRANSLATOR.CONTROL", str(weights / "control")),
        *("TRANSLATOR.IP_ADAPTER", str(weights / "ip_adapter"), "TRANSLATOR.IP_ADAPTER_WEIGHTS", IP_ADAPTER_WEIGHTS),
        *("TRANSLATOR.REFERENCES", str(references), "TRANSLATOR.DEPTH_MODEL", str(runs / "teacher")),
        *("TRANSLATOR.QUALITY.ENABLED", "False"),  # untrained networks
    ]
    args = arguments("translate", tmp_path, world_root)
    assert translate.main([*args, *options]) == 0
    rows = [json.loads(line) for line in (tmp_path / "translated" / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 16
    assert {row["condition"] for row in rows} == {"night", "rain"}
    assert all(
        row["prompt"] and row["reference"] and (tmp_path / "translated" / row["condition"]).is_dir() for row in rows
    )
    files = [path for name in ("night", "rain") for path in (tmp_path / "translated" / name).glob("*.jpg")]
    images = [read_image(path) for path in files]
    assert all(image.shape == (64, 96, 3) for image in images)
    assert len({image.tobytes() for image in images}) == 16


def test_weights_that_are_not_there_are_named(world_root, tmp_path, capsys):
    args = ["--cfg", str(CONFIGS / "demo.yaml"), "--weights", str(tmp_path), "DATA.ROOT", str(world_root)]
    assert "--weights: no trained model in" in one_line_error(capsys, 4, evaluate_nuscenes.main, args)


def test_help_shows_complete_commands(capsys):
    for tool in (train, translate, evaluate_nuscenes):
        with pytest.raises(SystemExit):
            tool.main(["--help"])
        out = capsys.readouterr().out
        assert f"python tools/{tool.__name__}.py --cfg configs/" in out
        assert "KEY VALUE" in out
