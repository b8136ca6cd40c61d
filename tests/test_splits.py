"""Split files: reading, writing with a header that can be verified, and lists of other projects."""

import json
from collections import Counter
from pathlib import Path

import made_folders
import make_splits
import pytest
from nuscenes.utils.splits import create_splits_scenes
from world_edits import VERSION, frame_ids

from ude.data.check import SplitCheck, expected_counts
from ude.data.folders.kitti import KittiFrames
from ude.data.nuscenes import NuScenesFrames
from ude.data.splits import check_split, monodepth2_frames, read_split, write_split
from ude.files import DataError, sha256

ROOT = Path(__file__).parents[1]
FRAMES = [("n008-a", "day-clear"), ("夜 2", "night-rain"), ("n008-b", "day-clear")]


def test_what_was_written_is_read_again_in_order(tmp_path):
    counts = write_split(tmp_path / "train.txt", FRAMES, rule="a rule")
    assert counts == {"day-clear": 2, "night-rain": 1}
    found = read_split(tmp_path / "train.txt")
    assert [(frame_id, condition) for frame_id, (condition, _) in found.items()] == FRAMES
    assert check_split(tmp_path / "train.txt") == counts
    header = (tmp_path / "train.txt").read_text(encoding="utf-8").splitlines()[:3]
    assert header[:2] == ["# a rule", "# frames: 3 (day-clear 2, night-rain 1)"]
    assert header[2].startswith("# sha256: ")


def test_a_repeated_frame_is_written_once(tmp_path):
    assert write_split(tmp_path / "x.txt", [*FRAMES, FRAMES[0]], rule="").total() == 3
    assert len(read_split(tmp_path / "x.txt")) == 3


def test_comments_empty_lines_and_other_line_ends_are_free(tmp_path):
    (tmp_path / "x.txt").write_bytes(
        b"\xef\xbb\xbf# a comment\r\n\r\n  # another\r\nframe one day-rain \r\nb night-clear"
    )
    assert read_split(tmp_path / "x.txt") == {"frame one": ("day-rain", 4), "b": ("night-clear", 5)}


@pytest.mark.parametrize(
    "frame_id",
    ["../../etc/passwd", "/etc/passwd", "C:\\x", "..\\..\\x", "a\0b", "x" * 300, "~root", "..", "folder/frame", "a\tb"],
    ids=["up", "absolute", "drive", "backslashes", "NUL", "long", "home", "parent", "slash", "tab"],
)
def test_a_hostile_frame_id_is_refused_with_its_line(tmp_path, frame_id):
    path = tmp_path / "split.txt"
    path.write_text(f"fine day-clear\n{frame_id} day-clear\n")
    with pytest.raises(DataError, match=r"split\.txt:2: .* is no frame_id") as caught:
        read_split(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frame_id", ["#1", "a/b", ""])
def test_a_frame_id_that_could_not_be_read_again_is_not_written(tmp_path, frame_id):
    with pytest.raises(DataError, match="is no frame_id"):
        write_split(tmp_path / "x.txt", [*FRAMES, (frame_id, "day-clear")], rule="")
    assert not (tmp_path / "x.txt").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("n008-b day-clear", "n008-b day-rain"), "was changed: frames"),
        (lambda text: text.replace("n008-a", "n008-c"), "was changed: sha256"),
        (lambda text: text.replace("# frames: 3", "# frames: 4"), "header says 4"),
        (lambda text: text.partition("\n")[2].partition("\n")[2], "has no '# frames:' and '# sha256:' lines"),
        (lambda text: text + "n008-a day-clear\n", "stands in line"),
        (lambda text: text.replace("n008-b day-clear", "n008-b dusk"), "with a condition of"),
    ],
    ids=["condition", "frame", "count", "no header", "repeated", "unknown condition"],
)
def test_a_changed_file_is_found(tmp_path, change, message):
    path = tmp_path / "train.txt"
    write_split(path, FRAMES, rule="a rule")
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        check_split(path)


def test_lines_of_monodepth2_become_frame_ids_of_kitti(tmp_path):
    (tmp_path / "l.txt").write_text(
        "2011_09_26/2011_09_26_drive_0002_sync 0000000069 l\n2011_10_03/2011_10_03_drive_0034_sync 1757 r\n"
    )
    assert monodepth2_frames(tmp_path / "l.txt") == [
        ("2011_09_26_drive_0002_sync_02_0000000069", "day-clear"),
        ("2011_10_03_drive_0034_sync_03_0000001757", "day-clear"),
    ]


