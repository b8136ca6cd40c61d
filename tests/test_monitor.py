"""RUN.MONITOR: the best network on held-out training scenes is kept, and the training learns what it would without."""

import json
import os
from pathlib import Path

import pytest
import torch
import train
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import in_processes, power_cut, rows, tiny_fit

from ude.build.evaluation import evaluate_split
from ude.build.predictors import predictor
from ude.config import ConfigError, load_config
from ude.config.monitored import monitored
from ude.config.rules import CHOICES
from ude.engine.monitor import Monitor
from ude.evaluation.alignment import ALIGNMENTS, mode_suffixes
from ude.evaluation.protocols import PROTOCOLS
from ude.files import DataError, read_json, write_json
from ude.models.checkpoint import load_depth_net
from ude.models.encoders import add_lora

CONFIG = Path(__file__).parents[1] / "configs" / "demo_teacher.yaml"
TINY = {"backbone": "tiny", "batch_size": 4}  # 9 frames: 2 steps per epoch
THREE = {**TINY, "epochs": 3, "checkpoint_every": 3}
SMALL = (
    *("DATA.SIZE", "[64, 96]", "MODEL.DEPTH.INPUT_SIZE", "[64, 96]", "MODEL.DEPTH.BACKBONE", "resnet_small"),
    *("SOLVER.BATCH_SIZE", "4", "SOLVER.EPOCHS", "3", "RUN.LOG_EVERY", "1", "RUN.NUM_WORKERS", "0"),
    *("RUN.ACCELERATOR", "cpu", "RUN.IMAGES_EVERY", "0"),
)
WATCH = ("RUN.MONITOR", "night/abs_rel_median", "RUN.MONITOR_SPLIT", "test")


class Watched:
    """A measurement that gives the next number, disturbs what it can, and notes the weights."""

    def __init__(self, *values):
        self.values = list(values)
        self.states = []

    def __call__(self, network, device):
        assert not any(module.training for module in network.modules())
        with torch.inference_mode():
            network(torch.rand(2, 3, 32, 64))
        self.states.append({name: value.clone() for name, value in network.state_dict().items()})
        return self.values[len(self.states) - 1]


def monitor(measure, *, higher=False, every=1, split="held out"):
    return Monitor(measure, name="night/abs_rel", rules={"split": split}, higher_is_better=higher, every=every)


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(value, two[name]) for name, value in one.items())


def kept(folder):
    return load_file(folder / "depth_net" / "model.safetensors")


