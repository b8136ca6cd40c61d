"""The cache of the frozen teacher: bit for bit what was computed, and never trusted where it could be anything else."""

import errno
import json
import logging
import os
import signal
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import train
from safetensors.torch import load_file
from torch import nn

from ude.build.identity import LEARNED_FROM
from ude.config import config_hash
from ude.config.defaults import defaults
from ude.data.transforms import DeviceTransform
from ude.engine import Solver, StudentModule, StudentWeights, reliability, teacher_cache
from ude.engine import student as student_stage
from ude.engine.teacher_cache import TeacherCache
from ude.models import DepthNet, PoseNet
from ude.models.checkpoint import save_model

CPU = torch.device("cpu")
FRAMES = [f"frame-{index}" for index in range(6)]
H, W = 32, 64


def values(seed=0, size=2):
    generator = torch.Generator().manual_seed(seed)
    return {
        "inverse_depth": torch.rand(size, 1, 4, 6, generator=generator),
        "poses": torch.rand(size, 2, 4, 4, generator=generator),
    }


def cache_of(folder, *, frames=FRAMES, network=None, made_from="here"):
    cache = TeacherCache(folder, made_from)
    cache.begin(frames, [network or nn.Linear(2, 2, bias=False)])
    return cache


def files(folder):
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def network():
    return nn.Linear(2, 2)


# --- the file


def test_values_come_back_bit_for_bit(tmp_path, network):
    cache, kept = cache_of(tmp_path, network=network), values()
    kept["inverse_depth"][0, 0, 0, :2] = torch.tensor([-0.0, 1e-42])
    cache.store(["frame-4", "frame-1"], kept)
    cache.store(["frame-0", "frame-5"], values(1))
    found = cache.load(["frame-1", "frame-5", "frame-4"], CPU)
    for name, value in kept.items():
        expected = torch.stack([value[1], values(1)[name][1], value[0]])
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name].view(torch.int32), expected.view(torch.int32))


def test_a_batch_with_an_unknown_frame_is_unknown(tmp_path, network):
    cache = cache_of(tmp_path, network=network)
    assert cache.load(["frame-1"], CPU) is None
    cache.store(["frame-1", "frame-2"], values())
    assert cache.load(["frame-1", "frame-3"], CPU) is None
    assert cache.load(["frame-2", "frame-1"], CPU) is not None


def test_a_second_process_reads_what_the_first_one_kept_and_adds_to_it(tmp_path, network):
    first, second = cache_of(tmp_path, network=network), cache_of(tmp_path, network=network)
    first.store(["frame-0", "frame-1"], values())
    second.store(["frame-2", "frame-3"], values(1))
    first.store(["frame-4", "frame-5"], values(2))
    for cache in (first, second):
        assert torch.equal(cache.load(["frame-0", "frame-2"], CPU)["poses"][1], values(1)["poses"][0])
        assert torch.equal(cache.load(["frame-5"], CPU)["poses"][0], values(2)["poses"][1])
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("changed", ["weights", "frames", "order", "made_from", "size"])
def test_anything_else_that_made_it_is_another_cache(tmp_path, network, changed):
    cache_of(tmp_path, network=network).store(FRAMES[:2], values())
    (old,) = files(tmp_path)
    arguments = {"network": network}
    if changed == "weights":
        with torch.no_grad():
            network.weight[0, 0] += 1e-7
    if changed == "made_from":
        arguments["made_from"] = "elsewhere"
    if changed in ("frames", "order"):
        arguments["frames"] = FRAMES[:5] if changed == "frames" else FRAMES[::-1]
    cache = cache_of(tmp_path, **arguments)
    other = values(1)
    if changed == "size":
        other["inverse_depth"] = torch.rand(2, 1, 8, 3)  # as many bytes
    cache.store(FRAMES[2:4], other)
    assert cache.load(FRAMES[:2], CPU) is None
    assert cache.load(FRAMES[2:4], CPU) is not None
    assert len(files(tmp_path)) == 1
    assert files(tmp_path) != [old]


def test_arguments_of_a_network_count_as_much_as_its_weights(tmp_path):
    torch.manual_seed(0)
    near = DepthNet(backbone="resnet_small", max_depth=80.0)
    far = DepthNet(backbone="resnet_small", max_depth=100.0)
    far.load_state_dict(near.state_dict())
    assert cache_of(tmp_path, network=near).digest != cache_of(tmp_path, network=far).digest


