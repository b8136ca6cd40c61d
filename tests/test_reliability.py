"""Where the teacher is believed: margins, sources, views and superpixels, and what a student learns of it."""

import copy

import numpy as np
import pytest
import torch
from made_batches import SOLVER, H, W, batch, network

from ude import losses
from ude.data.superpixels import superpixels
from ude.engine import StudentModule, StudentWeights
from ude.engine.reliability import reliable_pixels, superpixels_of
from ude.models import DepthPrediction


def column(*values):
    return torch.tensor(values).view(1, 1, -1, 1)


def student_module(teacher, student=None, **weights):
    weights = StudentWeights(semantic=0, **weights)
    return StudentModule(student or network(), teacher=teacher, weights=weights, offsets=(-1, 1), solver=SOLVER)


# --- the losses


@pytest.mark.parametrize(
    ("margin", "believed"), [(0.0, [True, True, False, False]), (0.125, [True, True, True, False])]
)
def test_a_margin_makes_ties_of_small_differences_in_both_directions(margin, believed):
    teacher, student = column(0.25, 0.5, 0.5, 0.75), column(0.5, 0.5, 0.375, 0.5)
    assert losses.reliability_mask(teacher, student, margin=margin).flatten().tolist() == believed
    printed = losses.reliability_mask(teacher, student, keep="as_printed", margin=margin)
    assert printed.flatten().tolist() == [not one for one in believed]


def test_the_smallest_source_error_is_that_of_the_photometric_loss_to_the_last_bit():
    data = batch()
    inverse_depth = 0.02 + 0.5 * torch.rand(2, 1, H, W)
    given = [inverse_depth, *(data[key] for key in ("target", "sources", "K", "T_source_target"))]
    errors, inside = losses.source_errors(*given, ssim_weight=0.85)
    assert errors.shape == inside.shape == (2, 2, 1, H, W)
    error, seen = losses.error_over_sources(errors)
    assert torch.equal(error, losses.reprojection_error(*given, ssim_weight=0.85))
    assert seen.all()
    assert not inside.all()
    assert inside.any()


def test_a_source_that_does_not_see_a_pixel_does_not_count_there():
    errors = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.2, 0.2]]).view(1, 2, 1, 1, 4)
    inside = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0]]).bool().view(1, 2, 1, 1, 4)
    for reduction, expected in (("min", [0.1, 0.2, 0.2, 0.2]), ("mean", [0.3, 0.2, 0.2, 0.3])):
        error, seen = losses.error_over_sources(errors, inside, reduction=reduction)
        assert error.flatten().tolist() == pytest.approx(expected)
        assert seen.flatten().tolist() == [True, True, True, False]  # the last one takes all sources, to stay finite


def test_region_means_are_those_counted_by_hand():
    errors = torch.tensor([[0.5, 0.25], [0.0, 1.0]]).view(1, 1, 2, 2)
    regions = torch.tensor([[0, 2], [2, 0]]).view(1, 1, 2, 2)
    assert losses.region_means(errors, regions).flatten().tolist() == [0.75, 0.125, 0.125, 0.75]
    counted = torch.tensor([[True, False], [False, False]]).view(1, 1, 2, 2)
    assert losses.region_means(errors, regions, counted).flatten().tolist() == [0.5, 0, 0, 0.5]


def test_region_means_do_not_depend_on_the_order_or_on_other_frames():
    generator = torch.Generator().manual_seed(0)
    errors, order = torch.rand(1, 1, 40, 50, generator=generator), torch.randperm(2000, generator=generator)
    regions = torch.randint(0, 7, (1, 1, 40, 50), generator=generator)
    means = losses.region_means(errors, regions)
    shuffled = [maps.flatten()[order].view(1, 1, 40, 50) for maps in (errors, regions)]
    assert torch.equal(losses.region_means(*shuffled).flatten(), means.flatten()[order])
    pair = [torch.cat([maps, other]) for maps, other in zip((errors, regions), shuffled, strict=True)]
    assert torch.equal(losses.region_means(*pair)[:1], means)
    expected = torch.stack([errors[regions == label].double().mean() for label in range(7)])
    assert (means.double() - expected[regions]).abs().max() < 1e-6


