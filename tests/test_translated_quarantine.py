"""What the student gets instead of translations that were put into quarantine."""

import logging
import shutil

import pytest
from walled_street import SIZE, WalledStreet, translations

from ude.data.datasets import TrainingFrames
from ude.data.translated import TranslatedFrames, quarantine_path
from ude.files import MissingFileError


@pytest.fixture
def source():
    return WalledStreet()


def rejected(root, source, *, night=(), rain=()):
    """Translations of which those of some frames, by index, are in quarantine."""
    translations(root, source, "night", "rain")
    for condition, indices in (("night", night), ("rain", rain)):
        for index in indices:
            path = quarantine_path(root, source.frame_id(index), condition)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(root / condition / path.name, path)
    return TranslatedFrames(root, ("night", "rain"))


def drawn(frames, index):
    """The conditions that a frame's input has in many epochs."""
    found = []
    for epoch in range(60):
        frames.set_epoch(epoch)
        found.append(frames.drawn_condition(index))
    return found


def test_another_condition_or_the_day_frame_takes_the_place_of_a_rejected_translation(source, tmp_path):
    translated = rejected(tmp_path / "some", source, night=(0, 1), rain=(1,))
    frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translated)
    whole = translations(tmp_path / "all", source, "night", "rain")
    undisturbed = TrainingFrames(source, size=SIZE, offsets=(), translated=whole)
    assert translated.usable(source.frame_id(0)) == ("rain",)
    assert translated.usable(source.frame_id(1)) == ()
    expected = {"night": "rain", "rain": "rain", None: None}
    assert drawn(frames, 0) == [expected[name] for name in drawn(undisturbed, 0)]
    assert drawn(frames, 1) == [None] * 60
    assert drawn(frames, 2) == drawn(undisturbed, 2)
    for index in range(3):
        for epoch in range(10):
            frames.set_epoch(epoch)
            assert frames[index]["input_condition"] == (frames.drawn_condition(index) or "day-clear")


def test_rejected_translations_are_counted_once_in_the_log(source, tmp_path, caplog):
    translated = rejected(tmp_path, source, night=(0, 1), rain=(1,))
    with caplog.at_level(logging.WARNING):
        frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translated)
        drawn(frames, 0)
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"3 of {2 * len(source)} translated frames of {tmp_path} are in quarantine")
    assert "(night 2, rain 1)" in message


def test_a_rejected_translation_is_not_missing_but_others_are(source, tmp_path):
    translated = rejected(tmp_path, source, night=(0,))
    ids = [source.frame_id(index) for index in range(len(source))]
    translated.require(ids)
    (tmp_path / "rain" / f"{ids[1]}.jpg").unlink()
    with pytest.raises(MissingFileError, match=rf"'rain' of {ids[1]} .*\(1 of {2 * len(ids)} "):
        translated.require(ids)


def test_a_rejected_translation_cannot_be_read_as_one(source, tmp_path):
    translated = rejected(tmp_path, source, night=(0,))
    with pytest.raises(MissingFileError, match="no translated frame for 'night'"):
        translated.image(source.frame_id(0), "night")
