import filecmp
import json
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sample_world import nuscenes_world
from sample_world.__main__ import main
from sample_world.lidar import BEAMS, STEPS
from sample_world.nuscenes_tables import SCANNER_DELAY, VERSION
from sample_world.nuscenes_world import WorldError, WorldOptions, write_nuscenes
from sample_world.options import SPLITS, recordings
from sample_world.probe import depth_at, on_moving

OPTIONS = WorldOptions(
    train_scenes=1,
    val_streets=3,
    test_streets=1,
    train_key_frames=3,
    eval_key_frames=1,
    size=(96, 160),
    range_noise=0.0,
    workers=1,
)
TABLES = """attribute calibrated_sensor category ego_pose instance log map sample sample_annotation sample_data scene
sensor visibility"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exact") / "world"
    write_nuscenes(folder, OPTIONS, progress=False)
    return folder


@pytest.fixture(scope="module")
def nusc(root):
    from nuscenes import NuScenes

    return NuScenes(VERSION, str(root), verbose=False)


def scene_records(nusc):
    """(drive, condition, scene row) of every scene."""
    drives = {name: (drive, c) for drive in recordings(OPTIONS) for c, name in drive.scenes.items()}
    return [(*drives[scene["name"]], scene) for scene in nusc.scene]


def camera_rows(nusc, scene):
    """Rows of the front camera of one scene in the order of time."""
    log = nusc.get("log", scene["log_token"])["logfile"]
    rows = [row for row in nusc.sample_data if f"CAM_FRONT/{log}__" in row["filename"]]
    return sorted(rows, key=lambda row: row["timestamp"])


def lidar_errors(nusc, *, shift=0.0):
    """Rendered minus projected LiDAR depth [m] of all returns on things at rest, by condition."""
    from nuscenes import NuScenesExplorer

    errors = {}
    for drive, condition, scene in scene_records(nusc):
        street, camera, token = drive.street(), drive.vehicle.camera(OPTIONS.size), scene["first_sample_token"]
        for time in drive.key_times:
            sample = nusc.get("sample", token)
            data = sample["data"]
            points, depth, _ = NuScenesExplorer(nusc).map_pointcloud_to_image(data["LIDAR_TOP"], data["CAM_FRONT"])
            T_world_camera = street.ego_pose(time) @ drive.vehicle.T_ego_camera
            seen, _ = depth_at(camera, T_world_camera, street.at(time), points[0] + shift, points[1] + shift)
            rays = np.linalg.inv(camera.K) @ points * depth
            world = T_world_camera[:3, :3] @ rays + T_world_camera[:3, 3:]
            still = ~on_moving(world, street.at(time + SCANNER_DELAY), margin=0.1)
            errors.setdefault(condition, []).append((seen - depth)[still])
            token = sample["next"]
    return {condition: np.concatenate(parts) for condition, parts in errors.items()}


def test_devkit_projects_lidar_onto_the_rendered_depth_within_5_cm(nusc):
    for condition, error in lidar_errors(nusc).items():
        hidden = error < -0.05  # the camera's ray is stopped by something nearer: it sits lower and ahead
        assert error.size > 4000, condition
        assert hidden.mean() < 0.1, condition
        assert (np.abs(error[~hidden]) <= 0.05).mean() >= 0.99, condition


def test_half_a_pixel_of_shift_breaks_the_agreement_with_lidar(nusc):
    error = lidar_errors(nusc, shift=0.5)["day-clear"]
    assert (np.abs(error) <= 0.05).mean() < 0.9


def test_a_sweep_holds_whole_firings_in_the_order_of_the_turn_and_lost_echoes_as_zeros(root):
    files = sorted((root / "samples" / "LIDAR_TOP").iterdir())
    assert files
    for file in files:
        firings = np.fromfile(file, "<f4").reshape(-1, BEAMS, 5)
        assert len(firings) == STEPS
        np.testing.assert_array_equal(firings[..., 4], np.broadcast_to(np.arange(BEAMS), (STEPS, BEAMS)))
        distance = np.linalg.norm(firings[..., :3], axis=2)
        lost = distance == 0
        assert not firings[lost, :4].any()
        assert distance[~lost].min() > 0.5
        azimuth = np.rad2deg(np.arctan2(firings[..., 0], firings[..., 1]))  # y ahead, x to the right
        step = np.rad2deg(-np.pi + (np.arange(STEPS) + 0.5) * 2 * np.pi / STEPS)
        np.testing.assert_allclose(azimuth[~lost], np.broadcast_to(step[:, None], lost.shape)[~lost], atol=1e-3)
        assert lost[np.abs(step) > OPTIONS.lidar_azimuth / 2].all()
        assert 0.02 < lost[np.abs(step) < OPTIONS.lidar_azimuth / 2].mean() < 0.5


def test_there_are_thirteen_tables_and_all_tokens_are_unique(root):
    tables = {path.stem: json.loads(path.read_text()) for path in (root / VERSION).glob("*.json")}
    assert " ".join(sorted(tables)) == " ".join(TABLES.split())
    tokens = Counter(row["token"] for rows in tables.values() for row in rows)
    assert tokens.most_common(1)[0][1] == 1


def test_every_file_belongs_to_one_row_that_states_its_size(nusc, root):
    names = [row["filename"] for row in nusc.sample_data]
    on_disk = [path.relative_to(root).as_posix() for s in ("samples", "sweeps") for path in (root / s).rglob("*.*")]
    assert sorted(names) == sorted(on_disk)
    for row in nusc.sample_data:
        if row["fileformat"] == "jpg":
            assert Image.open(root / row["filename"]).size == (row["width"], row["height"]) == (160, 96)


def test_a_training_key_frame_hangs_between_the_sweeps_a_twelfth_of_a_second_away(nusc):
    scene = next(scene for drive, _, scene in scene_records(nusc) if drive.sweeps)
    rows = camera_rows(nusc, scene)
    assert [row["is_key_frame"] for row in rows] == [False, True, False] * 3
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        assert row["next"] == (following["token"] if following else "")
        assert not following or following["prev"] == row["token"]
    for before, key_frame, after in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        assert abs(key_frame["timestamp"] - before["timestamp"] - 1e6 / 12) < 1
        assert abs(after["timestamp"] - key_frame["timestamp"] - 1e6 / 12) < 1


def test_evaluation_frames_have_no_neighbours_unless_asked_for(nusc, world_root):
    links = [
        (row["prev"], row["next"])
        for drive, _, s in scene_records(nusc)
        if not drive.sweeps
        for row in camera_rows(nusc, s)
    ]
    assert set(links) == {("", "")}
    rows = json.loads((world_root / VERSION / "sample_data.json").read_text())
    assert all(row["prev"] and row["next"] for row in rows if row["is_key_frame"] and row["fileformat"] == "jpg")


def test_descriptions_name_night_and_rain_and_nothing_else_does(nusc):
    for _, condition, scene in scene_records(nusc):
        words = scene["description"].lower()
        assert ("night" in words, "rain" in words) == ("night" in condition, "rain" in condition)


def test_scene_names_come_from_the_official_splits(nusc):
    from nuscenes.utils.splits import create_splits_scenes

    official = create_splits_scenes()
    for drive, _, scene in scene_records(nusc):
        assert scene["name"] in official[SPLITS[drive.seed[1]]]


def test_paired_conditions_share_the_drive_and_differ_in_light(nusc, root):
    by_street = {}
    for drive, condition, scene in scene_records(nusc):
        if len(drive.scenes) == 4:
            row = camera_rows(nusc, scene)[0]
            by_street.setdefault(drive.seed, {})[condition] = row
    assert len(by_street) == 4
    for rows in by_street.values():
        poses = [nusc.get("ego_pose", row["ego_pose_token"]) for row in rows.values()]
        assert all(pose["translation"] == poses[0]["translation"] for pose in poses)
        assert all(pose["rotation"] == poses[0]["rotation"] for pose in poses)
        pictures = {c: np.asarray(Image.open(root / row["filename"]), np.float32) for c, row in rows.items()}
        assert pictures["night-clear"].mean() < 0.75 * pictures["day-clear"].mean()
        assert pictures["night-rain"].mean() < 0.75 * pictures["day-rain"].mean()
        assert np.abs(pictures["day-clear"] - pictures["day-rain"]).mean() > 5
        assert np.abs(pictures["night-clear"] - pictures["night-rain"]).mean() > 5


def test_the_two_vehicles_have_the_real_calibrations_scaled_and_cropped(nusc):
    found = {}
    for drive, _, scene in scene_records(nusc):
        row = nusc.get("calibrated_sensor", camera_rows(nusc, scene)[0]["calibrated_sensor_token"])
        found[drive.vehicle.name] = np.array(row["camera_intrinsic"])
    focal = 1266.417203046554 / 10  # a tenth of the size: 160 x 90, then 3 rows more above and below
    x, y = (816.2670197447984 + 0.5) / 10 - 0.5, (491.50706579294757 + 0.5) / 10 - 0.5 + 3
    np.testing.assert_allclose(found["w000"], [[focal, 0, x], [0, focal, y], [0, 0, 1]], rtol=1e-12)
    assert abs(found["w001"][0, 0] - 125.28131021185304) < 1e-9


def test_two_workers_write_the_same_bytes_as_one(root, tmp_path):
    write_nuscenes(tmp_path / "again", replace(OPTIONS, workers=2), progress=False)
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    same, different, missing = filecmp.cmpfiles(root, tmp_path / "again", map(str, files), shallow=False)
    assert (len(same), different, missing) == (len(files), [], [])


def test_a_second_call_with_the_same_options_does_nothing(root, monkeypatch):
    monkeypatch.setattr(nuscenes_world, "recordings", lambda options: pytest.fail("it started to render"))
    write_nuscenes(root, replace(OPTIONS, workers=5), progress=False)


def test_the_folder_of_another_world_is_refused_by_one_line_that_names_the_difference(root):
    with pytest.raises(WorldError, match=r"world holds another sample world \(seed 0, not 7\); choose another") as info:
        write_nuscenes(root, replace(OPTIONS, seed=7), progress=False)
    assert info.value.exit_code == 4


def test_a_folder_of_the_user_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WorldError, match="is no sample world"):
        write_nuscenes(tmp_path, OPTIONS, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_broken_off_build_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(root: Path, parts: list) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(nuscenes_world, "write_tables", fail)
    options = WorldOptions(train_scenes=1, val_streets=0, test_streets=0, train_key_frames=1, size=(32, 64), workers=1)
    with pytest.raises(OSError, match="no space left"):
        write_nuscenes(tmp_path / "world", options, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_streets_never_repeat_across_splits_and_seeds():
    options = replace(OPTIONS, train_scenes=5, val_streets=5, test_streets=5)
    drives = recordings(options) + recordings(replace(options, seed=1))
    corners = {drive.street().static.centre.tobytes() for drive in drives}
    assert len({drive.seed for drive in drives}) == len(corners) == 30


def test_wrong_options_are_named_all_at_once():
    with pytest.raises(ValueError, match=r"(?s)seed must be >= 0, got -1.*size must be .*conditions must be "):
        WorldOptions(seed=-1, size=(30, 64), conditions=("fog",))
    with pytest.raises(ValueError, match="the val split has names for 37 streets, got 38"):
        recordings(replace(OPTIONS, val_streets=38))


def test_the_command_line_reaches_every_option_and_shows_examples(tmp_path, capsys):
    script = Path(nuscenes_world.__file__).parent
    text = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True).stdout
    assert "python tools/sample_world --output data/world" in text
    for option in fields(WorldOptions):
        assert f"--{option.name.replace('_', '-')}" in text
    with pytest.raises(SystemExit) as info:
        main(["--output", str(tmp_path / "w"), "--size", "31", "64"])
    assert info.value.code == 2
    (tmp_path / "mine").touch()
    assert main(["--output", str(tmp_path)]) == 4
    assert capsys.readouterr().err.endswith(f"error: {tmp_path} is no sample world; choose another folder\n")