@pytest.mark.parametrize("line", ["8 4056 r", "image 0", "../2011_09_26_drive_0002_sync 1 l", "a b c d"])
def test_another_list_of_monodepth2_is_refused_with_its_line(tmp_path, line):
    (tmp_path / "l.txt").write_text(f"2011_09_26/2011_09_26_drive_0002_sync 5 l\n{line}\n")
    with pytest.raises(DataError, match=r"l\.txt:2: expected"):
        monodepth2_frames(tmp_path / "l.txt")


def make(*args) -> int:
    return make_splits.main([str(arg) for arg in args])


@pytest.fixture
def config(world_root, tmp_path) -> Path:
    path = tmp_path / "world.yaml"
    path.write_text(f"_BASE_: {ROOT / 'configs' / 'nuscenes.yaml'}\nDATA: {{ROOT: {world_root}, MIN_SPEED: 0.5}}\n")
    return path


def test_the_tool_writes_the_splits_of_the_tables_and_checks_them(world_root, val, config, tmp_path, capsys):
    out = tmp_path / "splits"
    assert make("--cfg", config, "--output", out) == 0
    printed = capsys.readouterr().out
    training = NuScenesFrames(world_root, split="train", conditions=["day-clear"], offsets=(-1, 1), min_speed=0.5)
    assert list(read_split(out / "train.txt")) == frame_ids(training)
    assert list(read_split(out / "val.txt")) == frame_ids(val)
    assert f"{out / 'val.txt'}: 8 (day-clear 2, day-rain 2, night-clear 2, night-rain 2)" in printed
    for name in ("train", "val", "test"):
        assert make("--check", out / f"{name}.txt") == 0
    again = NuScenesFrames(world_root, split=str(out / "val.txt"))
    assert [(again.frame_id(i), again.condition(i)) for i in range(8)] == [
        (val.frame_id(i), val.condition(i)) for i in range(8)
    ]


def test_a_split_without_frames_is_said_and_not_written(config, tmp_path, capsys):
    assert make("--cfg", config, "--output", tmp_path / "s", "--splits", "mini_val", "val") == 0
    assert "mini_val: no frames in this version, no file written" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["val.txt"]


def test_the_tool_refuses_what_it_cannot_do_in_one_line(world_root, config, tmp_path, capsys):
    (tmp_path / "bad.txt").write_text("a day-clear\n")
    assert make("--check", tmp_path / "bad.txt") == 4
    assert make("--cfg", config) == 2
    assert make("--output", tmp_path) == 2
    assert make("--cfg", config, "--output", world_root / "splits") == 4
    errors = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in errors if "frames of split" not in line] == [True] * 4
    assert not (world_root / "splits").exists()


def rules(folder: Path) -> dict[str, str]:
    """First line of every split file in a folder, without the mark of a comment."""
    return {path.name: path.read_text(encoding="utf-8").splitlines()[0][2:] for path in folder.glob("*.txt")}


def test_the_header_names_the_rules_that_were_applied(config, tmp_path):
    assert make("--cfg", config, "--output", tmp_path / "s") == 0
    nuscenes = "nuscenes v1.0-trainval, split"
    assert rules(tmp_path / "s") == {
        "train.txt": f"{nuscenes} train, rules corrected, day-clear, neighbours (-1, 1), at least 0.5 m/s",
        "val.txt": f"{nuscenes} val, rules corrected, all conditions",
        "test.txt": f"{nuscenes} test, rules corrected, all conditions",
    }
    overrides = ["DATA.RULES", "md4all", "DATA.MIN_SPEED", "0"]
    assert make("--cfg", config, "--output", tmp_path / "m", *overrides, "--splits", "train") == 0
    assert rules(tmp_path / "m")["train.txt"].endswith("train, rules md4all, day-clear, neighbours (-1, 1)")


def test_the_header_names_files_and_excluded_frames_by_their_sha256(config, val, tmp_path):
    names = frame_ids(val)
    (tmp_path / "mine.txt").write_text("".join(f"{name} night-rain\n" for name in names))
    (tmp_path / "broken.json").write_text(json.dumps({"schema": 1, "root": "", "frames": names[:3], "files": []}))
    overrides = ["DATA.SPLIT_VAL", tmp_path / "mine.txt", "DATA.EXCLUDE", tmp_path / "broken.json"]
    overrides += ["DATA.CROP", "[0, 0, 64, 96]"]
    assert make("--cfg", config, *overrides, "--output", tmp_path / "s", "--splits", tmp_path / "mine.txt") == 0
    assert rules(tmp_path / "s")["mine.txt"] == (
        f"nuscenes {VERSION}, split file {tmp_path / 'mine.txt'} (sha256 {sha256(tmp_path / 'mine.txt')}), rules "
        f"corrected, conditions of the file, without 3 frames in broken.json "
        f"(sha256 {sha256(tmp_path / 'broken.json')})"
    )
    assert list(read_split(tmp_path / "s" / "mine.txt")) == names[3:]


