"""The config of a translation: what contradicts itself, what changes the images, and the tool around it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import translate
from tiny_run import forked

from ude.build.identity import identity as run_identity
from ude.build.translated import linked_translations
from ude.build.translation import condition_hashes, translation_identity
from ude.build.translators import conditions, references, takes_depth
from ude.config import ConfigError, load_config
from ude.files import MissingFileError, read_jsonl, write_image, write_json
from ude.models import DepthNet, save_model
from ude.translation.simulated import SimulatedTranslator

CONFIGS = Path(__file__).parents[1] / "configs"


def config(*overrides, name="demo_translate"):
    return load_config(CONFIGS / f"{name}.yaml", [str(part) for part in overrides])


def identity(*overrides, name="demo_translate"):
    return translation_identity(config(*overrides, name=name))["config_hash"]


def hashes(*overrides, name="demo_translate"):
    cfg = config(*overrides, name=name)
    return condition_hashes(cfg, references(cfg))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("TRANSLATOR.CONDITIONS", "[nigth]"),
            "CONDITIONS: must be among night, rain, night_rain, snow, fog, got nigth",
        ),
        (
            ("TRANSLATOR.CONDITIONS", "[tom]"),
            r"TRANSLATOR.KIND simulated knows night, rain, night_rain, snow, fog, got tom",
        ),
        (("TRANSLATOR.MATCH_BRIGHTNESS", "[snow]"), "snow is not among TRANSLATOR.CONDITIONS"),
        (("TRANSLATOR.MATCH_BRIGHTNESS", "[night]"), "TRANSLATOR.REFERENCES is empty; name the folder of images"),
        (("TRANSLATOR.DEPTH_MODEL", "''"), "TRANSLATOR.DEPTH_MODEL is empty; name a teacher's run folder"),
    ],
)
def test_contradictions_are_named_before_anything_is_loaded(overrides, message):
    cfg = config(*overrides)
    with pytest.raises(ConfigError, match=message):
        conditions(cfg), references(cfg), takes_depth(cfg)


def test_a_condition_of_ones_own_may_not_take_the_place_of_another_folder(tmp_path):
    (tmp_path / "own.yaml").write_text("thumbnails:\n  phrases: [At dusk]\n")
    cfg = config(
        *("TRANSLATOR.CONDITIONS_FILE", tmp_path / "own.yaml", "TRANSLATOR.CONDITIONS", "[thumbnails]"),
        *("TRANSLATOR.REFERENCES", "x", "TRANSLATOR.DEPTH_MODEL", "x"),
        name="translate_sd15",
    )
    with pytest.raises(ConfigError, match="thumbnails is a folder of the output"):
        conditions(cfg)


def test_missing_references_are_named_with_their_key(tmp_path):
    cfg = config("TRANSLATOR.MATCH_BRIGHTNESS", "[night]", "TRANSLATOR.REFERENCES", tmp_path)
    with pytest.raises(MissingFileError, match=r"TRANSLATOR.REFERENCES: there is no folder .*night"):
        references(cfg)


@pytest.mark.parametrize(
    "override",
    [
        ("TRANSLATOR.BATCH_SIZE", "3"),
        ("TRANSLATOR.CONDITIONS", "[fog]"),
        ("TRANSLATOR.QUALITY.MAX_REJECTED", "0.5"),
        ("TRANSLATOR.STEPS", "7"),  # of the diffusion
        ("RUN.ACCELERATOR", "cpu"),
        ("NAME", "other"),
    ],
    ids=lambda override: override[0],
)
def test_what_changes_no_image_changes_no_hash(override):
    assert identity(*override) == identity()


@pytest.mark.parametrize(
    "override",
    [
        ("SEED", "1"),
        ("TRANSLATOR.SIZE", "[160, 288]"),
        ("TRANSLATOR.DEPTH_TILES", "2"),
        ("TRANSLATOR.QUALITY.ATTEMPTS", "2"),
        ("TRANSLATOR.QUALITY.STRUCTURE", "0.2"),
        ("TRANSLATOR.QUALITY.ENABLED", "False"),
    ],
    ids=lambda override: override[0],
)
def test_what_changes_images_changes_the_hash(override):
    assert identity(*override) != identity()


def test_the_hash_covers_every_weight_and_option_of_the_diffusion():
    base = ["TRANSLATOR.REFERENCES", "x", "TRANSLATOR.DEPTH_MODEL", "x"]
    before = identity(*base, name="translate_sd15")
    for change in (
        *(("LORA", "x"), ("VAE", "x"), ("SCHEDULER", "DDIMScheduler"), ("DTYPE", "bfloat16"), ("CAPTIONER", "x/y")),
        *(("STRENGTH", "0.5"), ("TIMESTEP_SPACING", "trailing"), ("EDGES", "x/y"), ("IP_ADAPTER_SCALE", "0.9")),
    ):
        assert identity(*base, f"TRANSLATOR.{change[0]}", change[1], name="translate_sd15") != before, change
    for key in ("COMPILE", "VAE_SLICING"):
        assert identity(*base, f"TRANSLATOR.{key}", "True", name="translate_sd15") == before


def test_each_condition_has_a_hash_of_its_words_its_references_and_their_use(tmp_path):
    for condition in ("night", "rain", "fog"):
        write_image(tmp_path / "references" / condition / "a.png", np.full((8, 8, 3), 90, np.uint8))
    own = tmp_path / "own.yaml"
    own.write_text("night:\n  phrases: [At dusk]\n")
    base = ["TRANSLATOR.REFERENCES", tmp_path / "references", "TRANSLATOR.DEPTH_MODEL", "x"]
    base += ["TRANSLATOR.CONDITIONS_FILE", own]

    def changed(*overrides):
        now = hashes(*base, *overrides, name="translate_sd15")
        return {name for name in before if now[name] != before[name]}

    before = hashes(*base, name="translate_sd15")
    assert changed("TRANSLATOR.CONDITIONS", "[night, rain, fog]") == set()
    assert changed("TRANSLATOR.MATCH_BRIGHTNESS", "[night]") == {"night"}
    own.write_text("night:\n  phrases: [At sunset]\n")
    assert changed() == {"night"}
    own.write_text("night:\n  phrases: [At dusk]\n")
    assert changed() == set()
    write_image(tmp_path / "references" / "rain" / "b.png", np.full((8, 8, 3), 90, np.uint8))
    assert changed() == {"rain"}
    write_image(tmp_path / "references" / "night" / "a.png", np.full((8, 8, 3), 91, np.uint8))  # another picture
    assert changed() == {"night", "rain"}


def test_the_hash_tells_the_type_that_auto_means_and_leaves_the_working_directory_alone(tmp_path, monkeypatch):
    base = ["TRANSLATOR.REFERENCES", "x", "TRANSLATOR.DEPTH_MODEL", "x", "RUN.ACCELERATOR", "cpu"]
    before = identity(*base, name="translate_sd15")
    assert identity(*base, "TRANSLATOR.DTYPE", "float32", name="translate_sd15") == before
    assert identity(*base, "TRANSLATOR.DTYPE", "float16", name="translate_sd15") != before
    monkeypatch.chdir(tmp_path)
    (tmp_path / "version.json").write_text("{}")  # of something else
    assert identity(*base, name="translate_sd15") == before


def test_a_student_depends_on_the_words_of_its_own_conditions(tmp_path):
    def made_from(**hashes):
        write_json(tmp_path / "translation.json", {"config_hash": "x", "conditions": hashes})
        return run_identity(config(name="demo_student"), ("SEED",), [tmp_path / "translation.json"])["config_hash"]

    before = made_from(night="a", rain="b")
    assert made_from(night="a", rain="b", fog="c") == before
    assert made_from(night="a", rain="c") != before


def test_a_student_depends_on_the_translations_that_its_conditions_are_links_to(tmp_path):
    root, draw = tmp_path / "translated", tmp_path / "translated" / "seed-1"
    (root / "night").mkdir(parents=True)
    (draw / "night").mkdir(parents=True)
    (root / "night-1").symlink_to(Path("seed-1", "night"))
    options = ("DATA.TRANSLATED.ROOT", str(root), "MODEL.TEACHER", "x", "DATA.TRANSLATED.CONDITIONS")

    def made_from(stamp, conditions="[night, night-1]", *more):
        write_json(draw / "translation.json", stamp)
        return linked_translations(config(*options, conditions, *more, name="demo_student"))

    before = made_from({"config_hash": "x", "conditions": {"night": "a", "rain": "b"}})
    assert before == ["night-1", "x", "a"]
    assert made_from({"config_hash": "x", "conditions": {"night": "a", "rain": "c"}}) == before
    assert made_from({"config_hash": "x", "conditions": {"night": "c"}}) != before
    assert made_from({"config_hash": "y", "conditions": {"night": "a"}}) != before
    assert made_from({"config_hash": "x"}, "[night]") == []
    assert made_from({"config_hash": "x"}, "[night, night-1]", "STAGE", "teacher") == []
    (draw / "translation.json").unlink()
    assert linked_translations(config(*options, "[night-1]", name="demo_student")) == []  # made by others


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "-1/2", "0/0"])
def test_the_tool_refuses_a_shard_that_does_not_exist(text, capsys):
    with pytest.raises(SystemExit) as caught:
        translate.main(["--cfg", "x.yaml", f"--shard={text}"])
    assert caught.value.code == 2
    assert "must be i/n with 0 <= i < n" in capsys.readouterr().err


@pytest.fixture(scope="module")
def arguments(world_root, tmp_path_factory):
    """Command line for the tiny world, with the depth of an untrained network."""
    run = tmp_path_factory.mktemp("teacher")
    save_model(DepthNet(backbone="tiny", num_scales=1, input_height=64, input_width=96), run / "depth_net")
    return [
        *("--cfg", str(CONFIGS / "demo_translate.yaml"), "DATA.ROOT", str(world_root), "RUN.ACCELERATOR", "cpu"),
        *("TRANSLATOR.DEPTH_MODEL", str(run), "TRANSLATOR.SIZE", "[64, 96]", "TRANSLATOR.BATCH_SIZE", "2"),
        *("TRANSLATOR.CONDITIONS", "[night, rain]"),
    ]


def test_the_tool_ends_with_the_path_of_the_gallery_or_says_who_writes_it(arguments, tmp_path, capsys, monkeypatch):
    options = [*arguments, "OUTPUT_DIR", str(tmp_path), "TRANSLATOR.QUALITY.MAX_REJECTED", "1"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert translate.main(options) == 0
    assert len(list((tmp_path / "translated" / "control").iterdir())) == 4  # frames of rank 1
    assert translate.main(["--shard", "0/2", *options]) == 0  # the flag counts
    gallery = tmp_path / "translated" / "index.html"
    assert capsys.readouterr().out.splitlines()[-1] == str(gallery)
    assert gallery.is_file()
    rows = read_jsonl(tmp_path / "translated" / "manifest.jsonl")
    assert {row["prompt"] for row in rows} == {None}  # nobody reads one


def test_too_many_images_in_quarantine_give_exit_code_three(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(SimulatedTranslator, "__call__", lambda self, images, **_: images)
    options = [*arguments, "OUTPUT_DIR", str(tmp_path), "TRANSLATOR.QUALITY.ATTEMPTS", "1"]
    assert translate.main(options) == 3
    assert "0 translated, 0 there already, 16 of 16 in quarantine" in capsys.readouterr().out
    assert translate.main([*options, "TRANSLATOR.QUALITY.MAX_REJECTED", "1"]) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_tool_with_its_exit_code(arguments, tmp_path, number, code):
    simulated = SimulatedTranslator.__call__

    def slow(self, images, **kwargs):
        time.sleep(0.3)
        return simulated(self, images, **kwargs)

    def act():
        SimulatedTranslator.__call__ = slow
        return translate.main([*arguments, "OUTPUT_DIR", str(tmp_path)])

    pid = forked(act)
    deadline = time.monotonic() + 60
    while not (tmp_path / "translated" / "translation.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    asked = time.monotonic()
    os.kill(pid, number)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    assert time.monotonic() - asked < 10
