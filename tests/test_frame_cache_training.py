"""Training and evaluation from the cache of frames: the tool that fills it, and the same results from it."""

import os
import shutil

import cache_frames
import pytest
import torch
from test_tools import CONFIGS, SMALL
from tiny_run import OFFSETS, SIZE, tiny_module
from walled_street import PhotographedStreet, translations

from ude.build import frames as build_frames
from ude.build.caches import frame_cache, lidar_cache, lossy_store, write_frames
from ude.build.identity import LEARNED_FROM, identity
from ude.build.sources import evaluation_source
from ude.config import load_config
from ude.data.caches.frames import FrameCache
from ude.data.caches.manifest import MANIFEST, FrameFormat
from ude.data.caches.writing import CacheOptions, write_frame_cache
from ude.data.datasets import TrainingFrames
from ude.data.pixels import SourcePixels
from ude.data.transforms import DeviceTransform
from ude.engine import RunOptions, TrainingData, fit
from ude.files import write_image

IMAGES = ("samples/CAM_FRONT", "sweeps/CAM_FRONT")


def trained(folder, source, **options):
    """Weights after two epochs of a teacher, which fill a batch by whatever way the options say."""
    frames = TrainingFrames(source, size=SIZE, offsets=OFFSETS, with_poses=True, seed=1, **options)
    transform = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), flip_prob=0.5, noise_prob=0.5, seed=1)
    module = tiny_module("teacher")
    fit(
        module,
        TrainingData(frames, transform, batch_size=2, num_workers=0, seed=1),
        folder=folder,
        options=RunOptions(accelerator="cpu", epochs=2, log_every=1),
        config_text="NAME: tiny\n",
        identity={"config_hash": "hash"},
    )
    return module.depth_net.state_dict()


def test_training_from_the_cache_or_from_the_device_ends_with_the_same_weights(tmp_path):
    source = PhotographedStreet(tmp_path / "data", 6)
    translated = translations(tmp_path / "translated", source, "night")
    pixels = SourcePixels(source, SIZE, translated=translated)
    readers = {path: lambda i=i, w=w: pixels.read(i, w).numpy() for i, w, path in pixels.paths(OFFSETS)}
    roots = {"frames": source.root, "translated": translated.root}
    write_frame_cache(tmp_path / "cache", readers, FrameFormat(SIZE), roots=roots, options=CacheOptions(progress=False))
    cache = FrameCache(tmp_path / "cache")
    expected = trained(tmp_path / "plain", source, translated=translated)
    source.images_read = 0
    for name, options in (("cached", {}), ("resident", {"on_device": True})):
        found = trained(tmp_path / name, source, translated=translated, frame_cache=cache, **options)
        assert all(torch.equal(value, expected[key]) for key, value in found.items()), name
    assert source.images_read == 0


# --- the tool


@pytest.fixture(scope="module")
def cached_world(world_root, tmp_path_factory):
    """A copy of the tiny world whose images are gone, a cache made of them, and the arguments that name both."""
    folder = tmp_path_factory.mktemp("cached")
    root = shutil.copytree(world_root, folder / "world", copy_function=shutil.copy2)
    arguments = ["--cfg", str(CONFIGS / "demo_teacher.yaml"), "OUTPUT_DIR", str(folder / "runs"), *SMALL]
    arguments += ["DATA.ROOT", str(root), "DATA.CACHE_ROOT", str(folder / "cache")]
    split = ["--lidar", "--threads", "1", "--split", "train", "val"]
    assert cache_frames.main([*arguments, *split]) == 0
    for images in IMAGES:
        shutil.rmtree(root / images)
    return arguments, folder


def config(cached_world, *more):
    _, path, *overrides = cached_world[0]
    return load_config(path, [*overrides, *more])


def test_the_tool_keeps_training_frames_with_neighbours_and_the_evaluation_split(cached_world, train, val):
    cache = frame_cache(config(cached_world))
    root = cached_world[1] / "world"
    wanted = {train.image_path(i, o).relative_to(train.root) for i in range(len(train)) for o in (-1, 0, 1)}
    wanted |= {val.image_path(i).relative_to(val.root) for i in range(len(val))}
    assert len(cache) == len(wanted)
    assert len(set(cache.rows(root / path for path in wanted).tolist())) == len(wanted)