def test_the_header_names_no_speed_that_md4all_does_not_ask_for(broken_root, config, tmp_path):
    (broken_root / VERSION).rename(broken_root / "v1.0-mini")
    overrides = ["DATA.ROOT", broken_root, "DATA.VERSION", "v1.0-mini", "DATA.RULES", "md4all"]
    assert make("--cfg", config, "--output", tmp_path / "s", *overrides, "--splits", "train") == 0
    assert rules(tmp_path / "s")["train.txt"].endswith("train, rules md4all, day-clear, neighbours (-1, 1)")


@pytest.fixture
def kitti(tmp_path) -> Path:
    root = made_folders.write_kitti(tmp_path / "raw", frames=4)
    path = tmp_path / "kitti.yaml"
    path.write_text(f"DATA: {{SOURCE: kitti, ROOT: {root}, SPLIT_TRAIN: all, SPLIT_VAL: all, MIN_SPEED: 0.5}}\n")
    return path


def test_a_split_for_training_and_validation_becomes_a_file_for_each(kitti, tmp_path, capsys):
    out = tmp_path / "s"
    assert make("--cfg", kitti, "--output", out) == 0
    assert "test" not in capsys.readouterr().out.replace(str(tmp_path), "")  # KITTI has no split of that name
    everything = KittiFrames(tmp_path / "raw")
    training = KittiFrames(tmp_path / "raw", offsets=(-1, 1), min_speed=0.5)
    assert rules(out) == {
        "all.train.txt": "kitti, split all, day-clear, neighbours (-1, 1), at least 0.5 m/s, 4 left out: no neighbour",
        "all.txt": "kitti, split all, all conditions",
    }
    assert list(read_split(out / "all.train.txt")) == [training.frame_id(index) for index in range(len(training))]
    assert list(read_split(out / "all.txt")) == [everything.frame_id(index) for index in range(len(everything))]


def test_headers_of_robotcar_name_its_own_filters(robotcar_prepared, tmp_path, capsys):
    (tmp_path / "r.yaml").write_text(f"DATA: {{SOURCE: robotcar, ROOT: {robotcar_prepared}, SPLIT_VAL: all}}\n")
    assert make("--cfg", tmp_path / "r.yaml", "--output", tmp_path / "s") == 0
    found = rules(tmp_path / "s")
    assert found["train.txt"].startswith("robotcar, split train, day-clear, neighbours (-1, 1), at least 0.5 m/s, ")
    assert " left out: static" in found["train.txt"]
    assert found["all.txt"].startswith("robotcar, split all, all conditions")
    # less than two seconds of a drive have no test minute: nobody asked for that split
    assert "test: no frames in this version, no file written" in capsys.readouterr().out
    assert make("--cfg", tmp_path / "r.yaml", "--output", tmp_path / "s", "--splits", "all", "nowhere.txt") == 4


def test_a_split_file_that_is_read_is_not_replaced(config, val, tmp_path, capsys):
    own = "".join(f"{name} night-rain\n" for name in frame_ids(val))
    mine = tmp_path / "val.txt"
    mine.write_text(own)
    arguments = ["--cfg", config, "--output", tmp_path]
    assert make(*arguments, "DATA.SPLIT_VAL", mine) == 4
    assert make(*arguments, "--splits", mine) == 4
    assert make(*arguments, "--splits", "val", "--", "DATA.SPLIT_TRAIN", mine) == 4
    (tmp_path / "dynamic.json").write_text("[]")
    assert make(*arguments, "--import-md4all", tmp_path / "dynamic.json", "DATA.SPLIT_VAL", mine) == 4
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert (
        errors
        == [f"error: --output {tmp_path}: val.txt in it is read, and would be replaced; choose another folder"] * 4
    )
    assert mine.read_text() == own
    assert [path.name for path in tmp_path.glob("*.txt")] == ["val.txt"]


