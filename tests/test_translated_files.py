"""Fault F08: what a translated image may look like on the disk, whoever wrote it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from walled_street import SIZE, WalledStreet, translations

from ude.data.datasets import TrainingFrames
from ude.data.translated import TranslatedFrames
from ude.files import DataError

NAME = "frame-00001"
HEIGHT, WIDTH = SIZE


def picture() -> np.ndarray:
    """Red at the top left, green right of it, blue below: every turn and mirroring shows."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = (200, 40, 40)
    image[: HEIGHT // 2, WIDTH // 2 :] = (40, 200, 40)
    image[HEIGHT // 2 :, : WIDTH // 2] = (40, 40, 200)
    return image


def stored(orientation: int) -> np.ndarray:
    """The pixels that a camera stores so that they look like `picture` with this EXIF orientation."""
    upright = picture()
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: np.rot90,
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(turns[orientation](upright))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def read(tmp_path: Path, data: bytes) -> np.ndarray:
    """What the training makes of a translated image with these bytes, (H, W, 3)."""
    source = WalledStreet()
    translated = translations(tmp_path, source, "rain")
    (tmp_path / "rain" / f"{NAME}.jpg").write_bytes(data)
    frames = TrainingFrames(source, size=SIZE, offsets=(), translated=translated, translated_prob=1.0)
    sample = frames[1]["input"]
    assert sample.shape == (3, *SIZE)
    assert sample.dtype.itemsize == 1
    return sample.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored(orientation))
    data = encoded(image, "JPEG", exif=exif, quality=95, subsampling=0)
    found = read(tmp_path, data).astype(int)
    for rows, columns in ((slice(2, 14), slice(2, 22)), (slice(2, 14), slice(26, 46)), (slice(18, 30), slice(2, 22))):
        assert np.abs(found[rows, columns] - picture()[rows, columns]).max() < 12


def test_an_image_that_lies_on_its_side_is_refused_by_name(tmp_path):
    data = encoded(Image.fromarray(np.rot90(picture()).copy()), "JPEG")
    with pytest.raises(DataError, match=rf"{NAME}\.jpg .*remove it and translate again"):
        read(tmp_path, data)


@pytest.mark.parametrize("factor", [0.5, 2, 3.3])
def test_other_sizes_of_the_same_shape_are_resized(tmp_path, factor):
    size = round(WIDTH * factor), round(HEIGHT * factor)
    data = encoded(Image.fromarray(picture()).resize(size), "JPEG", quality=95, subsampling=0)
    assert np.abs(read(tmp_path, data).astype(int) - picture())[4:12, 4:20].max() < 12


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (48, 1), (1, 32), (96, 32), (24, 32)])
def test_a_picture_of_another_shape_is_refused_by_name(tmp_path, size):
    with pytest.raises(DataError, match=rf"{NAME}\.jpg") as caught:
        read(tmp_path, encoded(Image.new("RGB", size, (90, 90, 90)), "JPEG"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("CMYK", "JPEG")],
)
def test_modes_other_than_rgb_become_rgb_with_the_same_colours(tmp_path, mode, kind):
    wanted = Image.fromarray(picture())
    wanted = wanted.convert("L").convert("RGB") if mode in ("L", "LA") else wanted
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    image = Image.fromarray(picture())
    data = encoded(image.quantize() if mode == "P" else image.convert(mode), kind, **options)
    found = read(tmp_path, data).astype(int)
    inner = np.abs(found - np.asarray(wanted, int))[4:12, 4:20]
    assert inner.max() < 12


def test_a_progressive_jpeg_is_read_like_any_other(tmp_path):
    data = encoded(Image.fromarray(picture()), "JPEG", progressive=True, quality=95, subsampling=0)
    assert np.abs(read(tmp_path, data).astype(int) - picture())[4:12, 4:20].max() < 12


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: Image.fromarray(np.full(SIZE, 40_000, np.uint16)), "PNG"),
        (lambda: Image.fromarray(np.full(SIZE, 40_000, np.uint16)), "TIFF"),
        (lambda: Image.fromarray(np.full(SIZE, 70_000, np.int32)), "TIFF"),
        (lambda: Image.fromarray(np.full(SIZE, 0.5, np.float32)), "TIFF"),
    ],
    ids=["16 bit png", "16 bit tiff", "32 bit tiff", "float tiff"],
)
def test_more_than_8_bits_are_refused_by_name_with_the_remedy(tmp_path, make, kind):
    with pytest.raises(DataError, match=rf"{NAME}\.jpg has more than 8 bits per channel; convert it"):
        read(tmp_path, encoded(make(), kind))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 4096, b"\xff\xd8\xff", b"GIF89a", b"not an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
)
def test_what_is_no_image_is_refused_by_name_in_one_line(tmp_path, data):
    with pytest.raises(DataError, match=rf"{NAME}\.jpg") as caught:
        read(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_an_image_is_refused_by_name(tmp_path):
    (tmp_path / "night" / f"{NAME}.jpg").mkdir(parents=True)
    with pytest.raises(DataError, match=rf"'night' of {NAME}"):
        TranslatedFrames(tmp_path, ["night"]).image(NAME, "night")
