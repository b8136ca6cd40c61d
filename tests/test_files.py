import errno
import io
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ude import files

ROOT = Path(__file__).parents[1]
STATE = {"weights": torch.arange(5000.0), "step": 7, "names": ["a", "b"], "betas": (0.9, 0.999)}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    files.save_checkpoint(path, STATE)
    return path


@pytest.fixture
def full_disk(monkeypatch):
    """A disk without space: writing the temporary file to the disk fails as the operating system says it."""

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- atomic writing


def test_the_file_appears_whole_with_its_suffix_and_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "x.txt"
    with files.atomic_path(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt"
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["x.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_middle_keeps_the_old_file_and_leaves_nothing(error, tmp_path):
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    def interrupted_writer():
        with files.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted_writer()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_keeps_the_old_file_and_is_an_error_with_the_path(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(files.DiskFullError, match=r"no space left to write .*x\.txt \(\d+\.\d MB free") as error:
        files.write_text(path, "new")
    assert error.value.exit_code == 6
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_full_disk_keeps_the_old_checkpoint(checkpoint, full_disk):
    with pytest.raises(files.DiskFullError):
        files.save_checkpoint(checkpoint, {"step": 8})
    assert files.load_checkpoint(checkpoint)["step"] == 7
    assert names(checkpoint.parent) == ["last.ckpt", "last.ckpt.sha256"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_really_full_disk_keeps_checkpoint_weights_image_and_rows(tmp_path):
    code = """
import sys, numpy as np, torch; from ude import files
path = sys.argv[1] + "/"; row = {"text": "x" * 100_000}
small = np.zeros((8, 8, 3), np.uint8); noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8)
files.save_checkpoint(path + "a.ckpt", {"step": 1}); files.save_weights(path + "a.safetensors", {"w": torch.ones(3)})
files.write_image(path + "a.png", small); files.append_jsonl(path + "a.jsonl", {"n": 1})
def fails(write, *arguments):
    try: write(*arguments)
    except files.DiskFullError as error: assert error.exit_code == 6; return
    raise AssertionError(write)
big = {"w": torch.ones(1_000_000)}
fails(files.save_checkpoint, path + "a.ckpt", big); fails(files.save_weights, path + "a.safetensors", big)
fails(files.write_image, path + "a.png", noise)
fails(lambda: [files.append_jsonl(path + "a.jsonl", row) for _ in range(40)])
assert files.load_checkpoint(path + "a.ckpt") == {"step": 1}
assert files.load_weights(path + "a.safetensors")["w"].sum() == 3
assert (files.read_image(path + "a.png") == small).all(); assert files.read_jsonl(path + "a.jsonl")[-1] == row
import os; assert not [name for name in os.listdir(path) if name.startswith(".tmp")]; print("all kept")
"""
    mounted = f"mount -t tmpfs -o size=3m none {tmp_path} && {sys.executable} -c '{code}' {tmp_path}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["unshare", "-Urm", "sh", "-c", mounted]
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system allows no private mounts")
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout == "all kept\n", result.stderr


def test_a_place_that_cannot_be_written_is_one_line_of_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(files.DataError, match=r"cannot write .*choose a folder that you can write to"):
        files.write_text(tmp_path / "file" / "x.txt", "text")


def test_an_error_about_another_file_is_not_blamed_on_the_one_being_written(tmp_path):
    (tmp_path / "elsewhere" / "folder").mkdir(parents=True)
    with pytest.raises(IsADirectoryError), files.atomic_path(tmp_path / "out" / "x.txt"):
        (tmp_path / "elsewhere" / "folder").read_text()


def test_a_link_at_the_target_is_replaced_and_what_it_led_to_is_untouched(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("old")
    (tmp_path / "x.txt").symlink_to(precious)
    files.write_text(tmp_path / "x.txt", "new")
    assert precious.read_text() == "old"
    assert (tmp_path / "x.txt").read_text() == "new"


KILLS = """
import os, random, signal, sys, time; import torch; from ude import files
path, kills, loadable = sys.argv[1], int(sys.argv[2]), 0
weights = [torch.full((300_000,), float(n)) for n in range(100)]
files.save_checkpoint(path, {"n": 0, "w": weights[0]})
draw = random.Random(0)
for _ in range(kills):
    writer = os.fork()
    if writer == 0:
        while True:
            for n, w in enumerate(weights): files.save_checkpoint(path, {"n": n, "w": w})
    time.sleep(draw.uniform(0, 0.05)); os.kill(writer, signal.SIGKILL); os.waitpid(writer, 0)
    state = files.load_checkpoint(path); loadable += bool((state["w"] == state["n"]).all())
print(loadable)
"""


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_any_moment_leave_a_checkpoint_that_loads_and_clean_up_finds_the_rest(kills, tmp_path):
    path = tmp_path / "last.ckpt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLS, str(path), str(kills)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout == f"{kills}\n", result.stderr
    assert files.clean_temporary(tmp_path) > 0
    assert names(tmp_path) == ["last.ckpt", "last.ckpt.sha256"]


@pytest.mark.parametrize("moment", ["after the new checksum is announced", "after the file is replaced"])
def test_a_kill_between_file_and_checksum_leaves_a_pair_that_fits(moment, checkpoint, monkeypatch):
    side = checkpoint.with_name("last.ckpt.sha256")
    replace = os.replace

    def killed(source, target):
        if target == checkpoint and moment.startswith("after the file"):
            replace(source, target)
        if target == checkpoint:
            raise KeyboardInterrupt
        replace(source, target)

    for step in (8, 9):  # twice: the second time the checksums are those of an earlier kill
        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            files.save_checkpoint(checkpoint, {"step": step})
        assert files.load_checkpoint(checkpoint)["step"] == (7 if moment.startswith("after the new") else step)
    monkeypatch.setattr(os, "replace", replace)
    files.save_checkpoint(checkpoint, {"step": 10})
    assert len(side.read_text().splitlines()) == 1
    assert files.load_checkpoint(checkpoint)["step"] == 10


def test_cleaning_goes_on_when_another_process_removes_a_folder_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "going").mkdir()
    (tmp_path / "staying").mkdir()
    abandoned = tmp_path / "staying" / ".tmp-other1-1-00.txt"
    abandoned.write_text("x")
    os.utime(abandoned, (0, 0))
    scandir = os.scandir

    def list_or_miss(path):
        if Path(path).name == "going":
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", list_or_miss)
    assert files.clean_temporary(tmp_path) == 1
    assert not abandoned.exists()


def test_clean_up_removes_files_of_dead_writers_and_keeps_those_of_running_ones(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    with files.atomic_path(tmp_path / "night" / "x.jpg") as temporary:
        temporary.write_bytes(b"now")
        stale = temporary.with_name(temporary.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
        stale.write_bytes(b"then")
        elsewhere = temporary.with_name(f".tmp-other1-{dead.pid}-00.jpg")
        elsewhere.write_bytes(b"then")
        assert files.clean_temporary(tmp_path) == 1
        assert (temporary.exists(), stale.exists(), elsewhere.exists()) == (True, False, True)
        os.utime(elsewhere, (0, 0))
        assert files.clean_temporary(tmp_path) == 1
    assert names(tmp_path / "night") == ["x.jpg"]


# --- JSON


def test_json_comes_back_as_it_was(tmp_path):
    value = {"b": [1, 2.5, None, "夜"], "a": {"x": True}}
    files.write_json(tmp_path / "x.json", value)
    assert files.read_json(tmp_path / "x.json") == value
    assert (tmp_path / "x.json").read_text(encoding="utf-8").startswith('{\n  "b": [')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_nan_is_never_written(value, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"value": value})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.append_jsonl(tmp_path / "x.jsonl", {"value": value})
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "[" * 100_000, "\xff"])
def test_bad_json_is_one_line_of_error_with_the_file(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(files.DataError, match=r"x\.json is not valid JSON") as error:
        files.read_json(path)
    assert "\n" not in str(error.value)


def test_json_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert files.read_json(tmp_path / "x.json") == [1]


def test_a_missing_json_file_is_an_error_of_both_kinds(tmp_path):
    with pytest.raises(files.MissingFileError, match=r"x\.json") as error:
        files.read_json(tmp_path / "x.json")
    assert isinstance(error.value, FileNotFoundError)
    assert error.value.exit_code == 4


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_a_half_written_last_row_is_dropped_and_the_next_row_takes_its_place(cut, tmp_path):
    path = tmp_path / "x.jsonl"
    for n in (1, 2):
        files.append_jsonl(path, {"number": n})
    os.truncate(path, path.stat().st_size - cut)
    assert files.read_jsonl(path) == [{"number": 1}]
    files.append_jsonl(path, {"number": 3})
    assert files.read_jsonl(path) == [{"number": 1}, {"number": 3}]


def test_a_damaged_row_in_the_middle_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a"\n{"a": 2}\n')
    with pytest.raises(files.DataError, match=r"line 2 of .*x\.jsonl"):
        files.read_jsonl(path)
    path.write_text("[1]\n")
    with pytest.raises(files.DataError, match=r"line 1 .* is not a JSON object"):
        files.read_jsonl(path)


# --- images


def noise(height=48, width=64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_png_comes_back_exactly_and_jpeg_nearly(tmp_path):
    image = np.kron(noise(6, 8), np.ones((8, 8, 1), np.uint8))
    files.write_image(tmp_path / "x.png", image)
    assert (files.read_image(tmp_path / "x.png") == image).all()
    files.write_image(tmp_path / "x.jpg", image, quality=95)
    assert np.abs(files.read_image(tmp_path / "x.jpg").astype(int) - image).mean() < 2


def test_jpeg_keeps_colour_at_full_resolution(tmp_path):
    files.write_image(tmp_path / "x.jpg", noise())
    with Image.open(tmp_path / "x.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_only_uint8_rgb_is_written(image, tmp_path):
    with pytest.raises(ValueError, match="image must be uint8"):
        files.write_image(tmp_path / "x.png", image)


def test_an_unknown_image_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in one of \.jpg, \.jpeg, \.png, got x\.gif"):
        files.write_image(tmp_path / "x.gif", noise())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_every_truncation_is_an_error_with_the_file_and_the_remedy(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    files.write_image(path, noise(90, 160))
    whole = path.read_bytes()
    cuts = [int(len(whole) * percent / 100) for percent in (0, 0.1, 1, 10, 25, 50, 75, 90, 99)]
    cuts += [len(whole) - last for last in ((64, 8, 3, 2, 1) if suffix == ".jpg" else (64,))]  # PNG ends in idle bytes
    for data in [*(whole[:cut] for cut in cuts), whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)]:
        path.write_bytes(data)
        with pytest.raises(files.DataError, match=r"image .*x\.\w+ cannot be decoded .*copy, download or make it"):
            files.read_image(path)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(files.MissingFileError, match=r"there is no image .*n015\.jpg"):
        files.read_image(tmp_path / "n015.jpg")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_eight_bit_image_becomes_rgb(mode, tmp_path):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.fromarray(noise()).convert(mode).save(path)
    image = files.read_image(path)
    assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)


def test_a_sixteen_bit_image_is_refused_rather_than_clipped(tmp_path):
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / "x.png")
    with pytest.raises(files.DataError, match="more than 8 bits per channel"):
        files.read_image(tmp_path / "x.png")


def test_the_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    Image.fromarray(noise()).save(tmp_path / "x.png", exif=exif)
    assert (files.read_image(tmp_path / "x.png") == np.rot90(noise(), -1)).all()


# --- paths from others


HOSTILE_PATHS = ["../../etc/passwd", "/etc/passwd", "C:\\x", "..\\..", "a\0b", "x" * 300]
MORE_HOSTILE_PATHS = ["", " ", "C:x", "a/../../b", "a/..", "a\nb", "~/x", "a/" * 3000, "夜" * 100, "\\\\server\\x"]


@pytest.mark.parametrize("relative", HOSTILE_PATHS + MORE_HOSTILE_PATHS, ids=ascii)
def test_a_hostile_path_is_refused_in_one_short_line(relative, tmp_path):
    with pytest.raises(files.DataError, match="unsafe path") as error:
        files.safe_path(tmp_path, relative)
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("relative", ["夜.jpg", "night/n015-2018.jpg", "a..b/...c", ".hidden"])
def test_an_ordinary_path_stays_below_the_root(relative, tmp_path):
    assert files.safe_path(tmp_path, relative) == tmp_path / relative


def test_a_link_out_of_the_root_is_followed_for_reading_and_refused_for_writing(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "samples").symlink_to(tmp_path)
    assert files.safe_path(tmp_path / "root", "samples/x.jpg") == tmp_path / "root/samples/x.jpg"
    with pytest.raises(files.DataError, match="a symbolic link leads out of it"):
        files.safe_path(tmp_path / "root", "samples/x.jpg", to_write=True)
    assert files.safe_path(tmp_path / "root", "night/x.jpg", to_write=True) == tmp_path / "root/night/x.jpg"


# --- checkpoints and weights


def test_a_checkpoint_comes_back_as_it_was(checkpoint):
    state = files.load_checkpoint(checkpoint)
    assert torch.equal(state.pop("weights"), STATE["weights"])
    assert state == {key: value for key, value in STATE.items() if key != "weights"}


def test_the_checksum_file_is_the_one_that_sha256sum_writes(checkpoint):
    line = checkpoint.with_name("last.ckpt.sha256").read_text()
    assert line == f"{files.sha256(checkpoint)}  last.ckpt\n"


def test_the_hash_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("value", [np.float64(1.5), Path("x"), print])
def test_what_could_not_be_loaded_is_not_saved_and_the_old_checkpoint_stays(value, checkpoint):
    with pytest.raises(TypeError, match="must hold tensors and plain values only"):
        files.save_checkpoint(checkpoint, {"value": value})
    assert files.load_checkpoint(checkpoint)["step"] == 7
    assert names(checkpoint.parent) == ["last.ckpt", "last.ckpt.sha256"]


def damaged_copies(data: bytes) -> dict[str, list[bytes]]:
    draw = random.Random(0)
    flips = []
    for _ in range(100):
        at = draw.randrange(len(data))
        flips.append(data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :])
    return {
        "truncated": [data[: int(len(data) * part)] for part in (0, 0.1, 0.5, 0.99)],
        "flipped": flips,
        "garbage": [draw.randbytes(len(data))],
        "wrong header": [(2**62).to_bytes(8, "little") + data[8:]],
    }


@pytest.mark.parametrize(
    ("name", "save", "load"),
    [
        ("model.ckpt", files.save_checkpoint, files.load_checkpoint),
        ("model.safetensors", files.save_weights, files.load_weights),
    ],
)
def test_every_truncation_and_bit_flip_is_detected(name, save, load, tmp_path):
    path = tmp_path / name
    save(path, {"weights": STATE["weights"]})
    detected = dict.fromkeys(copies := damaged_copies(path.read_bytes()), 0)
    for damage, variants in copies.items():
        for data in variants:
            path.write_bytes(data)
            with pytest.raises(files.DataError, match=r"model\.\w+ is damaged"):
                load(path)
            detected[damage] += 1
    assert detected == {"truncated": 4, "flipped": 100, "garbage": 1, "wrong header": 1}


def test_a_checkpoint_without_checksum_is_refused_with_the_command_that_writes_one(checkpoint):
    checkpoint.with_name("last.ckpt.sha256").unlink()
    with pytest.raises(files.DataError, match=r"sha256sum last\.ckpt > last\.ckpt\.sha256"):
        files.load_checkpoint(checkpoint)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(files.MissingFileError, match=r"there is no file .*best\.ckpt"):
        files.load_checkpoint(tmp_path / "best.ckpt")


def test_weights_come_back_whatever_their_memory_layout(tmp_path):
    weights = {"conv": torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last), "t": torch.randn(3, 2).t()}
    files.save_weights(tmp_path / "model.safetensors", weights)
    loaded = files.load_weights(tmp_path / "model.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())


def test_weights_from_elsewhere_load_with_a_warning(tmp_path, caplog):
    files.save_weights(tmp_path / "model.safetensors", {"w": torch.ones(2)})
    (tmp_path / "model.safetensors.sha256").unlink()
    assert files.load_weights(tmp_path / "model.safetensors")["w"].sum() == 2
    assert "has no checksum beside it" in caplog.text


class Bomb:
    """Pickles to a call that makes the canary when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def bombs(folder: Path, canary: Path) -> dict[str, bytes]:
    system = Bomb(os.system, f"touch {canary}")
    resolved = b"cpkgutil\nresolve_name\n(S'os:system'\ntR(S'touch " + str(canary).encode() + b"'\ntR."

    def saved(value, **options) -> bytes:
        torch.save(value, buffer := io.BytesIO(), **options)
        return buffer.getvalue()

    with tarfile.open(folder / "bomb.tar", "w") as tar:
        member = tarfile.TarInfo("pickle")
        member.size = len(pickle.dumps(system))
        tar.addfile(member, io.BytesIO(pickle.dumps(system)))
    np.savez(folder / "bomb.npz", np.array([system], dtype=object))
    return {
        "os.system": saved({"state_dict": system}),
        "eval": saved({"state_dict": Bomb(eval, f"open({str(canary)!r}, 'w')")}),
        "resolve_name": resolved,
        "legacy": saved({"state_dict": system}, _use_new_zipfile_serialization=False),
        "tar": (folder / "bomb.tar").read_bytes(),
        "plain pickle": pickle.dumps({"state_dict": system}),
        "npz": (folder / "bomb.npz").read_bytes(),
    }


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_no_pickle_bomb_of_seven_goes_off(suffix, tmp_path):
    canary = tmp_path / "canary"
    path = tmp_path / f"bomb{suffix}"
    load = files.load_checkpoint if suffix == ".ckpt" else files.load_weights
    refused = 0
    for data in bombs(tmp_path, canary).values():
        path.write_bytes(data)
        # the attacker knows how to write a checksum
        path.with_name(path.name + ".sha256").write_text(f"{files.sha256(path)}  {path.name}\n")
        with pytest.raises(files.DataError, match=r"bomb\..* is not") as error:
            load(path)
        assert "weights_only" not in str(error.value)
        assert "\n" not in str(error.value)
        refused += 1
    assert refused == 7
    assert not canary.exists()


def test_the_bombs_of_these_tests_are_live(tmp_path):
    canary = tmp_path / "canary"
    pickle.loads(bombs(tmp_path, canary)["plain pickle"])
    assert canary.exists()


def test_a_checkpoint_that_is_not_a_dictionary_is_refused(tmp_path):
    files.save_checkpoint(tmp_path / "x.ckpt", [1, 2])
    with pytest.raises(files.DataError, match="holds a list, not a dictionary"):
        files.load_checkpoint(tmp_path / "x.ckpt")


def test_errors_carry_the_exit_codes_of_the_tools():
    assert (files.DataError.exit_code, files.MissingFileError.exit_code, files.DiskFullError.exit_code) == (4, 4, 6)


def test_rows_are_json_one_per_line(tmp_path):
    files.append_jsonl(tmp_path / "m" / "x.jsonl", {"a": "two\nlines"})
    (line,) = (tmp_path / "m" / "x.jsonl").read_text().splitlines()
    assert json.loads(line) == {"a": "two\nlines"}


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_behind_the_last_check_ends_the_block_all_the_same(number, raised):
    def run():
        with files.stop_after_batch() as stop_if_asked:
            stop_if_asked()
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with pytest.raises(raised):
        run()
    assert signal.getsignal(number) is before