@pytest.mark.parametrize("damage", ["value", "mark", "cut", "zeros"])
def test_a_damaged_slot_is_computed_again(tmp_path, network, damage):
    cache = cache_of(tmp_path, network=network)
    cache.store(FRAMES[:2], values())
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    slot = len(data) // len(FRAMES)
    if damage == "cut":
        data = data[: 2 * slot - 5]
    elif damage == "zeros":
        data[slot + 20 : slot + 60] = bytes(40)
    else:
        data[slot + (30 if damage == "value" else 1)] ^= 4
    path.write_bytes(data)
    again = cache_of(tmp_path, network=network)
    again.store(FRAMES[4:], values(1))  # opens it
    for one in (cache, again):
        assert one.load(FRAMES[:1], CPU) is not None
        assert one.load(FRAMES[:2], CPU) is None
    again.store(FRAMES[:2], values())
    assert torch.equal(again.load(FRAMES[:2], CPU)["poses"], values()["poses"])
    assert path.stat().st_size == slot * len(FRAMES)


def test_values_that_are_not_finite_are_not_kept(tmp_path, network):
    cache, broken = cache_of(tmp_path, network=network), values()
    broken["poses"][1, 0, 0, 0] = float("nan")
    cache.store(FRAMES[:2], broken)
    assert cache.load(FRAMES[:1], CPU) is not None
    assert cache.load(FRAMES[1:2], CPU) is None


def test_the_size_is_said_in_one_line_before_it_is_taken(tmp_path, network, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    frames = [f"frame-{index}" for index in range(10_000)]
    cache = cache_of(tmp_path / "cache", frames=frames, network=network)
    cache.store(FRAMES[:2], {"inverse_depth": torch.rand(2, 1, 40, 50)})
    assert caplog.messages == [
        f"{tmp_path / 'cache'} takes 0.08 GB when all 10000 frames are known (inverse_depth of each); it is removed "
        "when the run finishes"
    ]
    (path,) = files(tmp_path / "cache")
    assert path.stat().st_size == 10_000 * (8 + 4 * 2000)
    assert path.stat().st_blocks * 512 < 1e6  # sparse


def test_a_disk_without_room_gets_a_warning_and_no_cache(tmp_path, network, caplog, monkeypatch):
    monkeypatch.setattr(teacher_cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=1500))
    cache = cache_of(tmp_path / "cache", network=network)
    cache.store(FRAMES[:2], values())  # 6 x (8 + 4 x 56) = 1392 of 1500 bytes: more than three quarters
    assert cache.load(FRAMES[:2], CPU) is None
    cache.store(FRAMES[:2], values())
    (message,) = caplog.messages
    assert "no cache of the teacher" in message
    assert not (tmp_path / "cache").exists()


