"""Reference images: which files count, how seeds draw them, and what is said of bad ones."""

import hashlib
from collections import Counter

import numpy as np
import pytest
import torch

from ude.files import DataError, MissingFileError, write_image
from ude.translation import seed_of
from ude.translation.references import References


def picture(level, size=(30, 50)):
    return np.full((*size, 3), level, np.uint8)


@pytest.fixture
def root(tmp_path):
    for i, name in enumerate(("c.png", "a.jpg", "b.JPEG", "thumbprint.png")):
        write_image(tmp_path / "night" / name, picture(40 * i))
    write_image(tmp_path / "rain" / "r.png", picture(200))
    return tmp_path


def test_hidden_files_thumbnails_folders_and_other_files_are_no_references(root):
    folder = root / "night"
    for name in (".hidden.jpg", "._a.jpg", "a_thumb.jpg", "thumb-3.png", "Thumbnails.png", "thumbs 2.jpg"):
        write_image(folder / name, picture(0))
    for name in ("Thumbs.db", "notes.txt", "a.jpg.sha256"):
        (folder / name).write_text("x")
    (folder / "folder.jpg").mkdir()
    assert References(root, ["night"]).names == {"night": ["a.jpg", "b.JPEG", "c.png", "thumbprint.png"]}


def test_the_draw_is_the_seeds_alone_whatever_the_order_of_the_files(root, monkeypatch):
    references = References(root, ["night", "rain"])
    draws = [references.draw("night", seed) for seed in range(12)]
    assert draws[:3] == ["night/a.jpg", "night/b.JPEG", "night/c.png"]
    listed = sorted((root / "night").iterdir(), reverse=True)
    monkeypatch.setattr(type(root), "iterdir", lambda folder: iter(listed))
    assert [References(root, ["night"]).draw("night", seed) for seed in reversed(range(12))] == draws[::-1]


def test_seeds_of_frames_draw_every_reference_about_equally_often(root):
    references = References(root, ["night"])
    counts = Counter(references.draw("night", seed_of("reference", i)) for i in range(2000))
    assert set(counts) == {f"night/{name}" for name in references.names["night"]}
    assert min(counts.values()) > 400


def test_images_are_rgb_in_the_order_asked_for(root):
    references = References(root, ["night", "rain"])
    images = references.images(["rain/r.png", "night/c.png", "night/a.jpg"])
    assert images.shape == (3, 3, 224, 224)
    assert images.dtype == torch.float32
    assert torch.allclose(images.mean((1, 2, 3)), torch.tensor([200.0, 0.0, 40.0]) / 255, atol=1e-2)


def test_the_hash_is_of_the_files_content(root):
    references = References(root, ["night"])
    digest = hashlib.sha256((root / "night" / "a.jpg").read_bytes()).hexdigest()
    assert references.sha256("night/a.jpg") == digest
    assert references.path("night/a.jpg") == root / "night" / "a.jpg"
    write_image(root / "night" / "a.jpg", picture(77))
    assert References(root, ["night"]).sha256("night/a.jpg") != digest


def test_a_damaged_reference_is_named(root):
    path = root / "night" / "a.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"night/a\.jpg cannot be decoded"):
        References(root, ["night"]).images(["night/c.png", "night/a.jpg"])


def test_a_reference_that_is_gone_is_named(root):
    references = References(root, ["night"])
    (root / "night" / "a.jpg").unlink()
    with pytest.raises(MissingFileError, match=r"night/a\.jpg"):
        references.images(["night/a.jpg"])
    with pytest.raises(MissingFileError, match=r"night/a\.jpg"):
        references.sha256("night/a.jpg")


def test_a_name_from_a_manifest_cannot_lead_out_of_the_folder(root):
    references = References(root, ["night"])
    for name in ("../secret.png", "/etc/passwd"):
        with pytest.raises(DataError, match="unsafe path"):
            references.path(name)


def test_missing_and_empty_folders_are_named_with_the_remedy(root):
    with pytest.raises(MissingFileError, match=r"there is no folder .*snow; put reference images of 'snow' there"):
        References(root, ["night", "snow"])
    (root / "fog").mkdir()
    (root / "fog" / ".a.jpg").write_text("x")
    with pytest.raises(DataError, match=r"there is no image in .*fog; put reference images of 'fog' there"):
        References(root, ["fog"])
