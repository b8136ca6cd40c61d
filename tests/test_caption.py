"""Captions: the same in any batch, of the right models only, and without words for daylight."""

import json
import re
import time

import pytest
import torch
import torch.nn.functional as F
from tiny_captioners import save_tiny_blip, save_tiny_blip2
from tiny_pipeline import tiny_tokenizer
from transformers import AutoProcessor, Blip2ForConditionalGeneration, BlipForConditionalGeneration
from transformers import logging as transformers_logging

from ude.files import DataError
from ude.translation.caption import MAX_TOKENS, Captioner
from ude.translation.conditions import CONDITIONS
from ude.translation.day_words import without_day_words

CAPTIONS = {
    "a man walking down the street on a sunny day": "a man walking down the street",
    "a car driving down a road during the day": "a car driving down a road",
    "a street with cars and a blue sky": "a street with cars",
    "a city street with a blue sky and clouds": "a city street with clouds",
    "a road under a clear blue sky": "a road",
    "cars on a highway under a blue sky with trees": "cars on a highway with trees",
    "a street in daytime": "a street",
    "a daytime view of a city street": "a view of a city street",
    "a sunny street with parked cars": "a street with parked cars",
    "a sunny urban street with parked cars": "an urban street with parked cars",
    "an open sunny road": "an open road",
    "a sunny day in the city": "in the city",
    "a bright sunny day on a city street": "on a city street",
    "a sunny day": "",
    "it is a sunny day": "",
    "sunlight on a road": "on a road",
    "a street bathed in bright sunlight": "a street",
    "a street with trees, cars, and blue sky": "a street with trees, cars",
    "a street with trees, blue sky, and cars": "a street with trees, and cars",
    "on a sunny day, a man crosses the street": "a man crosses the street",
    "during the day, cars are parked on the street": "cars are parked on the street",
    "a man crosses the street, on a sunny day, in front of a bus": "a man crosses the street, in front of a bus",
    "a red truck driving down a street in broad daylight": "a red truck driving down a street",
    "a bus on a street in the middle of the day.": "a bus on a street.",
    "a street on a beautiful summer day with people walking": "a street with people walking",
    "the sun is shining through the trees on a street": "on a street",
    "a street with the sun shining through the trees": "a street",
    "a car is parked on the street while the sun is shining": "a car is parked on the street",
    "a street with a building and the sky is blue": "a street with a building",
    "a street in the late afternoon": "a street",
    "a parking lot on a bright and sunny day": "a parking lot",
    "a parking lot on a bright, sunny day": "a parking lot",
    "a truck on the road with a clear sky in the background": "a truck on the road",
    "a street with buildings and blue sky in the background": "a street with buildings",
    "Cars on a road by day": "Cars on a road",
    "a man on a street during the day with a dog": "a man on a street with a dog",
    "people walking out in the sun": "people walking",
    "a road at sunset": "a road",
    "a street on a cloudy day": "a street",
    "a street with blue skies and sunshine": "a street",
    "a view of a street from a car on a clear day": "a view of a street from a car",
    "blue sky over a road with cars": "a road with cars",
    "a highway with traffic during daylight hours": "a highway with traffic",
    "a street at this time of day": "a street",
    "A SUNNY DAY ON A STREET": "ON A STREET",
    "a street in daytime traffic": "a street in traffic",
    "a street with the sun behind the building": "a street",
    "a sunset over a city": "a city",
    "a sunrise over a road": "a road",
    "the sun sets over a city": "a city",
    "the sun is setting behind a row of houses": "behind a row of houses",
    "the sun rises over a highway with cars": "a highway with cars",
    "a road with cars as the sun sets over a city": "a road with cars over a city",
    "a street with parked cars while the sun is rising": "a street with parked cars",
    "a street as the sun sets in the background": "a street",
    "a sidewalk with sunlight and shadows": "a sidewalk with shadows",
    "cars and trucks on a highway with sun glare": "cars and trucks on a highway",
    "the street is sunny": "the street",
    "a highway from inside a car on a sunny day with a clear blue sky and a few clouds": "a highway from inside a car"
    " with a few clouds",
}
UNTOUCHED = (
    "a man crossing the street in front of a building",
    "a sunflower field next to a road",
    "a man with sunglasses on a holiday",
    "a blue car on a clear road",
    "a birthday party on Sunday",
    "a street with the lights on",
    "a dark sky over the road",
    "a traffic light on a street",
    "a bus with a bright sign",
    "a person on a bicycle, waiting",
    "a white van parked in",
    "the blue and white bus is under a bridge",
    "a cloudy sky over a street",
    "a car with a sun roof",
    "",
)
MODELS = {
    "blip-2": (save_tiny_blip2, 2, Blip2ForConditionalGeneration),
    "blip": (save_tiny_blip, 0, BlipForConditionalGeneration),
}
transformers_logging.disable_progress_bar()


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    save, seed, _ = MODELS[request.param]
    path = tmp_path_factory.mktemp(request.param)
    save(path, seed=seed)
    return path


@pytest.fixture(scope="module")
def captioner(folder):
    return Captioner(str(folder))


