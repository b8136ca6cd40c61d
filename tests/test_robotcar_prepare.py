"""Preparing RobotCar traverses: the same folder after any interruption, partial downloads, and what is refused."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import prepare_robotcar
import pytest
from robotcar_oracles import DAY, NIGHT

from ude.data.robotcar import Preparation, RobotCarFrames, prepare
from ude.files import DataError, FolderInUseError, lock_folder, read_image, read_json, read_jsonl

TOOL = Path(prepare_robotcar.__file__)


def tree(folder):
    """SHA-256 of every file below a folder, by path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(raw, output, *options):
    return prepare_robotcar.main(["--raw", str(raw), "--output", str(output), *options])


@pytest.fixture(scope="module")
def prepared(robotcar_raw, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "robotcar"
    assert run(robotcar_raw, output) == 0
    return output


@pytest.fixture
def partial(robotcar_raw, tmp_path):
    """A copy of the raw day traverse to take parts from."""
    for name in ("models", "extrinsics", DAY):
        shutil.copytree(robotcar_raw / name, tmp_path / "raw" / name, ignore=shutil.ignore_patterns("dense_depth"))
    return tmp_path / "raw"


def one_line_error(capsys, raw, output, *options):
    capsys.readouterr()
    code = run(raw, output, *options)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert code in (2, 4)
    return line


def test_every_frame_has_an_image_depth_and_a_row(prepared):
    rows = read_jsonl(prepared / DAY / "frames.jsonl")
    assert len(rows) == 28
    assert [row["number"] for row in rows] == list(range(28))
    for row in rows:
        for entry in (row["image"], row["lidar"]):
            path = prepared / DAY / entry["path"]
            assert path.stat().st_size == entry["bytes"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    image = read_image(prepared / DAY / rows[4]["image"]["path"])
    assert rows[4]["brightness"] == pytest.approx(image[:192].mean() / 255, abs=1e-9)  # of the upper four fifths
    about = read_json(prepared / NIGHT / "traverse.json")
    assert (about["condition"], about["frames"], about["damaged_images"]) == ("night-clear", 28, [])


def test_the_published_filters_find_the_frames_that_stand_and_those_that_are_over_exposed(prepared):
    filters = {name: [row["filters"] for row in read_jsonl(prepared / name / "frames.jsonl")] for name in (DAY, NIGHT)}
    # the car stands at frames 9 to 13, so no centimetre lies between them; over-exposed frames spoil their neighbours
    static = [n for n, reasons in enumerate(filters[DAY]) if "static" in reasons]
    assert static == [n for n, reasons in enumerate(filters[NIGHT]) if "static" in reasons] == [9, 10, 11, 12, 13]
    assert [n for n, reasons in enumerate(filters[DAY]) if "over-exposed" in reasons] == [20, 21, 22, 23]
    assert not any("over-exposed" in reasons for reasons in filters[NIGHT])


def test_a_second_call_does_nothing(prepared, robotcar_raw, monkeypatch):
    before = tree(prepared)
    times = {path: path.stat().st_mtime_ns for path in prepared.glob("*/*/*.[pn][np][gz]")}
    assert run(robotcar_raw, prepared) == 0
    assert tree(prepared) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.slow
def test_two_processes_write_what_one_does(prepared, robotcar_raw, tmp_path):
    assert run(robotcar_raw, tmp_path / "out", "--workers", "2", "--traverse", DAY) == 0
    assert tree(tmp_path / "out" / DAY) == tree(prepared / DAY)


def killed(raw, output, workers, frames):
    """Kills a preparation as soon as it has written some frames."""
    command = [sys.executable, str(TOOL), "--raw", str(raw), "--output", str(output), "--workers", str(workers)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet, start_new_session=True)
    try:
        for _ in range(6000):
            if len([*output.glob("*/images/[0-9]*")]) >= frames or process.poll() is not None:
                break
            time.sleep(0.005)
        assert process.poll() is None, "it was too fast to be killed"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    for _ in range(600):  # its workers end with it, on a busy machine not at once
        if not group_lives(process.pid):
            return
        time.sleep(0.05)


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("workers", "kills"), [(1, [35]), *(pytest.param(n, [3, 25, 35], marks=pytest.mark.slow) for n in (1, 2))]
)
def test_a_kill_in_the_middle_leads_to_the_same_files(prepared, robotcar_raw, tmp_path, workers, kills):
    output = tmp_path / "out"
    for frames in kills:
        killed(robotcar_raw, output, workers, frames)
    finished = {path: path.stat().st_mtime_ns for path in output.glob(f"{DAY}/images/[0-9]*")}
    assert run(robotcar_raw, output) == 0
    assert tree(output) == tree(prepared)
    kept = sum(path.stat().st_mtime_ns == time for path, time in finished.items())
    assert kept == len(finished) == 28  # the first traverse was finished when the last kill came


def test_raw_images_that_are_prepared_may_be_removed(partial, tmp_path):
    output = tmp_path / "out"
    assert run(partial, output, "--limit", "5") == 0
    before = tree(output)
    shutil.rmtree(partial / DAY / "stereo")
    assert run(partial, output, "--limit", "5") == 0
    assert tree(output) == before


def test_a_file_of_another_size_or_a_missing_one_is_made_again(prepared, robotcar_raw, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(prepared, output)
    images, depths = sorted((output / DAY / "images").iterdir()), sorted((output / DAY / "lidar").iterdir())
    images[3].unlink()
    depths[7].write_bytes(depths[7].read_bytes()[:-1])
    (output / NIGHT / "traverse.json").unlink()
    half_written = output / DAY / "images" / ".tmp-elsewhere-1-2.png"
    half_written.touch()
    os.utime(half_written, (0, 0))
    assert run(robotcar_raw, output) == 0
    assert tree(output) == tree(prepared)


def test_missing_parts_of_a_download_are_counted_and_come_in_later(prepared, partial, robotcar_raw, tmp_path, capsys):
    output, folder = tmp_path / "out", partial / DAY
    images, scans = sorted((folder / "stereo/left").iterdir()), sorted((folder / "lms_front").iterdir())
    for path in (*images[4:6], *scans[:60]):
        path.unlink()
    images[8].write_bytes(images[8].read_bytes()[:-900])
    scans[70].write_bytes(scans[70].read_bytes()[:-5])
    lines = (folder / "vo/vo.csv").read_text().splitlines(keepends=True)
    last = int(images[-1].stem)
    (folder / "vo/vo.csv").write_text("".join([lines[0], *(s for s in lines[1:] if int(s.split(",")[0]) < last)]))
    assert run(partial, output) == 0
    said = capsys.readouterr().out
    assert "25 frames prepared; 2 image missing, 1 image damaged" in said
    assert "1 without LiDAR (scans without pose)" in said
    assert f"damaged: image {images[8]} cannot be decoded" in said
    assert f"damaged: {scans[70]}: " in said
    about = read_json(output / DAY / "traverse.json")
    assert about["left_out"] == {"image missing": 2, "image damaged": 1}
    assert about["without_odometry"] == 1
    first = read_jsonl(output / DAY / "frames.jsonl")[0]
    assert (first["scans"]["missing"], first["scans"]["damaged"]) == (60, 1)
    source = RobotCarFrames(output, split="all", offsets=(-1, 1))
    frames = {source.frame_id(index).split("_")[1] for index in range(len(source))}
    assert not frames & {images[n].stem for n in (3, 4, 5, 6, 7, 8, 9, 26 + 1)}  # a neighbour is missing
    assert run(partial, output) == 0  # nothing came in
    assert "damaged: " in capsys.readouterr().out
    shutil.copytree(robotcar_raw / DAY / "lms_front", folder / "lms_front", dirs_exist_ok=True)
    assert run(partial, output) == 0
    first = read_jsonl(output / DAY / "frames.jsonl")[0]
    assert not {"missing", "damaged"} & set(first["scans"])
    shutil.copy(robotcar_raw / DAY / "vo/vo.csv", folder / "vo/vo.csv")
    assert run(partial, output) == 0
    assert read_json(output / DAY / "traverse.json")["without_odometry"] == 0
    shutil.copytree(robotcar_raw / DAY / "stereo", folder / "stereo", dirs_exist_ok=True)
    assert run(partial, output) == 0
    assert tree(output / DAY) == tree(prepared / DAY)


def test_a_traverse_without_odometry_and_scans_still_gives_images(partial, tmp_path, capsys):
    for name in ("vo", "gps", "lms_front"):
        shutil.rmtree(partial / DAY / name)
    (partial / DAY / "lms_front.timestamps").unlink()
    assert run(partial, tmp_path / "out", "--limit", "4") == 0
    assert "4 frames prepared; 4 without LiDAR (no list of scans), 4 without odometry" in capsys.readouterr().out
    source = RobotCarFrames(tmp_path / "out", split="all", offsets=(1,))
    assert len(source) == 3
    assert source.lidar_path(0) is None
    with pytest.raises(DataError, match=r"no odometry to its neighbour \+1; set DATA\.MIN_SPEED"):
        source.distance(0, 1)
    with pytest.raises(DataError, match=r"no LiDAR depth"):
        source.sparse_lidar(0)
    with pytest.raises(DataError, match=r"no frame is left: .* 3 have no odometry"):
        RobotCarFrames(tmp_path / "out", split="all", offsets=(1,), min_speed=0.1)
    with pytest.raises(DataError, match=r"no frame is left: .* of which 4 have no LiDAR depth"):
        RobotCarFrames(tmp_path / "out", split="all")


def test_frames_without_the_poses_that_move_scans_say_so(partial, tmp_path, capsys):
    (partial / DAY / "vo/vo.csv").unlink()
    line = one_line_error(capsys, partial, tmp_path / "out")
    assert (
        "vo/vo.csv: no such file, so that there would be no depth, but there is gps/ins.csv: give --poses ins" in line
    )
    assert not (tmp_path / "out").exists()
    assert run(partial, tmp_path / "ins", "--limit", "9", "--poses", "ins") == 0
    assert "9 frames prepared; all complete" in capsys.readouterr().out
    assert RobotCarFrames(tmp_path / "ins", split="all", offsets=(1,)).distance(0, 1) > 0.05
    (partial / DAY / "gps/ins.csv").unlink()
    assert run(partial, tmp_path / "out", "--limit", "2") == 0
    said = capsys.readouterr().out
    assert "2 frames prepared; 2 without LiDAR (no vo/vo.csv), 2 without odometry\n" in said


def test_a_limit_is_extended_later(prepared, robotcar_raw, tmp_path):
    output = tmp_path / "out"
    assert run(robotcar_raw, output, "--limit", "5") == 0
    assert len(read_jsonl(output / DAY / "frames.jsonl")) == 5
    assert run(robotcar_raw, output) == 0
    assert tree(output) == tree(prepared)


def test_jpeg_is_close_and_smaller(prepared, robotcar_raw, tmp_path):
    output = tmp_path / "out"
    assert run(robotcar_raw, output, "--format", "jpg", "--limit", "2", "--traverse", DAY) == 0
    for path in (output / DAY / "images").iterdir():
        exact = prepared / DAY / "images" / f"{path.stem}.png"
        difference = read_image(path).astype(int) - read_image(exact)
        assert np.abs(difference).mean() < 2
        assert path.stat().st_size < exact.stat().st_size / 2


def test_raw_data_stay_as_they_are(robotcar_raw, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in robotcar_raw.rglob("*")}
    for output in (robotcar_raw, robotcar_raw / "out", robotcar_raw.parent):
        assert "overlap" in one_line_error(capsys, robotcar_raw, output)
    link = tmp_path / "link"
    link.symlink_to(robotcar_raw)
    assert "overlap" in one_line_error(capsys, robotcar_raw, link / "out")
    assert run(robotcar_raw, tmp_path / "out", "--limit", "1") == 0
    assert {path: path.stat().st_mtime_ns for path in robotcar_raw.rglob("*")} == before


def test_a_folder_holds_frames_of_one_way_only(prepared, robotcar_raw, capsys):
    for option, value in (("--margin", "2"), ("--interpolation", "floor"), ("--poses", "ins"), ("--format", "jpg")):
        line = one_line_error(capsys, robotcar_raw, prepared, option, value)
        assert "preparation.json: frames there have" in line
        assert line.endswith("choose another --output")


def test_two_preparations_do_not_share_a_folder(robotcar_raw, tmp_path):
    with lock_folder(tmp_path / "out"), pytest.raises(FolderInUseError):
        prepare(robotcar_raw, tmp_path / "out", Preparation(), progress=False)


def test_images_that_another_tool_has_overwritten_are_refused(prepared, partial, tmp_path, capsys):
    for path in (partial / DAY / "stereo/left").iterdir():
        shutil.copy(prepared / DAY / "images" / path.name, path)
    line = one_line_error(capsys, partial, tmp_path / "out")
    assert "none of 28 images can be used; the first:" in line
    assert "has mode RGB, so it is no Bayer mosaic" in line


def test_a_calibration_for_another_size_is_refused(partial, tmp_path, capsys):
    lookup = partial / "models/stereo_wide_left_distortion_lut.bin"
    lookup.write_bytes(lookup.read_bytes()[:-160])
    assert "images are 240 x 320" in one_line_error(capsys, partial, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--margin", "0"], "--margin must be above 0"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--traverse", "x"], "no traverse x"),
        (["--sdk", "nowhere"], "get the RobotCar SDK"),
    ],
)
def test_bad_options_are_refused_in_one_line(robotcar_raw, tmp_path, capsys, options, message):
    assert message in one_line_error(capsys, robotcar_raw, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_the_configuration_gives_output_and_sdk(robotcar_raw, tmp_path, capsys):
    config = tmp_path / "robotcar.yaml"
    config.write_text(f"DATA: {{ROOT: {tmp_path / 'data'}, ROBOTCAR_SDK: {robotcar_raw}}}\n")
    assert prepare_robotcar.main(["--cfg", str(config), "--raw", str(robotcar_raw), "--limit", "1"]) == 0
    assert (tmp_path / "data" / DAY / "traverse.json").is_file()
    config.write_text(f"DATA: {{ROBOTCAR_SDK: {tmp_path}}}\n")
    assert prepare_robotcar.main(["--cfg", str(config), "--raw", str(robotcar_raw)]) == 4
    assert prepare_robotcar.main(["--raw", str(robotcar_raw)]) == 2
    assert "--output is needed" in capsys.readouterr().err


def test_a_condition_can_be_given_by_hand(robotcar_raw, tmp_path, capsys):
    assert run(robotcar_raw, tmp_path / "out", "--limit", "1", "--condition", f"{DAY}=day-rain") == 0
    assert read_json(tmp_path / "out" / DAY / "traverse.json")["condition"] == "day-rain"
    with pytest.raises(SystemExit):
        run(robotcar_raw, tmp_path / "out", "--condition", f"{DAY}=sunny")
