"""The supervised stage and that of real adverse frames as runs: frames, chains, resuming, and what they refuse."""

import json
import shutil
from pathlib import Path

import cache_frames
import numpy as np
import pytest
import torch
import train
from made_folders import write_own_images
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from walled_street import NATIVE, SIZE, WalledStreet, translations

from ude.build import frames as build_frames
from ude.build.sources import training_source
from ude.build.stages.adapt import adapt
from ude.config import ConfigError, load_config
from ude.data.batches import collate
from ude.data.datasets import TrainingFrames
from ude.data.nuscenes import NuScenesFrames
from ude.engine.adapt import AdaptModule
from ude.engine.supervised import SupervisedModule
from ude.files import read_json, write_image, write_json

CONFIGS = Path(__file__).parents[1] / "configs"
SMALL = [
    *("DATA.SIZE", "[64, 96]", "MODEL.DEPTH.INPUT_SIZE", "[64, 96]", "MODEL.DEPTH.BACKBONE", "resnet_small"),
    *(
        "MODEL.DEPTH.PRETRAINED",
        "false",
        "MODEL.DEPTH.NUM_SCALES",
        "1",
        "MODEL.POSE",
        "ego",
        "MODEL.SEMANTIC",
        "teacher",
    ),
    *("SOLVER.BATCH_SIZE", "2", "SOLVER.EPOCHS", "9", "SOLVER.LR_ENCODER", "1e-3", "SOLVER.LR_DECODER", "1e-3"),
    *("RUN.MAX_STEPS", "2", "RUN.LOG_EVERY", "1", "RUN.CHECKPOINT_EVERY", "1", "RUN.IMAGES_EVERY", "2"),
    *("RUN.NUM_WORKERS", "0", "RUN.ACCELERATOR", "cpu"),
]


def dark(folder, source, conditions):
    """Translations of all frames of a source, which are dark."""
    for index in range(len(source)):
        for condition in conditions:
            write_image(folder / condition / f"{source.frame_id(index)}.jpg", np.asarray(source.image(index)) // 3)
    return folder


@pytest.fixture(scope="module")
def runs(world_root, train_frames, tmp_path_factory):
    """Teacher, translations and student of the tiny world."""
    output = tmp_path_factory.mktemp("runs")
    dark(output / "translated", train_frames, ("night", "rain"))
    assert train.main(arguments("teacher_nuscenes", output, world_root)) == 0
    assert train.main(arguments("student_nuscenes", output, world_root)) == 0
    return output


@pytest.fixture(scope="module")
def train_frames(world_root):
    return NuScenesFrames(world_root, split="train", offsets=(-1, 1))


def arguments(config, output, root, *extra, upstream=None):
    """Arguments of a small run of a config, whose upstream runs lie in another folder, or in that of its own."""
    upstream = upstream or output
    adverse = ("DATA.SPLIT_TRAIN", "val") if config.startswith("adapt") else ()
    teacher = {"student_nuscenes": "teacher_nuscenes", "adapt_nuscenes": "student_nuscenes"}.get(config)
    return [
        *("--cfg", str(CONFIGS / f"{config}.yaml"), "OUTPUT_DIR", str(output), "DATA.ROOT", str(root), *SMALL),
        *("DATA.TRANSLATED.ROOT", str(upstream / "translated"), *adverse),
        *(("MODEL.TEACHER", str(upstream / teacher)) if teacher else ()),
        *extra,
    ]


def config_of(*args):
    """The config of a tool's arguments."""
    _, path, *overrides = args
    return load_config(path, overrides)


def weights(run):
    return load_file(run / "depth_net" / "model.safetensors")


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def error_of(capsys, code, args):
    """The one line of a training that must end with an exit code."""
    capsys.readouterr()
    assert train.main(args) == code
    error = capsys.readouterr().err
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in error
    return line


# --- LiDAR in training batches


class MeasuredStreet(WalledStreet):
    """The street with LiDAR, apart from its second frame; counts what is read."""

    def __init__(self, count=4):
        super().__init__(count)
        self.lidar_read = 0

    def lidar_path(self, index):
        return None if index == 1 else Path(f"{index}.bin")

    def sparse_lidar(self, index):
        self.lidar_read += 1
        return super().sparse_lidar(index)


def test_a_training_batch_holds_the_returns_of_its_frames_padded(tmp_path):
    source = MeasuredStreet()
    for translated in (None, translations(tmp_path, source, "night")):
        frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translated, with_lidar=True)
        batch = frames.__getitems__([3, 1, 0])
        assert batch["lidar_index"].shape == batch["lidar_value"].shape == (3, 5)
        assert batch["native_size"].tolist() == [list(NATIVE)] * 3
        for row, index in enumerate((3, 1, 0)):
            pixels, depth = source.sparse_lidar(index) if index != 1 else (np.empty(0), np.empty(0))
            assert batch["lidar_index"][row].tolist() == [*pixels.tolist(), *[-1] * (5 - len(pixels))]
            assert batch["lidar_value"][row].tolist() == [*depth.tolist(), *[0] * (5 - len(depth))]
        assert (batch["lidar_index"].dtype, batch["lidar_value"].dtype) == (torch.int64, torch.float32)
        samples = collate([frames[3], frames[1], frames[0]])
        assert batch.keys() == samples.keys()
        assert all(batch[key].equal(samples[key]) for key in ("lidar_index", "lidar_value", "native_size"))
    (loaded,) = DataLoader(frames, batch_size=4, num_workers=1, collate_fn=collate)
    assert loaded["lidar_index"].equal(frames.__getitems__(range(4))["lidar_index"])


