"""The stages of a translation run: captions, control depth, references, and networks loaded only where needed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from translation_runs import (
    NIGHT,
    RAIN,
    SIZE,
    UNCHECKED,
    Frames,
    Recorder,
    counts,
    grey,
    images_of,
    leftovers,
    rows_of,
    run,
)

from ude.files import DataError, read_image, read_jsonl, sha256, write_image
from ude.translation.references import References
from ude.translation.run import Networks, Options, translate_frames
from ude.translation.run.frames import read_control, write_control
from ude.translation.run.jobs import Draw


class Captions:
    """Captions that tell the brightness of a frame, and how often they were asked for."""

    def __init__(self):
        self.sizes = []

    def __call__(self, images):
        self.sizes.append(len(images))
        return [f"a street of {float(image.mean()):.4f} on a sunny day" for image in images]


def test_depth_is_computed_once_per_frame_and_read_back_from_its_picture(tmp_path):
    seen = []

    def depth(images):
        seen.append(images.shape)
        return grey(images)

    recorder = Recorder()
    run(tmp_path, translator=recorder, depth=depth)
    assert seen == [(2, 3, *SIZE)] * 3
    for call in recorder.calls:
        wanted = grey(call["images"])
        assert torch.allclose(call["depth"], wanted / wanted.amax((1, 2, 3), keepdim=True), atol=1e-5)
    rows = {row["frame_id"]: row for row in read_jsonl(tmp_path / "control.jsonl")}
    with Image.open(tmp_path / "control" / "frame-2.png") as image:
        assert image.mode == "I;16"
        assert np.array(image).max() == 65535
    assert rows["frame-2"]["control_sha256"] == sha256(tmp_path / "control" / "frame-2.png")
    assert rows_of(tmp_path)["frame-2", "night"]["control_sha256"] == rows["frame-2"]["control_sha256"]


def test_a_lost_or_damaged_control_is_made_again(tmp_path):
    run(tmp_path, depth=grey, conditions=[NIGHT])
    before = (tmp_path / "control" / "frame-1.png").read_bytes()
    (tmp_path / "control" / "frame-1.png").write_bytes(before[:50])
    (tmp_path / "control" / "frame-3.png").unlink()
    seen = []
    run(tmp_path, depth=lambda images: seen.append(len(images)) or grey(images), conditions=[NIGHT, RAIN])
    assert seen == [2]
    assert (tmp_path / "control" / "frame-1.png").read_bytes() == before


@pytest.mark.parametrize("value", [float("nan"), 0.0])
def test_a_depth_that_shows_nothing_names_its_frame(tmp_path, value):
    with pytest.raises(DataError, match=r"control depth of frame-0 is not finite or nowhere above 0; check the depth"):
        run(tmp_path, depth=lambda images: value * grey(images))


def test_control_pictures_keep_sixteen_bits(tmp_path):
    depth = torch.rand(1, 40, 60, generator=torch.Generator().manual_seed(0)) * 3
    write_control(tmp_path / "a.png", depth)
    assert torch.allclose(read_control(tmp_path / "a.png"), depth / depth.max(), atol=0.6 / 65535)


def test_captions_are_made_once_and_begin_the_prompt_behind_the_phrase_without_day_words(tmp_path):
    captions, recorder = Captions(), Recorder()
    run(tmp_path, translator=recorder, captioner=captions)
    assert captions.sizes == [2, 2, 2]
    rows = {row["frame_id"]: row["caption"] for row in read_jsonl(tmp_path / "captions.jsonl")}
    assert list(rows) == [f"frame-{i}" for i in range(5)]
    assert "sunny" in rows["frame-1"]
    row = rows_of(tmp_path)["frame-1", "rain"]
    assert row["caption"] == rows["frame-1"]
    assert row["prompt"].startswith(f"{RAIN.phrases[0]}, a street of 0.")
    assert "sunny" not in row["prompt"]
    assert recorder.calls[0]["prompts"][1] == rows_of(tmp_path)["frame-1", "night"]["prompt"]
    source = Frames()
    source.pixels["frame-3"] = 255 - source.pixels["frame-3"]
    run(tmp_path, source, captioner=captions)
    assert captions.sizes == [2, 2, 2, 2]  # the changed frame alone, in a full batch


def test_networks_are_loaded_only_where_their_stage_has_work(tmp_path):
    loaded = []

    def factory(name, network):
        return lambda: loaded.append(name) or network

    def go():
        networks = Networks(factory("translator", Recorder()), factory("depth", grey), factory("captioner", Captions()))
        options = Options(size=SIZE, seed=0, batch_size=2, quality=UNCHECKED, progress=False)
        translate_frames(Frames(), networks, options, conditions=[NIGHT], output=tmp_path / "out", config_hash="abc")

    go()
    assert loaded == ["captioner", "depth", "translator"]
    go()
    assert loaded == ["captioner", "depth", "translator"]
    (tmp_path / "out" / "night" / "frame-1.jpg").unlink()
    go()
    assert loaded == ["captioner", "depth", "translator", "translator"]


@pytest.fixture
def references(tmp_path):
    root = tmp_path / "references"
    for condition, level in (("night", 20), ("rain", 120)):
        for i in range(3):
            write_image(root / condition / f"{i}.png", np.full((30, 50, 3), level + i, np.uint8))
    return References(root, ["night", "rain"])


def test_references_are_drawn_by_the_seed_and_noted(tmp_path, references):
    recorder = Recorder()
    run(tmp_path / "out", translator=recorder, references=references, image_prompts=True, batch_size=5)
    rows = rows_of(tmp_path / "out")
    names = {row["reference"] for row in rows.values()}
    assert names <= {f"{c}/{i}.png" for c in ("night", "rain") for i in range(3)}
    assert len(names) > 2
    assert all(row["reference_sha256"] == sha256(references.path(row["reference"])) for row in rows.values())
    for call in recorder.calls:
        assert call["references"].shape == (5, 3, 224, 224)
        drawn = [rows[f"frame-{i}", call["condition"]]["reference"] for i in range(5)]
        levels = [read_image(references.path(name))[0, 0, 0] / 255 for name in drawn]
        assert torch.allclose(call["references"].mean((1, 2, 3)), torch.tensor(levels).float(), atol=1e-4)


def test_prompts_and_references_are_drawn_independently(tmp_path):
    root = tmp_path / "references"
    for i in range(len(RAIN.phrases)):
        write_image(root / "rain" / f"{i}.png", np.full((30, 50, 3), 100 + i, np.uint8))
    draw = Draw(0, References(root, ["rain"]), {"rain"})
    jobs = [draw.job(f"frame-{i}", RAIN) for i in range(50 * len(RAIN.phrases) ** 2)]
    assert len({(job.prompt, job.reference) for job in jobs}) == len(RAIN.phrases) ** 2


def test_brightness_is_matched_for_the_named_conditions_alone(tmp_path):
    root = tmp_path / "references"
    write_image(root / "night" / "0.png", np.tile(np.arange(0, 60, 2, np.uint8)[:, None, None], (1, 50, 3)))
    recorder = Recorder()
    references = References(root, ["night"])
    run(tmp_path / "a", translator=recorder)
    run(tmp_path / "b", translator=recorder, references=references, matched=("night",))
    plain, matched = images_of(tmp_path / "a"), images_of(tmp_path / "b")
    assert {name for name in plain if plain[name] == matched[name]} == {f"rain/frame-{i}.jpg" for i in range(5)}
    night = read_image(tmp_path / "b" / "night" / "frame-0.jpg")
    assert abs(float(night.mean()) - 29) < 6 < abs(float(read_image(tmp_path / "a/night/frame-0.jpg").mean()) - 29)
    rows = rows_of(tmp_path / "b")
    assert rows["frame-0", "night"]["reference"] == "night/0.png"
    assert rows["frame-0", "rain"]["reference"] is None
    assert all(call["references"] is None for call in recorder.calls)  # the translator takes none
    assert leftovers(tmp_path) == []


def test_a_new_reference_folder_needs_no_translation_of_finished_images(tmp_path, references):
    run(tmp_path / "out", references=references, image_prompts=True)
    assert counts(run(tmp_path / "out", references=references, image_prompts=True)) == (0, 10, 0)


def test_references_inside_of_the_output_folder_stay(tmp_path, references):
    own = Path(shutil.copytree(references.root, tmp_path / "out" / "references"))
    before = images_of(own)
    run(tmp_path / "out", references=References(own, ["night", "rain"]), image_prompts=True)
    assert before
    assert images_of(own) == before


def test_thumbnails_are_those_of_the_rows_that_the_gallery_shows(tmp_path, references, monkeypatch):
    shown = [{"frame_id": "frame-1", "reference": "night/0.png"}]
    monkeypatch.setattr("ude.translation.run.translate.shown_rows", lambda rows: shown)

    def thumbnails():
        folder = tmp_path / "out" / "thumbnails"
        return {str(path.relative_to(folder)) for path in folder.rglob("*.*")}

    arguments = {"references": references, "image_prompts": True}
    run(tmp_path / "out", **arguments)
    assert thumbnails() == {"sources/frame-1.jpg", "references/night/0.png"}
    shown[0] = {"frame_id": "frame-2", "reference": None}
    run(tmp_path / "out", **arguments)
    assert thumbnails() == {"sources/frame-2.jpg"}
    source = Frames()
    thumbnail = tmp_path / "out" / "thumbnails" / "sources" / "frame-2.jpg"
    before = read_image(thumbnail)
    source.pixels["frame-2"] = 255 - source.pixels["frame-2"]
    run(tmp_path / "out", source, **arguments)
    assert np.abs(read_image(thumbnail).astype(int) - before).mean() > 20
