import os
import random
import string
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ude.config import ConfigError, config_hash, dump_config, load_config
from ude.config.command_line import parser, run_tool
from ude.config.defaults import defaults
from ude.config.validate import CHOICES

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    """Writes a configuration into the test's folder and returns its path."""

    def write_config(text: str | bytes, name: str = "x.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_config


def leaves(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def problems(path, overrides=()) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(path, overrides)
    return str(error.value).splitlines()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads_and_survives_a_dump(path, write):
    config = load_config(path)
    assert load_config(write(dump_config(config), "again.yaml")) == config


def test_no_two_configs_share_a_run_folder():
    texts = "\n".join(path.read_text(encoding="utf-8") for path in CONFIGS)
    runnable = [load_config(path) for path in CONFIGS if f"_BASE_: {path.name}" not in texts]
    folders = [Path(config.OUTPUT_DIR, config.NAME) for config in runnable]
    assert len(set(folders)) == len(folders)
    assert defaults().NAME not in [folder.name for folder in folders]


def test_the_teacher_config_states_the_papers_settings():
    config = load_config(ROOT / "configs/teacher_nuscenes.yaml")
    assert (config.DATA.SIZE, config.MODEL.DEPTH.INPUT_SIZE) == ((320, 576), (518, 784))
    assert (config.SOLVER.EPOCHS, config.SOLVER.BATCH_SIZE, config.SOLVER.SCHEDULE) == (20, 4, "linear")


def test_the_three_steps_are_chained_by_run_folder():
    student, teacher, translate = (
        load_config(ROOT / f"configs/{name}.yaml")
        for name in ("student_nuscenes", "teacher_nuscenes", "translate_sd15")
    )
    assert Path(student.MODEL.TEACHER) == Path(teacher.OUTPUT_DIR, teacher.NAME)
    assert Path(student.DATA.TRANSLATED.ROOT) == Path(translate.OUTPUT_DIR, translate.NAME)
    assert student.DATA.TRANSLATED.CONDITIONS == translate.TRANSLATOR.CONDITIONS


def test_a_base_is_read_first_and_relative_to_the_file(write, tmp_path):
    (tmp_path / "bases").mkdir()
    write("SEED: 1\nDATA: {ROOT: a, FLIP_PROB: 0.25}\n", "bases/base.yaml")
    write("_BASE_: base.yaml\nDATA: {ROOT: b}\n", "bases/middle.yaml")
    config = load_config(write("_BASE_: bases/middle.yaml\nSEED: 2\n"))
    assert (config.SEED, config.DATA.ROOT, config.DATA.FLIP_PROB) == (2, "b", 0.25)


def test_a_circle_of_bases_is_an_error(write):
    write("_BASE_: x.yaml\n", "y.yaml")
    (problem,) = problems(write("_BASE_: y.yaml\n"))
    assert "_BASE_ leads in a circle" in problem


def test_overrides_win_over_files_and_are_read_as_yaml(write):
    path = write("SEED: 1\n")
    overrides = ["SEED", "7", "DATA.SIZE", "(96, 160)", "DATA.FRAME_OFFSETS", "[-1]", "DATA.CACHE", "true"]
    overrides += [
        "TRANSLATOR.CONDITIONS",
        "(night,)",
        "SOLVER.LR_POSE",
        "1e-4",
        "NAME",
        "007",
        "LOSS.RELIABILITY",
        "off",
    ]
    config = load_config(path, overrides)
    assert (config.SEED, config.DATA.SIZE, config.DATA.FRAME_OFFSETS, config.DATA.CACHE) == (7, (96, 160), (-1,), True)
    assert (config.TRANSLATOR.CONDITIONS, config.SOLVER.LR_POSE) == (("night",), 1e-4)
    assert (config.NAME, config.LOSS.RELIABILITY) == ("007", "off")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("", ""), ("''", ""), ('""', ""), ("'a b'", "a b"), ("it's", "it's"), ("'", "'"), ("'a' or 'b'", "'a' or 'b'")],
)
def test_text_on_the_command_line_may_stand_in_quotes(typed, meant, write):
    values = dict(load_config(write("SEED: 0"), ["TRANSLATOR.REFERENCES", typed]).TRANSLATOR)
    assert values["REFERENCES"] == meant