def pictures():
    """Three images of large coloured blocks."""
    coarse = torch.rand(4, 3, 3, 4, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (40, 60), mode="nearest")


def test_a_batch_of_images_gets_the_captions_of_each_alone(captioner):
    together = captioner(pictures())
    assert together == [captioner(image[None])[0] for image in pictures()]
    assert captioner(pictures().flip(0)) == together[::-1]
    assert len(set(together)) == 4
    assert len({len(text.split()) for text in together}) > 1  # padded rows are part of it


def test_the_caption_is_the_greedy_one_of_the_model(folder, captioner):
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    model, processor = MODELS[kind][2].from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    images = (pictures()[..., :32, :32] * 255).round().to(torch.uint8)  # the model's own size: nothing is resized
    tokens = model.generate(**processor(images=[*images], return_tensors="pt"), max_new_tokens=30, do_sample=False)
    expected = [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]
    assert captioner(images.float() / 255) == expected
    assert 0 < max(len(text.split()) for text in expected) <= MAX_TOKENS


def test_captions_have_no_special_tokens_and_no_line_breaks(captioner):
    for text in captioner(pictures()):
        assert not re.search(r"[<>\n]|^\s|\s\s|\s$", text)


def test_half_precision_weights_are_used(folder):
    half = Captioner(str(folder), dtype="bfloat16")
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    assert len(half(pictures())) == 4


def test_models_that_are_not_here_are_one_line_with_the_remedy():
    with pytest.raises(
        DataError, match=r"^nobody/no-captioner cannot be loaded: [^\n]*hf download nobody/no-captioner$"
    ):
        Captioner("nobody/no-captioner")


def copy_of(folder, target, **changes):
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((target / "config.json").read_text()) | changes
    (target / "config.json").write_text(json.dumps(config))
    return str(target)


def test_other_models_are_refused_before_their_weights_are_read(folder, tmp_path):
    name = copy_of(folder, tmp_path, model_type="git")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds a git, which does not caption without a question; choose a BLIP-2 or"):
        Captioner(name)


def test_damaged_weights_are_one_line(folder, tmp_path):
    name = copy_of(folder, tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cannot be loaded: [^\n]*the folder is incomplete or damaged[^\n]*$"):
        Captioner(name)


@pytest.mark.parametrize("model_type", ["own", None])
def test_code_in_a_models_folder_is_never_run(folder, tmp_path, model_type):
    ran = tmp_path / "ran"
    changes = {"auto_map": dict.fromkeys(("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor"), "evil.Evil")}
    name = copy_of(folder, tmp_path, **changes, **({"model_type": model_type} if model_type else {}))
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\nclass Evil:\n    pass\n")
    if model_type:
        with pytest.raises(DataError, match=r"cannot be loaded: [^\n]*custom code[^\n]*$"):
            Captioner(name)
    else:
        assert len(Captioner(name)(pictures())) == 4
    assert not ran.exists()


@pytest.mark.parametrize("caption", CAPTIONS)
def test_day_words_leave_a_caption_in_good_grammar(caption):
    assert without_day_words(caption) == CAPTIONS[caption]


@pytest.mark.parametrize("caption", [*UNTOUCHED, *CAPTIONS.values()])
def test_captions_without_day_words_stay_as_they_are(caption):
    assert without_day_words(caption) == caption


@pytest.mark.parametrize("caption", [*CAPTIONS, *UNTOUCHED[:-1]])
def test_nothing_dangles_whatever_follows(caption):
    for ending in ("", ".", ", with a dog", " on a sunny day", ", blue sky", " and sunlight", " during the day"):
        found = without_day_words(caption + ending)
        assert not re.search(r"\s\s|^[\s,]|[\s,]$|,,|, ,|\s[,.]|[\x00-\x1f]", found)
        assert not re.search(r"\b(sunny|daytime|sunlight|blue sky|during the day)\b", found, re.IGNORECASE)
        if ending and caption in CAPTIONS:
            assert not re.search(r"\b(a|an|the|and|with|of|during|under)[.]?$", found)


def test_long_and_odd_captions_are_no_problem():
    for text in ("bright and sunny, " * 60 + "day", "on a " * 200, "the sky is clear and " * 50, "bright " * 200):
        start = time.perf_counter()
        without_day_words(text)
        assert time.perf_counter() - start < 1


def test_the_condition_comes_first_and_survives_a_caption_of_any_length():
    tokenizer = tiny_tokenizer()
    phrase = CONDITIONS["night"].phrases[0]
    prompt = CONDITIONS["night"].prompt(3, without_day_words("a very long road " * 40 + "on a sunny day"))
    assert prompt.startswith(f"{phrase}, a very long road")
    tokens = tokenizer(prompt, truncation=True)["input_ids"]
    start = tokenizer(phrase)["input_ids"][:-1]
    assert len(tokens) == 77
    assert tokens[: len(start)] == start


def test_a_caption_of_day_words_alone_leaves_the_phrase():
    assert CONDITIONS["rain"].prompt(5, without_day_words("a sunny day")) == CONDITIONS["rain"].phrases[0]
