"""Self-distillation: labels that never change, squares, what is trained and stored, runs that go on and chain."""

import copy
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import train
from made_batches import H, W, batch
from made_batches import loader as batches_of
from made_batches import trainer as small_trainer
from made_folders import picture, write_picture, write_text
from safetensors.torch import load_file, save_file
from tiny_foundation import MODELS
from transformers import AutoModelForDepthEstimation
from transformers import logging as transformers_logging

from ude.build.predictors import predictor
from ude.build.sources import training_source
from ude.config import ConfigError, load_config
from ude.engine import Solver
from ude.engine.self_distillation import SelfDistillationModule, SelfDistillationOptions, square_crops
from ude.engine.teacher_cache import TeacherCache
from ude.files import DataError, read_json, write_image, write_json
from ude.losses.scale_shift import scale_shift_loss
from ude.models.foundation import FoundationDepth, find_foundation

CONFIGS = Path(__file__).parents[1] / "configs"
SOLVER = Solver(lr_encoder=1e-3, lr_decoder=1e-3)
each_kind = pytest.mark.parametrize("kind", MODELS)
transformers_logging.disable_progress_bar()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder with a tiny model of every kind."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for kind, save in MODELS.items():
        save(root / kind)
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folders of six photos without order, LiDAR and poses, and of their translations to night and rain."""
    root = tmp_path_factory.mktemp("photos")
    write_text(root / "day" / "intrinsics.json", json.dumps({"K": [[90, 0, 47.5], [0, 90, 31.5], [0, 0, 1]]}))
    for number in range(6):
        write_picture(root / "day" / f"photo{number}.png", number, (64, 96))
        for condition, level in (("night", 4), ("rain", 2)):
            write_image(root / "made" / condition / f"photo{number}.jpg", picture(number, (64, 96)) // level)
    return root


def model(models, kind="depth_anything"):
    return FoundationDepth(models / kind).make_trainable()


def module(models, cache=None, kind="depth_anything", **options):
    return SelfDistillationModule(
        model(models, kind), options=SelfDistillationOptions(**options), cache=cache, solver=SOLVER
    )


def arguments(models, photos, output, *extra, kind="depth_anything", config="image_folder"):
    return [
        *("--cfg", str(CONFIGS / f"self_distillation_{config}.yaml"), "OUTPUT_DIR", str(output), "NAME", "run"),
        *("MODEL.FOUNDATION", str(models / kind), "DATA.ROOT", str(photos / "day"), "DATA.SIZE", "[64, 96]"),
        *("DATA.TRANSLATED.ROOT", str(photos / "made"), "DATA.TRANSLATED.CONDITIONS", "[night, rain]"),
        *("SOLVER.BATCH_SIZE", "2", "SOLVER.LR_ENCODER", "1e-3", "SOLVER.LR_DECODER", "1e-3", "RUN.LOG_EVERY", "1"),
        *("RUN.NUM_WORKERS", "0", "RUN.ACCELERATOR", "cpu", "RUN.MAX_STEPS", "4", "RUN.CHECKPOINT_EVERY", "1", *extra),
    ]


def weights(run):
    return load_file(run / "foundation" / "model.safetensors")


@each_kind
def test_what_the_depth_depends_on_is_trainable_and_nothing_else(models, kind):
    network = model(models, kind)
    trainable = {name for name, p in network.named_parameters() if p.requires_grad}
    network.requires_grad_(True)
    network(torch.rand(2, 3, H, W)).sum().backward()
    assert trainable == {name for name, p in network.named_parameters() if p.grad is not None}
    assert len(trainable) < len(list(network.parameters()))  # some never run
    network.make_trainable()
    encoder, others = network.parameter_groups()
    assert len(encoder) + len(others) == len(trainable)
    assert encoder
    assert others
    assert not {id(p) for p in encoder} & {id(p) for p in others}


def test_a_model_that_chooses_among_heads_is_refused(models):
    network = FoundationDepth(models / "zoedepth")
    network.model.config.bin_configurations = 2 * network.model.config.bin_configurations
    with pytest.raises(DataError, match=r"has a head per domain .* such as Intel/zoedepth-kitti"):
        network.make_trainable()


def test_the_labels_are_those_of_the_model_at_the_start_whatever_it_learns(models):
    one, data = module(models), batch()
    before, start = one.pseudo_labels(data), copy.deepcopy(one.depth_net.state_dict())
    labelled = data | {"label": before, "depth_input": data["depth_input"] / 3}
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
    for _ in range(2):
        sum(one.losses(labelled)[0].values()).backward()
        optimizer.step()
    assert any(not torch.equal(value, start[name]) for name, value in one.depth_net.state_dict().items())
    assert torch.equal(one.pseudo_labels(data), before)
    assert torch.equal(one.pseudo_labels(data | {"depth_input": torch.rand(2, 3, H, W)}), before)  # of the clean image
    assert all(torch.equal(value, start[name]) for name, value in one.frozen["teacher"].state_dict().items())
    assert not any("teacher" in name for name in one.state_dict())
    assert float(before.amax()) == 1
    assert float(before.amin()) >= 0


def test_the_model_is_trained_in_evaluation_mode(models):
    one = module(models).train()
    assert one.training
    assert not any(part.training for part in one.depth_net.modules())


@each_kind
def test_a_model_equal_to_its_labels_has_no_loss(models, kind):
    one, data = module(models, kind=kind), batch()
    terms, _ = one.losses(data | {"label": one.pseudo_labels(data)})
    assert 0 < float(terms["scale_shift"].detach()) < 2e-3  # the labels are in half precision


def test_predictions_on_mirrored_inputs_are_mirrored_back(models):
    one, data = module(models), batch()
    label, flipped = one.pseudo_labels(data), torch.tensor([False, True])
    inputs = torch.where(flipped[:, None, None, None], data["target"].flip(-1), data["target"])
    terms, _ = one.losses(data | {"label": label, "depth_input": inputs, "flipped": flipped})
    prediction = one.depth_net(inputs)
    prediction = torch.stack([prediction[0], prediction[1].flip(-1)])
    assert torch.equal(terms["scale_shift"], scale_shift_loss(prediction, label))


def test_loss_terms_are_float32_and_labels_the_same_whatever_autocast_says(models):
    one, data = module(models, gradient_matching=0.5), batch()
    labels = one.pseudo_labels(data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(one.pseudo_labels(data), labels)
        terms, _ = one.losses(data | {"label": labels})
    assert {name: term.dtype for name, term in terms.items()} == {
        "scale_shift": torch.float32,
        "gradient_matching": torch.float32,
    }


def test_labels_that_were_kept_are_those_that_are_computed(models, tmp_path):
    cache = TeacherCache(tmp_path / "cache", dtype=torch.float16)
    one, data = module(models, cache), batch()
    cache.begin(data["frame_id"], [one.frozen["teacher"]])
    computed = one.pseudo_labels(data)
    one.frozen["teacher"] = None  # is not asked again
    assert torch.equal(one.pseudo_labels(data), computed)
    (file,) = (tmp_path / "cache").iterdir()
    assert file.stat().st_size == 2 * (8 + 2 * H * W)
    assert file.suffix == ".float16"


@pytest.mark.parametrize("size", [(4, 10), (10, 4), (6, 6)])
def test_squares_show_the_same_place_of_input_and_label(size):
    place = torch.arange(math.prod(size), dtype=torch.float32).view(1, 1, *size).expand(40, 1, *size)
    flipped = torch.arange(40) % 2 == 1
    data = {
        "frame_id": [f"frame-{index}" for index in range(40)],
        "target": place.expand(-1, 3, -1, -1),
        "label": place,
        "depth_input": torch.where(flipped[:, None, None, None], place.flip(-1), place).expand(-1, 3, -1, -1),
        "flipped": flipped,
    }
    cut = square_crops(data, seed=1, epoch=2)
    side = min(size)
    assert {name: tuple(images.shape[-2:]) for name, images in cut.items()} == dict.fromkeys(cut, (side, side))
    back = torch.where(flipped[:, None, None, None], cut["depth_input"].flip(-1), cut["depth_input"])
    assert torch.equal(back, cut["target"])
    assert torch.equal(cut["label"], cut["target"][:, :1])
    starts = {int(label[0, 0, 0]) for label in cut["label"]}
    assert len(starts) == max(size) - side + 1  # every place, the first and the last
    again = square_crops(data, seed=1, epoch=2)
    assert all(torch.equal(again[name], images) for name, images in cut.items())
    other = square_crops(data, seed=1, epoch=3)["label"]
    assert size[0] == size[1] or not torch.equal(other, cut["label"])


def test_a_step_on_squares_labels_the_whole_image(models, tmp_path):
    one, seen = module(models, square_crop=True), []
    one.losses_of_module, one.frozen["teacher"] = one.losses, Counted(one.frozen["teacher"], seen)
    shapes = []

    def losses(data):
        shapes.append({name: tuple(data[name].shape[-2:]) for name in ("depth_input", "target", "label")})
        return one.losses_of_module(data)

    one.losses = losses
    one.on_fit_start = lambda: None
    small_trainer(tmp_path, steps=1).fit(one, batches_of([batch()]))
    assert shapes == [dict.fromkeys(("depth_input", "target", "label"), (H, H))]
    assert seen == [(H, W)]


class Counted:
    """A network that notes the sizes of what it is shown."""

    def __init__(self, network, seen):
        self.network, self.seen = network, seen

    def __call__(self, images):
        self.seen.append(tuple(images.shape[-2:]))
        return self.network(images)


@each_kind
def test_a_run_leaves_a_model_that_transformers_and_the_evaluation_load(models, photos, tmp_path, kind):
    assert train.main(arguments(models, photos, tmp_path, kind=kind)) == 0
    run = tmp_path / "run"
    assert not (run / "label_cache").exists()
    assert read_json(run / "version.json")["finished"]
    start, learned = FoundationDepth(models / kind), FoundationDepth(run)
    assert find_foundation(run) == str(run / "foundation")
    images = torch.rand(1, 3, 64, 96)
    alone = FoundationDepth.of(AutoModelForDepthEstimation.from_pretrained(run / "foundation"), learned.processor)
    assert torch.equal(alone(images), learned(images))
    assert not torch.equal(start(images), learned(images))
    named = predictor(str(run), "cpu")
    assert named.metric is (kind == "zoedepth")
    assert torch.equal(named.predict(images), learned(images))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["grad/norm"] > 0
    assert not any(name.startswith("depth/") for name in rows[0])  # the maps have no unit


def test_a_resumed_run_learns_what_an_uninterrupted_one_learns(models, photos, tmp_path, monkeypatch):
    extra = ("SOLVER.SCHEDULE", "drop", "SOLVER.DROP_AT", "5", "RUN.MAX_STEPS", "7", "LOSS.GRADIENT_MATCHING", "0.5")
    assert train.main(arguments(models, photos, tmp_path / "whole", *extra)) == 0
    losses = SelfDistillationModule.losses

    def killed(self, data):
        if self.global_step == 4:  # in the second epoch: the labels of the first one are kept
            raise RuntimeError("power cut")
        return losses(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(SelfDistillationModule, "losses", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            train.main(arguments(models, photos, tmp_path / "parts", *extra))
    assert len([*(tmp_path / "parts" / "run" / "label_cache").iterdir()]) == 1
    assert train.main([*arguments(models, photos, tmp_path / "parts", *extra), "--resume"]) == 0
    whole, parts = (weights(tmp_path / name / "run") for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    rows = [json.loads(line) for line in (tmp_path / "parts" / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [round(row["lr/encoder"], 9) for row in rows] == [1e-3] * 5 + [1e-4] * 2


def test_kept_labels_change_nothing_that_is_learned(models, photos, tmp_path):
    learned = []
    for kept in ("true", "false"):
        extra = ("MODEL.TEACHER_CACHE", kept, "RUN.MAX_STEPS", "7", "OUTPUT_DIR", str(tmp_path / kept))
        assert train.main(arguments(models, photos, tmp_path, *extra)) == 0
        learned.append(weights(tmp_path / kept / "run"))
    assert all(torch.equal(value, learned[1][name]) for name, value in learned[0].items())


def test_runs_build_on_runs_and_know_it(models, photos, tmp_path):
    assert train.main(arguments(models, photos, tmp_path / "first")) == 0
    chained = ("MODEL.FOUNDATION", str(tmp_path / "first" / "run"), "OUTPUT_DIR", str(tmp_path / "second"))
    assert train.main(arguments(models, photos, tmp_path, *chained)) == 0
    first, second = (read_json(tmp_path / name / "run" / "version.json") for name in ("first", "second"))
    assert first["config_hash"] != second["config_hash"]
    version = tmp_path / "first" / "run" / "version.json"
    version.write_text(json.dumps(first | {"config_hash": "of another training"}))
    assert train.main([*arguments(models, photos, tmp_path, *chained), "--resume"]) == 4  # another run by now


def test_other_weights_in_a_folder_or_another_run_around_it_are_another_training(models, photos, tmp_path, capsys):
    run = tmp_path / "start"
    shutil.copytree(models / "depth_anything", run / "foundation")
    write_json(run / "version.json", {"config_hash": "of the start"})
    args = [*arguments(models, photos, tmp_path, "MODEL.FOUNDATION", str(run / "foundation")), "--resume"]
    assert train.main(args) == 0
    assert train.main(args) == 0
    write_json(run / "version.json", {"config_hash": "of another start"})
    assert train.main(args) == 4
    write_json(run / "version.json", {"config_hash": "of the start"})
    file = run / "foundation" / "model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    capsys.readouterr()
    assert train.main(args) == 4
    assert "another configuration" in capsys.readouterr().err


def test_what_the_stage_needs_is_named(models, photos, tmp_path, capsys):
    config = CONFIGS / "self_distillation_image_folder.yaml"
    problems = {
        ("MODEL.FOUNDATION", ""): "MODEL.FOUNDATION must be a hub id or folder of a depth model",
        ("DATA.TRANSLATED.ROOT", ""): "DATA.TRANSLATED.ROOT must be a folder of tools/translate.py",
        ("SOLVER.DROP_AT", "0"): "SOLVER.DROP_AT must be the number of steps before the drop",
        ("LOSS.ALIGNMENT", "mean"): "LOSS.ALIGNMENT must be one of median, least_squares, got 'mean'",
        ("DATA.SOURCE", "kitti"): r"DATA.FRAME_OFFSETS must be different whole numbers other than 0, got \(\)",
    }
    for override, problem in problems.items():
        with pytest.raises(ConfigError, match=problem):
            load_config(config, override)
    assert train.main(arguments(models, photos, tmp_path, "MODEL.FOUNDATION", str(tmp_path / "nothing"))) == 4
    assert "MODEL.FOUNDATION: " in capsys.readouterr().err
    teacher = (
        "STAGE",
        "teacher",
        "DATA.SQUARE_CROP",
        "false",
        "MODEL.DEPTH.PRETRAINED",
        "false",
        "MODEL.POSE_PRETRAINED",
        "false",
    )
    assert train.main(arguments(models, photos, tmp_path, *teacher, "MODEL.DEPTH.BACKBONE", "tiny")) == 2
    assert "DATA.FRAME_OFFSETS is empty, but STAGE teacher looks at neighbours" in capsys.readouterr().err


@pytest.mark.parametrize("config", sorted(path.stem for path in CONFIGS.glob("self_distillation_*.yaml")))
def test_every_config_of_the_stage_trains(config, models, photos, world_root, tmp_path):
    name = config.removeprefix("self_distillation_")
    cfg = load_config(CONFIGS / f"{config}.yaml")
    kind = {"midas": "dpt", "zoedepth": "zoedepth", "depth_anything": "depth_anything"}.get(name, "dpt")
    # the paper's schedules
    assert {"depth_anything": 5000, "image_folder": 5000}.get(name, 30000) == cfg.RUN.MAX_STEPS
    assert (
        pytest.approx(0.9 if cfg.RUN.MAX_STEPS == 5000 else 5 / 6, rel=1e-4) == cfg.SOLVER.DROP_AT / cfg.RUN.MAX_STEPS
    )
    assert cfg.SOLVER.LR_ENCODER == cfg.SOLVER.LR_DECODER == 1e-6
    assert (3 if name == "zoedepth" else 8, True) == (cfg.SOLVER.BATCH_SIZE, cfg.DATA.SQUARE_CROP)
    made, day = photos / "made", photos / "day"
    if cfg.DATA.SOURCE == "nuscenes":
        made, day = tmp_path / "made", world_root
        source = training_source(load_config(CONFIGS / f"{config}.yaml", ["DATA.ROOT", str(world_root)]))
        for index in range(len(source)):
            for condition in cfg.DATA.TRANSLATED.CONDITIONS:
                dark = np.asarray(source.image(index)) // 3
                write_image(made / condition / f"{source.frame_id(index)}.jpg", dark)
    changed = ("DATA.ROOT", str(day), "DATA.TRANSLATED.ROOT", str(made), "RUN.MAX_STEPS", "2")
    assert train.main(arguments(models, photos, tmp_path, *changed, kind=kind, config=name)) == 0
    start, learned = load_file(models / kind / "model.safetensors"), weights(tmp_path / "run")
    assert any(not torch.equal(value, learned[name]) for name, value in start.items())