def test_numbers_and_words_of_yaml_mean_what_they_say(write):
    config = load_config(
        write("SOLVER: {LR_POSE: 1, LR_ENCODER: 1e-4}\nLOSS: {RELIABILITY: off, SMOOTHNESS: 0}\nNAME: 2024-01-01")
    )
    assert (config.SOLVER.LR_POSE, config.SOLVER.LR_ENCODER, config.LOSS.SMOOTHNESS) == (1.0, 1e-4, 0.0)
    assert isinstance(config.SOLVER.LR_POSE, float)
    assert (config.LOSS.RELIABILITY, config.NAME) == ("off", "2024-01-01")
    assert load_config(write("NAME: 007")).NAME == "007"


def test_the_share_of_translated_frames_is_auto_or_a_number(write):
    path = write("SEED: 0")
    assert load_config(path).DATA.TRANSLATED.PROB == "auto"
    assert load_config(path, ["DATA.TRANSLATED.PROB", "0.25"]).DATA.TRANSLATED.PROB == 0.25
    assert load_config(path, ["DATA.TRANSLATED.PROB", "1"]).DATA.TRANSLATED.PROB == 1.0
    for wrong in ("often", "1.5"):
        (problem,) = problems(path, ["DATA.TRANSLATED.PROB", wrong])
        assert problem.startswith('command line: DATA.TRANSLATED.PROB must be "auto" or ')


@pytest.mark.parametrize("name", ["1e-4", "007", "off", "null", "~", "a: b", "-", "夜", "true", " x ", "[1]"])
def test_a_dump_keeps_text_that_looks_like_something_else(name, write):
    config = load_config(write("SEED: 0"), ["DATA.ROOT", name])
    assert load_config(write(dump_config(config), "again.yaml")) == config


def test_a_loaded_config_cannot_be_changed(write):
    config = load_config(write("SEED: 0"))
    with pytest.raises(AttributeError):
        config.DATA.ROOT = "elsewhere"


def test_every_problem_is_reported_at_once_with_file_and_key(write):
    base = write("DATA: {SIZE: 320}\n", "base.yaml")
    path = write("_BASE_: base.yaml\nSOLVER: {EPOCHS: 0}\nSTAGE: pupil\n")
    assert problems(path, ["DATA.ROOOT", "x", "RUN.DEVICES"]) == [
        "command line: KEY without VALUE: RUN.DEVICES",
        f"{base}: DATA.SIZE must be tuple like (320, 576), got 320",
        "command line: unknown key DATA.ROOOT; did you mean DATA.ROOT?",
        f"{path}: STAGE must be one of {', '.join(CHOICES['STAGE'])}, got 'pupil'",
        f"{path}: SOLVER.EPOCHS must be at least 1, got 0",
    ]


def typos() -> list[tuple[str, str]]:
    """Thirty (key, key with one letter left out, put in or replaced) pairs; none of them is a key."""
    draw = random.Random(0)
    keys = [key for key, _ in leaves(defaults())]
    pairs = []
    while len(pairs) < 30:
        key = draw.choice(keys)
        at = draw.randrange(len(key))
        letter = draw.choice(string.ascii_uppercase)
        typo = draw.choice([key[:at] + key[at + 1 :], key[:at] + letter + key[at:], key[:at] + letter + key[at + 1 :]])
        if typo not in keys and key[at] != ".":
            pairs.append((key, typo))
    return pairs


def test_30_of_30_typos_are_refused_and_at_least_27_get_the_right_suggestion_first(write):
    path = write("SEED: 0")
    refused = [(key, *problems(path, [typo, "1"])) for key, typo in typos()]
    right = sum(problem.endswith(f"did you mean {key}?") for key, problem in refused)
    assert len(refused) == 30
    assert right >= 27


