"""Every kind of predictor on the sample world: the same numbers for the same weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_weights import md4all_config, md4all_state, save_md4all, save_monodepth2
from PIL import Image
from test_models_pretrained import authors_depth_anything, randomised
from tiny_foundation import MODELS, lively, save_depth_anything
from tiny_networks import tiny_depth_anything
from transformers import DepthAnythingForDepthEstimation
from transformers import logging as transformers_logging

from ude.build.predictor_kinds import kind_of, weights_hash
from ude.build.predictors import predictor
from ude.data.evaluation_frames import EvaluationFrames, EvaluationLoader
from ude.evaluation.evaluate import evaluate
from ude.evaluation.predictor import Frame, predicted
from ude.evaluation.results import Results
from ude.evaluation.saving import Saving
from ude.files import DataError, MissingFileError, read_arrays
from ude.models.convert import FORMATS, convert
from ude.models.foundation import FoundationDepth

SIZE = (64, 96)
RULES = {"min_depth": 0.1, "max_depth": 80.0, "progress": False}
transformers_logging.disable_progress_bar()


def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def loader(val) -> EvaluationLoader:
    return EvaluationLoader(EvaluationFrames(val, size=SIZE), batch_size=3)


@pytest.fixture(scope="module")
def peer(tmp_path_factory) -> Path:
    """A folder of monodepth2 and, beside it, the run folder made of it."""
    root = tmp_path_factory.mktemp("peer")
    save_monodepth2(root / "monodepth2", generator(), pose=False)
    convert("monodepth2", root / "monodepth2", root / "run")
    return root


@pytest.fixture(scope="module")
def expected(loader, peer) -> Results:
    return measured(loader, peer / "run")


def measured(loader, what, *, kind="", **rules) -> Results:
    found = predictor(what, "cpu", kind=kind)
    return evaluate(found.predict, loader, metric=found.metric, **RULES, **rules)


def assert_same(found: Results, expected: Results, most: float = 1e-4) -> None:
    for row, means in expected.means.items():
        assert found.means[row] == pytest.approx(means, rel=most, abs=most)
    assert [row.frame_id for row in found.frames] == [row.frame_id for row in expected.frames]


def test_a_run_folder_its_network_alone_and_the_peer_itself_give_the_same_numbers(loader, peer, expected):
    assert expected.means["all"]["frames"] == 8
    assert expected.means["all"]["abs_rel"] > 0.1
    assert_same(measured(loader, peer / "run" / "depth_net"), expected)
    assert_same(measured(loader, peer / "monodepth2"), expected)
    assert not (peer / "monodepth2" / "eval").exists()


def test_saved_predictions_of_every_form_give_the_same_numbers(loader, peer, expected, tmp_path):
    network = predictor(peer / "run", "cpu")
    saving = Saving(network.predict, tmp_path / "npz", metric=True, flip=True, made_by={"weights": network.what})
    assert_same(evaluate(saving, loader, **RULES), expected)
    assert_same(measured(loader, tmp_path / "npz"), expected)
    for name in ("npy", "png"):
        (tmp_path / name).mkdir()
    for path in (tmp_path / "npz").glob("*.npz"):
        depth = 1 / read_arrays(path)["prediction"]
        np.save(tmp_path / "npy" / f"{path.stem}.npy", depth)
        Image.fromarray((depth * 256).round().astype(np.uint16)).save(tmp_path / "png" / f"{path.stem}.png")
    unmirrored = evaluate(network.predict, loader, flip=False, **RULES)
    assert_same(measured(loader, tmp_path / "npy", kind="depth"), unmirrored)
    assert_same(measured(loader, tmp_path / "png"), unmirrored, 2e-3)  # in steps of 1/256 m


@pytest.mark.slow
def test_a_checkpoint_of_md4all_gives_the_numbers_of_the_run_made_of_it(loader, tmp_path):
    file = tmp_path / "baseline.ckpt"
    save_md4all(file, md4all_state(generator()), md4all_config(size=SIZE))
    convert("md4all", file, tmp_path / "run")
    assert_same(measured(loader, file), measured(loader, tmp_path / "run"))


def test_night_frames_are_normalised_as_md4all_trained_with_them(tmp_path):
    file, images = tmp_path / "distilled.ckpt", torch.rand(4, 3, *SIZE)
    save_md4all(file, md4all_state(generator()), md4all_config(size=SIZE, mode="Daytime"))
    by_time = {}
    for time in ("day", "night"):
        network = FORMATS["md4all"](file, normalisation=f"md4all_nuscenes_{time}").depth_net
        with torch.inference_mode():
            by_time[time] = network(images).inverse_depths[0]
    frames = [Frame(name, name) for name in ("night-clear", "day-clear", "day-rain", "night-rain")]
    own = predictor(file, "cpu")
    found = predicted(own.predict, images, frames)[0].maps[0]
    for place, frame in enumerate(frames):
        time = frame.condition.partition("-")[0]
        assert torch.allclose(found[place], by_time[time][place], rtol=1e-5)
    assert not torch.allclose(by_time["day"], by_time["night"], rtol=0.1)
    assert "at night by md4all_nuscenes_night" in own.notes[0]


@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_the_authors_file_of_depth_anything_predicts_as_the_folder_of_transformers(tmp_path, kind):
    model, name = lively(randomised(tiny_depth_anything())), "depth_anything_v2_vits"
    if kind == "metric":
        model.config.update({"depth_estimation_type": "metric", "max_depth": 80})
        model = DepthAnythingForDepthEstimation._from_config(model.config)
        model, name = randomised(model), "depth_anything_v2_metric_vkitti_vits"
    folder = tmp_path / "made"
    published = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3}
    save_depth_anything(folder, size={"height": 518, "width": 518}, **published)
    model.save_pretrained(folder)
    torch.save(authors_depth_anything(model), tmp_path / f"{name}.pth")
    images = torch.rand(2, 3, *SIZE)
    own, theirs = predictor(tmp_path / f"{name}.pth", "cpu"), predictor(folder, "cpu")
    assert (own.kind, theirs.kind) == ("depth_anything", "foundation")
    assert own.metric is theirs.metric is (kind == "metric")
    assert torch.allclose(own.predict(images), theirs.predict(images), rtol=1e-4, atol=1e-6)
    assert own.predict(images).std() > 0
    with pytest.raises(DataError, match="the name does not say which Depth Anything it is"):
        predictor(shutil.copy(tmp_path / f"{name}.pth", tmp_path / "weights.pth"), "cpu")


def test_a_relative_model_of_transformers_is_measured_where_it_is_aligned(loader, tmp_path):
    torch.manual_seed(0)
    save_depth_anything(tmp_path)
    with pytest.raises(DataError, match=r"EVAL.ALIGNMENT is median.*set EVAL.ALIGNMENT least_squares"):
        measured(loader, tmp_path)
    found = measured(loader, tmp_path, alignment="least_squares")
    assert found.means["all"]["frames"] == 8
    assert found.means["all"]["abs_rel"] is None
    assert 0 < found.means["all"]["abs_rel_flip_least_squares"] < 1
    assert found.network_seconds < found.seconds


@pytest.mark.parametrize(("kind", "metric"), [("depth_anything", False), ("dpt", False), ("zoedepth", True)])
def test_whether_a_model_of_transformers_is_metric_is_known_from_its_config(tmp_path, kind, metric):
    MODELS[kind](tmp_path)
    found = predictor(tmp_path, "cpu")
    assert found.metric is metric
    assert (found.predict(torch.rand(1, 3, *SIZE)) > 0).all() or not metric


def test_depth_pro_is_metric_by_the_field_of_view_that_it_finds(tmp_path):
    from types import SimpleNamespace

    from transformers import DepthProImageProcessor

    class DepthPro(torch.nn.Module):
        config = SimpleNamespace(model_type="depth_pro", use_fov_model=True)

        def forward(self, pixels):
            self.output = SimpleNamespace(
                predicted_depth=0.05 + 0.1 * pixels.mean(1), field_of_view=torch.tensor([50.0, 75.0])
            )
            return self.output

    processor = DepthProImageProcessor(size={"height": 48, "width": 48})
    network = FoundationDepth.of(DepthPro(), processor)
    found = network(torch.rand(2, 3, *SIZE))
    assert network.metric
    theirs = processor.post_process_depth_estimation(network.model.output, target_sizes=[SIZE, SIZE])
    expected = torch.stack([1 / row["predicted_depth"] for row in theirs])
    assert torch.allclose(found[:, 0], expected, rtol=1e-4)


def test_a_folder_of_a_run_is_where_its_results_belong_and_that_of_a_peer_is_not(peer, tmp_path):
    assert predictor(peer / "run", "cpu").run == peer / "run"
    assert predictor(peer / "monodepth2", "cpu").run is None
    save_depth_anything(tmp_path / "hub")
    assert predictor(tmp_path / "hub", "cpu").run is None
    run = tmp_path / "self"
    shutil.copytree(tmp_path / "hub", run / "foundation")
    (run / "version.json").write_text("{}")
    assert predictor(run, "cpu").run == run


def test_predictors_of_other_weights_have_other_hashes(tmp_path):
    def made(name: str, *files: str) -> Path:
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(json.dumps([file]))
        return tmp_path / name

    kinds = {
        made("peer", "encoder.pth", "depth.pth"): "depth.pth",
        made("run", "depth_net/config.json", "depth_net/model.safetensors"): "depth_net/config.json",
        made("self", "foundation/preprocessor_config.json", "foundation/a.safetensors"): "foundation/a.safetensors",
        made("saved", "predictions.json"): "predictions.json",
        made("", "model.ckpt") / "model.ckpt": "",
    }
    assert len({weights_hash(what) for what in kinds}) == len(kinds)
    assert weights_hash(tmp_path / "run") == weights_hash(tmp_path / "run" / "depth_net")
    assert weights_hash(made("copy", "encoder.pth", "depth.pth")) == weights_hash(tmp_path / "peer")
    for what, file in kinds.items():
        before = weights_hash(what)
        (what / file).write_text('["other weights"]')
        assert weights_hash(what) != before


@pytest.mark.parametrize("name", ["nowhere", "empty", "notes.txt", "images", "a/b/c"])
def test_what_is_no_predictor_is_refused_with_all_that_is_accepted(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("0.1")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    with pytest.raises(DataError) as error:
        predictor(tmp_path / name, "cpu")
    assert f"no trained model in {tmp_path / name}; name a run folder of tools/train.py" in str(error.value)
    for accepted in ("hub id", "transformers", "md4all", "monodepth2", "Depth Anything", "saved predictions"):
        assert accepted in str(error.value)
    assert "\n" not in str(error.value)


def test_an_incomplete_or_foreign_checkpoint_is_refused_and_nothing_in_it_runs(tmp_path, peer):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for name in ("model.ckpt", "depth_anything_v2_vits.pth"):
        torch.save({"state_dict": Bomb()}, tmp_path / name)
        with pytest.raises(DataError, match=f"{name} is not a file of tensors and plain values.*nothing in it was run"):
            predictor(tmp_path / name, "cpu")
    assert not (tmp_path / "ran").exists()
    shutil.copytree(peer / "monodepth2", tmp_path / "half")
    (tmp_path / "half" / "depth.pth").unlink()
    with pytest.raises(MissingFileError, match=r"there is no file .*half/depth.pth"):
        predictor(tmp_path / "half", "cpu")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "version.json").write_text(json.dumps({"finished": False}))
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(DataError, match=r"last\.ckpt is a state of a training; name its run folder: .*run$"):
        predictor(tmp_path / "run" / "checkpoints" / "last.ckpt", "cpu")
    with pytest.raises(
        MissingFileError, match=r"no trained model in .*not finished; run: python tools/train.py.*--resume"
    ):
        predictor(tmp_path / "run", "cpu")
    state = authors_depth_anything(randomised(tiny_depth_anything()))
    del state["pretrained.blocks.2.mlp.fc1.weight"]
    torch.save(state, tmp_path / "depth_anything_v2_vits.pth")
    with pytest.raises(DataError, match=r"does not fit the Depth Anything of its name: 1 missing, 0 unexpected"):
        predictor(tmp_path / "depth_anything_v2_vits.pth", "cpu")


def test_a_folder_of_predictors_lists_them_and_a_missing_name_has_the_nearest_beside_it(tmp_path):
    for name in ("student-1", "student-2"):
        (tmp_path / "kept" / name).mkdir(parents=True)
        (tmp_path / "kept" / name / "predictions.json").write_text("{}")
    (tmp_path / "kept" / "notes").mkdir()
    with pytest.raises(MissingFileError, match=r"kept; it holds student-1, student-2: name .*kept/student-1$"):
        kind_of(tmp_path / "kept")
    with pytest.raises(MissingFileError, match=r"studnet-2; .*; did you mean .*kept/student-2\?$"):
        kind_of(tmp_path / "kept" / "studnet-2")
    with pytest.raises(MissingFileError, match=r"or a folder of saved predictions$"):
        kind_of(tmp_path / "kept" / "quite different")


@pytest.mark.parametrize(
    ("config", "size", "source"),
    [
        (
            "DATA:\n  SIZE: [320, 576]\n  SOURCE: kitti\nMODEL:\n  DEPTH:\n    INPUT_SIZE: [518, 784]\n",
            (320, 576),
            "kitti",
        ),
        (None, None, None),
        ("SEED: 0\n", None, None),
        ("DATA: 3\n", None, None),
        ("DATA:\n  SIZE: 32\n  SOURCE: [kitti]\n", None, None),
        ("DATA: [", None, None),
        ("", None, None),
    ],
)
def test_what_a_run_was_trained_on_is_in_its_config_as_far_as_that_tells(peer, tmp_path, config, size, source):
    (tmp_path / "depth_net").symlink_to(peer / "run" / "depth_net")
    if config is not None:
        (tmp_path / "config.yaml").write_text(config)
    found = predictor(tmp_path, "cpu")
    assert (found.data_size, found.source, found.run) == (size, source, tmp_path)


def test_a_hub_id_that_cannot_be_had_is_refused_in_one_line():
    with pytest.raises(DataError, match=r"^nobody/nothing cannot be loaded: it is no folder here[^\n]*$"):
        kind_of("nobody/nothing")