@pytest.mark.parametrize("on_device", ["False", "True"])
def test_a_config_trains_from_its_cache_alone(cached_world, world_root, on_device):
    cfg = config(cached_world, "DATA.CACHE_ON_DEVICE", on_device)
    data = build_frames.training_data(cfg)
    whole = load_config(cached_world[0][1], [*cached_world[0][2:], "DATA.ROOT", str(world_root), "DATA.CACHE_ROOT", ""])
    plain = build_frames.training_data(whole)
    ours, theirs = (each.frames.gather(each.frames.__getitems__([0, 3])) for each in (data, plain))
    assert ours["frame_id"] == theirs["frame_id"]
    assert all(ours[key].equal(theirs[key]) for key in ("target", "sources", "input"))


def test_a_config_evaluates_from_its_cache_alone(cached_world, val):
    cfg = config(cached_world)
    source = evaluation_source(cfg, "val")
    assert lidar_cache(cfg, source) is not None
    batches = list(build_frames.evaluation_loader(cfg, source))
    assert [name for batch in batches for name in batch["frame_id"]] == [val.frame_id(i) for i in range(len(val))]
    assert batches[0]["input"].float().std() > 10


def test_a_config_of_another_size_is_refused_in_one_line(cached_world, capsys):
    arguments, folder = cached_world
    capsys.readouterr()
    assert cache_frames.main([*arguments, "DATA.SIZE", "[96, 128]", "DATA.ROOT", str(folder / "world")]) == 4
    assert cache_frames.main([*arguments, "DATA.CACHE_ROOT", ""]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "DATA.CACHE_ROOT must name the folder" in errors[1]


def test_the_cache_is_opened_once_per_process_until_it_is_filled_again(cached_world, tmp_path):
    cfg = config(cached_world)
    cache = frame_cache(cfg)
    assert frame_cache(cfg) is cache
    assert build_frames.evaluation_loader(cfg, evaluation_source(cfg, "val")).dataset.pixels.cache is cache
    manifest = cached_world[1] / "cache/frames" / MANIFEST
    os.utime(manifest, ns=(1, manifest.stat().st_mtime_ns + 1))
    assert frame_cache(cfg) is not cache


def test_a_run_knows_whether_its_cache_changes_the_pixels(cached_world, world_root, tmp_path):
    lossy = config(cached_world, "DATA.ROOT", str(world_root), "DATA.CACHE_ROOT", str(tmp_path / "small"))
    assert lossy_store(config(cached_world)) == []
    write_frames(lossy, ["val"], store="jpeg", progress=False)
    assert lossy_store(lossy) == ["jpeg"]
    exact, changed = (identity(lossy, LEARNED_FROM, [], extra)["config_hash"] for extra in ([], ["jpeg"]))
    assert exact != changed


def test_depth_without_a_split_to_evaluate_on_is_refused(cached_world, capsys):
    assert cache_frames.main([*cached_world[0], "--split", "train", "--lidar"]) == 2
    assert "name such a split, too, as in --split val" in capsys.readouterr().err


def test_words_behind_split_that_are_keys_are_overrides(cached_world, capsys):
    assert cache_frames.main([*cached_world[0][:2], "--split", "train", "DATA.ROOT", "x"]) == 2
    assert "DATA.CACHE_ROOT must name" in capsys.readouterr().err
    words = ["--split", "train", "DATA.CACHE_ROOT", "cache", "DATA.ROOT", "x"]
    assert cache_frames.main([*cached_world[0][:2], *words]) == 4
    assert "error: x: no such folder; set DATA.ROOT" in capsys.readouterr().err
    assert cache_frames.main([*cached_world[0], "--threads", "0"]) == 2


def test_a_broken_image_ends_the_tool_by_name_or_is_counted(world_root, tmp_path, capsys):
    root = shutil.copytree(world_root, tmp_path / "world")
    broken = sorted((root / IMAGES[0]).glob("*.jpg"))[0]
    os.truncate(broken, 500)
    arguments = ["--cfg", str(CONFIGS / "demo_teacher.yaml"), *SMALL, "DATA.ROOT", str(root)]
    arguments += ["DATA.CACHE_ROOT", str(tmp_path / "cache")]
    capsys.readouterr()
    assert cache_frames.main(arguments) == 4
    assert broken.name in capsys.readouterr().err
    assert cache_frames.main([*arguments, "DATA.ON_ERROR", "skip"]) == 0
    assert "1 unreadable" in capsys.readouterr().out
    write_image(broken, PhotographedStreet.pixels(0).repeat(2, 0)[:96].repeat(2, 1)[:, :160])
    assert cache_frames.main(arguments) == 0
    assert "1 files decoded" in capsys.readouterr().out
