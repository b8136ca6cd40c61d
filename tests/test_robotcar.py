"""Prepared RobotCar frames as a source: splits, what is left out, geometry, and training on them."""

import json
import pickle
import shutil
import time

import numpy as np
import prepare_robotcar
import pytest
import torch
from made_batches import teacher_module
from PIL import Image
from robotcar_oracles import DAY, NIGHT

from ude.data.cropped import CroppedFrames
from ude.data.datasets import EvaluationFrames, TrainingFrames, collate
from ude.data.robotcar import SPLITS, Preparation, RobotCarFrames, prepare, read_prepared
from ude.data.robotcar.columns import FRAMES
from ude.data.robotcar.prepared import ABOUT, filter_reasons
from ude.data.robotcar.splits import in_split
from ude.data.transforms import DeviceTransform
from ude.files import DataError, MissingFileError, write_json, write_jsonl


@pytest.fixture(scope="module")
def prepared(robotcar_raw, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "robotcar"
    prepare(robotcar_raw, output, Preparation(), progress=False)
    return output


def write_traverse(root, name, condition, seconds, *, rate=1.0, margin=4.0):
    """Rows without files: a straight drive at 10 m/s, a frame every ``1 / rate`` seconds."""
    rows = [
        {
            **{"timestamp": 10**15 + round(n / rate * 1e6), "number": n, "image": {}, "lidar": {}, "filters": []},
            **{"section": 0, "T_start_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 10 * n / rate]]},
        }
        for n in range(int(seconds * rate))
    ]
    about = {"schema": 1, "condition": condition, "size": [960, 1280], "K": np.eye(3).tolist(), "start": 10**15}
    write_json(root / name / ABOUT, about | {"margin": margin, "image_format": "png"})
    write_jsonl(root / name / FRAMES, rows)


def seconds_of(traverse, split):
    return (traverse.times[in_split(traverse, split)] - traverse.start) // 1_000_000


@pytest.mark.parametrize("margin", [4.0, 10.0])
def test_splits_share_no_scan_and_hold_most_of_a_drive(tmp_path, margin):
    write_traverse(tmp_path, DAY, "day-clear", 1200, margin=margin)
    (traverse,) = read_prepared(tmp_path)
    parts = {split: seconds_of(traverse, split) for split in ("train", "val", "test")}
    for split, seconds in parts.items():
        for other, others in parts.items():
            if other != split:
                # the windows of two frames of different splits, +- margin, do not touch
                assert np.abs(seconds[:, None] - others).min() > 2 * margin
    assert sum(map(len, parts.values())) > 0.94 * 1200 - 60 * (margin > 4)
    assert parts["train"][0] == 0
    assert [round(len(parts[split]) / 120) for split in parts] == [7, 1, 2] or margin > 4


def test_training_frames_are_day_frames_and_all_is_everything(tmp_path):
    write_traverse(tmp_path, DAY, "day-clear", 700)
    write_traverse(tmp_path, NIGHT, "night-clear", 700)
    assert set(SPLITS) == {"train", "val", "test", "all"}
    conditions = {split: RobotCarFrames(tmp_path, split=split) for split in SPLITS}
    found = {split: {source.condition(index) for index in range(len(source))} for split, source in conditions.items()}
    assert found.pop("train") == {"day-clear"}
    assert list(found.values()) == [{"day-clear", "night-clear"}] * 3
    assert len(conditions["all"]) == 1400
    night = RobotCarFrames(tmp_path, split="test", conditions=["night-clear"])
    assert {night.frame_id(index).split("_")[0] for index in range(len(night))} == {NIGHT}
    with pytest.raises(ValueError, match="conditions must be among"):
        RobotCarFrames(tmp_path, split="all", conditions=["night"])
    with pytest.raises(DataError, match=r"no frame is left: 0 frames of split train \(night-clear\)"):
        RobotCarFrames(tmp_path, split="train", conditions=["night-clear"])


def test_scenes_are_minutes(tmp_path):
    write_traverse(tmp_path, DAY, "day-clear", 150)
    source = RobotCarFrames(tmp_path, split="all")
    assert [source.scene(index) for index in (0, 59, 60, 149)] == [f"{DAY}_{n:03d}" for n in (0, 0, 1, 2)]


def test_a_split_file_chooses_order_and_condition(tmp_path, prepared):
    day = RobotCarFrames(prepared, split="all", conditions=["day-clear"])
    chosen = [day.frame_id(5), day.frame_id(2)]
    path = tmp_path / "split.txt"
    path.write_text(f"{chosen[0]} day-rain\n{chosen[1]} day-clear\n")
    source = RobotCarFrames(prepared, split=str(path))
    assert [source.frame_id(index) for index in range(len(source))] == chosen
    assert [source.condition(index) for index in range(len(source))] == ["day-rain", "day-clear"]
    path.write_text(f"{DAY}_12 day-clear\n")
    with pytest.raises(
        DataError, match=rf"split\.txt:1: {DAY}_12 is not prepared in .*; prepare it, or remove the line"
    ):
        RobotCarFrames(prepared, split=str(path))


def test_what_cannot_be_trained_on_is_left_out_and_counted(prepared):
    source = RobotCarFrames(prepared, split="all", offsets=(-1, 1), min_speed=1.0)
    # both ends of two drives; 5 frames that stand in each; 4 over-exposed ones by day; the car brakes and starts
    assert {reason: source.left_out[reason] for reason in ("no neighbour", "static", "over-exposed")} == {
        **{"no neighbour": 4, "static": 10, "over-exposed": 4}
    }
    assert 0 < source.left_out["slow"] < 20
    assert len(source) == 56 - source.left_out.total()
    for index in range(len(source)):
        assert (source.distance(index, -1) + source.distance(index, 1)) * 16 / 2 >= 1.0
    evaluation = RobotCarFrames(prepared, split="all")
    assert len(evaluation) == 56
    assert not evaluation.left_out


@pytest.mark.parametrize("change", ["missing image", "pause", "odometry"])
def test_a_break_between_two_images_separates_them(tmp_path, change):
    write_traverse(tmp_path, DAY, "day-clear", 1, rate=16)
    rows = [json.loads(line) for line in (tmp_path / DAY / FRAMES).read_text().splitlines()]
    for row in rows[8:]:
        row["number"] += change == "missing image"
        row["timestamp"] += (change == "pause") * 10**6
        row["section"] += change == "odometry"
    write_jsonl(tmp_path / DAY / FRAMES, rows)
    source = RobotCarFrames(tmp_path, split="all", offsets=(-1, 1), min_speed=0.5)
    reason = "no odometry" if change == "odometry" else "no neighbour"
    assert source.left_out == {"no neighbour": 2 + 2 * (reason == "no neighbour")} | (
        {"no odometry": 2} if reason == "no odometry" else {}
    )


def test_the_published_filters_judge_brightness_its_change_and_the_way_to_either_neighbour():
    brightness = [0.5, 0.54, 0.6, 0.9, 0.9, 0.9, 0.899, 0.3, 0.3]
    way = [0.0, 1.0, 2.0, 3.0, 3.0005, 4.0, 5.0, 5.0, 6.0]
    rows = [
        {"timestamp": n * 62_500, "number": n + (n > 6), "brightness": b, "section": 0}
        for n, b in enumerate(brightness)
    ]
    for row, metres in zip(rows, way, strict=True):
        row["T_start_camera"] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, metres]]
    exposed = [n for n, reasons in enumerate(filter_reasons(rows)) if "over-exposed" in reasons]
    static = [n for n, reasons in enumerate(filter_reasons(rows)) if "static" in reasons]
    # between frames 6 and 7 an image is missing, so that neither their leap in brightness nor their standstill counts
    assert (exposed, static) == ([1, 2, 3, 4, 5], [3, 4])