def measured(run):
    return [[*json.loads(line).values()] for line in (run / "monitor.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("higher", "best"), [(False, 1), (True, 2)])
def test_the_best_network_is_kept_beside_the_last_one(higher, best, tmp_path):
    watched = Watched(0.3, 0.1, 0.4, 0.2)
    tiny_fit(tmp_path, monitor=monitor(watched, higher=higher), epochs=4, **TINY)
    assert same(kept(tmp_path / "best"), watched.states[best])
    assert same(kept(tmp_path), watched.states[3])
    record = read_json(tmp_path / "best" / "best.json")
    assert (record["value"], record["step"]) == (watched.values[best], 2 * (best + 1))
    assert (record["monitor"], record["split"]) == ("night/abs_rel", "held out")
    assert measured(tmp_path) == [[2, 0.3], [4, 0.1], [6, 0.4], [8, 0.2]]
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("monitor/night/abs_rel")] == [1, 3, 5, 7]


def test_it_measures_every_so_many_epochs_and_at_the_end(tmp_path):
    tiny_fit(tmp_path / "epochs", monitor=monitor(Watched(3, 2), every=2), **THREE)
    assert measured(tmp_path / "epochs") == [[4, 3], [6, 2]]
    tiny_fit(tmp_path / "steps", monitor=monitor(Watched(3, 2), every=2), epochs=9, max_steps=5, **TINY)
    assert measured(tmp_path / "steps") == [[4, 3], [5, 2]]


def test_a_training_learns_bit_for_bit_the_same_with_a_monitor(tmp_path):
    plain, other = (tmp_path / name for name in ("plain", "watched"))
    options = {"stage": "student", "protect": lambda net: net.trunk.encoder.eval(), "batch_size": 4, "epochs": 2}
    drawn = []
    options |= {"at": 3, "action": lambda: drawn.append(torch.rand(3).tolist())}
    module = tiny_fit(plain, **options)
    seen = tiny_fit(other, monitor=monitor(Watched(3, 1)), **options)
    assert drawn[0] == drawn[1]
    assert same(kept(plain), kept(other))
    assert rows(plain) == rows(other)
    modes = [part.training for part in module.depth_net.modules()]
    assert modes == [part.training for part in seen.depth_net.modules()]
    assert {*modes} == {True, False}  # what is frozen on purpose stays so
    assert not (plain / "best").exists()
    assert not (plain / "monitor.jsonl").exists()


def test_a_resumed_run_goes_on_from_its_best(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    tiny_fit(whole, monitor=monitor(Watched(2, 1, 3)), **THREE)
    with pytest.raises(RuntimeError, match="power cut"):
        tiny_fit(cut, monitor=monitor(Watched(2, 1)), at=5, action=power_cut, **THREE)
    assert measured(cut) == [[2, 2], [4, 1]]
    tiny_fit(cut, monitor=monitor(Watched(1, 3)), **THREE)  # from step 3 on
    for folder in ("best", "."):
        assert same(kept(whole / folder), kept(cut / folder))
    assert measured(whole) == measured(cut) == [[2, 2], [4, 1], [6, 3]]
    assert read_json(whole / "best" / "best.json") == read_json(cut / "best" / "best.json")


def test_a_run_cut_off_while_it_measured_measures_when_it_is_resumed(tmp_path):
    def cut(network, device):
        power_cut()

    for epochs in (2, 1):  # cut between two epochs, and behind the last step
        run, options = tmp_path / str(epochs), {**TINY, "epochs": epochs, "checkpoint_every": 2}
        with pytest.raises(RuntimeError, match="power cut"):
            tiny_fit(run, monitor=monitor(cut), **options)
        tiny_fit(run, monitor=monitor(Watched(2, 1)), **options)
        assert measured(run) == [[2, 2], [4, 1]][:epochs]


def test_a_best_network_that_was_chosen_by_other_rules_is_not_gone_on_from(tmp_path):
    with pytest.raises(RuntimeError, match="power cut"):
        tiny_fit(tmp_path, monitor=monitor(Watched(2)), at=3, action=power_cut, **THREE)
    with pytest.raises(DataError, match=r"best was chosen by night/abs_rel on held out, .* on other; resume it with"):
        tiny_fit(tmp_path, monitor=monitor(Watched(2), split="other"), **THREE)
    record = tmp_path / "best" / "best.json"
    write_json(record, read_json(record) | {"value": 0, "sha256": "of a network that was replaced"})
    tiny_fit(tmp_path, monitor=monitor(Watched(1, 2)), **THREE)
    assert read_json(record)["value"] == 1


def test_what_a_run_without_checkpoints_left_is_removed(tmp_path):
    with pytest.raises(RuntimeError, match="power cut"):
        tiny_fit(tmp_path, monitor=monitor(Watched(2)), at=2, action=power_cut, **THREE | {"checkpoint_every": 99})
    assert (tmp_path / "best").is_dir()
    tiny_fit(tmp_path, **THREE | {"epochs": 1})
    assert not (tmp_path / "best").exists()
    assert not (tmp_path / "monitor.jsonl").exists()


def test_low_rank_additions_are_merged_in_the_best_network(tmp_path):
    watched, protect = Watched(1, 2), lambda network: add_lora(network, rank=4)
    module = tiny_fit(tmp_path, stage="student", protect=protect, monitor=monitor(watched), epochs=2, **TINY)
    best = load_depth_net(tmp_path / "best")
    assert not any("lora" in name for name in best.state_dict())
    module.depth_net.load_state_dict(watched.states[0])
    images = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        wanted = module.depth_net.eval()(images).inverse_depths[0]
        torch.testing.assert_close(best(images).inverse_depths[0], wanted, rtol=1e-4, atol=1e-6)


# --- by the config


def arguments(output, root, *extra):
    return ["--cfg", str(CONFIG), "OUTPUT_DIR", str(output), "DATA.ROOT", str(root), *SMALL, *extra]


def error_of(capsys, code, args):
    capsys.readouterr()
    assert train.main(args) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.fixture(scope="module")
def run(world_root, tmp_path_factory):
    """A teacher that was watched on the test scenes."""
    output = tmp_path_factory.mktemp("watched")
    assert train.main(arguments(output, world_root, *WATCH)) == 0
    return output / "teacher"


def test_the_config_measures_as_the_evaluation_does_and_learns_the_same(run, world_root, tmp_path):
    assert train.main(arguments(tmp_path, world_root)) == 0
    assert same(kept(run), kept(tmp_path / "teacher"))
    best, values = read_json(run / "best" / "best.json"), measured(run)
    assert [step for step, _ in values] == [2, 4, 6]
    assert [best["step"], best["value"]] == min(values, key=lambda row: row[1])
    cfg = load_config(CONFIG, arguments(tmp_path, world_root)[2:])
    for folder, value in ((run / "best", best["value"]), (run, values[-1][1])):
        results = evaluate_split(cfg, predictor(folder, "cpu"), "test", progress=False)
        assert results.means["night"]["abs_rel_median"] == pytest.approx(value, rel=1e-6)
    assert predictor(run / "best", "cpu").data_size == (64, 96)


@pytest.mark.slow
def test_two_processes_share_the_frames_and_the_first_one_writes(world_root, tmp_path):
    options = (*WATCH, "SOLVER.EPOCHS", "1", "EVAL.BATCH_SIZE", "3", "DATA.ON_ERROR", "skip")
    assert train.main(arguments(tmp_path / "one", world_root, *options)) == 0
    shared = (*options, "RUN.DEVICES", "2", "SOLVER.BATCH_SIZE", "2")
    pids = in_processes(lambda rank: train.main(arguments(tmp_path / "two", world_root, *shared)))
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    ((step, value),), ((other_step, other),) = (measured(tmp_path / name / "teacher") for name in ("one", "two"))
    assert (step, value) == (other_step, pytest.approx(other, rel=1e-4))


def test_frames_that_are_trained_on_or_reported_are_refused(world_root, tmp_path, capsys):
    for changes, used_by in (
        (["RUN.MONITOR_SPLIT", "train"], "training"),
        (
            ["RUN.MONITOR_SPLIT", "test", "DATA.SPLIT_VAL", str(split_of(tmp_path, world_root, "test"))],
            "DATA.SPLIT_VAL",
        ),
    ):
        error = error_of(capsys, 4, arguments(tmp_path, world_root, *WATCH, *changes))
        assert "RUN.MONITOR_SPLIT: " in error
        assert f"with the frames of {used_by} (first: " in error
    assert "RUN.MONITOR_SPLIT: tset: neither a split" in error_of(
        capsys, 4, arguments(tmp_path, world_root, *WATCH, "RUN.MONITOR_SPLIT", "tset")
    )


def split_of(folder, root, split, condition=""):
    """A file that lists the frames of a split, or those of one condition."""
    from ude.data.nuscenes import NuScenesFrames

    source = NuScenesFrames(root, split=split)
    frames = [(source.frame_id(index), source.condition(index)) for index in range(len(source))]
    path = folder / f"{split}{condition}.txt"
    path.write_text("".join(f"{name} {found}\n" for name, found in frames if found.startswith(condition)))
    return path


def test_a_row_that_would_be_na_is_refused_before_the_training(world_root, tmp_path, capsys):
    days = str(split_of(tmp_path, world_root, "test", "day-clear"))
    error = error_of(capsys, 4, arguments(tmp_path, world_root, *WATCH, "RUN.MONITOR_SPLIT", days))
    assert "RUN.MONITOR: night is n/a on" in error
    assert "it has no frame, and n/a cannot be monitored" in error
    far = ("EVAL.MIN_DEPTH", "79.99999", "EVAL.MAX_DEPTH", "80")
    error = error_of(capsys, 4, arguments(tmp_path, world_root, *WATCH, *far))
    assert "none of its 4 frames has a LiDAR return that counts" in error
    assert not (tmp_path / "teacher" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["RUN.MONITOR", "nigth/abs_rel"], "RUN.MONITOR must be .*; did you mean night/abs_rel"),
        (["RUN.MONITOR", "night/abs_rel_medain"], "did you mean night/abs_rel_median"),
        (["EVAL.ALIGNMENT", "none"], "RUN.MONITOR must be .* got 'night/abs_rel_median'"),
        (
            ["RUN.MONITOR", "night/abs_rel_flip", "EVAL.FLIP", "false"],
            "RUN.MONITOR must be .* got 'night/abs_rel_flip'",
        ),
        (["RUN.MONITOR_SPLIT", ""], "RUN.MONITOR_SPLIT must be a split or file of held-out training scenes"),
        (["DATA.SPLIT_VAL", "./test"], "RUN.MONITOR_SPLIT must be other scenes than DATA.SPLIT_VAL"),
        (["RUN.MONITOR_EVERY", "0"], "RUN.MONITOR_EVERY must be at least 1, got 0"),
        (
            ["STAGE", "self_distillation", "MODEL.FOUNDATION", "x", "DATA.TRANSLATED.ROOT", "y"],
            "RUN.MONITOR must be '' when STAGE is self_distillation",
        ),
    ],
)
def test_a_monitor_that_cannot_be_is_refused_by_the_config(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        load_config(CONFIG, [*WATCH, *changes])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("protocol", CHOICES["EVAL.PROTOCOL"])
def test_the_config_knows_all_rows_metrics_and_modes(protocol, alignment, flip):
    rules, modes = PROTOCOLS[protocol], mode_suffixes(alignment, flip=flip)
    known = [f"{row}/{metric}{mode}" for row in rules.rows for metric in rules.metrics for mode in modes]
    assert sorted(monitored(protocol, alignment, flip=flip)) == sorted(known)