def test_lidar_is_read_only_where_it_is_asked_for():
    source = MeasuredStreet()
    sample = TrainingFrames(source, size=SIZE, offsets=(-1, 1), with_poses=True)[0]
    assert source.lidar_read == 0
    assert not [key for key in sample if key.startswith("lidar") or key == "native_size"]
    TrainingFrames(source, size=SIZE, offsets=(), with_lidar=True).__getitems__([0, 1, 2])
    assert source.lidar_read == 2  # the second frame has none


def test_only_the_supervised_stage_reads_lidar(runs, world_root, tmp_path, monkeypatch):
    def read(self, index):
        raise AssertionError("LiDAR was read")

    monkeypatch.setattr(NuScenesFrames, "sparse_lidar", read)
    one = ("RUN.MAX_STEPS", "1")
    for config in ("teacher_nuscenes", "student_nuscenes", "adapt_nuscenes"):
        assert train.main(arguments(config, tmp_path, world_root, *one, upstream=runs)) == 0
    with pytest.raises(AssertionError, match="LiDAR was read"):
        train.main(arguments("supervised_nuscenes", tmp_path, world_root, *one, upstream=runs))


def test_the_lidar_cache_is_read_in_place_of_the_sweeps(runs, world_root, tmp_path, monkeypatch, capsys):
    args = arguments("supervised_nuscenes", runs, world_root)
    cached = [*args, "DATA.CACHE_ROOT", str(tmp_path / "cache")]
    plain = build_frames.training_data(config_of(*args)).frames.__getitems__([0, 5])
    assert cache_frames.main([*cached, "--split", "train", "--lidar", "--threads", "1"]) == 0
    assert "LiDAR depth: 8 frames projected" in capsys.readouterr().out
    frames = build_frames.training_data(config_of(*cached)).frames
    monkeypatch.setattr(NuScenesFrames, "sparse_lidar", None)
    batch = frames.__getitems__([0, 5])
    assert all(batch[key].equal(plain[key]) for key in ("lidar_index", "lidar_value", "input", "target"))
    assert (batch["lidar_index"] >= 0).sum() > 50


# --- runs


def test_the_supervised_stage_trains_without_a_teacher(runs, world_root, tmp_path):
    for number, changes in enumerate(([], ["LOSS.SUPERVISED", "l1", "DATA.TRANSLATED.ROOT", ""])):
        output = tmp_path / str(number)
        assert train.main(arguments("supervised_nuscenes", output, world_root, *changes, upstream=runs)) == 0
        run = output / "supervised_nuscenes"
        assert [{key for key in row if key.startswith("loss/")} for row in rows(run)] == [
            {"loss/supervised", "loss/total"}
        ] * 2
        assert {path.name for path in run.iterdir()} >= {"depth_net", "version.json", "config.yaml"}
        assert config_of("", run / "config.yaml").MODEL.TEACHER == ""


def test_the_supervised_stage_sees_the_frames_and_translations_of_the_student(runs, world_root):
    student, supervised = (
        build_frames.training_data(config_of(*arguments(f"{name}_nuscenes", runs, world_root))).frames
        for name in ("student", "supervised")
    )
    for epoch in range(3):
        for frames in (student, supervised):
            frames.set_epoch(epoch)
        ours, theirs = (frames.__getitems__(range(8)) for frames in (student, supervised))
        assert ours["frame_id"] == theirs["frame_id"]
        assert ours["input_condition"] == theirs["input_condition"]
        assert ours["input"].equal(theirs["input"])
    assert not {"sources", "T_source_target"} & theirs.keys()


