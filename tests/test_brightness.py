"""Brightness of images matched to references."""

import colorsys
import math

import pytest
import torch

from ude.translation.brightness import match_brightness

WEIGHTS = torch.tensor([0.2126, 0.7152, 0.0722]).view(3, 1, 1)


def luminance(images):
    return (images * WEIGHTS).sum(1)


def statistics(images):
    logarithm = torch.log(luminance(images) + 0.02).flatten(1)
    return torch.stack([logarithm.mean(1), logarithm.std(1, correction=0)])


def random_image(low, high, seed, size=(24, 32)):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(1, 3, *size, generator=generator)


def grey(*values):
    """An image of one row of grey pixels."""
    return torch.tensor(values).view(1, 1, 1, -1).expand(1, 3, 1, -1)


DAY, NIGHT = random_image(0.2, 0.9, 0), random_image(0.0, 0.3, 1, (40, 20))


def test_mean_and_spread_of_log_luminance_become_those_of_the_reference():
    for reference in (NIGHT, DAY, 0.5 * DAY):
        found = match_brightness(DAY, reference)
        assert torch.allclose(statistics(found), statistics(reference), atol=2e-3)


def test_the_statistics_fit_where_many_pixels_are_cut_at_white_too():
    reference = torch.ones(1, 3, 10, 10)
    reference[..., :4, :] = torch.linspace(0.2, 0.8, 10)
    found = match_brightness(NIGHT, reference)
    assert float((found[:, 1] > 0.995).float().mean()) > 0.1
    assert torch.allclose(statistics(found), statistics(reference), atol=0.02)


def test_two_greys_become_the_two_greys_of_the_reference():
    found = match_brightness(grey(0.4, 0.8, 0.4, 0.8), grey(0.05, 0.3))
    assert torch.allclose(found, grey(0.05, 0.3, 0.05, 0.3), atol=1e-5)


def test_three_greys_follow_the_closed_form():
    # log(Y + 0.02) of the image: 0, 1, 2 steps of log 2 above log 0.1; of the reference: half of these steps
    image = grey(*(0.1 * 2**k - 0.02 for k in (0, 1, 2)))
    reference = grey(*(0.3 * 2 ** (k / 2) - 0.02 for k in (0, 1, 2)))
    assert torch.allclose(match_brightness(image, reference), reference, atol=1e-5)


def test_a_flat_image_only_moves_to_the_mean_of_the_reference():
    reference = grey(0.1, 0.4)
    mean = math.sqrt(0.12 * 0.42) - 0.02
    assert torch.allclose(match_brightness(grey(0.7, 0.7), reference), grey(mean, mean), atol=1e-5)


def test_an_image_with_the_statistics_of_its_reference_stays_as_it_is():
    assert torch.allclose(match_brightness(DAY, DAY), DAY, atol=1e-5)
    shuffled = DAY.flatten(2)[..., torch.randperm(24 * 32, generator=torch.Generator().manual_seed(0))].view_as(DAY)
    assert torch.allclose(match_brightness(DAY, shuffled), DAY, atol=1e-5)


def test_brighter_pixels_stay_brighter():
    ramp = grey(*torch.linspace(0, 1, 200).tolist())
    for reference in (NIGHT, DAY, grey(0.0, 1.0), grey(0.5, 0.5)):
        steps = match_brightness(ramp, reference)[0, 0, 0].diff()
        assert float(steps.min()) >= 0


def test_pixels_keep_their_hue():
    found = match_brightness(DAY, NIGHT)
    bright = match_brightness(NIGHT, DAY)
    for image, result in ((DAY, found), (NIGHT, bright)):
        for before, after in zip(
            image[0].flatten(1).T[:60].tolist(), result[0].flatten(1).T[:60].tolist(), strict=True
        ):
            if max(after) - min(after) > 0.01:
                turn = abs(colorsys.rgb_to_hsv(*before)[0] - colorsys.rgb_to_hsv(*after)[0])
                assert min(turn, 1 - turn) < 2e-3


def test_each_image_follows_its_own_reference_whatever_its_neighbours():
    images, references = (
        torch.cat([DAY, random_image(0, 1, 2)]),
        torch.cat([NIGHT, random_image(0.4, 0.6, 3, (40, 20))]),
    )
    together = match_brightness(images, references)
    for i in range(2):
        assert torch.allclose(together[i], match_brightness(images[i : i + 1], references[i : i + 1])[0], atol=1e-6)
    assert not torch.allclose(match_brightness(images, references.flip(0))[0], together[0], atol=0.05)


@pytest.mark.parametrize("reference", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("image", [(0.0, 0.0, 1.0), (0.5, 0.5, 0.5), (0.0, 1 / 255, 0.0)])
def test_extremes_give_numbers_within_the_range(image, reference):
    found = match_brightness(grey(*image), grey(*reference))
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_noise_of_a_nearly_flat_image_is_not_blown_up_to_black_and_white():
    noise = random_image(0.39, 0.41, 4)
    found = match_brightness(noise, grey(0.0, 1.0))
    before, after = statistics(noise)[1], statistics(found)[1]
    assert float(after) <= 4.01 * float(before)


def test_lifted_shadows_do_not_turn_colourful():
    dark = grey(*[0.002] * 9, 0.9).clone()
    dark[0, 0, 0, 0] = 3 / 255  # one count of red noise
    found = match_brightness(dark, grey(0.5, 0.8))
    pixel = found[0, :, 0, 0]
    assert float(pixel.max() - pixel.min()) < 0.1
    assert float(luminance(found)[0, 0, 0]) > 0.3


def test_colours_pale_instead_of_leaving_the_range():
    red = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    wanted = 0.7
    found = match_brightness(red, grey(wanted, wanted))
    assert float(luminance(found)[0, 0, 0]) == pytest.approx(wanted, abs=1e-4)
    pixel = found[0, :, 0, 0]
    assert float(pixel[0]) == pytest.approx(1, abs=1e-4)
    assert float((pixel[1] - pixel[2]).abs()) < 1e-5


def test_the_result_has_the_type_of_the_image():
    assert match_brightness(DAY.half(), NIGHT).dtype == torch.float16
