"""Overrides behind an option of several values are overrides, in every tool."""

from pathlib import Path

import cache_frames
import check_data
import evaluate_corruptions
import evaluate_nuscenes
import make_splits
import prepare_robotcar
import pytest

from ude.config import load_config

CONFIG = str(Path(__file__).parents[1] / "configs" / "robotcar.yaml")
KEYS = ["DATA.ROOT", "data/other", "SEED", "3"]
each_option = pytest.mark.parametrize(
    ("tool", "needed", "option", "values"),
    [
        (check_data, [], "--split", ["train", "test"]),
        (cache_frames, [], "--split", ["train", "val"]),
        (make_splits, [], "--splits", ["train", "Val.txt"]),
        (prepare_robotcar, ["--raw", "raw"], "--traverse", ["2014-12-09-13-21-02"]),
        (prepare_robotcar, ["--raw", "raw"], "--condition", ["a=night-clear", "b=day-clear"]),
        (prepare_robotcar, ["--raw", "raw"], "--import-md4all", ["a.txt", "b.txt"]),
        (evaluate_nuscenes, [], "--weights", ["run", "our student=run"]),
        (evaluate_corruptions, ["--weights", "run"], "--corruptions", ["fog", "snow"]),
        (evaluate_corruptions, ["--weights", "run"], "--severities", ["1", "3"]),
    ],
)


def parsed(tool, *words):
    return tool.build_parser().parse_intermixed_args(["--cfg", CONFIG, *words])


@each_option
def test_keys_behind_an_option_of_several_values_are_overrides(tool, needed, option, values):
    name = option.removeprefix("--").replace("-", "_")
    alone = getattr(parsed(tool, *needed, option, *values), name)
    assert len(alone) == len(values)
    for words in (
        [*needed, option, *values, *KEYS],
        [option, *values, *KEYS, *needed],
        [KEYS[0], KEYS[1], option, *values, *KEYS[2:], *needed],
        [*KEYS, *needed, option, *values],
    ):
        arguments = parsed(tool, *words)
        assert getattr(arguments, name) == alone
        assert arguments.overrides == KEYS


def test_keys_behind_two_options_of_several_values_are_overrides():
    words = ["--weights", "run", "--corruptions", "fog", "snow", "--severities", "1", "3"]
    for place in (5, 8):
        arguments = parsed(evaluate_corruptions, *words[:place], *KEYS, *words[place:])
        assert (arguments.corruptions, arguments.severities) == (["fog", "snow"], ["1", "3"])
        assert arguments.overrides == KEYS
    arguments = parsed(evaluate_nuscenes, "--weights", "a", "SEED", "1", "--weights", "b=c", "SEED", "2", "--no-report")
    assert (arguments.weights, arguments.overrides) == (["a", "b=c"], ["SEED", "1", "SEED", "2"])


def test_a_later_override_wins_wherever_it_stands():
    arguments = parsed(check_data, "SEED", "1", "--split", "train", "SEED", "2", "--deep", "SEED", "3")
    assert load_config(arguments.cfg, arguments.overrides).SEED == 3
    assert (arguments.split, arguments.deep) == (["train"], True)


def test_values_that_look_like_options_or_numbers_stay_with_their_keys():
    words = ["--split", "a/B.txt", "DATA.CROP", "[0, 0, 8, 8]", "LOSS.SMOOTHNESS", "-1"]
    assert parsed(check_data, *words).overrides == words[2:]


def test_an_option_without_values_is_named(capsys):
    with pytest.raises(SystemExit):
        parsed(check_data, "--split", "DATA.ROOT", "x")
    assert "argument --split: expected at least one argument" in capsys.readouterr().err


def test_keys_reach_the_preparation_and_the_import_of_splits(tmp_path, capsys):
    raw = ["--raw", str(tmp_path / "none"), "--traverse", "t"]
    assert prepare_robotcar.main(["--cfg", CONFIG, *raw, "DATA.ROT", str(tmp_path)]) == 2
    assert "DATA.ROT" in capsys.readouterr().err
    assert prepare_robotcar.main([*raw, "--output", str(tmp_path), "DATA.ROOT", "x"]) == 2
    assert "KEY VALUE changes a key of --cfg, which is not given" in capsys.readouterr().err
    words = ["--import-monodepth2", "list.txt", "--output", str(tmp_path), "DATA.ROOT", "x"]
    assert make_splits.main(words) == 2
    assert "DATA.ROOT: keys are changed together with --cfg FILE only" in capsys.readouterr().err
