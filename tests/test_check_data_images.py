"""Images that cannot be read to their last pixel, or are not what their frame needs, are named; good ones are not."""

import os
import time
from itertools import product

import numpy as np
import pytest
from checked_frames import Frame, MadeUpFrames, cuts, encoded, picture
from PIL import Image

from ude.data.check import Problem, distinct, examine_image, frame_files, image_problems, repeated_images, scan_images
from ude.data.check.images import incomplete
from ude.data.images import read_rgb
from ude.files import read_image


def examined(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return examine_image(path)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", {"quality": 90}),
        (".jpg", {"quality": 95, "subsampling": 0, "optimize": True}),
        (".jpg", {"progressive": True}),
        (".jpg", {"restart_marker_rows": 1}),
        (".png", {}),
        (".png", {"compress_level": 0}),
    ],
)
def test_all_15_cut_files_are_found(tmp_path, suffix, options):
    damaged = cuts(encoded(picture(1, (240, 320)), suffix, **options))
    assert len(damaged) == 15
    found = {name: examined(tmp_path, name + suffix, data).problem for name, data in damaged.items()}
    assert [name for name, problem in found.items() if not problem] == []


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {}), (".jpg", {"exif": True}), (".png", {})])
def test_that_a_file_is_cut_is_seen_without_a_decoder(suffix, options):
    # decoders have accepted such files silently before
    options = {name: _with_thumbnail() for name in options}
    good = encoded(picture(1, (240, 320)), suffix, **options)
    assert incomplete(good) is None
    assert [name for name, data in cuts(good).items() if len(data) != 0 and incomplete(data) is None] in (
        [],
        ["kept_0.001"],  # too short to be told from another format
    )


