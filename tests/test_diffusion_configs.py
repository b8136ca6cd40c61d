from pathlib import Path

import pytest

from ude.config import ConfigError, load_config
from ude.config.validate import CHOICES
from ude.translation.conditions import load_conditions
from ude.translation.diffusion.fit import PIPELINES, refuse_contradictions, refuse_idle_options

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("translate_*.yaml"))
SD15, PIX2PIX, XL = "translate_sd15", "translate_instruct_pix2pix", "translate_sdxl"
XL_ADAPTER, UNION = "StableDiffusionXLAdapterPipeline", "StableDiffusionXLControlNetUnionPipeline"


def test_the_configs_choose_among_the_pipelines_that_there_are():
    assert set(CHOICES["TRANSLATOR.PIPELINE"]) == set(PIPELINES)


def test_every_class_that_a_config_can_name_is_one_of_diffusers():
    import diffusers

    for name in (*PIPELINES, *(value for value in PIPELINES.values() if value), *CHOICES["TRANSLATOR.SCHEDULER"]):
        assert isinstance(getattr(diffusers, name), type), name


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_translator_agrees_with_every_config(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = load_config(path).TRANSLATOR
    refuse_contradictions(options.PIPELINE, control=options.CONTROL, edges=options.EDGES, ip_adapter=options.IP_ADAPTER)
    numbers = ("num_inference_steps", options.STEPS), ("strength", options.STRENGTH)
    refuse_idle_options(("strength",), dict(numbers))
    assert set(options.CONDITIONS) <= set(load_conditions(options.CONDITIONS_FILE))
    assert "TFLOP per image" in path.read_text(encoding="utf-8")


def test_the_variants_write_to_folders_of_their_own():
    names = [load_config(path).NAME for path in CONFIGS]
    assert len(names) >= 8
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("config", "changes", "problem"),
    [
        (SD15, ["CONTROL", ""], "TRANSLATOR.CONTROL must be the depth network of StableDiffusionControlNetPipeline"),
        (SD15, ["DEPTH_MODEL", ""], "TRANSLATOR.DEPTH_MODEL must name a depth model"),
        (PIX2PIX, ["CONTROL", "org/control"], "TRANSLATOR.CONTROL must be '', as the day frame itself steers"),
        (PIX2PIX, ["IMAGE_GUIDANCE_SCALE", "0.9"], "TRANSLATOR.IMAGE_GUIDANCE_SCALE must be at least 1"),
        (PIX2PIX, ["QUALITY.DEPTH", "0.2"], "TRANSLATOR.DEPTH_MODEL must name a depth model"),
        ("translate_t2i_adapter", ["EDGES", "org/edges"], "TRANSLATOR.EDGES must be '' with StableDiffusionAdapter"),
        ("translate_t2i_adapter", ["IP_ADAPTER", "org/ip", "REFERENCES", "x"], "TRANSLATOR.IP_ADAPTER must be ''"),
        ("translate_sdxl_union", ["EDGES", "org/edges"], "TRANSLATOR.EDGES must be '' or the same as TRANSLATOR.CON"),
        ("translate_img2img", ["STRENGTH", "0.04"], "TRANSLATOR.STRENGTH must leave at least one"),
        (XL, ["PIPELINE", XL_ADAPTER, "SIZE", "(568, 1024)"], "TRANSLATOR.SIZE must be in multiples of 16"),
        (SD15, ["LORA", "org/lora", "LORA_WEIGHTS", "lora.bin"], "LORA_WEIGHTS must end in .safetensors"),
        (SD15, ["IP_ADAPTER_WEIGHTS", "ip.bin"], "IP_ADAPTER_WEIGHTS must end in .safetensors"),
        (SD15, ["PIPELINE", "FluxPipeline"], "TRANSLATOR.PIPELINE must be one of"),
    ],
)
def test_keys_that_contradict_each_other_are_named(config, changes, problem):
    overrides = [f"TRANSLATOR.{value}" if i % 2 == 0 else value for i, value in enumerate(changes)]
    with pytest.raises(ConfigError) as caught:
        load_config(ROOT / f"configs/{config}.yaml", overrides)
    assert any(problem in line for line in str(caught.value).splitlines())


def test_a_union_takes_its_own_network_for_edges_or_none():
    union = ROOT / "configs/translate_sdxl_union.yaml"
    assert load_config(union).TRANSLATOR.PIPELINE == UNION
    load_config(union, ["TRANSLATOR.EDGES", ""])