def test_the_supervised_config_of_robotcar_trains(robotcar_prepared, tmp_path):
    changes = ["DATA.CROP", "[0, 0, 192, 320]"]
    args = arguments("supervised_robotcar", tmp_path, robotcar_prepared, *changes)
    dark(tmp_path / "translated", training_source(config_of(*args)), ("night",))
    assert train.main(args) == 0
    assert all(row["loss/supervised"] > 0 for row in rows(tmp_path / "supervised_robotcar"))


def test_the_stages_chain_by_run_folder_and_know_it(runs, world_root, tmp_path):
    args = arguments("adapt_nuscenes", tmp_path, world_root, "LOSS.HISTOGRAM", "0.001", upstream=runs)
    args += ["DATA.SPLIT_VAL", "test"]
    assert train.main(args) == 0
    run = tmp_path / "adapt_nuscenes"
    terms = {"loss/distillation", "loss/histogram", "loss/total"}
    assert terms | {"label/disagreement"} <= rows(run)[0].keys()
    student, adapted = weights(runs / "student_nuscenes"), weights(run)
    assert student.keys() == adapted.keys()
    assert any(not torch.equal(value, adapted[name]) for name, value in student.items())
    assert not (run / "label_cache").exists()
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(name.startswith("depth_net.") for name in state)
    assert train.main([*args, "--resume"]) == 0
    version = runs / "teacher_nuscenes" / "version.json"  # named by the student's run alone
    before = read_json(version)
    try:
        write_json(version, before | {"config_hash": "of another training"})
        assert train.main([*args, "--resume"]) == 4
    finally:
        write_json(version, before)


def test_adaptation_begins_as_the_student_and_takes_the_frames_of_the_conditions(runs, world_root):
    cfg = config_of(*arguments("adapt_nuscenes", runs, world_root))
    source = training_source(cfg)
    found = [source.condition(index) for index in range(len(source))]
    assert sorted(set(found)) == ["day-rain", "night-clear", "night-rain"]
    assert len(found) == 6
    module = adapt(cfg)
    for name, run in (("student", "student_nuscenes"), ("day", "teacher_nuscenes")):
        kept = module.frozen[name].state_dict()
        assert all(torch.equal(value, kept[key]) for key, value in weights(runs / run).items())
    trained = module.depth_net.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in weights(runs / "student_nuscenes").items())


