"""Reading and resizing of frames: Pillow as the oracle, damaged and unusual files."""

import io

import numpy as np
import pytest
from PIL import Image

from ude.data import images
from ude.data.images import read_rgb, resize_image
from ude.files import DataError, MissingFileError


def picture(height: int = 90, width: int = 160) -> np.ndarray:
    """Smooth shapes with some sharp edges and noise, uint8 (H, W, 3)."""
    v, u = np.mgrid[:height, :width] / height
    waves = np.stack([np.sin(9 * u + 4 * v), np.cos(5 * u * v), np.sign(np.sin(20 * u))], -1)
    noise = np.random.default_rng(0).normal(0, 0.1, waves.shape)
    return ((waves + noise) * 60 + 128).clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).convert(mode).save(data, "JPEG", **options)
    return data.getvalue()


@pytest.mark.parametrize("size", [(32, 57), (45, 80), (90, 80), (120, 200)])
def test_resizing_gives_pillows_lanczos_within_one_level(size):
    image = picture()
    ours = resize_image(image, size)
    assert ours.shape == (3, *size)
    assert ours.is_contiguous()
    theirs = np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.LANCZOS))
    assert np.abs(ours.permute(1, 2, 0).numpy().astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_file_becomes_what_pillow_decodes_and_resizes_within_one_level(tmp_path, subsampling):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture(180, 320), quality=92, subsampling=subsampling))
    ours = resize_image(read_rgb(path), (64, 115)).permute(1, 2, 0).numpy()
    theirs = Image.open(path).convert("RGB").resize((115, 64), Image.Resampling.LANCZOS)
    difference = np.abs(ours.astype(int) - np.asarray(theirs))
    assert difference.max() <= 1
    assert difference.mean() < 0.1


def test_an_image_of_the_right_size_is_not_filtered():
    image = picture()
    np.testing.assert_array_equal(resize_image(image, (90, 160)).permute(1, 2, 0).numpy(), image)


def test_without_lanczos_resizing_falls_back_to_a_close_filter(monkeypatch):
    image = picture()
    exact = resize_image(image, (45, 80)).float()
    monkeypatch.setattr(images, "resize_filter", lambda: "bicubic")
    assert (resize_image(image, (45, 80)).float() - exact).abs().mean() < 2


def test_without_torchvisions_decoder_pillow_reads(monkeypatch, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture()))
    fast = read_rgb(path)
    monkeypatch.setattr(images, "_jpeg_decoder", lambda: None)
    np.testing.assert_array_equal(read_rgb(path), fast)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpegs_decode_to_pillows_rgb_pixels(tmp_path, mode):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture(), mode, quality=90))
    theirs = np.asarray(Image.open(path).convert("RGB"))
    assert np.abs(read_rgb(path).astype(int) - theirs).max() <= 1


def test_an_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture(90, 160), exif=exif, quality=95))
    assert read_rgb(path).shape == (160, 90, 3)


def test_a_png_that_is_called_jpg_is_read(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture()).convert("RGBA").save(path, "PNG")
    np.testing.assert_array_equal(read_rgb(path), picture())


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_jpeg_is_refused_by_name_in_one_line(tmp_path, share):
    path, data = tmp_path / "cut.jpg", jpeg(picture())
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError) as caught:
        read_rgb(path)
    assert str(path) in str(caught.value)
    assert "again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_jpeg_with_a_tail_of_zeros_is_refused(tmp_path):
    path, data = tmp_path / "zeros.jpg", jpeg(picture())
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with pytest.raises(DataError, match=r"zeros\.jpg"):
        read_rgb(path)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.jpg"):
        read_rgb(tmp_path / "gone.jpg")
