"""Ablations: runs of several rows and seeds from one file, their tables, and the recipes that they compare."""

import json
from pathlib import Path

import ablation
import pytest
import train
import yaml
from made_results import made_results

from ude.build.ablation_plan import read_ablation
from ude.build.ablation_table import gaps_of
from ude.config import load_config

CONFIGS = Path(__file__).parents[1] / "configs"
SMALL = {
    **{"DATA.SIZE": [64, 96], "MODEL.DEPTH.INPUT_SIZE": [64, 96], "SOLVER.BATCH_SIZE": 2},
    **{"RUN.MAX_STEPS": 2, "RUN.IMAGES_EVERY": 0, "RUN.LOG_EVERY": 1, "EVAL.FLIP": False},
    **{"TRANSLATOR.SIZE": [64, 96], "TRANSLATOR.QUALITY.ENABLED": False},
}
PLAN = {
    "OUTPUT_DIR": "outputs/ablation",
    "SEEDS": [0, 1],
    "REFERENCE": "whole image",
    "TEACHER": {"CONFIG": str(CONFIGS / "demo_teacher.yaml")},
    "TRANSLATION": {"CONFIG": str(CONFIGS / "demo_translate.yaml")},
    "STUDENTS": {
        "whole image": {"CONFIG": str(CONFIGS / "demo_student.yaml"), "SET": {"LOSS.RELIABILITY": "off"}},
        "with RGD": {"CONFIG": str(CONFIGS / "demo_student.yaml"), "SEEDS": [1]},
    },
}


def write(folder, **changes):
    path = folder / "ablation.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}), encoding="utf-8")
    return path


TWICE = {"DATA.TRANSLATED.CONDITIONS": ["night", "night-1"], "TRANSLATOR.CONDITIONS": ["night"]}


@pytest.fixture(scope="module")
def finished(world_root, tmp_path_factory):
    """File and output of a finished ablation."""
    folder = tmp_path_factory.mktemp("ablation")
    path = write(folder, SET={**SMALL, "DATA.ROOT": str(world_root)})
    assert ablation.main(["--cfg", str(path), "OUTPUT_DIR", str(folder / "out")]) == 0
    return path, folder / "out"


def test_every_row_is_trained_with_its_seeds_on_the_teacher_of_that_seed(finished):
    _, output = finished
    runs = {path.parent.name for path in output.glob("*/depth_net")}
    assert runs == {"teacher-0", "teacher-1", "whole_image-0", "whole_image-1", "with_RGD-1"}
    student = load_config(output / "whole_image-1" / "config.yaml")
    assert (1, str(output / "teacher-1")) == (student.SEED, student.MODEL.TEACHER)
    assert ("off", str(output / "translated")) == (student.LOSS.RELIABILITY, student.DATA.TRANSLATED.ROOT)
    translation = load_config(output / "translated" / "config.yaml")
    assert str(output / "teacher-0") == translation.TRANSLATOR.DEPTH_MODEL


def test_tables_have_every_row_its_seeds_and_the_gaps(finished):
    _, output = finished
    document = json.loads((output / "table.json").read_text())
    assert {row["name"]: row["seeds"] for row in document["predictors"]} == {
        "teacher": 2,
        "whole image": 2,
        "with RGD": 1,
    }
    assert {row["predictor"] for row in document["paired"]} == {"teacher", "with RGD"}
    assert {gap["predictor"] for gap in document["gaps"]} == {"whole image", "with RGD"}
    text = (output / "table.md").read_text()
    assert "| whole image (2 seeds)" in text
    assert "Gap to day-clear closed in night-clear" in text