def test_poses_map_points_of_the_road_from_frame_to_frame(prepared):
    source = RobotCarFrames(prepared, split="all", offsets=(-1, 1), conditions=["day-clear"])
    for index in (0, 3):
        for offset in (-1, 1):
            T = source.T_source_target(index, offset)
            # the car drives along z: its next camera is ahead, so that points come nearer
            assert np.sign(T[2, 3]) == -offset
            assert source.distance(index, offset) == pytest.approx(np.linalg.norm(np.linalg.inv(T)[:3, 3]), rel=1e-9)
            np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert 0.05 < source.distance(0, 1) < 2


def test_an_image_of_another_size_is_named(prepared, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(prepared, root)
    source = RobotCarFrames(root, split="all")
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(source.image_path(0))
    with pytest.raises(
        DataError, match=r"\.png is 120 x 160, but was prepared as 240 x 320 .* run tools/prepare_robotcar"
    ):
        source.image(0)
    source.lidar_path(1).write_bytes(b"cut")
    with pytest.raises(DataError, match=r"\.npz cannot be read"):
        source.lidar_depth(1)


def test_a_folder_without_prepared_traverses_is_named_with_what_to_do(tmp_path):
    with pytest.raises(
        MissingFileError, match=r"no prepared RobotCar traverse; run: python tools/prepare_robotcar\.py"
    ):
        RobotCarFrames(tmp_path / "nowhere", split="all")


@pytest.mark.parametrize("damage", ["not json", "no condition", "schema", "row"])
def test_damaged_tables_are_refused_in_one_line(tmp_path, damage):
    write_traverse(tmp_path, DAY, "day-clear", 10)
    path = tmp_path / DAY / (FRAMES if damage == "row" else ABOUT)
    text = path.read_text()
    edits = {
        "not json": ("{", "["),
        "no condition": ('"condition"', '"weather"'),
        "schema": ('"schema": 1', '"schema": 9'),
    }
    path.write_text(text.replace(*edits.get(damage, ('"section"', '"part"'))))
    with pytest.raises(DataError, match=rf"{path.parent}.*again"):
        RobotCarFrames(tmp_path, split="all")


def test_splits_of_md4all_become_ours(prepared, tmp_path, capsys):
    source = RobotCarFrames(prepared, split="all", conditions=["day-clear"])
    times = [source.frame_id(index).split("_")[1] for index in range(6)]
    train, test = tmp_path / f"{DAY}_train_stride_1.txt", tmp_path / f"{NIGHT}_test.txt"
    train.write_text(f"{times[0]} {times[1]} {times[2]}\n{times[2]} {times[3]} {times[4]}\n1 2 3\n")
    night = RobotCarFrames(prepared, split="all", conditions=["night-clear"])
    test.write_text(f"{night.frame_id(4).split('_')[1]}\n")
    arguments = ["--raw", "unused", "--output", str(prepared), "--import-md4all"]
    assert prepare_robotcar.main([*arguments, str(train), str(test)]) == 0
    assert f"{prepared / 'splits' / train.name}: 2 frames, 1 more are not prepared" in capsys.readouterr().out
    imported = RobotCarFrames(prepared, split=str(prepared / "splits" / train.name), offsets=(-1, 1))
    assert [imported.frame_id(index) for index in range(2)] == [f"{DAY}_{times[1]}", f"{DAY}_{times[3]}"]
    assert len(RobotCarFrames(prepared, split=str(prepared / "splits" / test.name))) == 1
    train.write_text(f"{times[0]} {times[1]}\n")
    assert prepare_robotcar.main([*arguments, str(train)]) == 4
    assert f"{train}:1: expected one or three times" in capsys.readouterr().err
    (tmp_path / "x_train.txt").write_text("1\n")
    assert prepare_robotcar.main([*arguments, str(tmp_path / "x_train.txt")]) == 4
    assert "its name must begin with a prepared traverse" in capsys.readouterr().err


def test_thousands_of_rows_open_quickly_and_the_source_is_small(tmp_path):
    write_traverse(tmp_path, DAY, "day-clear", 1250, rate=16)
    start = time.process_time()
    source = RobotCarFrames(tmp_path, split="all", offsets=(-1, 1))
    assert time.process_time() - start < 5  # 20,000 rows; about 0.5 s
    assert len(source) == 19_998
    assert len(pickle.dumps(source)) < 200 * len(source)


def test_a_small_network_trains_on_the_frames_and_their_poses(prepared):
    crop = (0, 0, 192, 320)
    source = CroppedFrames(RobotCarFrames(prepared, split="all", offsets=(-1, 1), min_speed=0.5), crop)
    samples = TrainingFrames(source, size=(96, 160), offsets=(-1, 1), with_poses=True)
    batch = DeviceTransform()(collate([samples[index] for index in range(4)]), 0, True)
    assert batch["sources"].shape == (4, 2, 3, 96, 160)
    assert batch["K"][0, 1, 1] == pytest.approx(245.761 / 2, abs=1e-3)
    module = teacher_module()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = sum(module.losses(batch)[0].values())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.98 * losses[0], losses


def test_evaluation_frames_have_the_depth_of_the_crop(prepared):
    whole = RobotCarFrames(prepared, split="all")
    sample = EvaluationFrames(CroppedFrames(whole, (0, 0, 192, 320)), size=(96, 160))[0]
    assert sample["native_size"].tolist() == [192, 320]
    depth = whole.lidar_depth(0)[:192]
    assert sample["lidar_index"].tolist() == np.flatnonzero(depth).tolist()
    np.testing.assert_array_equal(sample["lidar_value"], depth[depth > 0])
