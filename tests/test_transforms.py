"""Augmentation: torchvision as the oracle of the jitter, draws that depend on the frame alone."""

import shutil
from functools import partial
from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import functional as oracle

from ude.data import jitter
from ude.data.jitter import color_jitter, compiled_color_jitter
from ude.data.seeds import derived_seed, uniform_draw
from ude.data.transforms import NOISE_SIGMA, DeviceTransform

FULL = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), flip_prob=0.5, noise_prob=0.5, seed=4)


def batch_of(count: int = 4, *, size: tuple[int, int] = (24, 36), sources: int = 2, seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randint, 0, 256, dtype=torch.uint8, generator=generator)
    return {
        "frame_id": [f"frame-{index}" for index in range(count)],
        "target": draw((count, 3, *size)),
        "sources": draw((count, sources, 3, *size)),
        "input": draw((count, 3, *size)),
        "K": torch.eye(3).expand(count, 3, 3),
    }


def rows(batch: dict[str, Any], order: list[int]) -> dict[str, Any]:
    return {key: value[order] if torch.is_tensor(value) else [value[i] for i in order] for key, value in batch.items()}


def adjusted(image: torch.Tensor, factors: list[float]) -> torch.Tensor:
    image = oracle.adjust_brightness(image, factors[0])
    image = oracle.adjust_contrast(image, factors[1])
    image = oracle.adjust_saturation(image, factors[2])
    return oracle.adjust_hue(image, factors[3])


@pytest.mark.parametrize(
    "factors",
    [
        [1.0, 1.0, 1.0, 0.0],
        [1.3, 1.0, 1.0, 0.0],
        [1.0, 0.7, 1.0, 0.0],
        [1.0, 1.0, 1.4, 0.0],
        [1.0, 1.0, 0.0, 0.0],
        [1.0, 1.0, 1.0, 0.05],
        [1.0, 1.0, 1.0, -0.5],
        [1.0, 1.0, 1.0, 0.37],
        [1.2, 0.8, 1.2, -0.05],
        [0.8, 1.2, 0.8, 0.05],
    ],
)
def test_the_jitter_is_torchvisions(factors):
    images = torch.rand(2, 3, 3, 32, 40, generator=torch.Generator().manual_seed(1))
    ours = color_jitter(images, torch.tensor([factors] * 2))
    theirs = torch.stack([torch.stack([adjusted(frame, factors) for frame in sample]) for sample in images])
    assert (ours - theirs).abs().max() <= 1e-5


def test_the_jitter_of_greys_primaries_and_ties_is_torchvisions():
    levels = torch.tensor([0.0, 0.25, 0.5, 1.0])
    colours = torch.cartesian_prod(levels, levels, levels)  # every order and tie of the channels
    images = colours.T.reshape(1, 1, 3, 8, 8)
    factors = [1.1, 0.9, 1.2, 0.13]
    ours = color_jitter(images, torch.tensor([factors]))
    assert (ours[0, 0] - adjusted(images[0, 0], factors)).abs().max() <= 1e-5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_compiled_jitter_is_torchvisions_and_is_what_the_transform_uses():
    images = torch.rand(4, 4, 3, 24, 36, generator=torch.Generator().manual_seed(1))  # the stack of a batch_of()
    factors = torch.tensor([[1.2, 0.8, 1.2, -0.05], [0.8, 1.2, 0.8, 0.05]]).repeat(2, 1)
    theirs = torch.stack(
        [
            torch.stack([adjusted(frame, f.tolist()) for frame in sample])
            for sample, f in zip(images, factors, strict=True)
        ]
    )
    assert (compiled_color_jitter()(images, factors) - theirs).abs().max() <= 1e-5
    plain, fast = (DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), compiled=compiled) for compiled in (False, True))
    ours, eager = (transform(batch_of(), epoch=0, training=True)["pose_input"] for transform in (fast, plain))
    torch.testing.assert_close(ours, eager, rtol=0, atol=2e-6)