def test_there_is_no_false_alarm_among_100_good_files(tmp_path):
    ways = [
        *product([".jpg"], [{"quality": q, "subsampling": s} for q in (30, 75, 95) for s in (0, 2)]),
        *product([".jpg"], [{"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}]),
        (".png", {}),
    ]
    assert len(ways) == 10
    for seed, (suffix, options) in enumerate(10 * ways):
        image = picture(seed, (24 + seed, 32 + 3 * seed))
        if seed % 10 < 3:
            image = image.convert("L")
        facts = examined(tmp_path, f"{seed}{suffix}", encoded(image, suffix, **options))
        assert facts.problem is None
        assert (facts.height, facts.width) == (24 + seed, 32 + 3 * seed)


def test_a_constant_picture_of_zero_bits_and_bytes_after_the_end_are_no_damage(tmp_path):
    black = encoded(Image.new("RGB", (320, 240)), optimize=True)
    assert examined(tmp_path, "black.jpg", black).problem is None
    assert examined(tmp_path, "padded.jpg", black + bytes(512)).problem is None
    with_thumbnail = picture(2, (240, 320))
    assert examined(tmp_path, "thumbnail.jpg", encoded(with_thumbnail, exif=_with_thumbnail())).problem is None


def test_the_end_of_an_embedded_thumbnail_is_not_taken_for_that_of_the_image(tmp_path):
    data = encoded(picture(2, (240, 320)), exif=_with_thumbnail())
    assert data.count(b"\xff\xd9") == 2
    assert examined(tmp_path, "cut.jpg", data[:-2]).problem


def test_a_block_of_zero_bytes_that_decoders_pass_over_is_found(tmp_path):
    good = encoded(picture(3, (480, 640)), quality=95)
    missed_by_decoders = 0
    for place in range(1000, len(good) - 5000, len(good) // 20):
        path = tmp_path / f"{place}.jpg"
        path.write_bytes(good[:place] + bytes(4096) + good[place + 4096 :])
        assert "damaged picture" in examine_image(path).problem
        missed_by_decoders += read_rgb(path).shape == read_image(path).shape == (480, 640, 3)
    assert missed_by_decoders > 10  # this is why their word is not enough


def test_what_the_decoder_says_does_not_reach_the_terminal_and_other_words_do(tmp_path, capfd, monkeypatch):
    good = encoded(picture(3, (480, 640)), quality=95)

    def read_and_speak(path):
        os.write(2, b"something else\n")
        return read_rgb(path)

    monkeypatch.setattr("ude.data.check.images.read_rgb", read_and_speak)
    assert examined(tmp_path, "hole.jpg", good[:5000] + bytes(4096) + good[9096:]).problem
    assert capfd.readouterr().err == "something else\n"


def test_a_flipped_bit_in_a_png_is_found_everywhere(tmp_path):
    good = encoded(picture(4), ".png")
    for place in range(8, len(good), 97):
        damaged = bytearray(good)
        damaged[place] ^= 1
        assert examined(tmp_path, "flip.png", bytes(damaged)).problem, place


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1"])
def test_pictures_in_other_modes_load_as_rgb_of_their_size(tmp_path, mode):
    facts = examined(tmp_path, "x.png", encoded(picture(5).convert(mode), ".png"))
    assert (facts.problem, facts.height, facts.width) == (None, 48, 64)
    assert read_rgb(tmp_path / "x.png").shape == (48, 64, 3)


def test_a_cmyk_jpeg_loads_as_rgb(tmp_path):
    facts = examined(tmp_path, "x.jpg", encoded(picture(5).convert("CMYK")))
    assert facts.problem is None
    difference = np.abs(read_rgb(tmp_path / "x.jpg").astype(int) - np.asarray(picture(5), int))
    assert difference.mean() < 12  # not the negative, as of a decoder that does not know of inverted inks


def test_a_picture_of_16_bit_is_refused_in_words(tmp_path):
    sixteen = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    assert "more than 8 bits" in examined(tmp_path, "x.png", encoded(sixteen, ".png")).problem


def test_text_under_the_name_of_an_image_and_folders_are_refused_in_words(tmp_path):
    assert "no image" in examined(tmp_path, "x.jpg", b"<html>404 not found</html>").problem
    (tmp_path / "folder.jpg").mkdir()
    assert "cannot be read" in examine_image(tmp_path / "folder.jpg").problem


def frames_of(folder, pictures, **options):
    frames = []
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
        frames.append(Frame(name.partition(".")[0], folder / name, **options))
    return frames


def problems_of(frames, offsets=()):
    found = frame_files(MadeUpFrames(frames, offsets))
    facts = {path: examine_image(path) for frame in found for path in (frame.image, *frame.neighbours)}
    return {problem.frame_ids: problem for problem in (*image_problems(found, facts), *repeated_images(found, facts))}


def test_pictures_of_another_size_are_named_with_both_sizes(tmp_path):
    turned = picture(6).getexif()
    turned[0x0112] = 6  # a quarter turn
    pictures = {
        "good.jpg": encoded(picture(6)),
        "dot.jpg": encoded(picture(6, (1, 1))),
        "small.jpg": encoded(picture(6, (24, 32))),
        "turned.jpg": encoded(picture(7), exif=turned),
    }
    problems = problems_of(frames_of(tmp_path, pictures))
    assert problems.keys() == {("dot",), ("small",), ("turned",)}
    assert problems["dot",].problem == "is 1 x 1, not 48 x 64 (height x width)"
    assert problems["turned",].problem == "is 64 x 48, not 48 x 64 (height x width)"
    assert problems["small",].path == str(tmp_path / "small.jpg")


def test_a_neighbour_belongs_to_all_frames_that_need_it(tmp_path):
    pictures = {f"{n}.jpg": encoded(picture(n)) for n in range(4)}
    frames = frames_of(tmp_path, pictures)
    frames = [Frame(str(n), frames[n].image, neighbours=(frames[n - 1].image, frames[n + 1].image)) for n in (1, 2)]
    (tmp_path / "2.jpg").write_bytes(pictures["2.jpg"][:-20])
    found = frame_files(MadeUpFrames(frames, (-1, 1)))
    facts = {path: examine_image(path) for frame in found for path in (frame.image, *frame.neighbours)}
    problems = image_problems(found, facts)
    assert [(problem.kind, problem.frame_ids) for problem in problems] == [("image", ("2",)), ("neighbour", ("1",))]


def test_the_same_picture_under_two_names_or_as_its_own_neighbour_is_found(tmp_path):
    pictures = {"a.jpg": encoded(picture(1)), "b.jpg": encoded(picture(2)), "c.jpg": encoded(picture(1))}
    problems = problems_of(frames_of(tmp_path, pictures))
    assert problems.keys() == {("c",)}
    assert problems["c",].problem == "is the same picture as that of frame a"
    frozen = Frame("b", tmp_path / "b.jpg", neighbours=(tmp_path / "frozen.jpg",))
    (tmp_path / "frozen.jpg").write_bytes(pictures["b.jpg"])
    assert problems_of([frozen], (-1,))["b",].problem == "is the same picture as its neighbour frozen.jpg"


def test_a_file_stands_once_for_one_damage_and_with_all_its_other_problems():
    image = Problem("image", "a.jpg", "is cut", ("a", "b"))
    again = Problem("image", "a.jpg", "cannot be decoded", ("a",))
    others = [Problem("neighbour", "a.jpg", "is cut", ("c",)), Problem("frame", "a.jpg", "one", ("a",))]
    others.append(Problem("frame", "a.jpg", "another", ("a",)))
    assert distinct([image, again, *others]) == [image, *others]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_scan_decodes_only_what_is_new_changed_or_was_bad(tmp_path, workers):
    for n in range(6):
        (tmp_path / f"{n}.jpg").write_bytes(encoded(picture(n)))
    (tmp_path / "5.jpg").write_bytes(encoded(picture(5))[:-9])
    paths, options = sorted(tmp_path.glob("*.jpg")), {"workers": workers, "memory": tmp_path / "good.jsonl"}
    first, known = scan_images(paths[1:], **options, progress=False)
    assert known == 0
    (tmp_path / "4.jpg").write_bytes(encoded(picture(44)))
    second, known = scan_images(paths, **options, progress=False)
    assert known == 3
    assert second == first | {path: examine_image(path) for path in (paths[0], paths[4])}
    assert [path.name for path, facts in second.items() if facts.problem] == ["5.jpg"]


def test_an_interrupted_scan_goes_on_where_it_stopped(tmp_path, monkeypatch):
    for n in range(40):
        (tmp_path / f"{n:02d}.jpg").write_bytes(encoded(picture(n)))
    paths, memory = sorted(tmp_path.glob("*.jpg")), tmp_path / "good.jsonl"

    def interrupt(path):
        if path.name == "35.jpg":
            raise KeyboardInterrupt
        return examine_image(path)

    monkeypatch.setattr("ude.data.check.scan.examine_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scan_images(paths, workers=0, memory=memory, progress=False)
    monkeypatch.undo()
    memory.write_text(memory.read_text()[:-30])  # killed within a line
    facts, known = scan_images(paths, workers=0, memory=memory, progress=False)
    assert 20 < known < 35
    assert len(facts) == 40
    assert not any(fact.problem for fact in facts.values())


@pytest.mark.slow
def test_decoding_the_check_costs_less_than_twice_the_decoding(tmp_path):
    for n in range(20):
        (tmp_path / f"{n}.jpg").write_bytes(encoded(picture(n, (900, 1600))))
    paths = sorted(tmp_path.glob("*.jpg"))
    seconds = {}
    for name, examine in (("warm", read_rgb), ("decode", read_rgb), ("check", examine_image)):
        start = time.process_time()
        for path in paths:
            examine(path)
        seconds[name] = time.process_time() - start
    assert seconds["check"] < 2 * seconds["decode"]


def _with_thumbnail():
    """EXIF data with a small JPEG in it, as cameras write them."""
    small = encoded(picture(9, (24, 32)))
    entries = [(0x0103, 3, 1, 6), (0x0201, 4, 1, 8 + 2 + 4 + 2 + 3 * 12 + 4), (0x0202, 4, 1, len(small))]
    tiff = b"II*\0" + (8).to_bytes(4, "little") + (0).to_bytes(2, "little") + (14).to_bytes(4, "little")
    tiff += len(entries).to_bytes(2, "little")
    for tag, kind, count, value in entries:
        tiff += tag.to_bytes(2, "little") + kind.to_bytes(2, "little")
        tiff += count.to_bytes(4, "little") + value.to_bytes(4, "little")
    return b"Exif\0\0" + tiff + bytes(4) + small
