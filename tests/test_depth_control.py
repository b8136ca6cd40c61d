"""The control picture of a depth map, and depth maps from overlapping tiles."""

import pytest
import torch
import torch.nn.functional as F

from ude.files import DataError
from ude.translation.depth_control import depth_control, tiled_inverse_depth

SIZE = (96, 160)
SEEN = (32, 48)  # what the network of these tests resizes its input to


def street(size=SIZE):
    """Inverse depth (1, 1, H, W) of a road that rises to the horizon, with thin posts of many distances; sky is 0."""
    height, width = size
    row = torch.arange(height).float()[:, None] / height
    road = (row - 0.4).clamp(min=0) * 0.5
    column = torch.arange(width).float()[None]
    posts = 0.05 * (torch.sin(column * 1.1) > 0.4) * (row > 0.3) * (1 + column / width)
    return (road + posts)[None, None]


class Network:
    """A depth network that knows the truth from the picture, but sees little of it, and scales and shifts each map."""

    def __init__(self, seen=SEEN, spread=1.0):
        self.seen, self.spread, self.calls = seen, spread, []

    def __call__(self, images):
        self.calls.append(tuple(images.shape))
        small = F.interpolate(images[:, :1], self.seen, mode="bilinear", antialias=True)
        resized = F.interpolate(small, images.shape[-2:], mode="bilinear")
        number = len(self.calls)
        return resized * (1 + self.spread * (number % 3)) + self.spread * 0.1 * (number % 4)


def pictures(truth):
    return truth.expand(-1, 3, -1, -1)


def misfit(found, truth):
    """Root mean square difference to the truth after the best scale and shift."""
    found, truth = found.flatten() - found.mean(), truth.flatten() - truth.mean()
    scale = (found * truth).sum() / (found**2).sum()
    return float((scale * found - truth).square().mean().sqrt())


def test_the_sky_is_black_and_the_nearest_white():
    control = depth_control(street(), SIZE)
    assert (control[0, :, street()[0, 0] == 0] == 0).all()
    assert float(control.max()) == 1
    assert (control >= 0).all()


def test_a_little_sky_is_black_too():
    wall = torch.linspace(0.1, 0.5, 96 * 160).view(1, 1, *SIZE).clone()
    wall[..., :2, :10] = 0
    assert (depth_control(wall, SIZE)[..., :2, :10] == 0).all()


def test_a_picture_of_little_but_sky_still_shows_the_rest():
    sky = torch.zeros(1, 1, *SIZE)
    sky[..., 90:, 70:80] = torch.linspace(0.1, 0.2, 60).view(6, 10)  # 0.4 % of the pixels
    control = depth_control(sky, SIZE)
    assert float(control[..., 95, 79].min()) == 1
    assert float(control[..., 90, 70].max()) == pytest.approx(0.5, abs=1e-5)
    assert float(control[..., :80, :].max()) == 0


def test_flat_depth_is_grey_and_nothing_but_sky_is_black():
    assert (depth_control(torch.full((1, 1, 8, 8), 0.3), (8, 8)) == 0.5).all()
    assert (depth_control(torch.zeros(1, 1, 8, 8), (8, 8)) == 0).all()
    rounding = 1000 + 1e-4 * torch.rand(1, 1, 8, 8)
    assert (depth_control(rounding, (8, 8)) == 0.5).all()


def test_each_picture_depends_on_its_own_depth_alone():
    maps = [street(), 40 * street().flip(-1) + 3, torch.zeros(1, 1, *SIZE), street().flip(-2)]
    maps[3][..., 0, 0] = torch.nan
    together = depth_control(torch.cat(maps), SIZE)
    for i, alone in enumerate(maps):
        assert torch.equal(together[i], depth_control(alone, SIZE)[0])


def test_pixels_that_are_no_numbers_do_not_spoil_the_others():
    spoilt = street().clone()
    spoilt[..., 40, 40], spoilt[..., 60, 60], spoilt[..., 80, 80] = torch.nan, -torch.inf, torch.inf
    control, whole = depth_control(spoilt, SIZE), depth_control(street(), SIZE)
    assert (control[..., [40, 60], [40, 60]] == 0).all()
    assert (control[..., 80, 80] == 1).all()
    others = torch.ones(SIZE, dtype=torch.bool)
    others[[40, 60, 80], [40, 60, 80]] = False
    assert float((control - whole)[..., others].abs().max()) < 1e-3


def test_a_map_without_any_number_is_refused():
    maps = torch.cat([street(), torch.full((1, 1, *SIZE), torch.nan)])
    with pytest.raises(DataError, match="no finite number; train or download the depth network again"):
        depth_control(maps, SIZE)


def test_a_smaller_control_averages_and_a_half_precision_map_is_no_problem():
    ramp = torch.linspace(0, 1, 160).expand(1, 1, 96, 160)
    noise = torch.rand(1, 1, 96, 160, generator=torch.Generator().manual_seed(0)) - 0.5
    control, plain = depth_control((ramp + noise).half(), (24, 40)), depth_control(ramp, (24, 40))
    assert control.dtype == torch.float32
    assert float((control - plain).abs().mean()) < 0.06  # four of sixteen pixels alone would give 0.1