def test_every_sample_has_its_own_factors():
    images = torch.rand(3, 2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    factors = torch.tensor([[1.2, 1.0, 0.9, 0.02], [0.8, 1.1, 1.0, -0.04], [1.0, 1.0, 1.0, 0.0]])
    together = color_jitter(images, factors)
    alone = torch.cat([color_jitter(images[i : i + 1], factors[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(together[2], images[2], rtol=0, atol=1e-6)


def test_bytes_are_jittered_as_their_fractions_and_in_any_portions(monkeypatch):
    images = torch.randint(0, 256, (3, 2, 3, 16, 16), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    factors = torch.tensor([[1.2, 1.0, 0.9, 0.02], [0.8, 1.1, 1.0, -0.04], [1.0, 1.0, 1.0, 0.0]])
    whole = color_jitter(images.float() / 255, factors)
    assert color_jitter(images, factors).equal(whole)
    for frames in (1, 4):  # of six
        monkeypatch.setattr(jitter, "CHUNK", frames * 3 * 16 * 16)
        assert color_jitter(images, factors).equal(whole)


def test_a_third_of_a_turn_makes_red_green():
    red = torch.tensor([0.8, 0.2, 0.2]).reshape(1, 1, 3, 1, 1)
    turned = color_jitter(red, torch.tensor([[1.0, 1.0, 1.0, 1 / 3]]))
    torch.testing.assert_close(turned.flatten(), torch.tensor([0.2, 0.8, 0.2]), rtol=0, atol=1e-6)


def test_without_training_the_inputs_are_the_plain_images():
    batch = batch_of()
    out = FULL(batch, epoch=3, training=False)
    assert out["depth_input"].equal(batch["input"].float() / 255)
    assert out["target"].equal(batch["target"].float() / 255)
    assert out["sources"].equal(batch["sources"].float() / 255)
    assert out["pose_input"].equal(torch.cat([out["target"][:, None], out["sources"]], 1))
    assert out["flipped"].tolist() == [False] * 4


def test_the_batch_itself_is_left_alone():
    batch = batch_of()
    before = {key: value.clone() if torch.is_tensor(value) else value for key, value in batch.items()}
    FULL(batch, epoch=0, training=True)
    assert batch.keys() == before.keys()
    assert all(batch[key].equal(before[key]) for key in ("target", "sources", "input"))


def test_target_sources_and_intrinsics_stay_clean_in_training():
    batch = batch_of()
    out = FULL(batch, epoch=0, training=True)
    assert out["target"].equal(batch["target"].float() / 255)
    assert out["sources"].equal(batch["sources"].float() / 255)
    assert out["K"].equal(batch["K"])
    assert out["frame_id"] == batch["frame_id"]


def test_all_frames_of_a_sample_share_their_colour_factors():
    batch = batch_of()
    batch["input"] = batch["target"].clone()
    batch["sources"] = batch["target"][:, None].repeat(1, 2, 1, 1, 1)
    out = DeviceTransform(color_jitter=(0.2, 0.2, 0.2, 0.05), seed=1)(batch, epoch=0, training=True)
    for frame in range(3):
        assert out["pose_input"][:, frame].equal(out["depth_input"])
    assert (out["depth_input"] - out["target"]).abs().max() > 0.05


def test_the_pose_input_is_made_of_real_frames_and_never_mirrored():
    batch = batch_of()
    plain = DeviceTransform(flip_prob=1.0, noise_prob=1.0)(batch, epoch=0, training=True)
    real = torch.cat([batch["target"][:, None], batch["sources"]], 1).float() / 255
    torch.testing.assert_close(plain["pose_input"], real, rtol=0, atol=1e-6)


def test_a_flip_mirrors_the_depth_input_alone():
    batch = batch_of()
    out = DeviceTransform(flip_prob=1.0)(batch, epoch=0, training=True)
    assert out["flipped"].all()
    torch.testing.assert_close(out["depth_input"].flip(-1), batch["input"].float() / 255, rtol=0, atol=1e-6)


def test_flips_and_noise_come_with_the_stated_frequencies():
    batch = batch_of(500, size=(4, 4), sources=1)
    plain = DeviceTransform(flip_prob=0.3, seed=2)
    noisy = DeviceTransform(flip_prob=0.3, noise_prob=0.6, seed=2)
    flips = noise = 0
    for epoch in range(4):  # 2,000 draws: a standard deviation is 0.011 at most
        before, after = plain(batch, epoch, True), noisy(batch, epoch, True)
        flips += after["flipped"].sum().item()
        noise += (before["depth_input"] != after["depth_input"]).flatten(1).any(1).sum().item()
    assert flips / 2000 == pytest.approx(0.3, abs=0.05)
    assert noise / 2000 == pytest.approx(0.6, abs=0.05)


def test_the_noise_has_the_stated_sigma_and_no_offset():
    batch = batch_of(2, size=(200, 200))
    batch["input"] = torch.full_like(batch["input"], 128)
    out = DeviceTransform(noise_prob=1.0)(batch, epoch=0, training=True)
    noise = out["depth_input"] - 128 / 255
    assert noise.std().item() == pytest.approx(NOISE_SIGMA, rel=0.02)
    assert abs(noise.mean().item()) < 5e-4  # five standard errors
    assert not noise[0].equal(noise[1])


def test_colour_factors_stay_within_their_strengths():
    transform = DeviceTransform(color_jitter=(0.2, 0.3, 1.5, 0.05))
    factors, _ = transform._draws([f"frame-{index}" for index in range(2000)], 0)
    low, high = factors.amin(0).tolist(), factors.amax(0).tolist()
    assert low == pytest.approx([0.8, 0.7, 0.0, -0.05], abs=0.01)
    assert high == pytest.approx([1.2, 1.3, 2.5, 0.05], abs=0.01)


def test_the_result_does_not_depend_on_the_batch_a_frame_is_in():
    batch = batch_of(4)
    together = FULL(batch, epoch=2, training=True)
    order = [2, 0, 3, 1]
    shuffled = FULL(rows(batch, order), epoch=2, training=True)
    for key in ("depth_input", "pose_input", "flipped"):
        assert shuffled[key].equal(together[key][order])
        alone = torch.cat([FULL(rows(batch, [index]), epoch=2, training=True)[key] for index in range(4)])
        torch.testing.assert_close(alone, together[key], rtol=0, atol=1e-6)


def test_epochs_and_seeds_give_other_draws():
    batch = batch_of()
    for change in ({"color_jitter": (0.2, 0.2, 0.2, 0.05)}, {"noise_prob": 1.0}):
        first, other = (DeviceTransform(seed=seed, **change) for seed in (4, 5))
        reference = first(batch, epoch=0, training=True)["depth_input"]
        assert reference.equal(first(batch, epoch=0, training=True)["depth_input"])
        assert not reference.equal(first(batch, epoch=1, training=True)["depth_input"])
        assert not reference.equal(other(batch, epoch=0, training=True)["depth_input"])


def test_the_global_random_state_is_not_touched():
    state = torch.get_rng_state()
    FULL(batch_of(), epoch=0, training=True)
    assert torch.get_rng_state().equal(state)


def test_a_batch_without_sources_has_no_pose_input():
    batch = batch_of()
    del batch["sources"]
    out = FULL(batch, epoch=0, training=True)
    assert "pose_input" not in out
    assert out["depth_input"].shape == (4, 3, 24, 36)


def test_images_stay_in_the_unit_range_and_in_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        out = FULL(batch_of(), epoch=0, training=True)
    for key in ("depth_input", "pose_input", "target", "sources"):
        assert out[key].dtype == torch.float32
        assert 0 <= out[key].min() <= out[key].max() <= 1


def test_seeds_differ_for_any_other_parts_and_cannot_run_into_each_other():
    seeds = {derived_seed("a", number, epoch) for number in range(50) for epoch in range(50)}
    assert len(seeds) == 2500
    assert derived_seed("a", "bc") != derived_seed("ab", "c")
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_uniform_draws_are_uniform():
    draws = torch.tensor([uniform_draw("draw", index) for index in range(4000)])
    counts = torch.histc(draws, 10, 0, 1)  # each 400, standard deviation 19
    assert counts.min() > 310
    assert counts.max() < 490


@pytest.mark.gpu
def test_on_a_gpu_everything_but_the_noise_is_the_same():
    transform = DeviceTransform(color_jitter=FULL.color_jitter, flip_prob=0.5, seed=4)
    batch = batch_of()
    here = transform(batch, epoch=0, training=True)
    there = transform({k: v.cuda() if torch.is_tensor(v) else v for k, v in batch.items()}, epoch=0, training=True)
    assert there["flipped"].cpu().equal(here["flipped"])
    for key in ("depth_input", "pose_input"):
        torch.testing.assert_close(there[key].cpu(), here[key], rtol=0, atol=1e-5)
