"""Images of text alone, and what is made of them: opaque objects, the same of glass, a network that learns both."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import train
import translate
from tiny_foundation import save_depth_anything
from tiny_pipeline import save_tiny_pipeline
from translation_runs import rows_of

from ude.config import ConfigError, load_config
from ude.data.folders.image_folder import ImageFolderFrames
from ude.files import read_json
from ude.translation.blank import BlankFrames
from ude.translation.conditions import CONDITIONS, MAX_PHRASE
from ude.translation.diffusion import DiffusionTranslator

CONFIGS = Path(__file__).parents[1] / "configs"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    save_tiny_pipeline(root)
    save_depth_anything(root / "depth")
    return root


def generate(weights, output, count, *extra):
    return translate.main(
        [
            *("--cfg", str(CONFIGS / "generate_easy_tom.yaml"), "OUTPUT_DIR", str(output)),
            *("TRANSLATOR.GENERATE", str(count), "TRANSLATOR.SIZE", str([*SIZE]), "TRANSLATOR.STEPS", "2"),
            *("TRANSLATOR.PIPELINE", "StableDiffusionPipeline", "TRANSLATOR.BASE_MODEL", str(weights / "base")),
            *("TRANSLATOR.VAE", "", "TRANSLATOR.BATCH_SIZE", "2", "RUN.ACCELERATOR", "cpu", *extra),
        ]
    )


def files_of(run):
    return {path.name: path.read_bytes() for path in (run / "opaque").glob("*.jpg")}


def test_the_words_name_every_object_of_every_material_and_nothing_that_shines():
    phrases = CONDITIONS["opaque"].phrases
    assert len(set(phrases)) == len(phrases) == 10 * 20 * 8 * 4
    assert max(map(len, phrases)) <= MAX_PHRASE
    assert all("glass" not in phrase.lower() and "mirror" not in phrase.lower() for phrase in phrases)
    drawn = Counter(CONDITIONS["opaque"].prompt(seed).split()[0] for seed in range(len(phrases)))
    assert set(drawn.values()) == {20 * 8 * 4}  # each material as often


def test_images_come_from_words_and_seeds_and_can_be_read_as_a_folder(weights, tmp_path, capsys):
    assert generate(weights, tmp_path, 3) == 0
    run = tmp_path / "easy_tom"
    rows = rows_of(run)
    assert {frame for frame, _ in rows} == {"easy_000000", "easy_000001", "easy_000002"}
    assert len({row["seed"] for row in rows.values()}) == 3
    assert all(row["prompt"] in CONDITIONS["opaque"].phrases for row in rows.values())
    first = files_of(run)
    assert len(set(first.values())) == 3
    frames = ImageFolderFrames(run / "opaque")
    assert [frames.frame_id(index) for index in range(len(frames))] == ["easy_000000", "easy_000001", "easy_000002"]
    assert frames.image(0).shape == (*SIZE, 3)
    assert frames.intrinsics(0)[0, 0] == pytest.approx(SIZE[1] / 2 * 3**0.5)  # 60 degrees
    (run / "opaque" / "easy_000001.jpg").unlink()
    capsys.readouterr()
    assert generate(weights, tmp_path, 4) == 0  # one is missing, one is new
    assert "2 translated, 2 there already" in capsys.readouterr().out
    again = files_of(run)
    assert {name: again[name] for name in first} == first
    assert len(again) == 4


def test_the_pipeline_sees_no_frame(weights):
    network = DiffusionTranslator(str(weights / "base"), size=SIZE, pipeline="StableDiffusionPipeline", steps=2)
    made = [
        network(torch.full((1, 3, *SIZE), level), condition=CONDITIONS["opaque"], seeds=[7], prompts=["Cork cups"])
        for level in (0.0, 1.0)
    ]
    assert torch.equal(*made)
    other = network(torch.zeros(1, 3, *SIZE), condition=CONDITIONS["opaque"], seeds=[7], prompts=["Stone boxes"])
    assert not torch.equal(made[0], other)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["GENERATE", "0"], "TRANSLATOR.GENERATE must be at least 1 with StableDiffusionXLPipeline, got 0"),
        (["CONTROL", "x"], "TRANSLATOR.CONTROL must be '', as the prompt alone steers StableDiffusionXLPipeline"),
        (["QUALITY.ENABLED", "true"], "StableDiffusionXLPipeline has no day frames to look at"),
        (["CAPTIONER", "x"], "StableDiffusionXLPipeline has no day frames to look at"),
        (["PIPELINE", "StableDiffusionInstructPix2PixPipeline"], "TRANSLATOR.GENERATE must be 0 with"),
    ],
)
def test_keys_that_contradict_generation_are_named(changes, problem):
    overrides = [f"TRANSLATOR.{value}" if i % 2 == 0 else value for i, value in enumerate(changes)]
    with pytest.raises(ConfigError) as caught:
        load_config(CONFIGS / "generate_easy_tom.yaml", overrides)
    assert any(problem in line for line in str(caught.value).splitlines())


def test_blank_frames_are_grey_and_named_by_number():
    frames = BlankFrames(2, (4, 6))
    assert [frames.frame_id(index) for index in range(len(frames))] == ["easy_000000", "easy_000001"]
    assert np.unique(frames.image(1)).tolist() == [128]


def test_objects_become_glass_and_a_network_learns_from_both(weights, tmp_path):
    assert generate(weights, tmp_path, 4) == 0
    day = ("DATA.ROOT", str(tmp_path / "easy_tom" / "opaque"), "OUTPUT_DIR", str(tmp_path), "RUN.ACCELERATOR", "cpu")
    code = translate.main(
        [
            *("--cfg", str(CONFIGS / "translate_tom.yaml"), *day, "TRANSLATOR.SIZE", str([*SIZE])),
            *("TRANSLATOR.PIPELINE", "StableDiffusionControlNetPipeline", "TRANSLATOR.STEPS", "2"),
            *("TRANSLATOR.BASE_MODEL", str(weights / "base"), "TRANSLATOR.CONTROL", str(weights / "control")),
            *("TRANSLATOR.DEPTH_MODEL", str(weights / "depth"), "TRANSLATOR.QUALITY.ENABLED", "false"),
        ]
    )
    assert code == 0
    made = tmp_path / "translated_tom"
    assert {(frame, condition) for frame, condition in rows_of(made)} == {(f"easy_{n:06d}", "tom") for n in range(4)}
    code = train.main(
        [
            *("--cfg", str(CONFIGS / "self_distillation_tom.yaml"), *day, "DATA.TRANSLATED.ROOT", str(made)),
            *("MODEL.FOUNDATION", str(weights / "depth"), "DATA.SIZE", "[64, 96]", "SOLVER.BATCH_SIZE", "2"),
            *("RUN.MAX_STEPS", "2", "RUN.NUM_WORKERS", "0"),
        ]
    )
    assert code == 0
    assert read_json(tmp_path / "self_distillation_tom" / "version.json")["finished"]
