"""Conditions: what they say, what their pictures have to look like, and conditions of one's own in YAML."""

import pickle
from pathlib import Path

import pytest
import torch

from ude.files import DataError, MissingFileError
from ude.translation.conditions import CONDITIONS, MAX_PHRASE, STATISTICS, Condition, load_conditions
from ude.translation.quality.statistics import image_statistics

EXAMPLE = Path(__file__).parents[1] / "configs" / "conditions" / "example.yaml"


def own(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def picture(sky, ground, *, spots=0, size=(90, 160)):
    """An image (1, 3, H, W) of a sky above a ground, with this many white lamps of 4 x 4 px."""
    image = torch.full((1, 3, *size), float(ground))
    image[..., : size[0] // 2, :] = torch.as_tensor(sky).view(-1, 1, 1)
    for i in range(spots):
        image[..., 40:44, 10 * i : 10 * i + 4] = 1
    return image


def meets(condition, images):
    statistics = image_statistics(images)
    return all(least <= float(statistics[name]) <= most for name, (least, most) in condition.limits.items())


def test_the_papers_phrase_comes_first_and_there_are_several_different_ones():
    first = {"night": "At night", "rain": "In a rainy day", "snow": "In a snowy day", "fog": "In a foggy day"}
    ours = {"night_rain", "day", "opaque", "tom"}
    for name, condition in CONDITIONS.items():
        assert condition.name == name
        assert condition.phrases[0] == first.get(name, condition.phrases[0])
        assert len(condition.phrases) == len(set(condition.phrases)) >= 5
        assert max(len(phrase) for phrase in condition.phrases) <= MAX_PHRASE
    assert set(CONDITIONS) == {*first, *ours}


def test_without_a_caption_the_seed_draws_every_phrase_and_with_one_the_first_is_taken():
    rain = CONDITIONS["rain"]
    assert {rain.prompt(seed) for seed in range(100)} == set(rain.phrases)
    assert {rain.prompt(seed, "a bus") for seed in range(100)} == {"In a rainy day, a bus"}
    assert rain.prompt(4, " ") == "In a rainy day"


def test_no_condition_rules_out_what_it_asks_for():
    words = {"night": "night", "rain": "rain", "night_rain": "night", "snow": "snow", "fog": "fog", "tom": "glass"}
    for name, word in words.items():
        assert word not in CONDITIONS[name].negative
    assert "rain" not in CONDITIONS["night_rain"].negative
    assert "daylight" in CONDITIONS["night"].negative
    assert "night" in CONDITIONS["day"].negative


def test_conditions_can_be_sent_to_other_processes_and_used_as_keys():
    night = CONDITIONS["night"]
    assert pickle.loads(pickle.dumps(night)) == night
    assert {night: 1}[night] == 1


def test_limits_are_about_the_statistics_that_there_are():
    assert set(image_statistics(torch.rand(1, 3, 32, 32))) == set(STATISTICS)
    for condition in CONDITIONS.values():
        assert set(condition.limits) <= set(STATISTICS)
        assert all(least < most for least, most in condition.limits.values())


def test_limits_let_through_what_a_condition_looks_like_and_stop_another():
    blue, grey, black = (0.45, 0.6, 0.85), (0.62, 0.63, 0.64), (0.05, 0.05, 0.07)
    pictures = {
        "day": picture(blue, 0.35),
        "rain": picture(grey, 0.4),
        "snow": picture(grey, 0.8),
        "fog": picture((0.7, 0.7, 0.7), 0.55),
        "night": picture(black, 0.5, spots=8),
        "night_rain": picture(black, 0.5, spots=8),
    }
    for name, image in pictures.items():
        assert meets(CONDITIONS[name], image), name
    for name in ("day", "rain", "snow", "fog"):
        assert not meets(CONDITIONS[name], pictures["night"]), name
        assert not meets(CONDITIONS["night"], pictures[name]), name
        assert not meets(CONDITIONS["night_rain"], pictures[name]), name


def test_the_file_adds_conditions_and_changes_parts_of_built_in_ones(tmp_path):
    path = own(
        tmp_path,
        "smog:\n  phrases: [In smog, Yellow air]\n  limits: {contrast: [0, 3e-1]}\n"
        "night:\n  phrases:\n    - At  dead of\n      night\n"
        "rain: {negative: dry, limits: }\n",
    )
    found = load_conditions(path)
    assert found["smog"] == Condition("smog", ("In smog", "Yellow air"), limits={"contrast": (0.0, 0.3)})
    assert "cartoon" in found["smog"].negative
    assert found["night"].phrases == ("At dead of night",)
    assert found["night"].limits == CONDITIONS["night"].limits
    assert (found["rain"].negative, found["rain"].limits) == ("dry", {})
    assert found["rain"].phrases == CONDITIONS["rain"].phrases
    assert set(found) == {*CONDITIONS, "smog"}
    assert CONDITIONS["rain"].limits  # the built-in ones stay as they are


def test_without_a_file_there_are_the_built_in_conditions():
    assert load_conditions("") == CONDITIONS
    assert load_conditions() == CONDITIONS


def test_words_that_other_yaml_readers_turn_into_something_else_stay_text(tmp_path):
    found = load_conditions(own(tmp_path, "off:\n  phrases: [yes, 2024-01-01, 1.5, null]\n"))
    assert found["off"].phrases == ("yes", "2024-01-01", "1.5", "null")


def test_the_example_shows_every_key_and_statistic_and_loads():
    found = load_conditions(EXAMPLE)
    assert {"smog", "sandstorm", "sun_glare", "tom_glass", "tom_mirror"} <= set(found)
    assert set(found["smog"].limits) == set(STATISTICS)
    assert found["night"].limits == CONDITIONS["night"].limits
    assert meets(found["smog"], picture((0.6, 0.55, 0.4), 0.45))
    assert meets(found["sun_glare"], picture((0.9, 0.9, 0.8), 0.4))


MISTAKES = {
    "smog:\n  negative: x\n": r"smog needs phrases",
    "smog:\n  phrases: []\n": r"smog\.phrases must be a list of texts",
    "smog:\n  phrases: In smog\n": r"smog\.phrases must be a list of texts",
    "smog:\n  phrases: ['']\n": r"smog\.phrases must be texts of 1 to 200 characters, got ''",
    "smog:\n  phrases: [[a]]\n": r"smog\.phrases must be texts",
    f"smog:\n  phrases: [{'x' * 201}]\n": r"smog\.phrases must be texts of 1 to 200",
    "smog:\n  phrase: [a]\n": r"smog has no phrase; did you mean phrases\?",
    "smog:\n  phrases: [a]\n  zzz: b\n": r"smog has no zzz; it may be phrases, negative, limits",
    "smog:\n  phrases: [a]\n  negative: [b]\n": r"smog\.negative must be a text",
    "night:\n  limits: {luminence: [0, 1]}\n": r"night\.limits has no luminence; did you mean luminance\?",
    "night:\n  limits: {luminance: 0.5}\n": r"night\.limits\.luminance must be \[least, most\], got 0.5",
    "night:\n  limits: {luminance: 12}\n": r"night\.limits\.luminance must be \[least, most\], got 12",
    "night:\n  limits: {luminance: {1: a, 2: b}}\n": r"night\.limits\.luminance must be \[least, most\]",
    "night:\n  limits: {luminance: [0.5, 0.1]}\n": r"night\.limits\.luminance must be two numbers, the",
    "night:\n  limits: {luminance: [nan, 1]}\n": r"night\.limits\.luminance must be two numbers",
    "night:\n  limits: {luminance: [0, 1, 2]}\n": r"must be \[least, most\]",
    "night:\n  limits: [0, 1]\n": r"night\.limits must hold lines like",
    "night: dark\n": r"night must hold phrases, negative or limits",
    "Black Night:\n  phrases: [a]\n": r"'Black Night' must be a word of a-z",
    "../x:\n  phrases: [a]\n": r"'\.\./x' must be a word of a-z",
    "night:\n  negative: a\nnight:\n  negative: b\n": r"line 3: night is given twice",
    "night:\n  negative: a\n  negative: b\n": r"line 3: negative is given twice",
    "a: &x\n  phrases: [a]\nb: *x\n": r"line 3: aliases \(\*name\) are refused",
    "night: [\n": r"line \d: ",
    "night:\n\tnegative: a\n": r"line 2: ",
    "": r"it must hold names of conditions",
    "- a\n": r"it must hold names of conditions",
    "night:\n  negative: " + "x" * 100_001: r"more than 100000 bytes",
    "[" * 5000: r"nested too deeply",
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_in_the_file_is_one_line_with_the_file_and_the_place(tmp_path, text):
    with pytest.raises(DataError, match=MISTAKES[text]) as caught:
        load_conditions(own(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path / 'own.yaml'}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"there is no file .*absent\.yaml with conditions"):
        load_conditions(tmp_path / "absent.yaml")
    (tmp_path / "own.yaml").write_bytes(b"night:\n  negative: \xff\xfe\n")
    with pytest.raises(DataError, match=r"own\.yaml: it is not UTF-8 text"):
        load_conditions(tmp_path / "own.yaml")


def test_tags_in_the_file_run_nothing(tmp_path):
    ran = tmp_path / "ran"
    text = f"smog:\n  phrases: !!python/object/apply:os.system ['touch {ran}']\n"
    assert load_conditions(own(tmp_path, text))["smog"].phrases == (f"touch {ran}",)
    assert not ran.exists()
