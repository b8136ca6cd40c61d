"""Predictions in files: written by an evaluation, read in place of a network, and refused where they are no use."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_frames import SIZE, frame, from_brightness, measure
from PIL import Image

from ude.evaluation.predictor import Frame
from ude.evaluation.saved import SavedPredictions
from ude.evaluation.saving import Saving
from ude.files import DataError, MissingFileError, atomic, read_arrays

FRAMES = [frame(name, condition) for name, condition in (("a", "day-clear"), ("b", "night-rain"), ("c", "day-rain"))]
MADE_BY = {"weights": "outputs/run", "size": (8, 12)}


def saving(folder: Path, predict=from_brightness, **changes) -> Saving:
    return Saving(predict, folder, **({"metric": True, "flip": True, "made_by": MADE_BY} | changes))


def describe(folder: Path, kind: str, **entries) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "predictions.json").write_text(json.dumps({"schema_version": 1, "kind": kind, **entries}))
    return folder


def read(folder: Path, *, flip: bool = False, frame_id: str = "a", kind: str = "") -> list[torch.Tensor]:
    maps = SavedPredictions(folder, kind).of_frames(torch.zeros(1, 3, *SIZE), [Frame(frame_id, "day-clear")], flip=flip)
    return list(maps[0])


def means(results) -> dict:
    return {row: values for row, values in results.means.items() if values["frames"]}


def test_saved_predictions_have_exactly_the_errors_of_the_network_that_made_them(tmp_path):
    expected = means(measure(FRAMES))
    assert means(measure(FRAMES, saving(tmp_path))) == expected
    assert means(measure(FRAMES, SavedPredictions(tmp_path), size=3)) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz", "c.npz", "predictions.json"]
    document = json.loads((tmp_path / "predictions.json").read_text())
    assert document == {
        "schema_version": 1,
        "kind": "inverse_depth",
        "mirrored": True,
        "made_by": {"weights": "outputs/run", "size": [8, 12]},
    }


def test_relative_predictions_are_saved_as_such(tmp_path):
    relative = {"alignment": "least_squares", "metric": False}
    expected = measure(FRAMES, lambda images: from_brightness(images) - 0.3, **relative)
    measure(FRAMES, saving(tmp_path, lambda images: from_brightness(images) - 0.3, metric=False), **relative)
    saved = SavedPredictions(tmp_path)
    assert not saved.metric
    assert means(measure(FRAMES, saved, **relative)) == means(expected)


def test_what_was_saved_before_a_kill_is_not_predicted_again(tmp_path):
    seen = []

    def predict(images):
        seen.append(len(images))
        return from_brightness(images)

    expected = means(measure(FRAMES, saving(tmp_path)))
    (tmp_path / "b.npz").unlink()
    left = atomic.temporary_beside(tmp_path / "b.npz")
    left.with_name(left.name.replace(f"-{atomic.os.getpid()}-", "-999999999-")).write_bytes(b"half")
    assert means(measure(FRAMES, saving(tmp_path, predict), size=3)) == expected
    assert seen == [1, 1]  # frame b and its mirrored image
    assert not list(tmp_path.glob(".tmp-*"))


def test_predictions_of_another_network_or_form_are_not_mixed(tmp_path):
    saving(tmp_path / "saved")
    for changes, named in (
        ({"made_by": {**MADE_BY, "weights": "outputs/other"}}, "made_by"),
        ({"flip": False}, "mirrored"),
        ({"metric": False}, "kind"),
    ):
        with pytest.raises(DataError, match=f"holds predictions with another {named} .*choose another folder"):
            saving(tmp_path / "saved", **changes)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "image.png").touch()
    with pytest.raises(DataError, match=r"holds other files and no predictions.json; choose another folder"):
        saving(tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["image.png"]


def test_without_mirrored_images_only_the_other_modes_are_saved(tmp_path):
    measure(FRAMES, saving(tmp_path, flip=False), flip=False)
    assert list(read_arrays(tmp_path / "a.npz")) == ["prediction"]
    results = measure(FRAMES, SavedPredictions(tmp_path))
    assert results.modes == ("", "_median")
    assert means(results) == means(measure(FRAMES, flip=False))


def test_arrays_and_png_files_of_other_programs_are_read(tmp_path):
    depth = np.random.default_rng(0).uniform(2, 70, (5, 7)).astype(np.float32)
    as_depth, as_inverse, as_png = (tmp_path / name for name in ("depth", "inverse", "png"))
    np.save(describe(as_depth, "depth") / "a.npy", depth)
    np.save(describe(as_inverse, "inverse_depth") / "a.npy", 1 / depth.astype(np.float64))
    as_png.mkdir()
    Image.fromarray((depth * 256).round().astype(np.uint16)).save(as_png / "a.png")
    bare = tmp_path / "bare"
    bare.mkdir()
    np.save(bare / "a.npy", depth)
    for folder, kind, most in ((as_depth, "", 1e-6), (as_inverse, "", 1e-6), (bare, "depth", 1e-6), (as_png, "", 1e-3)):
        inverse, mirrored = read(folder, kind=kind)
        assert mirrored is None
        assert inverse.shape == (1, 5, 7)
        assert inverse.dtype == torch.float32
        assert np.abs(inverse[0].numpy() * depth - 1).max() < most
    assert not np.array_equal(read(as_png)[0][0], read(as_depth)[0][0])
    with pytest.raises(DataError, match="bare does not say whether its files hold depth"):
        SavedPredictions(bare)


def good() -> dict:
    return {"prediction": np.full((4, 6), 0.1, np.float32), "mirrored": np.full((4, 6), 0.1, np.float32)}


def with_value(name: str, value: float) -> dict:
    arrays = good()
    arrays[name][2, 3:5] = value
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (with_value("prediction", np.nan), "2 of 24 values of prediction are not finite and positive"),
        (with_value("prediction", 0), "2 of 24 values of prediction are not finite and positive"),
        (with_value("mirrored", -0.1), "2 of 24 values of mirrored are not finite and positive"),
        (with_value("mirrored", np.inf), "2 of 24 values of mirrored are not finite and positive"),
        ({"prediction": good()["prediction"]}, "has no array 'mirrored'"),
        ({"depth": good()["prediction"]}, "has no array 'prediction'"),
        (good() | {"prediction": np.ones((1, 4, 6), np.float32)}, r"is float32 of shape \(1, 4, 6\); it must be a map"),
        (good() | {"prediction": np.ones((4, 6), np.int64)}, "is int64 of shape"),
        (good() | {"mirrored": np.ones((4, 7), np.float32)}, r"and of the shape of prediction, \(4, 6\)"),
        (good() | {"prediction": np.ones((0, 6), np.float32)}, "it must be a map"),
    ],
)
def test_an_unusable_map_is_refused_in_one_line_that_names_its_file(tmp_path, arrays, message):
    np.savez(describe(tmp_path, "inverse_depth", mirrored=True) / "a.npz", **arrays)
    with pytest.raises(DataError, match=message) as error:
        measure(FRAMES[:1], SavedPredictions(tmp_path))
    assert str(tmp_path / "a.npz") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_network_that_diverged_leaves_no_file(tmp_path):
    def diverged(images):
        inverse_depth = from_brightness(images)
        inverse_depth[:, 0, 3, 4] = torch.nan
        return inverse_depth

    with pytest.raises(DataError, match=r"a\.npz: 1 of 96 values of prediction are not finite and positive"):
        measure(FRAMES, saving(tmp_path, diverged))
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.json"]


def test_frames_without_a_file_are_counted_and_the_first_is_named(tmp_path):
    np.savez(describe(tmp_path, "inverse_depth", mirrored=True) / "a.npz", **good())
    saved = SavedPredictions(tmp_path)
    saved.require(["a"])
    with pytest.raises(MissingFileError, match=r"has no prediction for 2 of 3 frames \(first: b\.npz"):
        saved.require(["a", "b", "c"])
    with pytest.raises(MissingFileError, match=r"has no prediction for 1 of 1 frames \(first: b\.npz"):
        measure(FRAMES, saved)


@pytest.mark.parametrize("frame_id", ["../a", "/etc/a", "x\\..\\a", "a\n"])
def test_the_name_of_a_frame_cannot_lead_out_of_the_folder(tmp_path, frame_id):
    np.savez(tmp_path / "a.npz", **good())
    describe(tmp_path / "saved", "inverse_depth")
    with pytest.raises(DataError, match="unsafe path"):
        read(tmp_path / "saved", frame_id=frame_id)
    with pytest.raises(DataError, match="unsafe path"):
        measure([frame(frame_id)], saving(tmp_path / "new"))
    assert not (tmp_path / "etc").exists()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "raw.npy", "raw.npz", "text.npy", "short.npz", "grey.png"])
def test_pickled_damaged_and_foreign_files_are_refused_and_nothing_in_them_runs(tmp_path, name):
    canary, folder = tmp_path / "ran", describe(tmp_path / "saved", "depth")
    path = folder / f"a{Path(name).suffix}"
    if name == "a.npy":
        np.save(path, np.array([Bomb(canary)], object), allow_pickle=True)
    elif name == "a.npz":
        np.savez(path, prediction=np.array([Bomb(canary)], object))
    elif name.startswith("raw"):
        path.write_bytes(pickle.dumps(Bomb(canary)))
    elif name == "text.npy":
        path.write_text("0.1 0.2")
    elif name == "short.npz":
        np.savez(path, **good())
        path.write_bytes(path.read_bytes()[:200])
    else:
        Image.fromarray(np.full((4, 6), 9, np.uint8)).save(path)
    with pytest.raises(DataError, match=str(path)) as error:
        read(folder)
    assert "\n" not in str(error.value)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kind": "depth"}, "is of no known version"),
        ({"schema_version": 1}, "has kind None; set"),
        ({"schema_version": 1, "kind": "disparity"}, "has kind 'disparity'; set"),
        ([], "is of no known version"),
    ],
)
def test_a_description_that_says_nothing_is_refused(tmp_path, document, message):
    (tmp_path / "predictions.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        SavedPredictions(tmp_path)


def test_kinds_that_contradict_each_other_are_refused(tmp_path):
    describe(tmp_path, "depth")
    with pytest.raises(DataError, match=r"predictions.json says depth, not inverse_depth"):
        SavedPredictions(tmp_path, "inverse_depth")
    describe(tmp_path, "inverse_depth")
    Image.fromarray(np.full((4, 6), 900, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png holds depth, but .* says inverse_depth"):
        read(tmp_path)


def test_the_refusal_says_what_the_predictions_were_made_of(tmp_path):
    saving(tmp_path)
    with pytest.raises(DataError, match=r"another made_by \(size: \[8, 12\], here \[16, 24\]\); choose another folder"):
        saving(tmp_path, made_by={**MADE_BY, "size": [16, 24]})
