"""Translated frames: where they lie, which are missing."""

import numpy as np
import pytest

from ude.data.translated import TranslatedFrames
from ude.files import DataError, MissingFileError, write_image


def grey(level: int) -> np.ndarray:
    return np.full((32, 48, 3), level, np.uint8)


@pytest.fixture
def translated(tmp_path):
    for condition, level in (("night", 20), ("rain", 120)):
        for frame_id in ("n015+0800__1", "n015+0800__2"):
            write_image(tmp_path / condition / f"{frame_id}.jpg", grey(level))
    return TranslatedFrames(tmp_path, ("night", "rain"))


def test_a_translated_frame_lies_in_the_folder_of_its_condition(translated, tmp_path):
    assert translated.path("n015+0800__1", "rain") == tmp_path / "rain" / "n015+0800__1.jpg"
    assert np.abs(translated.image("n015+0800__1", "rain").astype(int) - 120).max() <= 1
    assert np.abs(translated.image("n015+0800__1", "night").astype(int) - 20).max() <= 1


def test_a_missing_translation_is_named_with_what_to_run(translated, tmp_path):
    with pytest.raises(MissingFileError) as caught:
        translated.image("n015+0800__3", "night")
    message = str(caught.value)
    assert f"no translated frame for 'night' of n015+0800__3 in {tmp_path}; run: python tools/translate.py" in message


def test_complete_translations_are_accepted(translated):
    translated.require(["n015+0800__1", "n015+0800__2"])


def test_the_first_missing_translation_and_the_count_are_named(translated, tmp_path):
    (tmp_path / "rain" / "n015+0800__2.jpg").unlink()
    with pytest.raises(MissingFileError, match=r"'rain' of n015\+0800__2 .*\(1 of 4 translated frames are missing\)"):
        translated.require(["n015+0800__1", "n015+0800__2"])


def test_a_missing_root_counts_as_all_frames_missing(tmp_path):
    with pytest.raises(MissingFileError, match="2 of 2 translated frames are missing"):
        TranslatedFrames(tmp_path / "nowhere", ["snow", "fog"]).require(["a"])


@pytest.mark.parametrize("frame_id", ["../../secret", "a/../../b", "a\\b", "a\0b"])
def test_a_frame_id_cannot_lead_out_of_the_root(translated, frame_id):
    with pytest.raises(DataError):
        translated.path(frame_id, "night")


def test_other_conditions_are_refused(translated):
    with pytest.raises(ValueError, match="must be one of night, rain, got 'fog'"):
        translated.path("n015+0800__1", "fog")


@pytest.mark.parametrize("conditions", [(), ("night", "night")])
def test_conditions_must_be_given_and_differ(tmp_path, conditions):
    with pytest.raises(ValueError, match="without repetition"):
        TranslatedFrames(tmp_path, conditions)
