"""Translations of another part of the frames than the config uses: refused, wherever they would be read."""

from pathlib import Path

import check_data
import pytest
from test_tools import CONFIGS

from ude.build import caches, frames
from ude.build.translated import require_same_crop
from ude.config import ConfigError, dump_config, load_config

CROP = "[0, 0, 64, 160]"


def config(root, translated, crop="[0, 0, 0, 0]", *more):
    keys = {
        "DATA.ROOT": root,
        "DATA.CROP": crop,
        "DATA.TRANSLATED.ROOT": translated,
        "DATA.TRANSLATED.CONDITIONS": "[night]",
    }
    words = [str(word) for pair in keys.items() for word in pair]
    return load_config(CONFIGS / "demo_student.yaml", [*words, *more])


@pytest.fixture
def translated(world_root, tmp_path) -> Path:
    """Folder of a run of tools/translate.py on whole frames."""
    (tmp_path / "made/night").mkdir(parents=True)
    (tmp_path / "made/config.yaml").write_text(dump_config(config(world_root, "none")))
    return tmp_path / "made"


@pytest.mark.parametrize("use", ["train", "cache"])
def test_translations_of_whole_frames_are_refused_with_a_crop(world_root, translated, tmp_path, use):
    cfg = config(world_root, translated, CROP, "DATA.CACHE_ROOT", str(tmp_path / "cache") if use == "cache" else "")
    words = r"DATA\.CROP is \[0, 0, 64, 160\], but \[0, 0, 0, 0\] in .*config\.yaml, .*translate again with DATA\.CROP"
    with pytest.raises(ConfigError, match=words):
        frames.training_data(cfg) if use == "train" else caches.write_frames(cfg, ["train"], progress=False)


def test_the_check_refuses_them_too(world_root, translated, tmp_path, capsys):
    words = ["DATA.ROOT", str(world_root), "DATA.CROP", CROP, "DATA.TRANSLATED.ROOT", str(translated)]
    arguments = ["--cfg", str(CONFIGS / "demo.yaml"), "--output", str(tmp_path / "out"), "--workers", "0", *words]
    assert check_data.main([*arguments, "DATA.TRANSLATED.CONDITIONS", "[night]"]) == 2
    assert "by which the translations were made" in capsys.readouterr().err


def test_translations_of_the_same_part_are_accepted(world_root, translated, caplog):
    require_same_crop(config(world_root, "none"), translated)
    cropped = config(world_root, "none", CROP)
    (translated / "config.yaml").write_text(dump_config(cropped))
    require_same_crop(cropped, translated)
    assert not caplog.records
    with pytest.raises(ConfigError, match="make them equal"):
        require_same_crop(config(world_root, "none"), translated)


@pytest.mark.parametrize("text", [None, "[]", "DATA: 3", "{", "NAME: other"])
def test_of_translations_that_do_not_tell_a_crop_is_said_to_be_needed(world_root, tmp_path, caplog, text):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    require_same_crop(config(world_root, "none"), tmp_path)
    assert not caplog.records
    require_same_crop(config(world_root, "none", CROP), tmp_path)
    assert "does not tell which part of the frames it shows; it must be DATA.CROP [0, 0, 64, 160]" in caplog.text