def test_a_disk_that_fills_up_gets_a_warning_and_its_room_back(tmp_path, network, caplog, monkeypatch):
    cache = cache_of(tmp_path / "cache", network=network)
    cache.store(FRAMES[:2], values())

    class FullFile(FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (path,) = files(tmp_path / "cache")
    cache._file = FullFile(path, "r+")
    cache.store(FRAMES[2:4], values())
    assert cache.load(FRAMES[:2], CPU) is None
    assert "No space left on device" in caplog.text
    assert not (tmp_path / "cache").exists()
    cache.store(FRAMES[2:4], values())
    assert len(caplog.messages) == 1


def test_a_removed_cache_leaves_nothing(tmp_path, network):
    cache = cache_of(tmp_path / "cache", network=network)
    cache.remove()  # before anything was kept
    cache.store(FRAMES[:2], values())
    cache.remove()
    assert not (tmp_path / "cache").exists()
    assert cache.load(FRAMES[:2], CPU) is None


@pytest.mark.gpu
def test_values_reach_the_gpu_bit_for_bit(tmp_path, network):
    cache = cache_of(tmp_path, network=network)
    for frame in range(0, 6, 2):
        cache.store(FRAMES[frame : frame + 2], {name: v.cuda() for name, v in values(frame).items()})
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = [cache.load(FRAMES[frame : frame + 2], torch.device("cuda")) for frame in (0, 2, 4) * 20]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for index, batch in enumerate(found):
        for name, value in values(2 * (index % 3)).items():
            assert torch.equal(batch[name].cpu(), value)


# --- the student


class Counted(nn.Module):
    """A network that counts its calls."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, *args):
        self.calls += 1
        return self.network(*args)

    def source_poses(self, *args):
        self.calls += 1
        return self.network.source_poses(*args)


class SmallPoses(nn.Module):
    """A pose network of one layer: motion along z that depends on the images."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(W, 1)

    def source_poses(self, frames, offsets):
        T = torch.eye(4).repeat(len(frames), len(offsets), 1, 1)
        T[..., 2, 3] = self.layer(frames).mean((2, 3, 4))[:, 1:]
        return T


def depth_net(seed, num_scales=1, size=(H, W)):
    torch.manual_seed(seed)
    network = DepthNet(backbone="resnet_small", num_scales=num_scales, input_height=size[0], input_width=size[1])
    for head in network.heads:
        nn.init.normal_(head[-1].weight, std=0.1)
    return network


def student(cache, **weights):
    teacher = depth_net(0)
    torch.manual_seed(2)
    module = StudentModule(
        depth_net(1, num_scales=2),
        teacher=Counted(teacher),
        teacher_pose=Counted(SmallPoses()),
        weights=StudentWeights(**weights),
        offsets=(-1, 1),
        cache=cache,
        solver=Solver(lr_encoder=1e-3, lr_decoder=1e-3),
    )
    if cache is not None:
        cache.begin(FRAMES, module.frozen)
    return module.train()


def frame(index, epoch):
    """A frame; its colour-jittered images change with the epoch, the clean ones do not."""
    clean = torch.rand(3, 3, H, W, generator=torch.Generator().manual_seed(index))
    jittered = (clean * (0.8 + 0.1 * epoch)).clamp(max=1)
    return {
        "target": clean[0],
        "sources": clean[1:],
        "depth_input": jittered[0],
        "pose_input": jittered,
        "flipped": torch.tensor(False),
        "K": torch.tensor([[50.0, 0, 31.5], [0, 50.0, 15.5], [0, 0, 1]]),
    }


def epochs(module, count=2, size=2, keys=None):
    """Train on all frames, in another order in every epoch; all loss terms."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    terms = []
    for epoch in range(count):
        order = torch.randperm(len(FRAMES), generator=torch.Generator().manual_seed(epoch)).tolist()
        for start in range(0, len(order), size):
            frames = [frame(index, epoch) for index in order[start : start + size]]
            batch = {key: torch.stack([f[key] for f in frames]) for key in keys or frames[0]}
            batch["frame_id"] = [FRAMES[index] for index in order[start : start + size]]
            losses, _ = module.losses(batch)
            optimizer.zero_grad()
            sum(losses.values()).backward()
            optimizer.step()
            terms.append({name: term.item() for name, term in losses.items()})
    return terms


EVERYTHING = {
    "reliability_regions": 12,
    "reliability_margin": 0.001,
    "reliability_sources": "mean",
    "reliability_out_of_view": "keep",
    "semantic_margin": 0.9,
    "features": 0.1,
    "ordinal": 0.1,
}


@pytest.mark.parametrize("weights", [{}, {"reliability": "off"}, EVERYTHING], ids=["default", "off", "everything"])
def test_cached_training_is_bit_equal_to_uncached(tmp_path, weights):
    plain, cached = student(None, **weights), student(TeacherCache(tmp_path), **weights)
    assert epochs(plain) == epochs(cached)
    other = cached.depth_net.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in plain.depth_net.state_dict().items())
    assert (plain.frozen.networks["teacher"].calls, cached.frozen.networks["teacher"].calls) == (6, 3)


def test_superpixels_and_views_are_found_once_per_frame(tmp_path, monkeypatch):
    found = []
    original = reliability.superpixels
    monkeypatch.setattr(reliability, "superpixels", lambda *args: found.append(1) or original(*args))
    module = student(TeacherCache(tmp_path), **EVERYTHING)
    epochs(module, count=3)
    assert len(found) == len(FRAMES)
    assert set(module.frozen.cache.shapes) == {"inverse_depth", "poses", "error", "seen", "regions", "features"}


def test_the_guide_runs_once_per_frame_and_decides_the_order(tmp_path):
    class Guide(nn.Module):
        def forward(self, images):
            return images.mean(1, keepdim=True)

    guided = student(TeacherCache(tmp_path), ordinal=1.0)
    guided.frozen.networks["guide"] = Counted(Guide())
    terms = epochs(guided)
    assert guided.frozen.networks["guide"].calls == 3
    assert terms[0]["distillation"] == epochs(student(None, ordinal=1.0))[0]["distillation"]
    assert terms[0]["ordinal"] != epochs(student(None, ordinal=1.0))[0]["ordinal"]


def test_frozen_networks_run_once_per_frame_and_never_again(tmp_path):
    module = student(TeacherCache(tmp_path))
    epochs(module, count=1)
    assert (module.frozen.networks["teacher"].calls, module.frozen.networks["pose"].calls) == (3, 3)
    epochs(module, count=3)
    assert (module.frozen.networks["teacher"].calls, module.frozen.networks["pose"].calls) == (3, 3)


def test_a_resumed_student_goes_on_with_the_cache_after_one_batch(tmp_path):
    epochs(student(TeacherCache(tmp_path)))
    module = student(TeacherCache(tmp_path))
    epochs(module, count=1)
    assert module.frozen.networks["teacher"].calls == 1  # the first batch says what is kept


def test_without_reliability_there_are_no_poses_neighbours_or_errors(tmp_path):
    module = student(TeacherCache(tmp_path), reliability="off")
    epochs(module, keys=["target", "depth_input", "flipped"])
    assert module.frozen.networks["pose"].calls == 0
    assert module.frozen.networks["teacher"].calls == 3
    assert set(module.frozen.cache.shapes) == {"inverse_depth", "features"}


def test_colour_jitter_does_not_decide_where_the_teacher_is_believed():
    module = student(None)
    plain = {key: value[None] for key, value in frame(0, 2).items()} | {"frame_id": ["frame-0"]}
    other = plain | {"pose_input": 0.5 * plain["pose_input"]}
    assert torch.equal(module.losses(plain)[1]["teacher_error"], module.losses(other)[1]["teacher_error"])


def test_features_larger_than_the_maps_are_computed_in_every_step(tmp_path):
    class Large(Counted):
        def forward(self, images, cells):
            self.calls += 1
            torch.manual_seed(3)
            return images.mean((1, 2, 3))[:, None, None, None] + torch.rand(1, 128 * 9, *cells)[:, ::9]

    def maps_smaller_than_features(module):
        return module.frozen._worth_keeping(
            {"inverse_depth": torch.zeros(2, 1, 4, 4), "features": torch.zeros(2, 17, 1, 1)}
        ).keys()

    module = student(TeacherCache(tmp_path), reliability="off")
    assert not maps_smaller_than_features(module)  # the teacher runs for them anyway
    module.frozen.networks["semantic"] = Large(nn.Identity())
    assert maps_smaller_than_features(module) == {"inverse_depth"}
    module.frozen._worth_keeping = lambda known: {"inverse_depth": known["inverse_depth"]}
    plain = student(None, reliability="off")
    plain.frozen.networks["semantic"] = Large(nn.Identity())
    assert epochs(module) == epochs(plain)
    assert (module.frozen.networks["teacher"].calls, module.frozen.networks["semantic"].calls) == (3, 6)


def test_frames_are_only_augmented_for_a_pose_network_that_is_trained():
    batch = {key: (255 * frame(0, 2)[key][None]).byte() for key in ("target", "sources")}
    batch |= {"input": batch["target"], "frame_id": ["frame-0"]}
    jitter = {"color_jitter": (0.2, 0.2, 0.2, 0.05), "flip_prob": 0.5, "noise_prob": 1.0}
    full = DeviceTransform(**jitter)(batch, epoch=1, training=True)
    lean = DeviceTransform(**jitter, pose_input=False)(batch, epoch=1, training=True)
    assert full.keys() - lean.keys() == {"pose_input"}
    assert all(torch.equal(value, full[key]) for key, value in lean.items() if key != "frame_id")


def test_a_process_divides_by_the_count_of_all_processes(monkeypatch):
    module = student(None, semantic_margin=0.9)
    batch = {key: value[None] for key, value in frame(0, 2).items()} | {"frame_id": ["frame-0"]}
    alone, _ = module.losses(batch)
    monkeypatch.setattr(student_stage, "mean_over_processes", lambda count: 4 * count)  # the others have many more
    shared, maps = module.losses(batch)
    assert maps["reliable"].any()
    for name, term in alone.items():
        assert term.item() > 0
        assert shared[name].item() == pytest.approx(term.item() / 4, rel=1e-6)


# --- whole runs


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A run folder with an untrained teacher and its pose network."""
    run = tmp_path_factory.mktemp("teacher")
    save_model(depth_net(0, size=(64, 96)), run / "depth_net")
    save_model(PoseNet(), run / "pose_net")
    return run


def train_student(world_root, teacher, output, *extra):
    config = Path(__file__).parents[1] / "configs" / "demo_student.yaml"
    small = ("DATA.SIZE", "[64, 96]", "MODEL.DEPTH.INPUT_SIZE", "[64, 96]", "SOLVER.BATCH_SIZE", "2")
    run = ("RUN.MAX_STEPS", "7", "RUN.LOG_EVERY", "1", "RUN.IMAGES_EVERY", "0", "DATA.TRANSLATED.PROB", "0.0")
    paths = ("OUTPUT_DIR", str(output), "DATA.ROOT", str(world_root), "MODEL.TEACHER", str(teacher))
    options = ("MODEL.POSE", "learned", "MODEL.INIT_FROM_TEACHER", "False", "DATA.TRANSLATED.ROOT", str(output), *extra)
    return train.main(["--cfg", str(config), *small, *run, *paths, *options])


@pytest.fixture(scope="module")
def whole(world_root, teacher, tmp_path_factory):
    """Output folder of a student that was trained with the cache and never interrupted."""
    output = tmp_path_factory.mktemp("whole")
    assert train_student(world_root, teacher, output) == 0
    return output


def learned(output):
    rows = [json.loads(line) for line in (output / "student" / "metrics.jsonl").read_text().splitlines()]
    losses = [{key: value for key, value in row.items() if key.startswith(("step", "loss/"))} for row in rows]
    return losses, load_file(output / "student" / "depth_net" / "model.safetensors")


def assert_same(one, other):
    assert one[0] == other[0]
    assert len(one[0]) >= 7
    assert all(torch.equal(value, other[1][name]) for name, value in one[1].items())


def test_a_run_learns_the_same_with_and_without_the_cache_and_removes_it(world_root, teacher, whole, tmp_path):
    assert train_student(world_root, teacher, tmp_path, "MODEL.TEACHER_CACHE", "False") == 0
    assert_same(learned(whole), learned(tmp_path))
    assert not (whole / "student" / "teacher_cache").exists()


def test_every_key_of_the_objective_reaches_the_student(world_root, teacher, tmp_path):
    keys = {
        "DISTILLATION": 0.5,
        "SEMANTIC": 0.25,
        "SEMANTIC_MARGIN": 0.75,
        "RELIABILITY": "as_printed",
        "SSIM_WEIGHT": 0.5,
        "RELIABILITY_SOURCES": "mean",
        "RELIABILITY_OUT_OF_VIEW": "keep",
        "RELIABILITY_MARGIN": 0.125,
        "RELIABILITY_REGIONS": 30,
        "FEATURES": 0.0625,
        "ORDINAL": 0.03125,
    }
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            StudentModule, "on_fit_start", lambda self, run=StudentModule.on_fit_start: made.append(self) or run(self)
        )
        options = [text for key, value in keys.items() for text in (f"LOSS.{key}", str(value))]
        assert train_student(world_root, teacher, tmp_path, "RUN.MAX_STEPS", "2", "SEED", "7", *options) == 0
    (module,) = made
    assert {name.upper(): value for name, value in vars(module.weights).items()} == keys
    assert module.seed == 7
    losses, _ = learned(tmp_path)
    assert losses[0].keys() >= {"loss/distillation", "loss/semantic", "loss/features", "loss/ordinal"}


