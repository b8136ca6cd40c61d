"""The draw of translated inputs, and translated images of all kinds."""

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from walled_street import LEVELS, SIZE, WalledStreet, translations

from ude.data.datasets import TrainingFrames
from ude.files import DataError, MissingFileError


@pytest.fixture
def source() -> WalledStreet:
    return WalledStreet()


def test_the_input_matches_the_drawn_condition(source, tmp_path):
    frames = TrainingFrames(
        source, size=SIZE, offsets=(), translated=translations(tmp_path, source, "night", "rain"), seed=3
    )
    seen = set()
    for epoch in range(12):
        frames.set_epoch(epoch)
        for index in range(len(frames)):
            sample = frames[index]
            level = LEVELS.get(sample["input_condition"], 10 * index + 60)
            assert (sample["input"].int() - level).abs().max() <= 1
            assert sample["target"].unique().tolist() == [10 * index + 60]
            assert sample["condition"] == "day-clear"
            seen.add(sample["input_condition"])
    assert seen == {"day-clear", "night", "rain"}


@pytest.mark.parametrize(
    ("conditions", "probability", "share"),
    [(("night",), "auto", 1 / 2), (("night", "rain"), "auto", 2 / 3), (("night", "rain", "fog"), 0.3, 0.3)],
)
def test_real_and_translated_inputs_come_with_the_stated_frequencies(tmp_path, conditions, probability, share):
    source = WalledStreet(30)
    frames = TrainingFrames(
        source,
        size=SIZE,
        offsets=(),
        translated=translations(tmp_path, source, *conditions),
        translated_prob=probability,
    )
    counts, epochs = Counter(), 400
    for epoch in range(epochs):
        frames.set_epoch(epoch)
        counts.update(frames.drawn_condition(index) for index in range(len(frames)))
    total = len(frames) * epochs  # 12,000 draws: one standard deviation is at most 0.0046
    assert counts[None] / total == pytest.approx(1 - share, abs=0.02)
    for condition in conditions:
        assert counts[condition] / total == pytest.approx(share / len(conditions), abs=0.02)


def test_the_draw_depends_on_seed_epoch_and_frame_alone(source, tmp_path):
    translated = translations(tmp_path, source, "night", "rain")

    def draws(seed: int, epoch: int) -> list[str | None]:
        frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translated, seed=seed)
        frames.set_epoch(epoch)
        return [frames.drawn_condition(index) for index in reversed(range(4))][::-1]

    assert draws(0, 5) == draws(0, 5)
    assert [draws(0, epoch) for epoch in range(6)] != [draws(1, epoch) for epoch in range(6)]
    assert len({tuple(draws(0, epoch)) for epoch in range(6)}) > 1


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_extreme_probabilities_are_exact(source, tmp_path, probability):
    frames = TrainingFrames(
        source,
        size=SIZE,
        offsets=(),
        translated=translations(tmp_path, source, "night"),
        translated_prob=probability,
    )
    for epoch in range(50):
        frames.set_epoch(epoch)
        assert {frames.drawn_condition(index) for index in range(4)} == {"night" if probability else None}


@pytest.mark.parametrize("probability", [-0.1, 1.5, "half"])
def test_a_probability_outside_0_to_1_is_refused(source, tmp_path, probability):
    with pytest.raises(ValueError, match="translated_prob must be 'auto' or a number in"):
        TrainingFrames(
            source,
            size=SIZE,
            offsets=(),
            translated=translations(tmp_path, source, "night"),
            translated_prob=probability,
        )


def test_a_missing_translation_stops_at_construction(source, tmp_path):
    translated = translations(tmp_path, source, "night", "rain")
    (tmp_path / "night" / "frame-00002.jpg").unlink()
    with pytest.raises(MissingFileError, match=r"'night' of frame-00002 .*translate\.py.*1 of 8"):
        TrainingFrames(source, size=SIZE, offsets=(), translated=translated)
    TrainingFrames(source, size=SIZE, offsets=(), translated=translated, translated_prob=0.0)


def png_16_bit(path: Path) -> None:
    Image.fromarray(np.full(SIZE, 40_000, np.uint16)).save(path, "PNG")


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE[::-1], (160, 160, 160)).save(path, "JPEG", exif=exif)


def huge_header(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + b"\0\0\0\0"

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header)


@pytest.mark.parametrize(
    ("write", "loads"),
    [
        (lambda path: Image.new("RGB", (96, 64), (160, 160, 160)).save(path, "JPEG"), True),
        (lambda path: Image.new("RGB", (31, 20), (160, 160, 160)).save(path, "JPEG"), True),
        (lambda path: Image.new("L", SIZE[::-1], 160).save(path, "JPEG"), True),
        (lambda path: Image.new("RGBA", SIZE[::-1], (160, 160, 160, 255)).save(path, "PNG"), True),
        (lambda path: Image.new("CMYK", SIZE[::-1], (95, 95, 95, 0)).save(path, "JPEG"), True),
        (turned, False),
        (png_16_bit, False),
        (huge_header, False),
        (lambda path: Image.new("RGB", (1, 1)).save(path, "JPEG"), False),
        (lambda path: path.write_bytes(b""), False),
    ],
    ids=["larger", "smaller", "grey", "rgba", "cmyk", "turned", "16 bit", "bomb", "1 x 1", "empty"],
)
def test_an_unusual_translated_image_becomes_rgb_of_the_right_size_or_is_refused_by_name(
    source, tmp_path, write, loads
):
    translated = translations(tmp_path, source, "rain")
    path = tmp_path / "rain" / "frame-00001.jpg"
    write(path)
    frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translated, translated_prob=1.0)
    if loads:
        sample = frames[1]
        assert sample["input"].shape == (3, *SIZE)
        assert (sample["input"].int() - 160).abs().max() <= 2
    else:
        with pytest.raises(DataError, match=r"frame-00001\.jpg") as caught:
            frames[1]
        assert "\n" not in str(caught.value)