# --- superpixels


@pytest.mark.parametrize("size", [(96, 160), (321, 577)])
def test_superpixels_cover_the_image_and_keep_to_its_edges(size):
    image = np.full((*size, 3), 0.2, np.float32)
    image[size[0] // 3 :, size[1] // 4 :] = 0.8
    labels = superpixels(image, 60)
    assert labels.shape == size
    assert labels.min() == 0
    assert 20 < labels.max() + 1 <= 100
    bright = image[..., 0] > 0.5
    purity = np.bincount(labels.ravel(), bright.ravel()) / np.bincount(labels.ravel())
    mixed = np.isin(labels, np.flatnonzero((purity > 0.02) & (purity < 0.98)))
    assert mixed.mean() < 0.05
    assert np.array_equal(labels, superpixels(image, 60))


def test_superpixels_of_a_batch_are_those_of_its_images():
    images = batch()["target"]
    found = superpixels_of(images, 10)
    assert found.shape == (2, 1, H, W)
    for image, labels in zip(images, found, strict=True):
        assert np.array_equal(labels[0].numpy(), superpixels(image.permute(1, 2, 0).numpy(), 10))


def test_the_borders_of_a_wrong_object_speak_for_its_inside():
    """An object without texture that the student takes for nearer than it is: only its border has an error."""
    regions = torch.zeros(1, 1, 12, 12, dtype=torch.int64)
    regions[..., 3:9, 3:9] = 1
    inside = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    inside[..., 4:8, 4:8] = True
    teacher = torch.full((1, 1, 12, 12), 0.02)
    student = torch.where(regions == 1, 0.3, 0.02).masked_fill(
        inside, 0.019
    )  # by chance a little better than its teacher
    given = {"error": teacher, "regions": regions.float()}, {"error": student}
    by_pixel = reliable_pixels(*given, StudentWeights())
    assert not by_pixel[inside].any()  # false reliability of the student
    by_region = reliable_pixels(*given, StudentWeights(reliability_regions=2))
    assert by_region.all()
    printed = reliable_pixels(*given, StudentWeights(reliability="as_printed", reliability_regions=2))
    assert not printed.any()


def test_an_error_counts_where_a_source_sees_the_pixel_with_both_depths():
    teacher = {"error": column(0.1, 0.1, 0.1, 0.1), "seen": column(1.0, 0.0, 1.0, 0.0)}
    student = {"error": column(0.0, 0.0, 0.0, 0.0), "seen": column(True, True, False, False)}
    for rule, believed in (("keep", [False, True, True, True]), ("drop", [False] * 4)):
        found = reliable_pixels(teacher, student, StudentWeights(reliability_out_of_view=rule))
        assert found.flatten().tolist() == believed
    teacher["regions"] = column(0.0, 0.0, 3.0, 3.0)  # nothing of the second region can be compared
    for rule, believed in (("keep", [False, False, True, True]), ("drop", [False] * 4)):
        rules = StudentWeights(reliability_out_of_view=rule, reliability_regions=2)
        assert reliable_pixels(teacher, student, rules).flatten().tolist() == believed


# --- the student

RULES = [
    {},
    {"reliability_regions": 12},
    {"reliability_margin": 0.01},
    {"reliability_sources": "mean", "reliability_out_of_view": "keep"},
    {"reliability_sources": "mean", "reliability_regions": 12, "reliability_margin": 0.001},
    {"reliability_out_of_view": "keep", "reliability_regions": 12},
]


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: "-".join(map(str, rules.values())))
def test_a_student_equal_to_its_teacher_is_believed_everywhere_or_as_printed_nowhere(rules):
    teacher = network(num_scales=1).eval()
    for keep in ("teacher_better", "as_printed"):
        module = student_module(teacher, copy.deepcopy(teacher), reliability=keep, **rules).eval()
        terms, maps = module.losses(batch())
        seen = maps["reliable"]
        if keep == "teacher_better":
            assert seen.all()
        elif rules.get("reliability_out_of_view", "compare") == "compare":
            assert not seen.any()
        assert terms["distillation"].item() == 0