def test_a_section_without_keys_is_explained(write):
    (problem,) = problems(write("DATA: 5"))
    assert "DATA is a section" in problem
    assert "such as DATA.SOURCE" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SOLVER: {EPOCHS: 2.5}", "SOLVER.EPOCHS must be whole number like 20, got 2.5"),
        ("SOLVER: {EPOCHS: true}", "SOLVER.EPOCHS must be whole number like 20, got True"),
        ("SOLVER: {LR_POSE: .nan}", "SOLVER.LR_POSE must be number like 0.0001, got nan"),
        ("SOLVER: {LR_POSE: -1}", "SOLVER.LR_POSE must be at least 0, got -1.0"),
        ("SOLVER: {BATCH_SIZE: 0}", "SOLVER.BATCH_SIZE must be at least 1, got 0"),
        ("SOLVER: {GRAD_CLIP: -1}", "SOLVER.GRAD_CLIP must be at least 0, got -1.0"),
        ("DATA: {SIZE: [-32, 64]}", "DATA.SIZE must be (height, width), both positive multiples of 32, got (-32, 64)"),
        ("DATA: {SIZE: [100, 64]}", "DATA.SIZE must be (height, width), both positive multiples of 32, got (100, 64)"),
        ("DATA: {SIZE: [64]}", "DATA.SIZE must be tuple like (320, 576), got [64]"),
        ("DATA: {CACHE: yes}", "DATA.CACHE must be true or false, got 'yes'"),
        (
            "DATA: {FRAME_OFFSETS: [0, 1]}",
            "DATA.FRAME_OFFSETS must be different whole numbers other than 0, got (0, 1)",
        ),
        ("DATA: {FRAME_OFFSETS: []}", "DATA.FRAME_OFFSETS must be different whole numbers other than 0, got ()"),
        ("DATA: {FLIP_PROB: 2}", "DATA.FLIP_PROB must be between 0 and 1, got 2.0"),
        ("DATA: {ROOT: }", 'DATA.ROOT must be text like "data/nuscenes", got None'),
        ("TRANSLATOR: {SIZE: [100, 64]}", "both positive multiples of 8, got (100, 64)"),
        ("TRANSLATOR: {CONDITIONS: [../night]}", "TRANSLATOR.CONDITIONS must be different words of a-z, 0-9, _ and -"),
        ("MODEL: {DEPTH: {MIN: 90}}", "MODEL.DEPTH.MAX must be above MODEL.DEPTH.MIN (90.0), got 80.0"),
        ("EVAL: {MAX_DEPTH: 0.1}", "EVAL.MAX_DEPTH must be above EVAL.MIN_DEPTH (0.1), got 0.1"),
        ("NAME: a/b", "NAME must be a folder name without / and \\, got 'a/b'"),
        ("NAME: ..", "NAME must be a folder name without / and \\, got '..'"),
        (
            "RUN: {PRECISION: bf16-true}",
            "RUN.PRECISION must be one of 32-true, bf16-mixed, 16-mixed, got 'bf16-true'",
        ),
        ("MODEL: {POSE: gps}", "MODEL.POSE must be one of learned, ego, got 'gps'"),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_must_be(text, problem, write):
    path = write(text)
    (line,) = problems(path)
    assert line.startswith(f"{path}: ")
    assert problem in line


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_a_resnet_needs_images_with_a_border_to_mirror(backbone, write):
    path = write(f"MODEL: {{DEPTH: {{BACKBONE: {backbone}}}}}")
    (line,) = problems(path, ["MODEL.DEPTH.INPUT_SIZE", "[32, 64]"])
    assert line.endswith(
        f"MODEL.DEPTH.INPUT_SIZE must be (height, width), both at least 33 with the backbone {backbone}, got (32, 64)"
    )
    assert load_config(path, ["MODEL.DEPTH.INPUT_SIZE", "[33, 33]"]).MODEL.DEPTH.INPUT_SIZE == (33, 33)
    load_config(path, ["MODEL.DEPTH.INPUT_SIZE", "[14, 14]", "MODEL.DEPTH.BACKBONE", "tiny"])


def test_a_student_needs_a_teacher_and_translated_frames(write):
    text = "\n".join(problems(write("STAGE: student")))
    assert "MODEL.TEACHER must be the run folder of the teacher" in text
    assert "DATA.TRANSLATED.ROOT must be a folder of tools/translate.py" in text


@pytest.mark.parametrize("stage", CHOICES["STAGE"])
def test_a_drop_of_the_learning_rate_needs_its_step_in_every_stage(stage, write):
    path = write("SOLVER: {SCHEDULE: drop}")
    problem = "SOLVER.DROP_AT must be the number of steps before the drop when SOLVER.SCHEDULE is drop, got 0"
    assert f"{path}: {problem}" in problems(path, ["STAGE", stage])
    assert load_config(path, ["SOLVER.DROP_AT", "5"]).SOLVER.DROP_AT == 5


@pytest.mark.parametrize("stage", ["teacher", "student", "supervised", "adapt"])
def test_squares_are_for_self_distillation(stage, write):
    path = write("DATA: {SQUARE_CROP: true, TRANSLATED: {ROOT: x}}\nMODEL: {TEACHER: x, FOUNDATION: x}")
    load_config(path, ["STAGE", "self_distillation"])
    problem = f"must be false when STAGE is {stage}, which trains on whole frames; got true"
    assert f"{path}: DATA.SQUARE_CROP {problem}" in problems(path, ["STAGE", stage])