def test_a_second_call_redoes_nothing(finished, capsys):
    path, output = finished
    before = {file: file.stat().st_mtime_ns for file in output.rglob("*") if file.is_file()}
    assert ablation.main(["--cfg", str(path), "OUTPUT_DIR", str(output)]) == 0
    changed = {file.name for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert changed <= {"config.yaml", "version.json", "table.md", "table.json"}
    assert "Gap to day-clear closed" in capsys.readouterr().out


def test_students_draw_among_the_translations_of_every_seed_and_notice_others(world_root, tmp_path, capsys):
    plan = {
        "TRANSLATION": {**PLAN["TRANSLATION"], "SEEDS": [0, 1]},
        "STUDENTS": {"whole image": {**PLAN["STUDENTS"]["whole image"], "SEEDS": [0]}},
    }
    path = write(tmp_path, SET={**SMALL, **TWICE, "DATA.ROOT": str(world_root)}, **plan)
    assert ablation.main(["--cfg", str(path), "OUTPUT_DIR", str(tmp_path / "out")]) == 0
    root = tmp_path / "out" / "translated"
    first, second = sorted((root / "night").iterdir()), sorted((root / "night-1").iterdir())
    assert [file.name for file in first] == [file.name for file in second]
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(first, second, strict=True))
    student = load_config(tmp_path / "out" / "whole_image-0" / "config.yaml")
    assert student.DATA.TRANSLATED.CONDITIONS == ("night", "night-1")
    steering = load_config(root / "seed-1" / "config.yaml").TRANSLATOR.DEPTH_MODEL
    assert steering == str(tmp_path / "out" / "teacher-0")
    again = ["--cfg", str(tmp_path / "out" / "whole_image-0" / "config.yaml"), "--resume"]
    assert train.main(again) == 0
    stamp = root / "seed-1" / "translation.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"config_hash": "another"}))
    assert train.main(again) == 4
    assert "another configuration" in capsys.readouterr().err


def test_results_of_another_run_are_measured_again(finished):
    path, output = finished
    file = output / "with_RGD-1" / "eval" / "test" / "metrics.json"
    document = json.loads(file.read_text())
    document["run"]["made_from"] = "another"
    file.write_text(json.dumps(document))
    assert ablation.main(["--cfg", str(path), "OUTPUT_DIR", str(output)]) == 0
    assert json.loads(file.read_text())["run"]["made_from"] != "another"


