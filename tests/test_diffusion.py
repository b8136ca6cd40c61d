import pytest
import torch
import torch.nn.functional as F
from tiny_pipeline import IP_ADAPTER_WEIGHTS, save_tiny_pipeline

from ude.files import DataError
from ude.translation import CONDITIONS
from ude.translation.depth_control import depth_control
from ude.translation.diffusion import DiffusionTranslator

SIZE = (64, 96)
LEVEL = 1 / 255
VISIBLE = 0.1
PROMPTS = ("At night", "In a rainy day, wet road", "Snow!", "fog over 3 cars")
SEEDS = (1, 2**62 + 5, 3, 2**63 - 1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    save_tiny_pipeline(root)
    return root


@pytest.fixture(scope="module")
def translator(weights):
    return load(weights, ip_adapter=str(weights / "ip_adapter"))


def load(weights, **kwargs):
    arguments = {
        "control": str(weights / "control"),
        "size": SIZE,
        "ip_adapter_weights": IP_ADAPTER_WEIGHTS,
        "steps": 2,
        "ip_adapter_scale": 1.0,
    }
    return DiffusionTranslator(str(kwargs.pop("base", weights / "base")), **{**arguments, **kwargs})


def blocks(channels, size, seed):
    """Four random images of large blocks (4, C, height, width)."""
    coarse = torch.rand(4, channels, 4, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size, mode="nearest")


DEPTH, REFERENCES = blocks(1, SIZE, 0), blocks(3, (224, 224), 1)


def generate(translator, rows, *, depth=None, references=None, prompts=None, seeds=None):
    """Images of some of the four samples; each input may be taken from other samples."""
    return translator(
        torch.zeros(len(rows), 3, *SIZE),
        condition=CONDITIONS["night"],
        seeds=[SEEDS[i] for i in seeds or rows],
        depth=DEPTH[depth or rows],
        prompts=[PROMPTS[i] for i in prompts or rows],
        references=REFERENCES[references or rows],
    )


def difference(first, second):
    return float((first - second).abs().max())


def test_the_same_inputs_give_the_same_image(translator):
    assert torch.equal(generate(translator, [0]), generate(translator, [0]))


@pytest.mark.parametrize("changed", ["depth", "references", "prompts", "seeds"])
def test_depth_reference_prompt_and_seed_each_change_the_image(translator, changed):
    assert difference(generate(translator, [0]), generate(translator, [0], **{changed: [1]})) > VISIBLE


def test_each_image_of_a_batch_follows_its_own_reference(translator):
    together = generate(translator, [0, 0, 0], references=[0, 1, 2])
    for index in range(3):
        assert difference(together[index], generate(translator, [0], references=[index])[0]) <= LEVEL
    assert difference(together[0], together[1]) > VISIBLE


def test_results_do_not_depend_on_batch_size_or_order(translator):
    alone = torch.cat([generate(translator, [i]) for i in range(4)])
    pairs = torch.cat([generate(translator, [0, 1]), generate(translator, [2, 3])])
    four, shuffled = generate(translator, [0, 1, 2, 3]), generate(translator, [2, 0, 3, 1])
    for other in (pairs, four, shuffled[[1, 3, 0, 2]]):
        assert difference(alone, other) <= LEVEL
    assert torch.equal(four[[2, 0, 3, 1]], shuffled)  # at a constant batch size even bit for bit


def test_a_pipeline_without_ip_adapter_works_and_refuses_references(weights):
    translator = load(weights)
    arguments = {"condition": CONDITIONS["rain"], "seeds": [7], "depth": DEPTH[:1]}
    result = translator(torch.zeros(1, 3, *SIZE), **arguments)
    assert result.shape == (1, 3, *SIZE)
    assert float(result.std()) > 0.05
    with pytest.raises(ValueError, match="references are needed with an IP-Adapter, and only then"):
        translator(torch.zeros(1, 3, *SIZE), **arguments, references=REFERENCES[:1])


def test_a_pipeline_with_ip_adapter_asks_for_references(translator):
    with pytest.raises(ValueError, match="references are needed with an IP-Adapter"):
        translator(torch.zeros(1, 3, *SIZE), condition=CONDITIONS["night"], seeds=[0], depth=DEPTH[:1])


def test_without_guidance_there_is_no_negative_prompt(weights, translator):
    unguided = load(weights, guidance_scale=1.0, ip_adapter=str(weights / "ip_adapter"))
    together = generate(unguided, [0, 1])
    assert difference(together[1], generate(unguided, [1])[0]) <= LEVEL
    assert difference(together, generate(translator, [0, 1])) > VISIBLE


def test_the_result_has_the_size_of_the_frames(translator):
    frames = torch.zeros(1, 3, 45, 80)
    result = translator(
        frames, condition=CONDITIONS["night"], seeds=[0], depth=DEPTH[:1, :, :45, :80], references=REFERENCES[:1]
    )
    assert result.shape == frames.shape
    assert result.min() >= 0
    assert result.max() <= 1


def test_without_prompts_the_seed_chooses_a_phrase(translator):
    condition = CONDITIONS["night"]
    arguments = {"condition": condition, "seeds": [2], "depth": DEPTH[:1], "references": REFERENCES[:1]}
    frames = torch.zeros(1, 3, *SIZE)
    assert torch.equal(translator(frames, **arguments), translator(frames, **arguments, prompts=[condition.phrases[2]]))


@pytest.mark.parametrize("size", [(60, 96), (64, 100), (64, 0)])
def test_a_size_that_would_be_floored_is_an_error(weights, size):
    with pytest.raises(DataError, match=r"multiples of 8 px, got .*; use \(64, \d+\)") as caught:
        load(weights, size=size)
    assert "\n" not in str(caught.value)


def test_the_control_is_bright_near_dark_far_and_finer_than_8_bits():
    inverse_depth = torch.linspace(0.01, 0.5, 4096).reshape(1, 1, 64, 64)
    control = depth_control(inverse_depth, (64, 64))
    assert control.shape == (1, 3, 64, 64)
    assert control.dtype == torch.float32
    assert float(control[0, 0, 0, 0]) == 0
    assert float(control[0, 0, -1, -1]) == 1
    expected = (torch.linspace(0, 1, 4096) - 0.02) / 0.96
    assert torch.allclose(control[0, 0].flatten(), expected.clamp(0, 1), atol=1e-4)
    assert len(control[0, 0].unique()) > 3000


def test_the_control_ignores_scale_shift_and_single_outliers():
    inverse_depth = blocks(1, (32, 48), 3)
    control = depth_control(inverse_depth, (32, 48))
    assert torch.allclose(depth_control(7 * inverse_depth + 3, (32, 48)), control, atol=1e-5)
    spoilt = inverse_depth.clone()
    spoilt[:, :, 5, 5] = 1e4
    spoilt[:, :, 5, 6:8] = -1e4
    changed = (depth_control(spoilt, (32, 48)) - control).abs().mean()
    assert float(changed) < 0.02