@pytest.mark.parametrize("regions", [0, 12])
def test_pixels_that_no_source_sees_are_kept_or_dropped(regions):
    data = batch()
    data["T_source_target"][0, :, 0, 3] = 1e4  # the cameras of the first frame stand far beside its own
    found = {}
    for rule in ("compare", "keep", "drop"):
        torch.manual_seed(3)
        module = student_module(
            network(num_scales=1).eval(), reliability_out_of_view=rule, reliability_regions=regions
        ).train()
        terms, maps = module.losses(data)
        found[rule] = maps["reliable"]
        if rule == "drop":
            only = {key: value[:1] for key, value in data.items()}
            terms, _ = module.losses(only)
            terms["distillation"].backward()
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            assert gradients
            assert all(gradient.abs().max().item() == 0 for gradient in gradients)
    assert found["keep"][0].all()
    assert not found["drop"][0].any()
    assert torch.equal(found["keep"][1] & found["drop"][1], found["drop"][1])


class Plane(torch.nn.Module):
    """The same inverse depth [1/m] everywhere."""

    def __init__(self, inverse_depth):
        super().__init__()
        self.inverse_depth = inverse_depth

    def forward(self, images):
        return DepthPrediction([torch.full_like(images[:, :1], self.inverse_depth)], images[..., ::8, ::8])


@pytest.mark.parametrize("sources", ["min", "mean"])
@pytest.mark.parametrize("rule", ["keep", "drop"])
def test_errors_are_compared_over_the_sources_that_see_the_pixel_with_both_depths(rule, sources):
    data = batch()
    data["T_source_target"] = torch.eye(4).repeat(2, 2, 1, 1)  # the first source tells nothing of the depth
    data["T_source_target"][:, 1, 0, 3] = 2.0
    data["sources"][:, 1] = data["target"].roll(2, -1)  # the second one agrees with the student's 50 m: 2 pixels
    rules = {"reliability_out_of_view": rule, "reliability_sources": sources, "reliability_margin": 1e-3}
    module = student_module(Plane(1 / 2), Plane(1 / 50), **rules)
    reliable = module.losses(data)[1]["reliable"][..., 1:-1, :]  # with the teacher's 2 m, 50 pixels to the right
    assert reliable[..., 16:60].all()
    assert reliable[..., 2:12].float().mean() < 0.1


@pytest.mark.parametrize("rules", RULES[1:], ids=lambda rules: "-".join(map(str, rules.values())))
def test_unreliable_pixels_get_exactly_no_gradient_whatever_the_rules(rules, monkeypatch):
    module = student_module(network(num_scales=1).eval(), **rules).eval()
    data, leaf = batch(), torch.linspace(0.01, 0.3, W).expand(2, 1, H, W).clone().requires_grad_()
    data["target"] = torch.rand(2, 3, 4, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)  # with regions
    prediction, values = module.predict_depth(data), module.frozen.values(data, (1, 2))
    values["error"][..., : W // 2], values["error"][..., W // 2 :] = 0.0, 1.0  # a teacher that is wrong on the right
    monkeypatch.setattr(module, "predict_depth", lambda _: prediction._replace(inverse_depths=[leaf]))
    monkeypatch.setattr(module.frozen, "values", lambda *_, **__: values)
    terms, maps = module.losses(data)
    terms["distillation"].backward()
    reliable = maps["reliable"]
    assert 0.1 < reliable.float().mean() < 0.9
    assert (leaf.grad[~reliable] == 0).all()
    assert (leaf.grad[reliable] != 0).all()