def test_splits_that_would_replace_each_other_are_refused(config, val, tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "val.txt").write_text(f"{val.frame_id(0)} day-clear\n")
    assert make("--cfg", config, "--output", tmp_path / "s", "--splits", "val", tmp_path / "a" / "val.txt") == 4
    assert f"{tmp_path / 'a' / 'val.txt'}: another split would be written as" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_md4alls_list_of_samples_becomes_its_training_and_validation_frames(
    world_root, devkit, train, val, config, tmp_path
):
    names = create_splits_scenes()
    scenes = {row["token"]: row["name"] for row in devkit.scene}
    samples = [row for row in devkit.sample if scenes[row["scene_token"]] in names["train"] + names["val"]][1:]
    (tmp_path / "dynamic.json").write_text(json.dumps(samples))
    out = tmp_path / "md4all"
    assert make("--cfg", config, "--import-md4all", tmp_path / "dynamic.json", "--output", out) == 0
    ids = [Path(devkit.get("sample_data", row["data"]["CAM_FRONT"])["filename"]).stem for row in samples]
    everything = set(frame_ids(train)) | set(frame_ids(val))
    assert len(ids) == len(everything) - 1
    found = {name: read_split(out / f"{name}.txt") for name in ("train", "val")}
    assert list(found["train"]) == [frame_id for frame_id in ids if frame_id in set(frame_ids(train))]
    assert list(found["val"]) == [frame_id for frame_id in ids if frame_id in set(frame_ids(val))]
    assert Counter(condition for condition, _ in found["val"].values()) == Counter(map(val.condition, range(len(val))))


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "is no list"), ('[{"token": "nowhere"}]', "'nowhere' is not in the tables"), ("[1]", "is no list")],
)
def test_another_list_of_samples_is_refused(config, tmp_path, content, message, capsys):
    (tmp_path / "dynamic.json").write_text(content)
    assert make("--cfg", config, "--import-md4all", tmp_path / "dynamic.json", "--output", tmp_path / "out") == 4
    assert message in capsys.readouterr().err


def test_expected_counts_have_one_form_and_fit_the_official_lists():
    rows = json.loads((ROOT / "data_splits" / "expected_counts.json").read_text(encoding="utf-8"))
    keys = {"source", "version", "split", "rules", "condition", "count", "what", "from"}
    assert all(row.keys() == keys and row["count"] > 0 and row["from"] for row in rows)
    assert {row["what"] for row in rows} == {"frames", "scenes", "training frames"}
    assert {row["rules"] for row in rows} <= {"any", "corrected", "md4all"}

    def count(split: str, condition: str = "all", what: str = "frames", version: str = VERSION) -> int:
        wanted = {"source": "nuscenes", "version": version, "split": split, "condition": condition, "what": what}
        return next(row["count"] for row in rows if wanted.items() <= row.items())

    official = create_splits_scenes()
    assert count("train", what="scenes") == len(official["train"])
    assert count("val", what="scenes") == len(official["val"])
    assert count("test", what="scenes", version="v1.0-test") == len(official["test"])
    by_condition = ("day-clear", "day-rain", "night-clear", "night-rain")
    assert sum(count("val", name, "scenes") for name in by_condition) == len(official["val"])
    assert sum(count("val", name) for name in ("day-clear", "day-rain", "night")) == count("val")


def test_lists_of_monodepth2_with_one_name_become_files_apart(tmp_path, monkeypatch, capsys):
    for number, name in enumerate(("eigen_zhou", "eigen_full")):
        (tmp_path / name).mkdir()
        line = f"2011_09_26/2011_09_26_drive_0002_sync 000000006{number} l\n"
        (tmp_path / name / "train_files.txt").write_text(line)
    out = tmp_path / "out"
    assert make("--import-monodepth2", tmp_path / "eigen_zhou" / "train_files.txt", "--output", out) == 0
    monkeypatch.chdir(tmp_path / "eigen_full")
    assert make("--import-monodepth2", "train_files.txt", "--output", out) == 0
    for number, name in enumerate(("eigen_zhou", "eigen_full")):
        assert [*read_split(out / name / "train_files.txt")] == [f"2011_09_26_drive_0002_sync_02_000000006{number}"]
    assert make("--import-monodepth2", "train_files.txt", "--output", tmp_path) == 4
    assert "is read, and would be replaced" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "split", "training", "count"),
    [
        ("kitti", "out/eigen_zhou/train_files.txt", True, 39810),
        ("kitti", "out/eigen_zhou/train_files.txt", False, 39810),
        ("kitti", "eigen_zhou/train_files.txt", True, 39810),
        ("kitti", "out/eigen_full/train_files.txt", False, 45200),
        ("kitti", "out/eigen_full/train_files.txt", True, None),  # some of its frames lack a neighbour
        ("kitti", "out/train_files.txt", True, None),
        ("kitti", "out/other_eigen_zhou/train_files.txt", True, None),
        ("robotcar", "train", True, None),  # another rule than that of the published numbers
        ("robotcar", "test", False, None),
        ("robotcar", "data/robotcar/splits/2014-12-09-13-21-02_train_stride_1.txt", True, 16563),
        ("robotcar", "data/robotcar/splits/2014-12-16-18-44-24_test.txt", False, 709),
    ],
)
def test_the_published_counts_of_imported_splits_are_found(source, split, training, count):
    rows = expected_counts(ROOT / "data_splits" / "expected_counts.json", source=source, version="", rules="corrected")
    assert rows.frames(SplitCheck(split, training), "all") == count
