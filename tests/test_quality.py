"""The quality gate: what it refuses and why, what it keeps, and the figures that it judges by."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ude.data.images import resize_image
from ude.translation.conditions import CONDITIONS, Condition
from ude.translation.quality import (
    QualityGate,
    image_statistics,
    mismatched_threshold,
    structure_correlation,
)
from ude.translation.quality.content import coherence, depth_difference, empty_shares, light_change
from ude.translation.quality.statistics import NO_PAIRS, SCALES, edge_maps, working_size
from ude.translation.simulated import SimulatedTranslator

SIZE = (96, 160)
GRID = torch.stack(torch.meshgrid(torch.arange(96.0), torch.arange(160.0), indexing="ij"))  # (2, H, W): v, u


def scenes(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Tensor:
    """Streets (B, 3, H, W) of boxes at random places on a road under a sky."""
    draw = np.random.default_rng(seed)
    height, width = size
    images = np.empty((count, 3, height, width), np.float32)
    for image in images:
        image[:] = np.linspace(0.75, 0.4, height)[None, :, None] * np.array([0.9, 1.0, 1.1])[:, None, None]
        for _ in range(14):
            h, w = draw.integers(height // 8, height // 2), draw.integers(width // 16, width // 4)
            top, left = draw.integers(0, height - h), draw.integers(0, width - w)
            image[:, top : top + h, left : left + w] = draw.uniform(0.1, 0.9, (3, 1, 1))
        image += draw.normal(0, 0.01, image.shape)
    return torch.from_numpy(images).clamp(0, 1)


def dark(images: Tensor) -> Tensor:
    """Something of a night: dark, darker at the top, noisy."""
    light = torch.linspace(0.1, 0.6, images.shape[2]).view(-1, 1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(3)) * 0.01
    return (images * light + noise).clamp(0, 1)


@pytest.fixture(scope="module")
def sources() -> Tensor:
    return scenes(6)


@pytest.fixture(scope="module")
def gate(sources: Tensor) -> QualityGate:
    return QualityGate(CONDITIONS["night"], least_structure=mismatched_threshold(sources, dark(sources)))


def reason(gate: QualityGate, sources: Tensor, translated: Tensor) -> str:
    (found,) = {verdict.reason for verdict in gate(sources, translated)}
    assert all(verdict.accepted == (found == "") for verdict in gate(sources, translated))
    return found


def half(images: Tensor, level: float, *, place: str) -> Tensor:
    images, height, width = images.clone(), *images.shape[2:]
    rows, columns = slice(None), slice(None)
    if place in ("top", "bottom"):
        rows = slice(0, height // 2) if place == "top" else slice(height // 2, None)
    else:
        columns = slice(0, width // 2) if place == "left" else slice(width // 2, None)
    images[..., rows, columns] = level
    return images


# --- fault F09


@pytest.fixture(scope="module")
def streets(train, val) -> tuple[Tensor, Tensor]:
    """Ten day frames of the rendered world with their inverse depth."""
    frames = []
    for source, indices in ((train, range(8)), (val, range(2))):
        for index in indices:
            assert source.condition(index) == "day-clear"
            frames.append(resize_image(source.image(index), SIZE).float() / 255)
    road, houses = GRID[0] / 96 - 0.42, (GRID[1] / 160 - 0.5).abs() / 4
    depth = torch.maximum(road, houses).clamp(min=0.01)  # a street between houses, in inverse depth
    return torch.stack(frames), depth.expand(len(frames), 1, -1, -1)


@pytest.mark.parametrize(("condition", "share"), [("night", 0.95), ("rain", 0.95), ("night_rain", 0.85)])
def test_nearly_all_of_the_simulated_results_and_no_bad_one_pass(streets, condition, share):
    frames, depth = streets
    translator, chosen = SimulatedTranslator(), CONDITIONS[condition]
    results = [
        translator(frames, condition=chosen, seeds=[s * 10 + i for i in range(10)], depth=depth) for s in range(6)
    ]
    gate = QualityGate(chosen, least_structure=mismatched_threshold(frames, results[0]))
    kept = [verdict for result in results for verdict in gate(frames, result)]
    assert len(kept) == 60  # 180 with the other conditions
    assert sum(verdict.accepted for verdict in kept) >= 60 * share, [verdict.reason for verdict in kept]

    noise = torch.rand(frames.shape, generator=torch.Generator().manual_seed(0))
    assert reason(gate, frames, torch.zeros_like(frames)) == "black"
    assert reason(gate, frames, torch.full_like(frames, 0.3)) == "constant"
    assert reason(gate, frames, noise) == "noise"
    assert reason(gate, frames, frames) == "copy of the source"
    assert reason(gate, frames, half(results[0], 0.5, place="bottom")) == "partly empty"
    strangers = gate(frames, results[0].roll(5, 0))
    assert sum(verdict.reason == "structure lost" for verdict in strangers) >= 9


# --- reasons


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_single_value_that_is_not_finite_is_refused_without_figures(gate, sources, value):
    broken = dark(sources)
    broken[2, 1, 40, 50] = value
    verdicts = gate(sources, broken)
    assert [verdict.accepted for verdict in verdicts] == [True, True, False, True, True, True]
    assert (verdicts[2].reason, verdicts[2].figures) == ("not finite", {})


@pytest.mark.parametrize("level", [0.1, 0.5, 0.95])
def test_an_image_of_one_level_is_constant_and_one_at_zero_black(gate, sources, level):
    assert reason(gate, sources, torch.full_like(sources, level)) == "constant"
    assert reason(gate, sources, (torch.full_like(sources, level) + 0.002 * dark(sources))) == "constant"
    assert reason(gate, sources, 0.004 * dark(sources)) == "black"


@pytest.mark.parametrize("place", ["top", "bottom", "left", "right"])
def test_half_of_an_image_in_grey_is_refused(gate, sources, place):
    assert reason(gate, sources, half(dark(sources), 0.5, place=place)) == "partly empty"


def test_half_of_an_image_in_black_is_refused_but_a_black_sky_is_not(gate, sources):
    assert reason(gate, sources, half(dark(sources), 0.0, place="bottom")) == "partly empty"
    night = dark(sources)
    night[:, :, :24] = 0
    assert reason(QualityGate(CONDITIONS["night"], least_structure=-1), sources, night) == ""


@pytest.mark.parametrize("size", [SIZE, (432, 768), (1080, 1920)])
@pytest.mark.parametrize("blob", [1, 4])
def test_noise_is_recognised_at_any_size_and_grain(size, blob):
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(2, 3, size[0] // blob, size[1] // blob, generator=generator)
    noise = F.interpolate(noise, size, mode="bilinear")
    gate = QualityGate(CONDITIONS["tom"], least_structure=-1)
    assert reason(gate, scenes(2, size=size), noise) == "noise"


@pytest.mark.parametrize("strength", [0.0, 0.01, 0.02])
def test_the_day_frame_itself_is_refused_even_slightly_changed(gate, sources, strength):
    changed = sources + strength * torch.randn(sources.shape, generator=torch.Generator().manual_seed(0))
    assert reason(gate, sources, changed) == "copy of the source"
    blurred = F.interpolate(F.avg_pool2d(sources, 2), SIZE, mode="bilinear")
    assert reason(gate, sources, blurred) == "copy of the source"


def test_the_translation_of_another_frame_has_lost_the_structure(gate, sources):
    assert reason(gate, sources, dark(sources).roll(1, 0)) == "structure lost"


def test_the_limits_of_a_condition_count_and_the_reason_names_the_statistic(sources):
    limits = {"luminance": (0.0, 0.9), "sky_luminance": (0.0, 0.3)}
    gate = QualityGate(Condition("dusk", ("At dusk",), limits=limits), least_structure=-1)
    assert reason(gate, sources, 1 - 0.5 * sources) == "wrong condition: sky_luminance"
    assert reason(gate, sources, dark(sources)) == ""
    assert reason(QualityGate(CONDITIONS["tom"], least_structure=-1), sources, 1 - 0.5 * sources) == ""


def test_references_replace_the_limits_and_refuse_another_light(sources):
    references = dark(scenes(8, seed=5, size=(112, 112)))
    impossible = Condition("night", ("At night",), limits={"luminance": (2, 3)})
    gate = QualityGate(impossible, least_structure=-1, reference_images=references)
    assert reason(gate, sources, dark(sources)) == ""
    assert reason(gate, sources, 1 - 0.5 * sources) == "wrong condition: unlike the references"
    distances = [verdict.figures["distance"] for verdict in gate(sources, dark(sources))]
    assert max(distances) < 1


def test_few_references_make_a_loose_gate_and_a_wrong_one_among_many_does_not_matter(sources):
    bright, night = (1 - 0.5 * sources), dark(scenes(9, seed=5))

    def distance(references: Tensor) -> float:
        gate = QualityGate(CONDITIONS["night"], least_structure=-1, reference_images=references)
        return gate(sources[:1], bright[:1])[0].figures["distance"]

    assert distance(night[:1]) < distance(night[:3]) < distance(night)
    spoiled = torch.cat([night[:8], torch.ones(1, 3, *SIZE)])
    assert distance(spoiled) > 0.8 * distance(night)


# --- depth


def test_depth_is_compared_up_to_scale_and_shift_and_only_where_the_rest_is_fine(sources):
    control = torch.rand(6, 1, 24, 40, generator=torch.Generator().manual_seed(0))
    asked = []

    def depth(images: Tensor) -> Tensor:
        place = int((dark(sources) - images).abs().mean((1, 2, 3)).argmin())
        asked.append(place)
        estimate = 3 * control[place : place + 1] + 7
        return estimate if place < 4 else estimate.flip(-1)

    gate = QualityGate(CONDITIONS["night"], least_structure=-1, depth=depth, largest_depth_difference=0.2)
    translated = dark(sources)
    translated[0] = 0.5
    verdicts = gate(sources, translated, control)
    assert [verdict.reason for verdict in verdicts] == ["constant", "", "", "", "other depth", "other depth"]
    assert asked == [1, 2, 3, 4, 5]
    assert verdicts[1].figures["depth_difference"] == pytest.approx(0, abs=1e-4)
    assert "depth_difference" not in verdicts[0].figures


def test_a_depth_without_relation_differs_by_one_and_is_never_turned_round():
    control = torch.linspace(0, 1, 40).expand(1, 1, 24, 40)
    assert float(depth_difference(control * 5 - 2, control)) == pytest.approx(0, abs=1e-5)
    assert float(depth_difference(torch.ones(1, 1, 24, 40), control)) == pytest.approx(1)
    assert float(depth_difference(1 - control, control)) == pytest.approx(1)


def test_depth_that_is_not_finite_is_refused(sources):
    gate = QualityGate(
        CONDITIONS["night"],
        least_structure=-1,
        depth=lambda images: images[:, :1] * math.nan,
        largest_depth_difference=0.5,
    )
    assert {verdict.reason for verdict in gate(sources, dark(sources), torch.rand(6, 1, 24, 40))} == {"other depth"}


def test_comparing_depth_without_a_control_is_a_programmers_error(sources):
    gate = QualityGate(CONDITIONS["night"], least_structure=0, depth=lambda images: images)
    with pytest.raises(ValueError, match="needs the control's inverse depth"):
        gate(sources, sources)
    with pytest.raises(ValueError, match="must have the sources' shape"):
        gate(sources, sources[:1])


# --- figures


def test_statistics_of_plain_images_are_known_numbers():
    image = torch.zeros(1, 3, 90, 120)
    image[:, 2, :30] = 1  # a blue sky above black ground
    found = {name: float(value) for name, value in image_statistics(image).items()}
    assert found["luminance"] == pytest.approx(0.0722 / 3)
    assert found["sky_luminance"] == pytest.approx(0.0722)
    assert found["dark_share"] == 1  # full blue has a luminance of 0.07
    assert found["bright_share"] == 0
    assert found["blueness"] == pytest.approx(1 / 3)
    assert found["saturation"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["contrast"] == pytest.approx(0.0722 * math.sqrt(2) / 3)
    assert found["dark_channel"] == 0
    white = {name: float(value) for name, value in image_statistics(torch.ones(1, 3, 9, 9)).items()}
    assert white["dark_channel"] == white["bright_share"] == white["luminance"] == pytest.approx(1)


def test_statistics_hardly_depend_on_the_resolution():
    large = scenes(2, size=(480, 800))
    for name, value in image_statistics(F.interpolate(large, (240, 400), mode="area")).items():
        assert (value - image_statistics(large)[name]).abs().max() < 0.01, name


def test_structure_is_one_for_the_same_image_and_about_zero_for_noise(sources):
    assert structure_correlation(sources, sources) == pytest.approx(torch.ones(6), abs=1e-5)
    noise = torch.rand(sources.shape, generator=torch.Generator().manual_seed(0))
    assert structure_correlation(sources, noise).abs().max() < 0.1
    assert structure_correlation(sources, torch.full_like(sources, 0.3)).abs().max() < 1e-3


def test_structure_is_blind_to_brightness_and_to_the_sign_of_edges(sources):
    lit = sources * 0.5 + 0.25
    assert structure_correlation(lit, lit**2).min() > 0.99  # a power is a factor of the logarithm
    assert structure_correlation(lit, 1 - lit).min() > 0.9


def test_structure_falls_with_every_pixel_of_shift(sources):
    found = [float(structure_correlation(sources, sources.roll(shift, -1)).mean()) for shift in (0, 1, 2, 4, 8)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.5


def test_structure_tells_directions_apart():
    bars = (torch.sin(GRID[1] / 4) > 0).float().expand(1, 3, *SIZE) * 0.5 + 0.25
    turned = (torch.sin(GRID[0] / 4) > 0).float().expand(1, 3, *SIZE) * 0.5 + 0.25
    assert float(structure_correlation(bars, turned)) < 0
    assert float(structure_correlation(bars, 1 - bars)) > 0.9


def test_edge_maps_have_unit_norm_at_three_scales(sources):
    maps = edge_maps(sources)
    assert [level.shape for level in maps] == [(6, 3 * 96 * 160 // scale**2) for scale in SCALES]
    for level in maps:
        torch.testing.assert_close(level.norm(dim=1), torch.ones(6))
    assert max(working_size(torch.rand(1, 3, 900, 1600)).shape[2:]) == 320


def test_the_threshold_is_the_quantile_of_all_pairs_of_different_frames(sources):
    translated = dark(sources)
    pairs = [
        float(structure_correlation(sources[i : i + 1], translated[j : j + 1]))
        for i in range(6)
        for j in range(6)
        if i != j
    ]
    for quantile in (0.5, 0.9, 0.99):
        found = mismatched_threshold(sources, translated, quantile=quantile)
        assert found == pytest.approx(np.quantile(pairs, quantile), abs=1e-5)
    assert (structure_correlation(sources, translated) > mismatched_threshold(sources, translated)).all()


def test_pairs_of_one_place_and_results_that_are_not_finite_do_not_count(sources):
    translated = dark(sources)
    expected = mismatched_threshold(sources, translated)
    twice = mismatched_threshold(torch.cat([sources, sources]), torch.cat([translated, translated]))
    assert twice == pytest.approx(expected, abs=0.02)
    broken = torch.cat([translated, translated[:1] * math.nan])
    assert mismatched_threshold(torch.cat([sources, scenes(1, seed=9)]), broken) == pytest.approx(expected, abs=0.05)


def test_without_a_mismatched_pair_there_is_a_default_threshold(sources):
    assert mismatched_threshold(sources[:1], sources[:1]) == NO_PAIRS
    assert mismatched_threshold(sources[[0, 0]], sources[[0, 0]]) == NO_PAIRS


def test_neighbouring_pixels_of_pictures_agree_and_those_of_noise_do_not(sources):
    for source in sources.split(1):
        assert coherence(source) > 0.6
    assert coherence(torch.rand(1, 3, 200, 300)).abs() < 0.1


def test_empty_shares_count_the_blocks_that_have_lost_their_content():
    source = (torch.sin(GRID.sum(0)) * 0.4 + 0.5).expand(1, 3, *SIZE)  # content in every block
    for level, expected in ((0.5, (0.25, 0)), (0.0, (0, 0.25)), (1.0, (0, 0.25))):
        result = source.clone()
        result[:, :, :48, :80] = level
        assert [float(share) for share in empty_shares(source, result)] == pytest.approx(expected)
    assert [float(share) for share in empty_shares(torch.full_like(source, 0.7), source * 0)] == [0, 0]


def test_the_change_of_light_ignores_texture(sources):
    source = sources[:1]
    assert float(light_change(source, (source + 0.1))) == pytest.approx(0.1, abs=1e-5)
    assert float(light_change(source, source + 0.1 * torch.randn(source.shape))) < 0.01


# --- what the manifest needs


def test_figures_are_rounded_and_do_not_depend_on_the_batch(gate, sources):
    translated = dark(sources)
    together = gate(sources, translated)
    alone = [verdict for i in range(6) for verdict in gate(sources[i : i + 1], translated[i : i + 1])]
    assert together == alone
    assert gate(sources.flip(0), translated.flip(0)) == together[::-1]
    for value in together[0].figures.values():
        assert type(value) is float
        assert value == round(value, 4)
    assert {*image_statistics(sources)} <= {*together[0].figures}


def test_half_precision_and_values_beyond_the_range_are_judged(gate, sources):
    verdicts = gate(sources.bfloat16(), (dark(sources) * 1.0001 - 1e-5).bfloat16())
    assert all(verdict.accepted for verdict in verdicts)


def test_tiny_images_are_judged_or_refused_clearly(gate):
    for size in ((8, 8), (8, 40), (17, 9)):
        assert len(gate(torch.rand(2, 3, *size), torch.rand(2, 3, *size))) == 2
    with pytest.raises(ValueError, match=r"at least 8 x 8 pixels, got \(7, 40\)"):
        gate(torch.rand(1, 3, 7, 40), torch.rand(1, 3, 7, 40))