def test_tiles_recover_detail_that_the_whole_image_loses():
    truth = street()
    whole, tiled = (tiled_inverse_depth(Network(), pictures(truth), tiles=n) for n in (1, 3))
    assert misfit(tiled, truth) < 0.6 * misfit(whole, truth)
    assert misfit(tiled_inverse_depth(Network(), pictures(truth), tiles=2), truth) < 0.85 * misfit(whole, truth)


@pytest.mark.parametrize("tiles", [2, 3, 5])
def test_tiles_of_a_network_that_loses_nothing_are_aligned_without_seams(tiles):
    truth = street()

    def network(images):
        network.count += 1
        return images[:, :1] * (1 + network.count % 3) + 0.2 * (network.count % 4)

    network.count = -1  # the whole image: scale 1, shift 0
    tiled = tiled_inverse_depth(network, pictures(truth), tiles=tiles)
    assert network.count == tiles**2
    assert float((tiled - truth).abs().max()) < 1e-5


def test_tiles_leave_no_seams_where_a_network_errs_differently_in_each():
    truth = street() * 0 + torch.linspace(0, 1, 160)
    tilt = torch.linspace(-0.1, 0.1, 96)[:, None] * torch.linspace(-1, 1, 160)

    def network(images):  # adds another twist to each tile, which no scale and shift can undo
        network.count += 1
        twist = F.interpolate(tilt[None, None], images.shape[-2:], mode="bilinear")
        return images[:, :1] + (network.count % 3 - 1) * twist * (images.shape[-1] < 160)

    network.count = 0
    error = tiled_inverse_depth(network, pictures(truth), tiles=3) - truth
    assert float(error.abs().max()) > 0.03
    for axis in (-1, -2):
        assert float(error.diff(dim=axis).abs().max()) < 0.02  # a hard cut jumps by up to 0.2


def test_a_tile_that_shows_nothing_keeps_the_map_of_the_whole_image():
    truth = torch.zeros(1, 1, 96, 160)
    truth[..., 70:, :] = torch.linspace(0.1, 1, 26)[:, None]
    network = Network(spread=0.0)
    tiled = tiled_inverse_depth(network, pictures(truth), tiles=3)
    assert torch.isfinite(tiled).all()
    assert float(tiled[..., :20, :].abs().max()) == 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 0.7])
def test_a_tile_that_is_constant_or_broken_does_no_harm(value):
    def network(images):
        network.count += 1
        found = images[:, :1]
        return torch.full_like(found, value) if network.count == 3 else found

    network.count = 0
    tiled = tiled_inverse_depth(network, pictures(street()), tiles=2)
    assert float((tiled - street()).abs().max()) < 1e-5


@pytest.mark.parametrize("wrong", [lambda truth: -truth, torch.rand_like], ids=["reversed", "noise"])
def test_a_tile_that_contradicts_the_whole_image_is_not_used(wrong):
    torch.manual_seed(0)

    def network(images):
        network.count += 1
        return images[:, :1] if network.count == 1 else wrong(images[:, :1])

    network.count = 0
    assert float((tiled_inverse_depth(network, pictures(street()), tiles=2) - street()).abs().max()) < 1e-6


def test_fine_detail_of_the_tiles_does_not_shrink_their_scale():
    slope = street((288, 480)).clamp(max=0.2)
    detail = 0.1 * (torch.arange(480) % 2 + torch.arange(288)[:, None] % 2 - 1.0)  # finer than the whole image shows

    def network(images):
        return images[:, :1] if images.shape[-1] == 480 else images[:, 1:2]

    images = torch.cat([slope, slope + detail, slope], dim=1)
    tiled = tiled_inverse_depth(network, images, tiles=2)
    inner = tiled > tiled.min()  # not cut at the sky
    assert float((tiled - images[:, 1:2])[inner].abs().max()) < 0.004


def test_tiles_of_an_image_do_not_depend_on_its_neighbours():
    first, second = street(), street().flip(-1).sqrt()
    together = tiled_inverse_depth(Network(), pictures(torch.cat([first, second])), tiles=2)
    for i, alone in enumerate((first, second)):
        assert torch.allclose(together[i], tiled_inverse_depth(Network(), pictures(alone), tiles=2)[0], atol=1e-6)


def test_tiles_cover_every_pixel_of_odd_sizes_and_overlap_by_a_third():
    network = Network()
    tiled = tiled_inverse_depth(network, torch.rand(1, 3, 97, 161), tiles=3)
    assert tiled.shape == (1, 1, 97, 161)
    assert torch.isfinite(tiled).all()
    assert network.calls == [(1, 3, 97, 161), *[(1, 3, 42, 69)] * 9]


def test_one_tile_is_the_whole_image():
    network = Network()
    images = torch.rand(2, 3, *SIZE)
    assert torch.equal(tiled_inverse_depth(network, images, tiles=1), Network()(images))
    assert len(network.calls) == 1
