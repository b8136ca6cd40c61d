"""Weights of md4all and monodepth2 become run folders that predict what the documented networks predict."""

import json
import pickle
import shutil
from pathlib import Path

import convert as tool
import evaluate_nuscenes
import pytest
import torch
from foreign_weights import (
    md4all_config,
    md4all_state,
    reference_inverse_depths,
    reference_motion,
    save_md4all,
    save_monodepth2,
)

from ude.build import networks
from ude.build.stages.student import student as student_module
from ude.config import ConfigError, load_config
from ude.files import DataError, MissingFileError, load_foreign, lock_folder, sha256
from ude.models import PoseNet, load_model
from ude.models.checkpoint import load_depth_net
from ude.models.convert import convert, run_folder

CONFIGS = Path(__file__).parents[1] / "configs"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def state():
    """Random weights of md4all's baseline."""
    return md4all_state(torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def baseline(state, tmp_path_factory):
    """A checkpoint of md4all's baseline."""
    path = tmp_path_factory.mktemp("md4all") / "baseline.ckpt"
    save_md4all(path, state, md4all_config())
    return path


@pytest.fixture(scope="module")
def monodepth2(tmp_path_factory):
    """A folder of monodepth2 and the tensors of its files."""
    folder = tmp_path_factory.mktemp("monodepth2") / "mono_96x64"
    return folder, save_monodepth2(folder, torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def md4all_run(baseline, tmp_path_factory):
    """The run folder made of the baseline, read only, and the conversion."""
    run = tmp_path_factory.mktemp("converted") / "md4all"
    return run, convert("md4all", baseline, run)


@pytest.fixture(scope="module")
def monodepth2_run(monodepth2, tmp_path_factory):
    """The run folder made of the folder of monodepth2, read only, and the conversion."""
    run = tmp_path_factory.mktemp("converted") / "monodepth2"
    return run, convert("monodepth2", monodepth2[0], run)


def images(count=1):
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(3))


def assert_same_depths(network, expected, pixels):
    with torch.no_grad():
        found = network(pixels).inverse_depths
    assert len(found) == len(expected) == 4
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.std() / theirs.mean() > 0.005  # the picture says something
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def md4all_depths(state, pixels, mean=0.45, std=0.225):
    return reference_inverse_depths(
        state,
        pixels,
        encoder="depth_model.encoder.encoder.",
        decoder="depth_model.decoder.decoder.",
        mean=mean,
        std=std,
        min_depth=0.1,
        max_depth=80.0,
    )


# --- md4all


def test_md4all_baseline_predicts_the_depth_of_the_documented_network(state, md4all_run):
    assert len(state) == 280
    run, conversion = md4all_run
    network = load_depth_net(run)
    assert_same_depths(network, md4all_depths(state, images(2)), images(2))
    assert network.arguments == {
        "backbone": "resnet18",
        "num_scales": 4,
        "min_depth": 0.1,
        "max_depth": 80.0,
        "input_height": 64,
        "input_width": 96,
        "normalisation": "monodepth2",
    }
    assert conversion.tensors == {
        "depth_net": 148,
        "classifier, dropped": 2,
        "pose network, dropped": 130,
        "teacher, dropped": 0,
    }


def test_md4all_with_its_teacher_inside_gives_the_student(tmp_path):
    state = md4all_state(torch.Generator().manual_seed(4), teacher=True)
    assert len(state) == 430
    save_md4all(tmp_path / "dd.ckpt", state, md4all_config(mode="Daytime"))
    conversion = convert("md4all", tmp_path / "dd.ckpt", tmp_path / "run")
    assert conversion.tensors["teacher, dropped"] == 150
    assert any("night frames by other statistics" in note for note in conversion.notes)
    expected = md4all_depths(state, images(), mean=0.4130, std=0.2093)
    assert_same_depths(load_depth_net(tmp_path / "run"), expected, images())


@pytest.mark.parametrize(
    ("config", "options", "row"),
    [
        ({"mode": "Daytime", "day": (0.5758, 0.319)}, {}, "md4all_robotcar_day"),
        ({"mode": "Daytime"}, {"normalisation": "md4all_nuscenes_night"}, "md4all_nuscenes_night"),
        ({"mode": "Image"}, {"normalisation": "monodepth2"}, "monodepth2"),
    ],
)
def test_md4all_normalisation_is_that_of_the_configuration_or_the_one_asked_for(config, options, row, state, tmp_path):
    save_md4all(tmp_path / "x.ckpt", state, md4all_config(**config))
    assert convert("md4all", tmp_path / "x.ckpt", tmp_path / "run", **options).depth_net.normalise.name == row


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mode": "Image"}, r"each batch by its own statistics.*--normalisation"),
        ({"mode": "Daytime", "day": (0.3, 0.2)}, r"by mean 0\.3 and deviation 0\.2; choose one of .*--normalisation"),
    ],
)
def test_md4all_normalisation_that_we_do_not_have_is_refused(config, message, state, tmp_path):
    save_md4all(tmp_path / "x.ckpt", state, md4all_config(**config))
    with pytest.raises(DataError, match=message):
        convert("md4all", tmp_path / "x.ckpt", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_md4all_pose_network_is_left_out_and_the_reason_said(md4all_run):
    run, conversion = md4all_run
    assert not (run / "pose_net").exists()
    assert any("Euler angles" in note for note in conversion.notes)
    assert json.loads((run / "version.json").read_text())["notes"] == list(conversion.notes)


def test_missing_unexpected_and_misshapen_tensors_are_counted_and_named(state, tmp_path):
    broken = dict(state)
    del broken["depth_model.decoder.decoder.3.conv.conv.bias"], broken["depth_model.encoder.encoder.bn1.bias"]
    broken["depth_model.decoder.decoder.14.conv.weight"] = torch.zeros(1)
    broken["depth_model.decoder.decoder.10.conv.weight"] = torch.zeros(1, 17, 3, 3)
    save_md4all(tmp_path / "x.ckpt", broken, md4all_config())
    with pytest.raises(DataError) as error:
        convert("md4all", tmp_path / "x.ckpt", tmp_path / "run")
    message = str(error.value)
    assert "2 missing, 1 unexpected and 1 misshapen tensors" in message
    assert "missing depth_model.decoder.decoder.3.conv.conv.bias, depth_model.encoder.encoder.bn1.bias" in message
    assert "unexpected depth_model.decoder.decoder.14.conv.weight" in message
    assert "misshapen depth_model.decoder.decoder.10.conv.weight" in message
    assert "\n" not in message
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_without_what_md4all_stores_is_refused(state, tmp_path):
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    with pytest.raises(DataError, match="no state_dict and hyper_parameters"):
        convert("md4all", tmp_path / "x.ckpt", tmp_path / "run")
    config = md4all_config()
    del config["MODEL"]["DEPTH"]["MAX_DEPTH"]
    save_md4all(tmp_path / "x.ckpt", state, config)
    with pytest.raises(DataError, match=r"lacks MODEL\.DEPTH\.MAX_DEPTH"):
        convert("md4all", tmp_path / "x.ckpt", tmp_path / "run")


# --- nothing in a foreign file runs


class Canary:
    """An object that touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("place", ["top", "hyper_parameters", "state_dict"])
def test_code_in_a_checkpoint_does_not_run(place, baseline, tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "x.ckpt"
    checkpoint = load_foreign(baseline)
    (checkpoint if place == "top" else checkpoint[place])["cfg"] = Canary(canary)
    torch.save(checkpoint, path)
    with pytest.raises(DataError, match="nothing in it was run"):
        convert("md4all", path, tmp_path / "run")
    assert not canary.exists()
    with open(path, "wb") as file:
        pickle.dump(Canary(canary), file)
    pickle.loads(path.read_bytes())
    assert canary.exists()  # the canary sings where code does run


def test_the_configuration_comes_back_as_plain_values(baseline):
    config = load_foreign(baseline)["hyper_parameters"]["cfg"]
    assert type(config).__module__ == "collections"
    assert config["MODEL"]["DEPTH"]["MAX_DEPTH"] == 80.0


def test_files_of_the_old_format_are_read_and_damaged_ones_refused(state, baseline, tmp_path):
    save_md4all(tmp_path / "old.ckpt", state, md4all_config(), _use_new_zipfile_serialization=False)
    assert load_foreign(tmp_path / "old.ckpt")["state_dict"].keys() == state.keys()
    (tmp_path / "cut.ckpt").write_bytes(baseline.read_bytes()[:100_000])
    with pytest.raises(DataError, match="is not a file of tensors and plain values"):
        load_foreign(tmp_path / "cut.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(DataError, match="holds a list, not a dictionary"):
        load_foreign(tmp_path / "list.ckpt")
    with pytest.raises(MissingFileError, match="there is no file"):
        load_foreign(tmp_path)


# --- monodepth2


def monodepth2_depths(files, pixels):
    return reference_inverse_depths(
        files["encoder"] | files["depth"],
        pixels,
        encoder="encoder.",
        decoder="decoder.",
        mean=0.45,
        std=0.225,
        min_depth=0.1,
        max_depth=100.0,
    )


def test_monodepth2_predicts_the_depth_of_the_documented_network(monodepth2, monodepth2_run):
    _, files = monodepth2
    assert [len(state) for state in files.values()] == [122, 28, 122, 8]
    run, conversion = monodepth2_run
    network = load_depth_net(run)
    assert_same_depths(network, monodepth2_depths(files, images(2)), images(2))
    assert network.range == {"min_depth": 0.1, "max_depth": 100.0}
    assert network.input_size == SIZE
    assert conversion.tensors == {
        "depth_net": 148,
        "classifier, dropped": 2,
        "pose_net": 128,
        "pose classifier, dropped": 2,
    }


def test_monodepth2_pose_is_the_same_motion_in_our_convention(monodepth2, monodepth2_run):
    _, files = monodepth2
    network = load_model(PoseNet, monodepth2_run[0] / "pose_net")
    past, target, future = images(3)[:, None]
    with torch.no_grad():
        T = network.source_poses(torch.stack([target, past, future], 1), (-1, 1))[0]
    for index, (earlier, later) in enumerate(((past, target), (target, future))):
        rotation, translation = reference_motion(files["pose_encoder"], files["pose"], earlier, later)
        skew = torch.zeros(3, 3)
        skew[[2, 0, 1], [1, 2, 0]] = rotation[0]
        expected = torch.eye(4)
        expected[:3, :3] = torch.linalg.matrix_exp(skew - skew.T)
        expected[:3, 3] = translation[0]
        if index == 0:  # of an earlier source, monodepth2 inverts the motion
            expected = torch.linalg.inv(expected)
        assert (expected - torch.eye(4)).abs().max() > 1e-3
        torch.testing.assert_close(T[index], expected, rtol=0, atol=1e-6)


def test_monodepth2_with_the_deeper_encoder_is_recognised(tmp_path):
    files = save_monodepth2(tmp_path / "mono", torch.Generator().manual_seed(5), depth=50, pose=False)
    conversion = convert("monodepth2", tmp_path / "mono", tmp_path / "run")
    assert conversion.depth_net.backbone == "resnet50"
    assert_same_depths(conversion.depth_net, monodepth2_depths(files, images()), images())


def test_monodepth2_from_stereo_has_no_pose_network_and_says_its_unit(tmp_path):
    save_monodepth2(tmp_path / "stereo", torch.Generator(), use_stereo=True, pose=False)
    conversion = convert("monodepth2", tmp_path / "stereo", tmp_path / "run")
    assert conversion.pose_net is None
    assert not (tmp_path / "run" / "pose_net").exists()
    assert any("times 5.4" in note for note in conversion.notes)


def test_half_a_monodepth2_is_refused(tmp_path):
    folder = tmp_path / "mono"
    files = save_monodepth2(folder, torch.Generator())
    (folder / "pose.pth").unlink()
    with pytest.raises(MissingFileError, match=r"no .*pose\.pth, only the other half"):
        convert("monodepth2", folder, tmp_path / "run")
    torch.save(files["encoder"], folder / "encoder.pth")
    with pytest.raises(DataError, match=r"encoder\.pth does not say the height and width"):
        convert("monodepth2", folder, tmp_path / "run")
    (folder / "depth.pth").unlink()
    with pytest.raises(MissingFileError, match=r"depth\.pth"):
        convert("monodepth2", folder, tmp_path / "run")


# --- the run folder and the tool


def test_the_run_says_what_it_was_made_from(baseline, md4all_run, tmp_path):
    run, _ = md4all_run
    version = json.loads((run / "version.json").read_text())
    assert version["source"]["sha256"] == {"baseline.ckpt": sha256(baseline)}
    assert version["tensors"]["depth_net"] == 148
    assert "licence of the source" in (run / "depth_net" / "README.md").read_text()
    convert("md4all", baseline, tmp_path / "other", normalisation="imagenet")
    other = json.loads((tmp_path / "other" / "version.json").read_text())
    assert version["config_hash"] != other["config_hash"]  # another network, so another teacher


def test_a_folder_with_another_run_is_left_alone(baseline, md4all_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(md4all_run[0], run)
    before = sha256(run / "depth_net" / "model.safetensors")
    convert("md4all", baseline, run)  # the same once more
    with pytest.raises(DataError, match="holds another run"):
        convert("md4all", baseline, run, normalisation="imagenet")
    assert sha256(run / "depth_net" / "model.safetensors") == before
    (run / "version.json").unlink()
    with pytest.raises(DataError, match="holds another run"):
        convert("md4all", baseline, run)


def test_a_conversion_that_was_killed_is_repeated_and_only_by_itself(monodepth2, tmp_path, monkeypatch):
    run, save_model = tmp_path / "run", run_folder.save_model

    def killed(model, folder, **kwargs):
        if folder.name == "pose_net":
            raise KeyboardInterrupt
        save_model(model, folder, **kwargs)

    monkeypatch.setattr(run_folder, "save_model", killed)
    with pytest.raises(KeyboardInterrupt):
        convert("monodepth2", monodepth2[0], run)
    assert json.loads((run / "version.json").read_text())["finished"] is False
    monkeypatch.undo()
    with pytest.raises(DataError, match="holds another run"):
        convert("monodepth2", monodepth2[0], run, normalisation="imagenet")
    convert("monodepth2", monodepth2[0], run)
    assert json.loads((run / "version.json").read_text())["finished"] is True
    assert sorted(path.name for path in run.iterdir()) == ["depth_net", "pose_net", "version.json"]
    load_model(PoseNet, run / "pose_net")


def test_a_folder_in_which_another_process_works_is_left_alone(baseline, tmp_path):
    with lock_folder(tmp_path / "run"), pytest.raises(DataError, match=r"run is in use by process \d+"):
        convert("md4all", baseline, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_tool_converts_and_the_result_is_evaluated(baseline, world_root, tmp_path, capsys):
    run = tmp_path / "md4all"
    assert tool.main(["md4all", str(baseline), "--output", str(run)]) == 0
    said = capsys.readouterr().out
    assert "148 tensors: depth_net" in said
    assert "note: the pose network was not converted" in said
    overrides = ["DATA.ROOT", str(world_root), "DATA.SIZE", "[64, 96]", "RUN.NUM_WORKERS", "0", "EVAL.FLIP", "False"]
    assert evaluate_nuscenes.main(["--cfg", str(CONFIGS / "demo.yaml"), "--weights", str(run), *overrides]) == 0
    assert (run / "eval" / "val" / "metrics.json").is_file()


def test_a_training_starts_from_a_converted_run(md4all_run):
    run, _ = md4all_run
    overrides = ["MODEL.DEPTH.BACKBONE", "resnet18", "MODEL.DEPTH.WEIGHTS", str(run)]
    overrides += ["MODEL.DEPTH.INPUT_SIZE", "[64, 96]", "MODEL.DEPTH.NUM_SCALES", "2"]
    overrides += ["MODEL.DEPTH.NORMALISATION", "monodepth2"]
    network = networks.depth_net(load_config(CONFIGS / "nuscenes.yaml", overrides)).eval()
    expected = load_depth_net(run)(images()).inverse_depths[1]
    assert torch.equal(network(images()).inverse_depths[1], expected)
    with pytest.raises(DataError, match=r"^MODEL\.DEPTH\.WEIGHTS: normalisation is monodepth2 in .* imagenet here"):
        networks.depth_net(load_config(CONFIGS / "nuscenes.yaml", overrides[:-2]))
    with pytest.raises(DataError, match=r"^MODEL\.DEPTH\.WEIGHTS: max_depth is 80\.0 in .* but 60\.0 here"):
        networks.depth_net(load_config(CONFIGS / "nuscenes.yaml", [*overrides, "MODEL.DEPTH.MAX", "60.0"]))


def test_a_student_whose_features_are_not_those_of_its_teacher_is_told_why(md4all_run, tmp_path):
    run, _ = md4all_run
    overrides = ["STAGE", "student", "MODEL.TEACHER", str(run), "DATA.TRANSLATED.ROOT", str(tmp_path)]
    overrides += ["MODEL.SEMANTIC", "teacher", "MODEL.INIT_FROM_TEACHER", "False", "MODEL.POSE", "ego"]
    overrides += ["MODEL.DEPTH.PRETRAINED", "False", "MODEL.DEPTH.BACKBONE", "resnet18"]
    overrides += ["MODEL.DEPTH.INPUT_SIZE", "[64, 96]"]

    def student(*more):
        return student_module(load_config(CONFIGS / "nuscenes.yaml", [*overrides, *more]))

    student()
    for key, value, reason in (
        ("MODEL.DEPTH.BACKBONE", "resnet_small", r"128 channels at \(64, 96\) but 512 at \(64, 96\)"),
        ("MODEL.DEPTH.INPUT_SIZE", "[96, 96]", r"512 channels at \(96, 96\) but 512 at \(64, 96\)"),
    ):
        with pytest.raises(ConfigError, match=rf"MODEL\.DEPTH\.BACKBONE and INPUT_SIZE give {reason} in the teacher; "):
            student(key, value)
        student(key, value, "LOSS.SEMANTIC", "0")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["md4all", "nowhere.ckpt"], 4, "there is no nowhere.ckpt; check the path"),
        (["depth_anything", "nowhere.pth"], 2, "--backbone is for depth_anything, which needs it; got None"),
        (["md4all", "x.ckpt", "--backbone", "tiny"], 2, "--backbone is for depth_anything"),
    ],
)
def test_the_tool_refuses_in_one_line(arguments, code, message, tmp_path, capsys):
    assert tool.main([*arguments, "--output", str(tmp_path / "run")]) == code
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"error: {message}")
    assert "\n" not in error
