"""The source that a config names: every kind of data, with its part of the frames, and what a run is known by."""

import json
import logging

import made_folders
import numpy as np
import pytest

from ude.build.identity import LEARNED_FROM, identity
from ude.build.sources import SOURCES, evaluation_source, official_splits, speed_unused, training_source
from ude.build.translation import translation_identity
from ude.config import load_config
from ude.data.cropped import CroppedFrames
from ude.data.splits import EmptySplitError
from ude.files import DataError, MissingFileError

CROP = (8, 16, 32, 96)
TRAIN_AND_VAL = {
    "nuscenes": ("train", "val"),
    "robotcar": ("train", "all"),
    "kitti": ("all", "all"),
    "drivingstereo": ("train", "foggy"),
    "cityscapes": ("train", "val"),
    "image_folder": ("train", "val"),
}
EVALUATION_ONLY = {"booster": "train", "cleargrasp": "real"}
WITHOUT_SPEED = ("drivingstereo", "image_folder")
each_source = pytest.mark.parametrize("name", TRAIN_AND_VAL)


@pytest.fixture(scope="module")
def roots(request, tmp_path_factory):
    """Folder of small data, by source."""
    made = tmp_path_factory.mktemp("sources")
    return {
        "nuscenes": request.getfixturevalue("world_root"),
        "robotcar": request.getfixturevalue("robotcar_prepared"),
        "kitti": made_folders.write_kitti(made / "kitti"),
        "drivingstereo": made_folders.write_drivingstereo(made / "drivingstereo"),
        "cityscapes": made_folders.write_cityscapes(made / "cityscapes", frames=3),
        "image_folder": made_folders.write_own_images(made / "own"),
    }


@pytest.fixture
def config(roots, tmp_path):
    """Makes the config of a source, with keys changed."""

    def make(name, *overrides):
        train, val = TRAIN_AND_VAL[name]
        data = {"SOURCE": name, "ROOT": str(roots[name]), "SPLIT_TRAIN": train, "SPLIT_VAL": val}
        (tmp_path / "config.yaml").write_text(json.dumps({"DATA": data}))
        return load_config(tmp_path / "config.yaml", [str(value) for value in overrides])

    return make


def sources(cfg):
    return training_source(cfg), evaluation_source(cfg, cfg.DATA.SPLIT_VAL)


def names(source):
    return [source.frame_id(index) for index in range(len(source))]


def test_every_source_of_the_config_is_tried_here():
    assert TRAIN_AND_VAL.keys() | EVALUATION_ONLY.keys() == SOURCES.keys()


@pytest.mark.parametrize("name", EVALUATION_ONLY)
def test_a_source_without_neighbours_is_for_evaluation_only(name, tmp_path):
    root = getattr(made_folders, f"write_{name}")(tmp_path / name)
    split = EVALUATION_ONLY[name]
    data = {"SOURCE": name, "ROOT": str(root), "SPLIT_TRAIN": split, "SPLIT_VAL": split}
    (tmp_path / "config.yaml").write_text(json.dumps({"DATA": data, "EVAL": {"PROTOCOL": name}}))
    cfg = load_config(tmp_path / "config.yaml", [])
    assert len(evaluation_source(cfg, split)) > 3
    with pytest.raises(EmptySplitError, match="lack a neighbour"):
        training_source(cfg)


@each_source
def test_a_config_names_frames_to_train_on_and_frames_to_evaluate(config, name):
    cfg = config(name)
    train, val = sources(cfg)
    assert (train.offsets, val.offsets) == ((-1, 1), ())
    assert {train.condition(index) for index in range(len(train))} == {"day-clear"}
    assert set(TRAIN_AND_VAL[name]) <= set(official_splits(cfg))
    for source, offset in ((train, 1), (val, 0)):
        assert len(source) > 0
        assert source.image(0, offset).shape == (*source.native_size(0), 3)


@each_source
def test_the_crop_of_the_config_cuts_both(config, name):
    for whole, part in zip(sources(config(name)), sources(config(name, "DATA.CROP", CROP)), strict=True):
        assert names(part) == names(whole)
        assert part.native_size(0) == CROP[2:]
        assert np.array_equal(part.image(0), whole.image(0)[8:40, 16:112])
        assert np.allclose(whole.intrinsics(0) - part.intrinsics(0), [[0, 0, 16], [0, 0, 8], [0, 0, 0]])
    with pytest.raises(DataError, match=r"^DATA\.CROP: .*leave the frame"):
        training_source(config(name, "DATA.CROP", (0, 0, 5000, 96)))


@each_source
def test_frames_that_the_config_excludes_are_in_neither(config, name, tmp_path):
    whole = sources(config(name))
    unwanted = {names(whole[0])[0], names(whole[1])[-1]}
    excluded = tmp_path / "broken.json"
    excluded.write_text(json.dumps({"schema": 1, "root": "", "frames": sorted(unwanted), "files": []}))
    cfg = config(name, "DATA.EXCLUDE", excluded, "DATA.CROP", CROP)
    for before, after in zip(whole, sources(cfg), strict=True):
        assert names(after) == [frame_id for frame_id in names(before) if frame_id not in unwanted]
        assert isinstance(after, CroppedFrames)
    with pytest.raises(DataError, match=r"^DATA\.EXCLUDE: "):
        training_source(config(name, "DATA.EXCLUDE", tmp_path / "none.json"))