def test_a_student_has_something_to_learn_and_no_random_features(write):
    path = write("STAGE: student\nMODEL: {TEACHER: x}\nDATA: {TRANSLATED: {ROOT: x}}\nLOSS: {SEMANTIC: 0}")
    (line,) = problems(path, ["LOSS.DISTILLATION", "0"])
    assert "LOSS.DISTILLATION must be above 0 when LOSS.SEMANTIC, FEATURES and ORDINAL are 0, too" in line
    load_config(path, ["LOSS.DISTILLATION", "0", "LOSS.ORDINAL", "0.01"])
    frozen = ["MODEL.DEPTH.ENCODER", "frozen", "MODEL.INIT_FROM_TEACHER", "false"]
    load_config(path, frozen)
    (line,) = problems(path, [*frozen, "MODEL.DEPTH.PRETRAINED", "false"])
    assert "MODEL.DEPTH.ENCODER must be train with random weights; or set MODEL.INIT_FROM_TEACHER" in line


@pytest.mark.parametrize("encoder", ["frozen", "lora"])
def test_self_distillation_refuses_to_protect_an_encoder_that_it_does_not_have(encoder, write):
    needed = "MODEL: {FOUNDATION: x}\nDATA: {TRANSLATED: {ROOT: x}}"
    path = write(f"STAGE: self_distillation\n{needed}")
    load_config(path)
    assert problems(path, ["MODEL.DEPTH.ENCODER", encoder]) == [
        "command line: MODEL.DEPTH.ENCODER must be train when STAGE is self_distillation, which trains all of "
        f"MODEL.FOUNDATION, got '{encoder}'"
    ]


@pytest.mark.parametrize(
    ("key", "value"), [("SOURCES", "mean"), ("OUT_OF_VIEW", "keep"), ("MARGIN", "0.125"), ("REGIONS", "30")]
)
def test_rules_of_the_reliability_need_the_reliability(key, value, write):
    path = write("STAGE: student\nMODEL: {TEACHER: x}\nDATA: {TRANSLATED: {ROOT: x}}\nLOSS: {RELIABILITY: off}")
    load_config(path)
    changed = [f"LOSS.RELIABILITY_{key}", value]
    load_config(path, [*changed, "LOSS.RELIABILITY", "as_printed"])
    (line,) = problems(path, changed)
    assert line.startswith(f"command line: LOSS.RELIABILITY_{key} has no effect with LOSS.RELIABILITY off, got ")
    assert line.endswith("; leave it out, or set LOSS.RELIABILITY teacher_better")


def test_diffusion_needs_depth_and_with_an_ip_adapter_references(write):
    path = write("TRANSLATOR: {KIND: diffusion}")
    assert [line.split()[1] for line in problems(path)] == ["TRANSLATOR.DEPTH_MODEL", "TRANSLATOR.REFERENCES"]
    config = load_config(path, ["TRANSLATOR.DEPTH_MODEL", "outputs/teacher", "TRANSLATOR.IP_ADAPTER", ""])
    assert config.TRANSLATOR.IP_ADAPTER == ""


