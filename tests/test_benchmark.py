"""The benchmark: its arithmetic, its refusals, its yardstick as an oracle, and every case once in miniature."""

import gc
import itertools
import json
import sys

import benchmark
import pytest
import torch

from benchmark_cases import loss as loss_case
from benchmark_cases import peers
from benchmark_cases.equality import Check, UnequalError, relative_difference, share_beyond, verify
from benchmark_cases.harness import Clock, Timing, Variant, interleave, ratio
from benchmark_cases.networks import channels_first, channels_last_inputs, depth_net, pose_net
from benchmark_cases.plain import image_pyramid, plain_reprojection_loss, plain_smoothness_loss
from benchmark_cases.report import Settings, measure
from benchmark_cases.scene import street
from ude.engine import teacher
from ude.engine.teacher_cache import TeacherCache
from ude.files import MissingFileError
from ude.losses import reprojection_loss, smoothness_loss
from ude.losses.photometric import reprojection_error

CPU = torch.device("cpu")


class FakeTime:
    """A clock that variants move by what they pretend to cost."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def clock(self):
        return Clock("fake", lambda: self.now, lambda: 2 * self.now, lambda: None)

    def variant(self, name, costs):
        costs = itertools.cycle(costs)

        def run():
            self.calls.append(name)
            self.now += next(costs)

        return Variant(name, run, work=100.0)


@pytest.fixture
def fake():
    return FakeTime()


# --- harness


def test_medians_and_ratios_are_those_of_the_rounds(fake):
    variants = [fake.variant("a", [4.0, 6.0, 20.0]), fake.variant("b", [2.0, 2.0, 4.0])]
    a, b = interleave(variants, 3, clock=fake.clock(), warmup=0, min_seconds=0)
    assert (a.cost_s, b.cost_s) == ((4, 6, 20), (2, 2, 4))
    assert (a.cost, b.cost, a.wall) == (6, 2, 12)
    found = ratio(a, b)
    assert (found.median, found.lowest, found.highest) == (3, 2, 5)  # the median of 2, 3 and 5, not 6 / 2 by luck
    assert b.rate == 50


def test_the_ratio_is_of_rounds_and_not_of_medians():
    a, b = Timing("a", 0, (1.0, 10.0, 100.0), (0,) * 3), Timing("b", 0, (1.0, 1.0, 20.0), (0,) * 3)
    assert ratio(a, b).median == 5
    assert a.cost / b.cost == 10


def test_the_order_is_reversed_in_every_other_round(fake):
    variants = [fake.variant(name, [1.0]) for name in "abc"]
    interleave(variants, 3, clock=fake.clock(), warmup=1, min_seconds=0)
    assert "".join(fake.calls) == "abc" + "abc" + "cba" + "abc"


def test_short_variants_are_repeated_within_a_round(fake):
    (timing,) = interleave([fake.variant("a", [0.01])], 2, clock=fake.clock(), warmup=0, min_seconds=0.1)
    assert len(fake.calls) == 1 + 2 * 5  # the wall clock runs twice as fast: 0.02 s a call
    assert timing.cost == pytest.approx(0.01)


def test_the_garbage_collector_rests_while_timing_and_comes_back(fake):
    states = []
    interleave([Variant("a", lambda: states.append(gc.isenabled()))], 2, clock=fake.clock(), warmup=0, min_seconds=0)
    assert states == [False, False]
    assert gc.isenabled()


def test_nothing_to_time_is_an_error(fake):
    with pytest.raises(ValueError, match="0 variants and 5 rounds"):
        interleave([], 5, clock=fake.clock())


# --- no speed without equality


def test_unequal_variants_are_not_timed(fake):
    variant, limit = fake.variant("a", [1.0]), fake.variant("copy", [1.0])
    with pytest.raises(UnequalError, match=r"case: title: not timed.*loss is 0.5 \(at most 0.1\)"):
        measure(
            "case",
            "title",
            checks=[Check("fine", 0.0, 0.0), Check("loss", 0.5, 0.1)],
            variants=[variant],
            limit=limit,
            settings=Settings(device=CPU, rounds=1),
        )
    assert fake.calls == []


@pytest.mark.parametrize("bound", [1.0, None])
def test_nan_is_never_equal(bound):
    with pytest.raises(UnequalError):
        verify("x", [Check("loss", float("nan"), bound)])


def test_differences_are_in_units_of_the_reference():
    reference = torch.tensor([10.0, -20.0, 5.0, 0.0])
    value = torch.tensor([10.0, -20.0, 6.0, 0.0])
    assert relative_difference(value, reference) == pytest.approx(1 / 20)
    assert share_beyond(value, reference, 0.04) == 0.25
    assert share_beyond(value, reference, 0.06) == 0


def wrong_loss(*args, **kwargs):
    loss, maps = reprojection_loss(*args, **kwargs)
    return 1.00001 * loss, maps


@pytest.mark.parametrize(
    ("case", "module", "failed"),
    [
        ("loss", loss_case, ["float64 loss", "float64 gradients", "float32 loss"]),
        ("step", teacher, ["loss of the first step"]),
    ],
)
def test_a_wrong_loss_ends_the_tool_with_one_line_and_without_results(
    case, module, failed, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(module, "reprojection_loss", wrong_loss)
    out = tmp_path / "out.json"
    assert benchmark.main([case, "--quick", "--backbone", "resnet_small", "--json", str(out)]) == 1
    error = capsys.readouterr().err
    assert "not timed" in error
    assert all(f"ude: {name}" in error for name in failed)
    assert "Traceback" not in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "speed: no such case; there are loss, step"),
        (["loss", "--rounds", "3"], "--rounds 3: fewer than 5"),
        (["loss", "--size", "192", "330"], "--size 192 330: both must be multiples of 32"),
        (["loss", "--batch", "0"], "--batch 0: must be at least 1"),
        (["loss", "--peer-md4all", "nowhere"], "--peer-md4all nowhere: is no folder"),
        (["step", "--quick", "--backbone", "resnet19"], "--backbone resnet19: must be one of tiny, "),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    assert benchmark.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


# --- the yardstick


def test_the_plain_form_equals_the_losses_in_float64_with_gradients():
    scene = street((64, 96), 2, seed=3).to(CPU, torch.float64)
    leaves = [d.clone().requires_grad_() for d in scene.inverse_depths]
    T = scene.T_source_target.clone().requires_grad_()
    arguments = (leaves, scene.target, scene.sources, scene.K, T)
    plain, ours = plain_reprojection_loss(*arguments), reprojection_loss(*arguments)[0]
    assert ours.item() == pytest.approx(plain.item(), rel=1e-9)
    for a, b in zip(torch.autograd.grad(ours, [*leaves, T]), torch.autograd.grad(plain, [*leaves, T]), strict=True):
        assert relative_difference(a, b) <= 1e-9
    plain, ours = plain_smoothness_loss(leaves, image_pyramid(scene.target, 4)), smoothness_loss(leaves, scene.target)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-9)
    for a, b in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(plain, leaves), strict=True):
        assert relative_difference(a, b) <= 1e-9


def test_the_plain_form_takes_the_conventions_of_others():
    scene = street((64, 96), 2)
    arguments = (scene.inverse_depths, scene.target, scene.sources, scene.K, scene.T_source_target)
    ours = plain_reprojection_loss(*arguments)
    others = [
        plain_reprojection_loss(*arguments, align_corners=False),
        plain_reprojection_loss(*arguments, padding_mode="zeros"),
        plain_reprojection_loss(*arguments, enlarge=lambda maps, size: maps.mean((2, 3), True).expand(-1, -1, *size)),
    ]
    assert all(abs(other - ours) > 1e-3 * ours for other in others)


def test_the_street_is_explained_by_its_depth_and_motion_but_for_the_own_car():
    scene = street((96, 160), 2)
    estimate = scene.inverse_depths[0]

    def mean_error(inverse_depth):
        error = reprojection_error(inverse_depth, scene.target, scene.sources, scene.K, scene.T_source_target)
        return error[..., :-10, :].mean().item()

    assert mean_error(estimate) < 0.8 * min(mean_error(estimate / 2), mean_error(2 * estimate))
    for source in (0, 1):
        right, wrong = (
            reprojection_error(
                estimate, scene.target, scene.sources[:, [source]], scene.K, scene.T_source_target[:, [T]]
            )
            for T in (source, 1 - source)
        )
        assert right[..., :-10, :].mean() < 0.8 * wrong[..., :-10, :].mean()
    _, maps = reprojection_loss([estimate], scene.target, scene.sources, scene.K, scene.T_source_target)
    assert maps["automask"][..., :-10, :].float().mean() > 0.7
    assert not maps["automask"][..., -6:, :].any()


def test_networks_of_others_compute_in_nchw_and_ours_do_not():
    size, image = (64, 96), torch.rand(1, 3, 64, 96)
    depth, pose = depth_net("resnet_small", size, CPU).eval(), pose_net(CPU).eval()
    plain_depth, plain_pose = channels_first(depth), channels_first(pose)
    with channels_last_inputs(depth, pose, plain_depth, plain_pose) as found:
        expected, expected_pose = depth(image).inverse_depths[0], pose(image, image)
        ours = len(found)
        torch.testing.assert_close(plain_depth(image).inverse_depths[0], expected)
        torch.testing.assert_close(plain_pose(image, image), expected_pose)
    assert ours > 20
    assert len(found) == ours


# --- peers


def test_a_peer_is_imported_and_leaves_no_trace(tmp_path, monkeypatch):
    (tmp_path / "losses").mkdir()
    (tmp_path / "losses" / "total.py").write_text("import tensorboardX\nfrom utils import factor\nvalue = 3 * factor\n")
    (tmp_path / "utils.py").write_text("factor = 7\n")
    own = peers.stand_in("utils", factor=1)
    monkeypatch.setitem(sys.modules, "utils", own)
    path, stand_ins = list(sys.path), {"tensorboardX": peers.stand_in("tensorboardX")}
    modules = peers.load_peer(tmp_path, ("losses.total",), stand_ins)
    assert modules.total.value == 21
    assert sys.path == path
    assert sys.modules["utils"] is own
    assert not {"tensorboardX", "losses", "losses.total"} & set(sys.modules)


def test_another_folder_is_no_peer(tmp_path):
    with pytest.raises(MissingFileError, match=r"has no trainer\.py: is it another repository"):
        peers.load_peer(tmp_path, ("trainer",), {})


# --- every case in miniature; no test looks at a speed


def test_loss_and_step_run_and_write_what_they_found(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert benchmark.main(["loss", "step", "--quick", "--backbone", "resnet_small", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert {"python", "torch", "ude", "cpu", "threads", "device"} <= set(found["environment"])
    assert found["quick"] is True
    assert [result["case"] for result in found["results"]] == ["loss", "step"]
    for result in found["results"]:
        assert [variant["name"] for variant in result["variants"]] == ["plain", "ude"]
        assert result["base"] == "plain"
        assert all(check["value"] <= check["bound"] for check in result["equality"])
        assert result["limit"]["per_second"] > 0
        assert {"load_before", "load_after", "notes", "clock"} <= set(result)
        for variant in result["variants"]:
            assert len(variant["cost_ms_rounds"]) == len(variant["wall_ms_rounds"]) == 2
            assert variant["ratio_lowest"] <= variant["ratio"] <= variant["ratio_highest"]
            assert 0 < variant["fraction_of_limit"] < 2
    printed = capsys.readouterr().out
    assert "no compiled variant: left out" in printed
    assert "images_per_s" in printed


def test_a_cache_that_keeps_nothing_is_not_measured(monkeypatch, capsys):
    monkeypatch.setattr(TeacherCache, "store", lambda *args: None)
    assert benchmark.main(["distill", "--quick", "--backbone", "resnet_small"]) == 1
    assert "runs of the cached teachers after the first is 2 (at most 0)" in capsys.readouterr().err


@pytest.mark.slow
def test_translate_runs_with_images_that_equal_those_of_the_plain_loop(tmp_path):
    out = tmp_path / "out.json"
    assert benchmark.main(["translate", "--quick", "--json", str(out)]) == 0
    (found,) = json.loads(out.read_text())["results"]
    assert [variant["name"] for variant in found["variants"]] == ["plain loop", "ude, batch 1", "ude, batch 2"]
    assert found["clock"] == "wall"
    assert 0 <= found["equality"][0]["value"] <= found["equality"][0]["bound"] == 1 / 255


@pytest.mark.slow
def test_distill_and_infer_run(tmp_path):
    out = tmp_path / "out.json"
    assert benchmark.main(["distill", "infer", "--quick", "--backbone", "resnet_small", "--json", str(out)]) == 0
    distill, infer = json.loads(out.read_text())["results"]
    assert len(distill["variants"]) == 4
    assert [check["value"] for check in distill["equality"][-2:]] == [0, 0]
    assert [variant["name"] for variant in infer["variants"]] == ["NCHW", "ude"]
