"""The demo from end to end, on a world of a few frames: report, picture, second call, help."""

import demo
import pytest

TINY_WORLD = {
    "train_scenes": 2,
    "val_streets": 0,
    "test_streets": 2,
    "train_key_frames": 6,
    "eval_key_frames": 1,
    "size": (96, 160),
}


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Folder of a finished demo."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "FAST_WORLD", TINY_WORLD)
        for stage in ("teacher", "student"):
            patch.setitem(demo.FAST, stage, {"RUN.MAX_STEPS": 2})
        assert demo.main(["--fast", "--workers", "1", "--output", str(folder)]) == 0
        yield folder


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_report_shows_every_predictor_in_every_condition_and_says_how(output):
    report = (output / "report.html").read_text()
    for word in ("constant", "row mean", "mean depth map", "teacher", "student"):
        assert f"{word}</span>" in report, word
    for word in ("day-clear", "night-clear", "day-rain", "night-rain", "day to night (training)"):
        assert word in report, word
    assert "ego = the data set&#x27;s ego poses" in report
    assert "Smallest form (--fast)" in report
    assert "python tools/demo.py --output" in report
    assert report.count("data:image/webp;base64") == (4 + 3) * 6  # a frame per condition and per translation
    for part in ("results", "paired-tests", "conditions", "error-over-range", "gap-closed", "frames", "training"):
        assert f'<section id="{part}">' in report
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert (output / "overview.jpg").stat().st_size > 1000


def test_second_call_redoes_nothing(output, capsys):
    before = files(output)
    assert demo.main(["--fast", "--workers", "1", "--output", str(output)]) == 0
    assert "(there already)" in capsys.readouterr().out
    changed = [path for path, time in files(output).items() if before.get(path) != time]
    assert {path.name for path in changed} <= {"config.yaml", "version.json"}


def test_another_seed_in_the_same_folder_is_refused_in_one_line(output, capsys):
    assert demo.main(["--fast", "--seed", "5", "--output", str(output)]) == 4
    assert "another sample world" in capsys.readouterr().err


def test_help_shows_complete_commands(capsys):
    with pytest.raises(SystemExit):
        demo.main(["--help"])
    assert "python tools/demo.py --fast" in capsys.readouterr().out