@pytest.mark.parametrize(
    ("config", "module"), [("supervised_nuscenes", SupervisedModule), ("adapt_nuscenes", AdaptModule)]
)
def test_a_killed_run_resumes_bit_for_bit(config, module, runs, world_root, tmp_path, monkeypatch):
    steps = ("RUN.MAX_STEPS", "6", "DATA.NOISE_PROB", "0.5", "RUN.CHECKPOINT_EVERY", "2")
    steps += ("LOSS.HISTOGRAM", "0.1") if module is AdaptModule else ()
    whole = arguments(config, tmp_path / "whole", world_root, *steps, upstream=runs)
    cut = arguments(config, tmp_path / "cut", world_root, *steps, upstream=runs)
    assert train.main(whole) == 0
    losses = module.losses

    def killed(self, batch):
        if self.global_step == 5:  # one step behind the last checkpoint, in the second epoch
            raise RuntimeError("power cut")
        return losses(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(module, "losses", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            train.main(cut)
    assert torch.load(tmp_path / "cut" / config / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    assert train.main([*cut, "--resume"]) == 0
    one, two = weights(tmp_path / "whole" / config), weights(tmp_path / "cut" / config)
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    logged = [[row["loss/total"] for row in rows(tmp_path / name / config)] for name in ("whole", "cut")]
    assert logged[0] == logged[1]
    assert len(logged[0]) == 6


# --- what is refused


def test_frames_without_lidar_are_refused_by_the_supervised_stage(tmp_path, capsys):
    root = write_own_images(tmp_path / "own")
    source = ("DATA.SOURCE", "image_folder", "DATA.TRANSLATED.ROOT", "")
    error = error_of(capsys, 4, arguments("supervised_nuscenes", tmp_path, root, *source))
    assert f"none of the 3 training frames of {root} has LiDAR depth, which STAGE supervised learns from" in error
    assert not (tmp_path / "supervised_nuscenes" / "depth_net").exists()


def test_runs_that_are_not_there_are_named_by_their_key(runs, world_root, tmp_path, capsys):
    nowhere = str(tmp_path / "nowhere")
    args = arguments("adapt_nuscenes", tmp_path, world_root, upstream=runs)
    assert f"MODEL.TEACHER: no trained model in {nowhere}" in error_of(capsys, 4, [*args, "MODEL.TEACHER", nowhere])
    error = error_of(capsys, 4, [*args, "MODEL.DAY_TEACHER", nowhere])
    assert f"MODEL.DAY_TEACHER: no trained model in {nowhere}" in error
    teacher = runs / "teacher_nuscenes"  # has no teacher of its own
    error = error_of(capsys, 2, [*args, "MODEL.TEACHER", str(teacher)])
    assert f"MODEL.DAY_TEACHER must name the run folder of the day teacher: {teacher}/config.yaml does not" in error
    adapted = tmp_path / "adapted"  # its MODEL.TEACHER is a student
    shutil.copytree(runs / "student_nuscenes", adapted)
    text = (adapted / "config.yaml").read_text()
    (adapted / "config.yaml").write_text(text.replace("STAGE: student", "STAGE: adapt"))
    error = error_of(capsys, 2, [*args, "MODEL.TEACHER", str(adapted)])
    assert f"MODEL.DAY_TEACHER must name the run folder of the day teacher: {adapted}/config.yaml does not" in error
    error = error_of(capsys, 2, [*args, "MODEL.DEPTH.NUM_SCALES", "2"])
    assert "num_scales is 2 but 1 in" in error
    assert "which STAGE adapt starts from" in error


def test_day_frames_that_cannot_be_read_are_skipped_as_those_of_training(runs, world_root):
    skip = ("LOSS.HISTOGRAM", "0.001", "DATA.ON_ERROR", "skip", "DATA.MAX_SKIPPED", "0.25")
    cfg = config_of(*arguments("adapt_nuscenes", runs, world_root, *skip))
    unreadable = adapt(cfg).day_frames.dataset.dataset.unreadable
    assert (unreadable.on_error, unreadable.max_skipped) == ("skip", 0.25)


def test_a_condition_without_frames_is_named(runs, world_root, tmp_path, capsys):
    listed = tmp_path / "night.txt"
    source = NuScenesFrames(world_root, split="val", conditions=["night-clear"])
    listed.write_text("".join(f"{source.frame_id(index)} night-clear\n" for index in range(len(source))))
    args = arguments("adapt_nuscenes", tmp_path, world_root, "DATA.SPLIT_TRAIN", str(listed), upstream=runs)
    error = error_of(capsys, 4, args)
    assert "DATA.CONDITIONS: split" in error
    assert "holds no usable frame in day-rain, night-rain; leave that out" in error
    assert "no frame is left" in error_of(capsys, 4, [*args, "DATA.CONDITIONS", "[day-rain]"])
    error = error_of(capsys, 4, [*args, "DATA.CONDITIONS", "[night-clear]", "LOSS.HISTOGRAM", "1"])
    assert "LOSS.HISTOGRAM: no frame is left" in error


@pytest.mark.parametrize(
    ("config", "overrides", "problem"),
    [
        ("adapt_nuscenes", ["MODEL.TEACHER", ""], "MODEL.TEACHER must be the run folder of a student"),
        ("adapt_nuscenes", ["DATA.CONDITIONS", "[]"], "DATA.CONDITIONS must be the recording conditions of the real"),
        (
            "adapt_nuscenes",
            ["DATA.CONDITIONS", "[night]"],
            "DATA.CONDITIONS must be different ones of day-clear, day-r",
        ),
        ("adapt_nuscenes", ["MODEL.DEPTH.WEIGHTS", "x"], "MODEL.DEPTH.WEIGHTS must be '' when adapt starts from its"),
        ("adapt_nuscenes", ["LOSS.AGREEMENT_EPS", "-1"], "LOSS.AGREEMENT_EPS must be at least 0"),
        (
            "teacher_nuscenes",
            ["DATA.CONDITIONS", "[night-rain]"],
            r"DATA.CONDITIONS must be \(\) when STAGE is teacher",
        ),
        ("teacher_nuscenes", ["DATA.FRAME_OFFSETS", "[]"], "DATA.FRAME_OFFSETS must be different whole numbers"),
        ("supervised_nuscenes", ["LOSS.SUPERVISED", "l2"], "LOSS.SUPERVISED must be one of silog, l1, got 'l2'"),
        (
            "supervised_nuscenes",
            ["LOSS.SUPERVISED_VARIANCE", "1.5"],
            "LOSS.SUPERVISED_VARIANCE must be between 0 and 1",
        ),
    ],
)
def test_contradictions_are_named(config, overrides, problem):
    with pytest.raises(ConfigError, match=problem):
        load_config(CONFIGS / f"{config}.yaml", overrides)


def test_the_config_that_uses_real_adverse_frames_says_so():
    text = " ".join((CONFIGS / "adapt_nuscenes.yaml").read_text().replace("#", " ").split())
    assert "DOES use real adverse frames" in text