def test_an_interrupted_run_keeps_the_cache_and_resumes_bit_for_bit(world_root, teacher, whole, tmp_path, monkeypatch):
    calls = []
    original, losses = DepthNet.forward, StudentModule.losses

    def counted(self, images):
        calls.append(self.training)
        return original(self, images)

    def interrupted(self, batch):
        if self.global_step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return losses(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(StudentModule, "losses", interrupted)
        assert train_student(world_root, teacher, tmp_path) == 130
    kept = tmp_path / "student" / "teacher_cache"
    assert len(files(kept)) == 1
    monkeypatch.setattr(DepthNet, "forward", counted)
    assert train_student(world_root, teacher, tmp_path, "--resume") == 0
    assert calls.count(True) == 2
    assert calls.count(False) == 1  # the teacher, for the first batch
    assert_same(learned(whole), learned(tmp_path))
    assert not kept.exists()


def test_the_cache_is_no_part_of_what_a_run_is_but_every_other_model_key_is():
    cfg = defaults()
    before = config_hash(cfg, LEARNED_FROM)
    cfg.MODEL.TEACHER_CACHE = not cfg.MODEL.TEACHER_CACHE
    assert config_hash(cfg, LEARNED_FROM) == before
    assert {f"MODEL.{key}" for key in cfg.MODEL} - {"MODEL.TEACHER_CACHE"} <= set(LEARNED_FROM)