def test_gap_closed_compares_a_seed_with_the_teacher_of_that_seed():
    teachers = {0: made_results(0.0), 1: made_results(0.02)}
    students = {0: made_results(-0.05), 1: made_results(-0.05)}
    closed = {(gap.condition, gap.column.label): gap for gap in gaps_of("student", students, teachers)}
    night = closed["night-clear", "absRel"]  # teachers lose 0.1 from day to night
    assert night.closed == pytest.approx(0.6, abs=0.1)
    assert night.spread == pytest.approx(0.2 / 2**0.5, abs=0.02)  # 0.5 and 0.7
    assert night.interval[0] < night.closed < night.interval[1]
    one = {gap.condition: gap for gap in gaps_of("student", {1: students[1]}, teachers)}
    assert one["night-clear"].closed == pytest.approx(0.7, abs=0.1)
    assert one["night-clear"].spread is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ROWS": {}}, "unknown key ROWS"),
        ({"SEEDS": [0, 0]}, "SEEDS must be a list of different numbers"),
        ({"REFERENCE": "with RDG"}, "REFERENCE with RDG is no row"),
        ({"TEACHER": {}}, "teacher: has no CONFIG"),
        (
            {"TEACHER": {"CONFIG": str(CONFIGS / "demo_teacher.yaml"), "SEEDS": [1]}},
            "TEACHER: SEEDS [1] must be those of the ablation, [0, 1]",
        ),
        ({"STUDENTS": {"a": {"CONFIG": str(CONFIGS / "demo_student.yaml"), "SEEDS": [7]}}}, "must be among those"),
        ({"SET": {"SEED": 3}}, "ablation.yaml: SET: SEED is the ablation's own; use SEEDS"),
        ({"TEACHER": {**PLAN["TEACHER"], "SET": {"OUTPUT_DIR": "x"}}}, "teacher: SET: OUTPUT_DIR is the ablation's"),
        ({"TRANSLATION": {**PLAN["TRANSLATION"], "SET": {"NAME": "x"}}}, "translated: SET: NAME is the ablation's own"),
        (
            {"STUDENTS": {"whole image": {**PLAN["STUDENTS"]["whole image"], "SET": {"SEED": 0}}}},
            "whole image: SET: SEED is the ablation's own; use SEEDS",
        ),
        (
            {"SET": {"DATA.TRANSLATED.CONDITIONS": ["night", "night-1"]}},
            "whole image: DATA.TRANSLATED.CONDITIONS: night-1 will not be translated; choose among night, rain, "
            "night_rain, or",
        ),
        (
            {"STUDENTS": {"a b": PLAN["STUDENTS"]["with RGD"], "a_b": {"CONFIG": str(CONFIGS / "demo_student.yaml")}}},
            "share a run folder",
        ),
        ({"SET": {"LOSS.RELIABLE": "off"}}, "unknown key LOSS.RELIABLE"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_trained(tmp_path, capsys, changes, message):
    assert ablation.main(["--cfg", str(write(tmp_path, **changes)), "OUTPUT_DIR", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert not (tmp_path / "out").exists()


def test_an_unknown_split_and_a_seed_for_all_are_refused_before_anything_is_trained(tmp_path, capsys):
    path = write(tmp_path, SPLIT="tset")
    arguments = ["--cfg", str(path), "OUTPUT_DIR", str(tmp_path / "out")]
    assert ablation.main(arguments) == 4
    assert f"{path}: SPLIT: tset: neither a split of nuscenes" in capsys.readouterr().err
    assert ablation.main([*arguments, "SEED", "3"]) == 2
    assert "command line: SEED is the ablation's own; use SEEDS" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_students_take_translations_that_the_ablation_makes_or_that_they_name_themselves(tmp_path):
    conditions = {"DATA.TRANSLATED.CONDITIONS": ["night", "rain-1"]}
    seeds = {**PLAN["TRANSLATION"], "SEEDS": [0, 1]}
    assert read_ablation(write(tmp_path, SET=conditions, TRANSLATION=seeds)).translation.seeds == (0, 1)
    of_others = {"DATA.TRANSLATED.CONDITIONS": ["dusk"], "DATA.TRANSLATED.ROOT": str(tmp_path)}
    read_ablation(write(tmp_path, SET=of_others))


def test_the_ablation_of_the_sample_world_compares_the_recipe_of_its_yaml():
    found = read_ablation(CONFIGS / "ablation" / "sample_world.yaml")
    (recipe,) = (part for part in found.students if part.name == found.reference)
    ours, documented = found.config(recipe, 0), load_config(CONFIGS / "student_md4all_nuscenes.yaml")
    for config in (ours, documented):
        loss, data = config.LOSS, config.DATA
        assert (loss.RELIABILITY, loss.SEMANTIC, data.NOISE_PROB, data.FLIP_PROB) == ("off", 0, 0.5, 0.5)
        auto = len(data.TRANSLATED.CONDITIONS) / (len(data.TRANSLATED.CONDITIONS) + 1)
        share = auto if data.TRANSLATED.PROB == "auto" else data.TRANSLATED.PROB
        assert share == pytest.approx(2 / 3, abs=1e-3)
    assert found.parts[0].seeds == recipe.seeds == (0, 1, 2)


def test_the_ablation_on_resnet_18_differs_from_the_other_one_in_the_network_alone():
    small, large = (
        read_ablation(CONFIGS / "ablation" / name) for name in ("sample_world.yaml", "sample_world_resnet18.yaml")
    )
    by_name = {part.name: part for part in small.parts}
    assert len(large.parts) == 3
    for part in large.parts:
        own, other = large.config(part, 0), small.config(by_name[part.name], 0)
        assert own.MODEL.DEPTH.BACKBONE == "resnet18"
        for config in (own, other):
            config.defrost()
            config.MODEL.DEPTH = None
            config.OUTPUT_DIR = config.MODEL.TEACHER = config.DATA.TRANSLATED.ROOT = ""
        assert own == other


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("teacher_resnet18_nuscenes", marks=pytest.mark.slow),
        "student_md4all_nuscenes",
        "student_md4all_resnet18_nuscenes",
    ],
)
def test_recipes_of_md4all_train(finished, world_root, tmp_path, name):
    _, output = finished
    changes = SMALL | {"OUTPUT_DIR": tmp_path, "DATA.ROOT": world_root, "RUN.NUM_WORKERS": 0, "RUN.ACCELERATOR": "cpu"}
    changes |= {"MODEL.DEPTH.PRETRAINED": False, "MODEL.POSE_PRETRAINED": False}
    changes |= {"DATA.TRANSLATED.ROOT": output / "translated", "MODEL.TEACHER": output / "teacher-0"}
    if name == "student_md4all_nuscenes":  # starts from its teacher, so that it has its network
        changes |= {"MODEL.DEPTH.BACKBONE": "resnet_small", "MODEL.DEPTH.NUM_SCALES": 1}
    words = [str(word) for pair in changes.items() for word in pair]
    assert train.main(["--cfg", str(CONFIGS / f"{name}.yaml"), *words]) == 0
    rows = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
    terms = {key for row in rows for key in row if key.startswith("loss/")}
    assert terms == ({"loss/distillation", "loss/total"} if "student" in name else terms)
    assert terms > {"loss/total"}