HOSTILE = {
    "python tag": ("NAME: !!python/object/apply:os.system ['touch {canary}']", "could not determine a constructor"),
    "alias bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "aliases (*name) are refused",
    ),
    "10 MB": ("x: 1\n" * 2_000_000, "it has 10000000 bytes, more than"),
    "just below the largest size": ("DATA: {SIZE: [" + "1," * 49_000 + "]}", "DATA.SIZE must be tuple like (320, 576)"),
    "deep nesting": ("NAME: " + "[" * 90_000, "it is nested too deeply"),
    "tab": ("DATA:\n\tROOT: x\n", "line 2: tabs cannot indent YAML; use spaces"),
    "empty": ("", "it is empty"),
    "only a comment": ("# nothing", "it is empty"),
    "duplicate key": ("SEED: 1\nSEED: 2\n", "line 2: SEED is given twice"),
    "duplicate key in a section": ("DATA:\n  ROOT: a\n  ROOT: b\n", "line 3: ROOT is given twice"),
    "not a mapping": ("- 1\n- 2\n", "it must hold lines like SEED: 0, got list"),
    "two documents": ("SEED: 1\n---\nSEED: 2\n", "found another document"),
    "not UTF-8": (b"NAME: \xff\xfe", "it is not UTF-8 text"),
    "NUL": (b"NAME: a\0b", "special characters are not allowed"),
    "endless number": ("SEED: " + "9" * 5000, "Exceeds the limit"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_broken_file_is_refused_in_one_line_quickly(case, write, tmp_path):
    text, problem = HOSTILE[case]
    canary = tmp_path / "canary"
    path = write(text.replace("{canary}", str(canary)) if isinstance(text, str) else text)
    seconds = []
    while not seconds or (min(seconds) >= 2 and len(seconds) < 3):  # again where a noisy machine was slow
        start = time.process_time()
        (line,) = problems(path)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 2
    assert line.startswith(f"{path}: ")
    assert problem in line
    assert len(line) < 1000
    assert not canary.exists()


def test_a_python_config_is_refused_and_not_run(write, tmp_path):
    canary = tmp_path / "canary"
    (line,) = problems(write(f"open({str(canary)!r}, 'w')", "x.py"))
    assert "a configuration is a .yaml or .yml file" in line
    assert not canary.exists()


def test_a_byte_order_mark_is_skipped(write):
    assert load_config(write(b"\xef\xbb\xbfSEED: 3\n")).SEED == 3


def test_a_missing_file_is_refused_with_the_nearest_name(write, tmp_path):
    write("SEED: 0", "teacher.yaml")
    (line,) = problems(tmp_path / "techer.yaml")
    assert line.endswith(f"techer.yaml: there is no such file; did you mean {tmp_path / 'teacher.yaml'}?")


def test_the_hash_follows_the_values_of_its_sections_only(write):
    path = write("SEED: 0")
    base = load_config(path)
    assert config_hash(base, ["TRANSLATOR"]) == config_hash(load_config(path, ["SEED", "5"]), ["TRANSLATOR"])
    changed = load_config(path, ["TRANSLATOR.STEPS", "21"])
    assert config_hash(base, ["TRANSLATOR"]) != config_hash(changed, ["TRANSLATOR"])
    assert config_hash(base, ["SEED", "DATA.SIZE"]) == config_hash(changed, ["DATA.SIZE", "SEED"])
    assert len(config_hash(base, ["SEED"])) == 64


def test_the_hash_of_an_unknown_section_is_an_error(write):
    config = load_config(write("SEED: 0"))
    with pytest.raises(ConfigError, match="unknown key TRANSLATER; did you mean TRANSLATOR"):
        config_hash(config, ["TRANSLATER"])


def exit_code(main, *argv: str) -> int:
    return run_tool(main, parser("Tests the tools.", "python tools/test.py --cfg x.yaml"), argv)


def test_a_tool_gets_its_config_and_its_overrides_wherever_flags_stand():
    seen = []
    tool = parser("Tests the tools.", "python tools/test.py --cfg x.yaml")
    tool.add_argument("--resume", action="store_true")
    argv = ["SEED", "1", "--config", "x.yaml", "RUN.MAX_STEPS", "-1", "--resume"]
    assert run_tool(seen.append, tool, argv) == 0
    assert (seen[0].cfg, seen[0].overrides, seen[0].resume) == ("x.yaml", ["SEED", "1", "RUN.MAX_STEPS", "-1"], True)


def test_a_tool_ends_with_the_code_of_the_users_error_and_prints_one_line(capsys):
    def fail(arguments):
        raise ConfigError("x.yaml: SEED must be whole number like 0, got 1.5")

    assert exit_code(fail, "--cfg", "x.yaml") == 2
    assert capsys.readouterr().err == "error: x.yaml: SEED must be whole number like 0, got 1.5\n"


def test_a_bug_in_a_tool_keeps_its_traceback():
    def fail(arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(fail, "--cfg", "x.yaml")


def test_ctrl_c_ends_a_tool_with_130():
    def interrupted(arguments):
        raise KeyboardInterrupt

    assert exit_code(interrupted, "--cfg", "x.yaml") == 130


def test_the_help_shows_whole_example_commands():
    example = "examples:\n  python tools/a.py --cfg x.yaml\n  python tools/a.py --cfg y.yaml SEED 1\n"
    text = parser("Tests the tools.", example).format_help()
    assert example in text
    assert "--cfg FILE" in text


def test_configs_are_the_same_in_any_locale(write):
    path = write("NAME: 夜\nLOSS: {SMOOTHNESS: 0.5}\n")
    code = f"from ude.config import *; c = load_config({str(path)!r}); print(config_hash(c, ['NAME', 'LOSS']))"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == config_hash(load_config(path), ["NAME", "LOSS"])
