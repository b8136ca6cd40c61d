import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ude.data.images import resize_image
from ude.translation import CONDITIONS, Condition
from ude.translation.simulated import SimulatedTranslator
from ude.translation.simulated.camera import blur
from ude.translation.simulated.glass import glass_mask
from ude.translation.simulated.lights import Light, emission, lamp_irradiance
from ude.translation.simulated.scene import CAMERA_HEIGHT, FAR, FOCAL_PER_WIDTH, Street, ground_mask, road_line, street
from ude.translation.simulated.translator import WEATHERS
from ude.translation.simulated.weather import veil
from ude.translation.simulated.wet import fresnel, mirrored_rows, wet_ground
from ude.translation.simulated.windows import window_grid

H, W = 96, 160
FOCAL = FOCAL_PER_WIDTH * W
HORIZON = 46.0


def plane_inverse_depth(rows=H, columns=W, horizon=HORIZON, focal=FOCAL):
    row = torch.arange(rows, dtype=torch.float32)[:, None].expand(rows, columns)
    return (row - horizon).clamp(min=0) / (focal * CAMERA_HEIGHT)


def street_scene(seed, size=(H, W)):
    """A road between two rows of textured blocks under a bright sky: image (3, H, W) and inverse depth (H, W)."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = size
    horizon, focal = 0.48 * rows, FOCAL_PER_WIDTH * columns
    depth = 1 / plane_inverse_depth(rows, columns, horizon, focal).clamp(min=1e-9)
    grey = 0.35 + 0.15 * F.interpolate(torch.rand(1, 1, 12, 20, generator=generator), size)[0, 0]
    image = grey.expand(3, -1, -1).clone()
    sky = depth > 1e8
    image[:, sky] = torch.tensor([0.85, 0.88, 0.92])[:, None]
    for distance in (60.0, 30.0, 15.0, 9.0):
        bottom = int(horizon + focal * CAMERA_HEIGHT / distance)
        for side in (-1, 1):
            inner = columns / 2 + side * focal * float(3 + 4 * torch.rand((), generator=generator)) / distance
            outer = inner + side * focal * float(4 + 6 * torch.rand((), generator=generator)) / distance
            left, right = (max(0, min(columns, int(x))) for x in sorted((inner, outer)))
            top = max(0, int(horizon - focal * float(2 + 8 * torch.rand((), generator=generator)) / distance))
            texture = torch.rand(3, 1, 1, generator=generator) * torch.ones(3, bottom - top, right - left)
            texture *= 0.4 + 0.6 * torch.rand(1, bottom - top, right - left, generator=generator)
            image[:, top:bottom, left:right] = 0.8 * texture
            depth[top:bottom, left:right] = distance
    return image, 1 / depth


def translate(condition, seeds, scenes=None, **kwargs):
    scenes = scenes or [street_scene(seed) for seed in seeds]
    images = torch.stack([image for image, _ in scenes])
    depth = torch.stack([inverse for _, inverse in scenes])[:, None]
    return SimulatedTranslator()(images, condition=CONDITIONS[condition], seeds=seeds, **{"depth": depth} | kwargs)


def luminance(images):
    return (images * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(-3)


def saturation(images):
    return (images.amax(-3) - images.amin(-3)) / images.amax(-3).clamp(min=0.02)


@pytest.mark.parametrize("condition", WEATHERS)
def test_results_are_images_of_the_same_shape_and_visibly_changed(condition):
    image, _ = street_scene(0)
    result = translate(condition, [0, 1])
    assert result.shape == (2, 3, H, W)
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1
    assert float((result[0] - image).abs().mean()) > 0.04


@pytest.mark.parametrize("condition", WEATHERS)
def test_a_seed_gives_the_same_image_twice_and_another_seed_another_one(condition):
    scene = [street_scene(3)]
    first, second, other = (translate(condition, [seed], scene) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert float((first - other).abs().mean()) > 0.02


@pytest.mark.parametrize("condition", WEATHERS)
def test_a_result_does_not_depend_on_its_batch(condition):
    seeds = [4, 8, 15]
    together, turned = translate(condition, seeds), translate(condition, seeds[::-1])
    assert torch.equal(together, turned.flip(0))
    for index, seed in enumerate(seeds):
        assert torch.equal(together[index], translate(condition, [seed])[0])


def test_nights_are_dark_in_varied_degrees_and_never_empty():
    seeds = list(range(40))
    day = torch.stack([street_scene(0)[0]])
    nights = luminance(translate("night", seeds, [street_scene(0)] * len(seeds))).mean((1, 2))
    assert float(nights.max()) < 0.9 * float(luminance(day).mean())
    assert float(nights.median()) < 0.5 * float(luminance(day).mean())
    assert 0.1 < float(nights.mean()) < 0.35
    assert float(nights.min()) > 0.02
    assert float(nights.max() / nights.min()) > 2.5


def test_the_night_sky_is_dark():
    image, inverse_depth = street_scene(0)
    sky = street(image, inverse_depth).sky > 0.9
    assert float(sky.float().mean()) > 0.1
    nights = luminance(translate("night", range(20), [(image, inverse_depth)] * 20))
    assert float(nights[:, sky].median()) < 0.2


def test_rain_takes_contrast_away():
    seeds = list(range(12))
    days = torch.stack([street_scene(seed)[0] for seed in seeds])
    assert float(luminance(translate("rain", seeds)).std()) < float(luminance(days).std())


def test_rain_takes_colour_from_rendered_streets(train):
    days = [resize_image(train.image(index), (H, W)).float() / 255 for index in range(8)]
    inverse_depth = plane_inverse_depth().clamp(min=1 / 40)  # a road that ends at a wall
    rains = translate("rain", list(range(8)), [(day, inverse_depth) for day in days])
    assert float(saturation(rains).mean()) < 0.62 * float(saturation(torch.stack(days)).mean())


def test_the_road_of_a_rainy_night_mirrors_the_lights_above_it():
    seeds = list(range(20))
    scenes = [street_scene(seed) for seed in seeds]

    def likeness(condition):
        """Mean correlation over columns of the brightest light above the road and the mean light of the road."""
        made = luminance(translate(condition, seeds, scenes))
        pairs = torch.stack([made[:, 15:46].amax(1), made[:, 60:80].mean(1)], 1)
        return float(torch.stack([torch.corrcoef(pair)[0, 1] for pair in pairs]).mean())

    assert likeness("night_rain") > 0.6  # 0.75 of 40 streets
    assert likeness("night") < 0.4  # 0.27


def test_the_clouds_of_a_rainy_night_glow_and_are_darker_than_by_day():
    seeds = list(range(20))
    scenes = [street_scene(seed) for seed in seeds]
    skies = torch.stack([street(*scene).sky > 0.9 for scene in scenes])
    wet, dry, rain = (
        float(luminance(translate(name, seeds, scenes))[skies].mean()) for name in ("night_rain", "night", "rain")
    )
    assert 1.3 * dry < wet < 0.5 * rain


def test_the_veil_has_its_closed_form_and_grows_with_depth():
    depth = torch.linspace(0, 300, 31)[None]
    light, air = torch.full((3, 1, 31), 0.2), torch.tensor([0.6, 0.7, 0.8]).view(3, 1, 1)
    veiled = veil(light, depth, visibility=150.0, air=air)
    expected = air - (air - 0.2) * torch.exp(-3.912 / 150 * depth)
    assert torch.allclose(veiled, expected, atol=1e-6)
    assert torch.equal(veiled[..., 0], light[..., 0])
    assert bool((veiled.diff(dim=-1) > 0).all())
    contrast = (air - veiled)[0, 0, 15] / 0.4  # at 150 m, the visibility
    assert float(contrast) == pytest.approx(0.02, abs=1e-4)


def test_fog_takes_more_contrast_from_the_far_road_than_from_the_near_one():
    checks = ((torch.arange(H)[:, None] // 2 + torch.arange(W)[None] // 2) % 2).float()
    image = (0.3 + 0.3 * checks).expand(3, -1, -1)
    fogs = luminance(translate("fog", range(12), [(image, plane_inverse_depth())] * 12))
    far, near = fogs[:, 50:56].std((1, 2)), fogs[:, 88:94].std((1, 2))
    assert bool((far < near).all())
    assert float(far.mean()) < 0.4 * float(near.mean())


@pytest.mark.parametrize("condition", WEATHERS)
def test_the_geometry_stays(condition):
    seeds = list(range(6))
    days = torch.stack([street_scene(seed)[0] for seed in seeds])
    results = translate(condition, seeds)
    matched = [gradient_correlation(days[i], results[i]) for i in seeds]
    mismatched = [gradient_correlation(days[i], results[j]) for i in seeds for j in seeds if i != j]
    assert sum(matched) / len(matched) > 2 * sum(mismatched) / len(mismatched)
    assert min(matched) > sum(mismatched) / len(mismatched)


@pytest.mark.parametrize("condition", WEATHERS)
def test_depth_matters(condition):
    image, inverse_depth = street_scene(1)
    flat = torch.full_like(inverse_depth, 0.05)
    assert (
        float(
            (translate(condition, [1], [(image, inverse_depth)]) - translate(condition, [1], [(image, flat)]))
            .abs()
            .mean()
        )
        > 0.01
    )


@pytest.mark.parametrize("condition", WEATHERS)
def test_only_ratios_of_inverse_depth_matter(condition):
    image, inverse_depth = street_scene(2)
    metric, relative = (translate(condition, [2], [(image, scale * inverse_depth)]) for scale in (1, 64))
    assert torch.allclose(metric, relative, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1])
@pytest.mark.parametrize("condition", WEATHERS)
def test_useless_depth_still_gives_an_image(condition, value):
    image, inverse_depth = street_scene(2)
    assert translate(condition, [2], [(image, torch.full_like(inverse_depth, value))]).isfinite().all()


def test_the_road_is_found_and_the_camera_put_above_it():
    horizon, slope = road_line(3 * plane_inverse_depth())
    assert horizon == pytest.approx(HORIZON, abs=0.01)
    assert slope == pytest.approx(3 / (FOCAL * CAMERA_HEIGHT), rel=1e-3)
    view = street(torch.full((3, H, W), 0.4), 3 * plane_inverse_depth())
    assert float(view.depth[80, 20]) == pytest.approx(FOCAL * CAMERA_HEIGHT / (80 - HORIZON), rel=1e-3)
    assert float(view.height[60:].abs().max()) < 0.02
    assert float(view.ground[60:].min()) > 0.9
    assert float(view.ground[:40].max()) < 0.1


def test_the_sky_is_told_from_a_pale_wall_by_depth():
    image, inverse_depth = torch.full((3, H, W), 0.85), plane_inverse_depth()
    image[:, int(HORIZON) :] = 0.4
    inverse_depth[:, :50] = inverse_depth[:, :50].clamp(min=1 / 8)  # a wall as bright as the sky
    view = street(image, inverse_depth)
    assert float(view.sky[:38, 80:].min()) > 0.9
    assert float(view.sky[:, :48].max()) < 0.1
    assert float(view.depth[:38, 80:].min()) > 0.9 * FAR


def test_the_lower_part_of_a_far_car_is_no_road():
    height, depth = torch.tensor([0.0, 0.15, 0.8]), torch.tensor(40.0)
    road = ground_mask(height, depth)
    assert float(road[:2].min()) > 0.9
    assert float(road[2]) < 0.1


def flat_street(depth):
    """A wall of constant depth [m] that stands on the road."""
    inverse_depth = torch.maximum(plane_inverse_depth(), torch.tensor(1 / depth))
    metric = 1 / inverse_depth
    row = torch.arange(H, dtype=torch.float32)[:, None]
    column = torch.arange(W, dtype=torch.float32)[None] - (W - 1) / 2
    ground = (plane_inverse_depth() >= 1 / depth).float()
    return Street(
        depth=metric,
        lateral=column * metric / FOCAL,
        height=CAMERA_HEIGHT - (row - HORIZON) * metric / FOCAL,
        ground=ground,
        sky=torch.zeros(H, W),
        horizon=HORIZON,
        focal=FOCAL,
    )


def windows_on(wall, pane, depth=12.0):
    """A street whose wall has a column of panes in the middle, and where these are."""
    image = torch.tensor(wall).view(3, 1, 1).expand(3, H, W).clone()
    panes = torch.zeros(H, W, dtype=torch.bool)
    panes[6:30, W - 24 : W - 12] = True
    image[:, panes] = torch.tensor(pane).view(3, 1)
    return image, flat_street(depth), panes


def test_panes_that_mirror_the_blue_sky_are_glass_and_white_paint_in_the_shade_is_not():
    image, view, panes = windows_on(wall=(0.55, 0.58, 0.62), pane=(0.45, 0.55, 0.7))
    glass = glass_mask(image, view)
    assert float(glass[panes].min()) > 0.9
    assert float(glass[~panes].max()) < 0.1
    far = glass_mask(image, flat_street(130.0))
    assert float(far.max()) == 0  # that is haze


def test_only_what_is_blue_and_upright_is_glass():
    depth = 12.0
    view = flat_street(depth)
    wall = view.ground == 0
    of = {
        colour: glass_mask(torch.tensor(colour).view(3, 1, 1).expand(3, H, W), view)
        for colour in [(0.48, 0.54, 0.60), (0.45, 0.5, 0.62), (0.02, 0.02, 0.02), (0.04, 0.03, 0.02), (0.2, 0.3, 0.9)]
    }
    half, sure, black, brown, blue = of.values()
    assert float(half[wall].mean()) == pytest.approx(0.5, abs=0.02)
    assert float(sure[wall].min()) > 0.99
    assert float(black.max()) == float(brown.max()) == 0
    assert float(blue[~wall].max()) == 0  # a blue road
    sky = replace(view, sky=torch.ones(H, W))
    assert float(glass_mask(torch.tensor((0.2, 0.3, 0.9)).view(3, 1, 1).expand(3, H, W), sky).max()) == 0


def test_the_lit_windows_are_the_panes_that_the_image_shows():
    image, view, panes = windows_on(wall=(0.5, 0.4, 0.3), pane=(0.3, 0.45, 0.7))
    grid = {"lit": torch.ones(4, 4), "pitch": (2.0, 3.0), "guess": True}
    facade = torch.ones(H, W, dtype=torch.bool)
    corner = 4, W - 30
    area, shine = window_grid(view, facade, glass_mask(image, view), corner, **grid)
    assert float(shine[panes[area]].min()) > 0.9
    assert float(shine[~panes[area]].max()) < 0.1
    area, shine = window_grid(view, facade, torch.zeros(H, W), corner, **grid)
    assert 0.2 < float(shine.mean()) < 0.6  # panes of its own, apart from each other
    assert float(window_grid(view, facade, torch.zeros(H, W), corner, **grid | {"guess": False})[1].max()) == 0
    rare = torch.zeros(H, W)
    rare[corner[0] : corner[0] + 2, corner[1] : corner[1] + 4] = 1  # a reflex, no panes
    assert torch.equal(window_grid(view, facade, rare, corner, **grid)[1], shine)


def test_a_wet_road_mirrors_a_wall_about_the_row_where_it_stands():
    depth = 12.0
    contact = HORIZON + FOCAL * CAMERA_HEIGHT / depth
    rows = mirrored_rows(flat_street(depth))
    below = torch.arange(math.ceil(contact) + 1, int(contact) + 20)
    assert torch.allclose(rows[below, 30], 2 * contact - below.float(), atol=1e-3)


def test_far_ahead_a_wet_road_mirrors_nearly_all_and_shows_a_little_of_itself():
    view = flat_street(150.0)
    row, seeds = 50, range(40)  # a road 75 m ahead, seen at a grazing angle
    light = torch.zeros(3, H, W)
    light[:, :46] = 1.0  # nothing but what is mirrored shines
    mirrored = [float(wet_ground(light, view, torch.Generator().manual_seed(seed))[0, row].max()) for seed in seeds]
    assert 0.79 < max(mirrored) < 0.82  # the highest share, a little blurred
    assert min(mirrored) > 0.15


@pytest.mark.parametrize("condition", WEATHERS)
@pytest.mark.parametrize("level", [0.0, 0.02, 0.2, 0.29])
def test_a_dark_frame_is_translated_too(condition, level):
    image, inverse_depth = street_scene(0)
    made = translate(condition, [0], [(image.clamp(max=1) * level / image.max(), inverse_depth)])
    assert made.isfinite().all()


def test_water_reflects_little_straight_down_and_all_at_grazing_angles():
    view = flat_street(200.0)
    share = fresnel(view)[:, W // 2]
    assert bool((share[50:].diff() < 0).all())
    assert float(share[48]) > 0.8
    depth = float(view.depth[H - 1, W // 2])
    cosine = CAMERA_HEIGHT / math.hypot(depth, CAMERA_HEIGHT)
    assert float(share[H - 1]) == pytest.approx(0.02 + 0.98 * (1 - cosine) ** 5, abs=1e-3)


def test_a_street_lamp_lights_the_road_by_the_inverse_square():
    view = flat_street(100.0)
    row = 70
    depth = float(view.depth[row, W // 2])
    lateral, height = float(view.lateral[row, W // 2]), 6.0
    light = lamp_irradiance(view, lateral, height, depth)
    assert float(light[row, W // 2]) == pytest.approx(36 * (36 / 37) ** 0.75 / 37, rel=1e-3)
    assert float(light[0, W // 2]) == 0  # nothing above the lamp


def test_lights_behind_something_are_hidden():
    colour = torch.ones(3, 1, 1)
    seen = [emission(flat_street(20.0), [Light(50, 30, depth, 0.2, colour)]).amax() for depth in (10.0, 40.0)]
    assert float(seen[0]) > 0.9
    assert float(seen[1]) == 0


@pytest.mark.parametrize("sigma", [0.8, 2.0, 7.0])
def test_blur_spreads_a_point_by_its_sigma_and_keeps_the_light(sigma):
    image = torch.zeros(1, 120, 120)
    image[0, 60, 60] = 1
    spread = blur(image, sigma)[0]
    assert float(spread.sum()) == pytest.approx(1, abs=0.02)
    offset = torch.arange(120.0) - (spread.sum(0) * torch.arange(120.0)).sum() / spread.sum()
    assert float((spread.sum(0) * offset**2).sum().sqrt()) == pytest.approx(sigma, rel=0.12)


def test_missing_depth_or_seeds_and_unknown_conditions_are_errors():
    with pytest.raises(ValueError, match="needs one inverse depth and one seed for each image"):
        translate("night", [1], depth=None)
    with pytest.raises(ValueError, match="needs one inverse depth and one seed for each image"):
        translate("night", [1, 2], [street_scene(0)])
    image, inverse_depth = street_scene(0)
    dusk = Condition("dusk", ("At dusk",))
    with pytest.raises(ValueError, match="knows night, rain, night_rain, snow, fog, not 'dusk'"):
        SimulatedTranslator()(image[None], condition=dusk, seeds=[0], depth=inverse_depth[None, None])


def gradient_correlation(first, second):
    """Correlation of the smoothed gradients of log luminance: high where edges coincide, whatever the light."""
    gradients = []
    for image in (first, second):
        log = torch.log(F.avg_pool2d(luminance(image)[None, None], 3, 1) + 0.02)
        gradients.append(torch.cat([log.diff(dim=-1).flatten().abs(), log.diff(dim=-2).flatten().abs()]))
    return float(torch.corrcoef(torch.stack(gradients))[0, 1])