@each_source
def test_the_speed_of_the_config_is_kept_or_said_to_be_unused(config, name, caplog):
    slow, fast = config(name, "DATA.MIN_SPEED", 0), config(name, "DATA.MIN_SPEED", 99)
    assert len(evaluation_source(fast, fast.DATA.SPLIT_VAL)) > 0
    caplog.set_level(logging.WARNING)
    everything = names(training_source(slow))
    assert not caplog.messages
    if name not in WITHOUT_SPEED:
        with pytest.raises(DataError, match="no frame is left"):
            training_source(fast)
        assert not caplog.messages
        return
    assert names(training_source(fast)) == everything
    assert [
        message.startswith(f"DATA.MIN_SPEED is not used: {name} knows no speed") for message in caplog.messages
    ] == [True]


@pytest.mark.parametrize("name", ["nuscenes", "kitti", "cityscapes"])
def test_what_is_read_once_is_kept_where_the_config_says(config, name, tmp_path):
    training_source(config(name, "DATA.INDEX_ROOT", tmp_path / "index"))
    assert [*(tmp_path / "index").iterdir()]


def test_the_speed_filter_of_md4all_is_said_to_be_unused_outside_of_trainval(config):
    for version, rules, reason in (
        ("v1.0-trainval", "md4all", ""),
        ("v1.0-mini", "corrected", ""),
        ("v1.0-mini", "md4all", "the rules of md4all filter v1.0-trainval only, not v1.0-mini"),
    ):
        assert speed_unused(config("nuscenes", "DATA.VERSION", version, "DATA.RULES", rules)) == reason


def test_a_split_file_has_its_own_conditions_in_training(config, roots, tmp_path):
    train = training_source(config("kitti"))
    (tmp_path / "mine.txt").write_text(f"{train.frame_id(1)} night-rain\n{train.frame_id(0)} day-clear\n")
    source = training_source(config("kitti", "DATA.SPLIT_TRAIN", tmp_path / "mine.txt"))
    assert [source.condition(index) for index in range(len(source))] == ["night-rain", "day-clear"]


def test_a_split_without_frames_is_told_apart_from_broken_data(config):
    with pytest.raises(EmptySplitError, match="no frame is left"):
        evaluation_source(config("nuscenes"), "mini_val")


@pytest.mark.parametrize(
    ("key", "value"),
    [("CROP", (0, 0, 96, 160)), ("RULES", "md4all"), ("EXCLUDE", "broken.json"), ("MIN_SPEED", 1), ("SOURCE", "kitti")],
    ids=["CROP", "RULES", "EXCLUDE", "MIN_SPEED", "SOURCE"],
)
def test_a_run_is_another_one_with_other_frames(config, key, value):
    before, after = config("nuscenes"), config("nuscenes", f"DATA.{key}", value)

    def run(cfg):
        return identity(cfg, LEARNED_FROM, [])["config_hash"]

    assert run(before) == run(config("nuscenes", "DATA.CACHE", True, "RUN.NUM_WORKERS", 0))
    assert run(before) != run(after)
    if key in ("CROP", "SOURCE"):  # an image is known by its frame, too, whichever others are chosen
        assert translation_identity(before)["config_hash"] != translation_identity(after)["config_hash"]


def test_every_key_of_the_data_changes_what_a_run_is_or_is_known_to_change_nothing_that_is_learned(config):
    unlearned = {"SPLIT_VAL", "ON_ERROR", "MAX_SKIPPED", "CACHE", "CACHE_ROOT", "CACHE_ON_DEVICE", "INDEX_ROOT"}
    unlearned |= {"ROBOTCAR_SDK"}  # is read by tools/prepare_robotcar.py alone, whose result lies in DATA.ROOT
    learned = {key.removeprefix("DATA.") for key in LEARNED_FROM if key.startswith("DATA.")}
    assert learned | unlearned == {*config("nuscenes").DATA}
    assert not learned & unlearned


def test_a_file_of_broken_frames_of_other_data_is_a_warning_and_one_of_these_is_none(config, roots, tmp_path, caplog):
    (first, *_) = names(training_source(config("kitti")))
    excluded = tmp_path / "broken.json"

    def warnings(root, frames):
        excluded.write_text(json.dumps({"schema": 1, "root": str(root), "frames": frames, "files": []}))
        caplog.clear()
        training_source(config("kitti", "DATA.EXCLUDE", excluded))
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    (other,) = warnings(tmp_path, [first])
    assert (
        f"DATA.EXCLUDE {excluded} was written for {tmp_path}, not for DATA.ROOT {roots['kitti']} (1 of its 1" in other
    )
    assert len(warnings(tmp_path, ["nobody"])) == 1
    (nobody,) = warnings(roots["kitti"], ["nobody", "nothing"])
    assert "leaves out no frame: none of its 2 names is in this split" in nobody
    assert warnings(roots["kitti"], [first, "nobody"]) == warnings(roots["kitti"], []) == []


@each_source
def test_an_unknown_split_is_named_with_its_key_and_the_nearest_name(config, name):
    with pytest.raises(
        MissingFileError, match=rf"^DATA\.SPLIT_TRAIN: trani: neither a split of {name} \(.* nor a file"
    ):
        training_source(config(name, "DATA.SPLIT_TRAIN", "trani"))
    cfg = config(name, "DATA.SPLIT_VAL", "alll")
    official = official_splits(cfg)
    for split, key in (("alll", r"DATA\.SPLIT_VAL"), ("zzz", "--split"), (f"{official[-1]}x", "--split")):
        with pytest.raises(MissingFileError, match=f"^{key}: {split}: neither a split") as caught:
            evaluation_source(cfg, split)
    assert str(caught.value).endswith(f"; did you mean {official[-1]}?")
